// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/ptx/kernel_parser.h"

#include <stdio.h>
#include <stdlib.h>

#include <algorithm>

namespace varlstm::simt::ptx {
namespace {

constexpr uint32_t kUnused = ~0u;              // a register's slot until it is used as an operand
constexpr uint32_t kUnusedPair = kUnused - 1;  // the same for a register of 128 bits, which takes two slots
constexpr size_t kRoot = 0;                    // the scope of names that are not declared in the body
constexpr uint32_t kDynamicAlignment = 1024;

}  // namespace

KernelParser::KernelParser(const char* file, Variables* variables) : file_(file), variables_(variables) {
  scopes_.push_back({kRoot, {}, {}});
  scopes_[kRoot].slots["_"] = new_slot(0);  // kSink
}

void KernelParser::fail(const std::string& why) const {
  fprintf(stderr, "%s:%d: %s\n", file_, line_, why.c_str());
  abort();
}

void KernelParser::fail_at(int line, const std::string& why) {
  line_ = line;
  fail(why);
}

void KernelParser::head(const Statement& head) {
  line_ = head.line;
  const std::string text = trimmed(head.text.substr(head.text.find(".entry") + 6));
  const size_t name_end = std::min(text.find_first_of("( \t"), text.size());
  program_.name = text.substr(0, name_end);
  std::string directives = text.substr(name_end);
  if (const std::string rest = trimmed(directives); !rest.empty() && rest[0] == '(') {
    const size_t close = std::min(rest.find(')'), rest.size() - 1);
    for (const std::string& one : split(rest.substr(1, close - 1), ',')) parameter(one);
    directives = rest.substr(close + 1);
  }
  cluster(directives);
}

void KernelParser::parameter(const std::string& text) {
  if (!text.empty()) parameters_[read_declaration(text).name] = program_.parameters++;
}

void KernelParser::cluster(const std::string& directives) {
  const size_t found = directives.find(".reqnctapercluster");
  if (found == std::string::npos) return;
  unsigned extent[3] = {1, 1, 1};
  sscanf(directives.c_str() + found, ".reqnctapercluster %u , %u , %u", extent, extent + 1, extent + 2);
  if (extent[1] != 1 || extent[2] != 1) fail("clusters lie along x: " + directives.substr(found));
  program_.cluster = extent[0];
}

void KernelParser::take(const Statement& next) {
  line_ = next.line;
  switch (next.kind) {
    case Statement::Kind::kOpen:
      return open();
    case Statement::Kind::kClose:
      return close();
    case Statement::Kind::kLabel:
      return label(next.text);
    case Statement::Kind::kStatement:
      return statement(next.text);
    case Statement::Kind::kHead:
      fail("the kernel has no end");
  }
}

void KernelParser::open() {
  ++depth_;
  scopes_.push_back({scope_, {}, {}});
  scope_ = scopes_.size() - 1;
}

// The slots of its registers are reused.
void KernelParser::close() {
  --depth_;
  for (const auto& [name, slot] : scopes_[scope_].slots)
    if (slot < kUnusedPair) free_slots_.push_back(slot);
  scope_ = scopes_[scope_].parent;
}

void KernelParser::label(const std::string& name) {
  if (!scopes_[scope_].labels.emplace(name, static_cast<int64_t>(program_.instructions.size())).second)
    fail("a second " + name);
}

void KernelParser::statement(const std::string& text) {
  if (text.empty() || starts_with(text, ".pragma")) return;
  if (starts_with(text, ".reg")) return declare_registers(text);
  if (starts_with(text, ".local")) return declare_local(text);
  if (starts_with(text, ".shared")) {
    const Declaration declaration = read_declaration(text);
    shared_[declaration.name] = place_shared(declaration);
    return;
  }
  if (starts_with(text, ".param")) {
    call_parameters_.insert(read_declaration(text).name);
    return;
  }
  if (text[0] == '.') fail("unknown directive " + text);
  instruction(text);
}

Program KernelParser::finish() {
  if (depth_ != 0) fail("the kernel has no end");
  for (const Branch& branch : branches_) {
    line_ = branch.line;
    for (size_t scope = branch.scope;; scope = scopes_[scope].parent) {
      const auto found = scopes_[scope].labels.find(branch.label);
      if (found != scopes_[scope].labels.end()) {
        program_.instructions[branch.instruction].target = found->second;
        break;
      }
      if (scope == kRoot) fail("no label " + branch.label);
    }
  }
  const auto dynamic_begin =
      static_cast<uint32_t>((program_.shared_bytes + kDynamicAlignment - 1) / kDynamicAlignment * kDynamicAlignment);
  if (!dynamic_shared_.empty()) program_.shared_bytes = dynamic_begin;
  for (const uint32_t slot : dynamic_shared_) program_.shared_addresses[slot] = dynamic_begin;
  program_.variables = variables_->memory();
  return std::move(program_);
}

// .reg .b128 takes two slots for each; .reg .b32 %r<5> declares %r0 to %r4; .reg .pred p, q declares those.
void KernelParser::declare_registers(const std::string& text) {
  const size_t type = text.find('.', 1);
  const uint32_t unused = starts_with(text.substr(type), ".b128") ? kUnusedPair : kUnused;
  for (const std::string& name : split(text.substr(text.find_first_of(" \t", type)), ',')) {
    const size_t bracket = name.find('<');
    const bool many = bracket != std::string::npos;
    const uint64_t count = many ? strtoull(name.c_str() + bracket + 1, nullptr, 10) : 1;
    for (uint64_t k = 0; k < count; ++k)
      scopes_[scope_].slots.emplace(many ? name.substr(0, bracket) + std::to_string(k) : name, unused);
  }
}

void KernelParser::declare_local(const std::string& text) {
  const Declaration declaration = read_declaration(text);
  if (!local_.empty()) fail("a second piece of local memory");
  local_ = declaration.name;
  program_.local_bytes = declaration.bytes;
}

// Static shared memory begins at the begin of the block's shared memory.
uint32_t KernelParser::place_shared(const Declaration& declaration) {
  const size_t alignment = std::max<size_t>(declaration.alignment, 1);
  const size_t begin = (program_.shared_bytes + alignment - 1) / alignment * alignment;
  program_.shared_bytes = begin + declaration.bytes;
  return static_cast<uint32_t>(begin);
}

uint32_t KernelParser::new_slot(uint64_t value) {
  program_.registers.push_back(value);
  return static_cast<uint32_t>(program_.registers.size() - 1);
}

// The slot is made when the register is first used.
uint32_t KernelParser::register_slot(uint32_t* declared) {
  if (*declared == kUnusedPair) {
    *declared = new_slot(0);
    new_slot(0);
  } else if (*declared == kUnused && !free_slots_.empty()) {
    *declared = free_slots_.back();
    free_slots_.pop_back();
  } else if (*declared == kUnused) {
    *declared = new_slot(0);
  }
  return *declared;
}

// Returns the slot of a name that is used as an operand.
uint32_t KernelParser::slot(const std::string& name) {
  for (size_t scope = scope_;; scope = scopes_[scope].parent) {
    const auto known = scopes_[scope].slots.find(name);
    if (known != scopes_[scope].slots.end()) return register_slot(&known->second);
    if (scope == kRoot) break;
  }
  const uint32_t made = new_slot(is_number(name) ? read_number(name) : name == "WARP_SZ" ? 32 : 0);
  scopes_[kRoot].slots[name] = made;
  if (!is_number(name) && name != "WARP_SZ") bind(name, made);
  return made;
}

// Makes a slot whose value is set for each thread when it starts.
void KernelParser::bind(const std::string& name, uint32_t made) {
  if (!bind_special(name, made) && !bind_symbol(name, made))
    fail("unknown " + std::string(name[0] == '%' ? "special register " : "symbol ") + name);
}

bool KernelParser::bind_special(const std::string& name, uint32_t made) {
  const auto special = special_registers().find(name);
  if (special != special_registers().end())
    program_.specials[made] = special->second;
  else if (name == "%envreg1" || name == "%envreg2")
    program_.grid_words[made] = name == "%envreg1" ? 32 : 0;
  else if (name == "%dynamic_smem_size")
    program_.dynamic_shared_sizes.push_back(made);
  else
    return false;
  return true;
}

bool KernelParser::bind_symbol(const std::string& name, uint32_t made) {
  const auto parameter = parameters_.find(name);
  const Declaration* of_file = variables_->shared(name);
  if (parameter != parameters_.end()) {
    program_.parameter_addresses[made] = parameter->second;
  } else if (name == local_) {
    program_.local_addresses.push_back(made);
  } else if (const auto own = shared_.find(name); own != shared_.end()) {
    program_.shared_addresses[made] = own->second;
  } else if (of_file != nullptr && of_file->bytes == 0) {
    dynamic_shared_.push_back(made);
  } else if (of_file != nullptr) {
    program_.shared_addresses[made] = place_shared(*of_file);
  } else {
    std::string error;
    const uint64_t address = variables_->address(name, &error);
    if (!error.empty()) fail(error);
    program_.registers[made] = address;
    return address != 0;
  }
  return true;
}

// [%rd1+-8]; only the first address of an instruction has a place for its offset.
// base, base+8, or for a tensor copy base, {x, y}: the coordinates are operands of their own.
void KernelParser::address(const std::string& text, Instruction* made) {
  if (const size_t comma = text.find(','); comma != std::string::npos) {
    address(text.substr(0, comma), made);
    operands(text.substr(comma + 1), made);
    return;
  }
  const size_t plus = text.find('+');
  const int64_t offset = plus == std::string::npos ? 0 : strtoll(text.c_str() + plus + 1, nullptr, 0);
  const uint32_t base = slot(trimmed(text.substr(0, plus)));
  const bool first = !has_address_;
  has_address_ = true;
  if (first) made->offset = offset;
  add_slot(first || offset == 0 ? base : computed("add.s64", base, new_slot(static_cast<uint64_t>(offset))), made);
}

void KernelParser::add_slot(uint32_t number, Instruction* made) {
  if (made->operand_count < kMaxOperands)
    made->operands[made->operand_count] = number;
  else
    made->more_operands.push_back(number);
  ++made->operand_count;
}

// Adds an instruction before the one that uses its result, for example for !%p1.
uint32_t KernelParser::computed(const char* mnemonic, uint32_t a, uint32_t b) {
  Instruction made;
  made.run = handlers().at(mnemonic);
  made.site = {file_, line_};
  made.destinations = 1;
  const uint32_t result = new_slot(0);
  for (const uint32_t operand : {result, a, b}) add_slot(operand, &made);
  program_.instructions.push_back(made);
  return result;
}

}  // namespace varlstm::simt::ptx
