// Parses one kernel of a PTX file, statement by statement.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <map>
#include <set>
#include <string>
#include <vector>

#include "kernels/simt/ptx/program.h"
#include "kernels/simt/ptx/statements.h"
#include "kernels/simt/ptx/variables.h"

namespace varlstm::simt::ptx {

// `file` is the file's name for errors and for the places of instructions. It must live as long as the process.
class KernelParser {
 public:
  KernelParser(const char* file, Variables* variables);

  // «.visible .entry name(.param .u64 p_0) .maxntid 256»
  void head(const Statement& statement);
  // Takes a statement of the body. The body's own braces are a scope as well.
  void take(const Statement& statement);
  Program finish();

  const std::string& name() const { return program_.name; }
  [[noreturn]] void fail_at(int line, const std::string& why);

 private:
  [[noreturn]] void fail(const std::string& why) const;

  // The names declared between two braces: registers with their slots, labels with the instruction after them.
  struct Scope {
    size_t parent;
    std::map<std::string, uint32_t> slots;
    std::map<std::string, int64_t> labels;
  };
  struct Branch {
    size_t instruction;
    size_t scope;
    std::string label;
    int line;
  };

  void open();
  void close();
  void label(const std::string& name);
  void statement(const std::string& text);
  void parameter(const std::string& text);
  void cluster(const std::string& directives);
  void declare_registers(const std::string& text);
  void declare_local(const std::string& text);
  uint32_t place_shared(const Declaration& declaration);

  uint32_t new_slot(uint64_t value);
  uint32_t register_slot(uint32_t* declared);
  uint32_t slot(const std::string& name);
  void bind(const std::string& name, uint32_t made);
  bool bind_special(const std::string& name, uint32_t made);
  bool bind_symbol(const std::string& name, uint32_t made);

  void instruction(const std::string& text);
  bool belongs_to_call(const std::string& mnemonic, const std::string& arguments) const;
  void call(const std::string& text, Instruction* made);
  int operands(const std::string& text, Instruction* made);
  uint32_t value(const std::string& name, int64_t offset, bool inverted);
  void address(const std::string& text, Instruction* made);
  static void add_slot(uint32_t number, Instruction* made);
  uint32_t computed(const char* mnemonic, uint32_t a, uint32_t b);

  const char* file_;
  Variables* variables_;
  int line_ = 0;
  Program program_;
  std::map<std::string, size_t> parameters_;
  std::vector<Scope> scopes_;
  size_t scope_ = 0;
  int depth_ = 0;  // of braces
  std::vector<Branch> branches_;
  std::vector<uint32_t> free_slots_;        // of registers whose scope is closed
  std::map<std::string, uint32_t> shared_;  // offsets
  std::vector<uint32_t> dynamic_shared_;    // slots
  std::set<std::string> call_parameters_;   // declared in the body
  std::string local_;
  bool has_address_ = false;  // whether the instruction that is being read has one
};

}  // namespace varlstm::simt::ptx
