// A kernel's PTX, decoded: a list of instructions that work on one file of 64-bit registers. Immediates, special
// registers and addresses of symbols have slots of their own in it.
// https://docs.nvidia.com/cuda/parallel-thread-execution/
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/simt/ordering.h"
#include "kernels/simt/site.h"

namespace varlstm::simt::ptx {

// A thread that runs a kernel.
struct Frame {
  uint64_t* registers;
  size_t next;  // instruction
};

struct Instruction;
using Handler = void (*)(Frame&, const Instruction&);

constexpr int kMaxOperands = 14;  // those of mma.m16n8k16; only wgmma has more
constexpr size_t kEnd = ~size_t{0};
constexpr uint32_t kSink = 0;  // the slot of the destination _

// The space of an address: kGeneric is the host's address of anything (.global as well), kShared is an address in the
// block's own shared memory, kCluster in that of any block of the cluster, kPrivate in parameters and local memory.
enum class Space : unsigned char { kGeneric, kShared, kCluster, kPrivate };

struct Instruction {
  Handler run = nullptr;
  Space space = Space::kGeneric;
  Order order = Order::kWeak;            // of a load, store or atomic
  Scope scope = kGrid;                   // likewise
  int destinations = 0;                  // this many of the first operands
  uint32_t operands[kMaxOperands] = {};  // slots; for an address that of its register
  std::vector<uint32_t> more_operands;   // after the first kMaxOperands
  int operand_count = 0;
  int64_t offset = 0;  // of the first address
  int64_t target = 0;  // of a branch
  int64_t predicate = -1;
  bool negated = false;
  Site site = {"", 0};  // its line of PTX
};

// Returns the low bytes of a slot.
template <class T>
T get(const Frame& frame, uint32_t slot) {
  T value;
  memcpy(&value, frame.registers + slot, sizeof value);
  return value;
}
template <class T>
void set(Frame& frame, uint32_t slot, T value) {
  frame.registers[slot] = 0;
  memcpy(frame.registers + slot, &value, sizeof value);
}
// For instructions with more than kMaxOperands.
inline uint32_t any_slot(const Instruction& instruction, int index) {
  return index < kMaxOperands ? instruction.operands[index]
                              : instruction.more_operands[static_cast<size_t>(index - kMaxOperands)];
}
template <class T>
T operand(const Frame& frame, const Instruction& instruction, int index) {
  return get<T>(frame, instruction.operands[index]);
}

// Addresses of shared memory have 32 bits and count from the shared memory of the first resident block. Every block has
// a range of its own, so a result of mapa identifies a peer's memory.
unsigned char* shared_pointer(uint32_t address);
uint32_t shared_address(const void* pointer, Site site);

// Returns the pointer for the address in an operand. An address of the block's own shared memory must not belong to
// another block.
unsigned char* address_of(const Frame& frame, const Instruction& instruction, int index);

// %tid.x and its like. The value that a thread reads does not change while the thread runs.
using SpecialRegister = uint32_t (*)();
const std::map<std::string, SpecialRegister>& special_registers();

struct Program {
  std::string name;
  std::vector<Instruction> instructions;
  std::vector<uint64_t> registers;                 // at the start: immediates, otherwise 0
  std::map<uint32_t, SpecialRegister> specials;    // by slot
  std::map<uint32_t, size_t> parameter_addresses;  // slot and number of the parameter
  std::vector<uint32_t> local_addresses;           // slots that hold the address of local memory
  std::map<uint32_t, uint32_t> shared_addresses;   // slot and offset in the block's shared memory
  std::vector<uint32_t> dynamic_shared_sizes;      // slots that hold the size of the dynamic part
  std::map<uint32_t, int> grid_words;              // %envreg1 and 2: the shift to the right of the grid's word, in bits
  size_t parameters = 0;
  size_t local_bytes = 0;
  size_t shared_bytes = 0;          // static shared memory, before the dynamic one; the launch must count it
  unsigned cluster = 1;             // that the kernel itself requests
  std::shared_ptr<void> variables;  // the memory of its file's variables
};

// Handlers by mnemonic, without the parts that are fields of Instruction: "add.s64", "ld.u32", "atom.add.u32".
using Handlers = std::map<std::string, Handler>;
void add_arithmetic(Handlers& handlers);
void add_async(Handlers& handlers);
void add_atomics(Handlers& handlers);
void add_barriers(Handlers& handlers);
void add_bits(Handlers& handlers);
void add_comparisons(Handlers& handlers);
void add_control(Handlers& handlers);
void add_conversions(Handlers& handlers);
void add_functions(Handlers& handlers);
void add_matrices(Handlers& handlers);
void add_mbarriers(Handlers& handlers);
void add_memory(Handlers& handlers);
void add_warp(Handlers& handlers);
void add_wgmma(Handlers& handlers);
const Handlers& handlers();

// The ordering of an access that is not weak.
inline Ordering ordering_of(const Instruction& i) {
  return {i.order, i.scope};
}

// Returns the pieces of a text between separators, without blanks around them.
std::vector<std::string> split(const std::string& text, char separator);

// Returns the mnemonic of a memory access without space, order, scope and hints. Space, order and scope go into
// `instruction`.
std::string without_modifiers(const std::string& mnemonic, Instruction* instruction);

// Returns the kernels in the text of a file, or only those whose name begins with `begin`. Anything unknown in one of
// them ends the process with the file's name and the line.
std::vector<Program> parse(const std::string& file, const std::string& text, const std::string& begin = "");

// Runs the program in the current thread. `reached` has a byte for each instruction, which becomes 1 when it runs.
void run_thread(const Program& program, const void* const* arguments, const void* grid_words, unsigned char* reached);

}  // namespace varlstm::simt::ptx
