// The variables of a PTX file outside its kernels.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <map>
#include <memory>
#include <string>

#include "kernels/simt/ptx/statements.h"

namespace varlstm::simt::ptx {

class Variables {
 public:
  // Declares «.visible .global .align 4 .u32 name = 7», or .const, or .shared. .shared memory without an extent is the
  // launch's dynamic shared memory. Returns "", or the reason against it.
  std::string declare(const Statement& statement);
  // The address of a .global or .const variable; 0 for other names. The first call places all of them in device memory,
  // with their values; `error` says what is wrong with them.
  uint64_t address(const std::string& name, std::string* error);
  // The owner of that memory; null before it is needed.
  const std::shared_ptr<void>& memory() const { return memory_; }
  // The declaration of a .shared variable; null for other names.
  const Declaration* shared(const std::string& name) const;

 private:
  struct Variable {
    Declaration declaration;
    size_t offset;  // in the memory of all variables
    int line;
  };
  std::string lay_out();
  std::string initialise(const Variable& variable) const;
  unsigned char* place(const Variable& variable) const;

  std::map<std::string, Variable> device_;
  std::map<std::string, Declaration> shared_;
  size_t bytes_ = 0;
  std::shared_ptr<void> memory_;
};

// The bits of a number in PTX's notation: 12, -3, 0x1f, 0f3F800000, 0d3FF0000000000000.
uint64_t read_number(const std::string& text);
bool is_number(const std::string& text);

}  // namespace varlstm::simt::ptx
