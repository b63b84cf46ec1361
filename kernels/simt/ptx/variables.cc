// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/ptx/variables.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>

#include "kernels/simt/memory.h"

namespace varlstm::simt::ptx {

std::string Variables::declare(const Statement& statement) {
  const Declaration declaration = read_declaration(statement.text);
  if (declaration.name.empty()) return "a declaration without a name: " + statement.text;
  const std::string words = " " + statement.text.substr(0, statement.text.find('=')) + " ";
  if (words.find(" .shared ") != std::string::npos) {
    shared_[declaration.name] = declaration;
    return "";
  }
  if (words.find(" .global ") == std::string::npos && words.find(" .const ") == std::string::npos)
    return "unknown directive " + statement.text;
  if (words.find(" .extern ") != std::string::npos) return "";  // it is unknown if a kernel uses it
  const size_t alignment = std::max<size_t>(declaration.alignment, 1);
  bytes_ = (bytes_ + alignment - 1) / alignment * alignment;
  device_[declaration.name] = {declaration, bytes_, statement.line};
  bytes_ += declaration.bytes;
  return "";
}

std::string Variables::lay_out() {
  memory_ = std::shared_ptr<void>(device_allocate(bytes_), device_free);
  if (memory_ == nullptr) return "no device memory for variables of " + std::to_string(bytes_) + " bytes";
  memset(memory_.get(), 0, bytes_);
  for (const auto& [name, variable] : device_)
    if (const std::string error = initialise(variable); !error.empty()) return error;
  return "";
}

unsigned char* Variables::place(const Variable& variable) const {
  return static_cast<unsigned char*>(memory_.get()) + variable.offset;
}

std::string Variables::initialise(const Variable& variable) const {
  const Declaration& declaration = variable.declaration;
  const auto wrong = [&](const std::string& why) {
    return why + " of " + declaration.name + " in line " + std::to_string(variable.line);
  };
  if (declaration.values.size() * declaration.unit > declaration.bytes) return wrong("too many values");
  unsigned char* at = place(variable);
  for (const std::string& text : declaration.values) {
    const std::string name = starts_with(text, "generic(") ? trimmed(text.substr(8, text.find(')') - 8)) : text;
    const auto other = device_.find(name);
    if (!is_number(text) && other == device_.end()) return wrong("unknown value " + text);
    const uint64_t bits = is_number(text) ? read_number(text) : reinterpret_cast<uint64_t>(place(other->second));
    memcpy(at, &bits, std::min(declaration.unit, sizeof bits));
    at += declaration.unit;
  }
  return "";
}

uint64_t Variables::address(const std::string& name, std::string* error) {
  const auto found = device_.find(name);
  if (found == device_.end()) return 0;
  if (memory_ == nullptr) *error = lay_out();
  return error->empty() ? reinterpret_cast<uint64_t>(place(found->second)) : 0;
}

const Declaration* Variables::shared(const std::string& name) const {
  const auto found = shared_.find(name);
  return found == shared_.end() ? nullptr : &found->second;
}

bool is_number(const std::string& text) {
  return !text.empty() && (isdigit(static_cast<unsigned char>(text[0])) || text[0] == '-');
}

uint64_t read_number(const std::string& text) {
  if (starts_with(text, "0f") || starts_with(text, "0d")) return strtoull(text.c_str() + 2, nullptr, 16);
  if (text[0] == '-') return static_cast<uint64_t>(strtoll(text.c_str(), nullptr, 0));
  return strtoull(text.c_str(), nullptr, 0);
}

}  // namespace varlstm::simt::ptx
