// A kernel's PTX, decoded: a list of instructions over one file of 64-bit registers, in which immediates, special
// registers and addresses of symbols have slots of their own. https://docs.nvidia.com/cuda/parallel-thread-execution/
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

constexpr int kMaxOperands = 14;  // of mma.m16n8k16
constexpr size_t kEnd = ~size_t{0};
constexpr uint32_t kSink = 0;  // the slot of a destination _

// What an address names: kGeneric is the host's address of anything (.global as well), kShared the block's own shared
// memory, kCluster that of any block of the cluster, kPrivate parameters and local memory.
enum class Space : unsigned char { kGeneric, kShared, kCluster, kPrivate };

struct Instruction {
  Handler run = nullptr;
  Space space = Space::kGeneric;
  Order order = Order::kWeak;            // of a load, store or atomic
  Scope scope = kGrid;                   // likewise
  int destinations = 0;                  // the first operands
  uint32_t operands[kMaxOperands] = {};  // slots; of an address its register
  int operand_count = 0;
  int64_t offset = 0;  // of the first address
  int64_t target = 0;  // of a branch
  int64_t predicate = -1;
  bool negated = false;
  Site site = {"", 0};  // its line of PTX
};

// The low bytes of a slot.
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
template <class T>
T operand(const Frame& frame, const Instruction& instruction, int index) {
  return get<T>(frame, instruction.operands[index]);
}

// Addresses of shared memory, 32 bits wide, count from the first resident block's: every block has its own range, so
// that mapa's result names a peer's.
unsigned char* shared_pointer(uint32_t address);
uint32_t shared_address(const void* pointer, Site site);

// Where the address that is an operand points to. An address of the block's own shared memory may be no other block's.
unsigned char* address_of(const Frame& frame, const Instruction& instruction, int index);

// %tid.x and its like: what a thread reads of one, which does not change while it runs.
using SpecialRegister = uint32_t (*)();
const std::map<std::string, SpecialRegister>& special_registers();

struct Program {
  std::string name;
  std::vector<Instruction> instructions;
  std::vector<uint64_t> registers;                 // at the start: immediates, and 0
  std::map<uint32_t, SpecialRegister> specials;    // by slot
  std::map<uint32_t, size_t> parameter_addresses;  // slot and number of the parameter
  std::vector<uint32_t> local_addresses;           // slots that hold the address of local memory
  std::map<uint32_t, uint32_t> shared_addresses;   // slot and offset in the block's shared memory
  std::vector<uint32_t> dynamic_shared_sizes;      // slots that hold how much of it is dynamic
  std::map<uint32_t, int> grid_words;              // %envreg1 and 2: bits that the grid's word is shifted right by
  size_t parameters = 0;
  size_t local_bytes = 0;
  size_t shared_bytes = 0;  // static shared memory, which stands before the dynamic one: its launch must count it
  unsigned cluster = 1;     // that the kernel itself asks for
  std::shared_ptr<void> variables;  // memory of its file's variables
};

// Handlers by mnemonic, without what stands in fields of Instruction: "add.s64", "ld.u32", "atom.add.u32".
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
const Handlers& handlers();

// Of an access that is not weak.
inline Ordering ordering_of(const Instruction& i) {
  return {i.order, i.scope};
}

// The pieces of a text between separators, without blanks around them.
std::vector<std::string> split(const std::string& text, char separator);

// The mnemonic without space, order, scope and hints of an access of memory; space and order go into `instruction`.
std::string without_modifiers(const std::string& mnemonic, Instruction* instruction);

// The kernels in the text of a file, or those whose name begins so; whatever is unknown in one of them ends the process
// with the file's name and the line.
std::vector<Program> parse(const std::string& file, const std::string& text, const std::string& begin = "");

// The current thread runs the program; `reached`, a byte for each instruction, becomes 1 where it was.
void run_thread(const Program& program, const void* const* arguments, const void* grid_words, unsigned char* reached);

}  // namespace varlstm::simt::ptx
