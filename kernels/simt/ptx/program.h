// A kernel's PTX, decoded: a list of instructions over one file of 64-bit registers, in which immediates, special
// registers and addresses of symbols have slots of their own. https://docs.nvidia.com/cuda/parallel-thread-execution/
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include <map>
#include <string>
#include <vector>

#include "kernels/simt/site.h"

namespace varlstm::simt::ptx {

// A thread that runs a kernel.
struct Frame {
  uint64_t* registers;
  size_t next;  // instruction
};

struct Instruction;
using Handler = void (*)(Frame&, const Instruction&);

constexpr int kMaxOperands = 14;  // of a matrix product
constexpr size_t kEnd = ~size_t{0};

struct Instruction {
  Handler run = nullptr;
  int destinations = 0;                  // the first operands
  uint32_t operands[kMaxOperands] = {};  // slots; of an address its register
  int operand_count = 0;
  int64_t offset = 0;  // of the address
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

enum class Special {
  kTidX,
  kTidY,
  kTidZ,
  kNtidX,
  kNtidY,
  kNtidZ,
  kCtaidX,
  kCtaidY,
  kCtaidZ,
  kNctaidX,
  kNctaidY,
  kNctaidZ
};

struct Program {
  std::string name;
  std::vector<Instruction> instructions;
  std::vector<uint64_t> registers;                 // at the start: immediates, and 0
  std::map<uint32_t, Special> specials;            // by slot
  std::map<uint32_t, size_t> parameter_addresses;  // slot and number of the parameter
  std::vector<uint32_t> local_addresses;           // slots that hold the address of local memory
  size_t parameters = 0;
  size_t local_bytes = 0;
};

// Handlers by mnemonic, without a vector's width: "add.s64", "ld.global.u32".
using Handlers = std::map<std::string, Handler>;
void add_arithmetic(Handlers& handlers);
void add_conversions(Handlers& handlers);
void add_memory(Handlers& handlers);
void add_control(Handlers& handlers);
void add_matrix(Handlers& handlers);
const Handlers& handlers();

// The kernels of namespace varlstm::cuda in the text of a file; whatever is unknown in one of them ends the process
// with the file's name and the line.
std::vector<Program> parse(const std::string& file, const std::string& text);

}  // namespace varlstm::simt::ptx
