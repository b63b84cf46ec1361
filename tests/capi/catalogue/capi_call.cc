// Calls as data, and the functions that varlstm.h declares.
// SPDX-License-Identifier: Apache-2.0
#include "capi_call.h"

#include <cctype>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include "support/test_dir.h"

namespace varlstm_test {
namespace {

std::string header_without_comments() {
  const std::string path = test_dir() + "/../capi/include/varlstm.h";
  std::ifstream file(path);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::stringstream content;
  content << file.rdbuf();
  std::string text = content.str();
  for (size_t begin = text.find("/*"); begin != std::string::npos; begin = text.find("/*")) {
    text.erase(begin, text.find("*/", begin) + 2 - begin);
  }
  return text;
}

bool is_name_character(char c) {
  return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_';
}

// The last word of a declaration: "const void* x" -> x.
std::string last_word(const std::string& text) {
  size_t end = text.size();
  while (end > 0 && !is_name_character(text[end - 1])) --end;
  size_t begin = end;
  while (begin > 0 && is_name_character(text[begin - 1])) --begin;
  return text.substr(begin, end - begin);
}

// "const void* x, int64_t count" -> x, count; "void" -> none.
std::vector<std::string> parameter_names(const std::string& list) {
  std::vector<std::string> names;
  std::stringstream parameters(list);
  for (std::string parameter; std::getline(parameters, parameter, ',');) names.push_back(last_word(parameter));
  return names == std::vector<std::string>{"void"} ? std::vector<std::string>() : names;
}

// Each "VARLSTM_API type name(parameters);" of the header.
std::vector<HeaderFunction> parse_header() {
  const std::string text = header_without_comments();
  const std::string marker = "\nVARLSTM_API ";
  std::vector<HeaderFunction> functions;
  for (size_t at = text.find(marker); at != std::string::npos; at = text.find(marker, at + 1)) {
    const size_t open = text.find('(', at);
    const size_t close = text.find(");", open);
    functions.push_back(
        {last_word(text.substr(at, open - at)), parameter_names(text.substr(open + 1, close - open - 1))});
  }
  return functions;
}

}  // namespace

const std::vector<HeaderFunction>& header_functions() {
  static const std::vector<HeaderFunction> functions = parse_header();
  return functions;
}

void Call::find_names() {
  for (const HeaderFunction& function : header_functions()) {
    if (function.name == function_) names_ = function.parameters;
  }
  if (names_.empty()) throw std::runtime_error("varlstm.h does not declare " + function_);
}

Argument& Call::argument(const std::string& name) {
  for (Argument& argument : arguments_) {
    if (argument.name == name) return argument;
  }
  throw std::runtime_error(function_ + " has no parameter " + name);
}

Call& Call::optional(std::initializer_list<const char*> names) {
  for (const char* name : names) argument(name).may_be_null = true;
  return *this;
}

Call& Call::any_value(std::initializer_list<const char*> names) {
  for (const char* name : names) argument(name).any_value = true;
  return *this;
}

Call& Call::unaligned(std::initializer_list<const char*> names) {
  for (const char* name : names) argument(name).alignment = 1;
  return *this;
}

Call& Call::in_place(const char* a, const char* b) {
  in_place_pairs_.insert({a, b});
  in_place_pairs_.insert({b, a});
  return *this;
}

Call& Call::bad(const char* name, int64_t value, int32_t status, const std::string& text) {
  argument(name);
  const std::string named = std::string(name) + " = " + std::to_string(value);
  bad_values_.push_back({name, false, value, 0.0, status, text.empty() ? named : text});
  return *this;
}

Call& Call::bad_real(const char* name, double value, const std::string& text) {
  argument(name);
  bad_values_.push_back({name, true, 0, value, VARLSTM_ERROR_INVALID_ARGUMENT, text});
  return *this;
}

}  // namespace varlstm_test
