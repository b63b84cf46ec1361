// A call of a function of varlstm.h as data: right arguments by name, each of which a test can make wrong.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <functional>
#include <initializer_list>
#include <map>
#include <set>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "varlstm.h"

namespace varlstm_test {

// Functions of the header in its order, with the names of their parameters.
struct HeaderFunction {
  std::string name;
  std::vector<std::string> parameters;
};
const std::vector<HeaderFunction>& header_functions();

enum class Kind { kCtx, kBatch, kRnn, kLoss, kPointer, kStream, kInteger, kReal };

struct Argument {
  std::string name;
  Kind kind;
  void* pointer = nullptr;
  int64_t integer = 0;
  double real = 0;
  int64_t alignment = 0;     // of a pointer
  bool written = false;      // through a pointer
  bool may_be_null = false;  // a handle or a pointer
  bool any_value = false;    // a number that is never wrong
};

// One wrong value of a number.
struct BadValue {
  std::string name;
  bool is_real;
  int64_t integer;
  double real;
  int32_t status;
  std::string text;  // that the error must contain
};

class Call {
 public:
  template <class... P, class... A>
  Call(const std::string& function, int32_t (*address)(P...), A... values) : function_(function) {
    static_assert(sizeof...(P) == sizeof...(A), "one value for each parameter");
    find_names();
    (add<P>(static_cast<P>(values)), ...);
    run_ = [address](const std::vector<Argument>& arguments) {
      return invoke(address, arguments, std::index_sequence_for<P...>());
    };
  }

  int32_t run() const { return run_(arguments_); }

  const std::string& function() const { return function_; }
  std::vector<Argument>& arguments() { return arguments_; }
  Argument& argument(const std::string& name);
  const std::vector<BadValue>& bad_values() const { return bad_values_; }
  const std::set<std::pair<std::string, std::string>>& in_place_pairs() const { return in_place_pairs_; }

  Call& optional(std::initializer_list<const char*> names);
  Call& any_value(std::initializer_list<const char*> names);
  // Buffers of bytes need no alignment.
  Call& unaligned(std::initializer_list<const char*> names);
  Call& in_place(const char* a, const char* b);
  Call& bad(const char* name, int64_t value, int32_t status = VARLSTM_ERROR_INVALID_ARGUMENT,
            const std::string& text = "");
  Call& bad_real(const char* name, double value, const std::string& text);

 private:
  void find_names();

  template <class P>
  void add(P value) {
    Argument argument;
    argument.name = names_.at(arguments_.size());
    if constexpr (std::is_pointer_v<P>) {
      using Pointee = std::remove_pointer_t<P>;
      using Bare = std::remove_const_t<Pointee>;
      argument.pointer = const_cast<void*>(static_cast<const void*>(value));
      argument.written = !std::is_const_v<Pointee>;
      argument.kind = std::is_same_v<Bare, varlstm_ctx>     ? Kind::kCtx
                      : std::is_same_v<Bare, varlstm_batch> ? Kind::kBatch
                      : std::is_same_v<Bare, varlstm_rnn>   ? Kind::kRnn
                      : std::is_same_v<Bare, varlstm_loss>  ? Kind::kLoss
                      : argument.name == "stream"           ? Kind::kStream
                                                            : Kind::kPointer;
      argument.alignment = pointee_alignment<Bare>(argument.name);
    } else if constexpr (std::is_floating_point_v<P>) {
      argument.kind = Kind::kReal;
      argument.real = value;
    } else {
      argument.kind = Kind::kInteger;
      argument.integer = static_cast<int64_t>(value);
    }
    arguments_.push_back(argument);
  }

  // Untyped data is float in these tests, workspace, reserve and prepared weights aside.
  template <class Bare>
  static int64_t pointee_alignment(const std::string& name) {
    if (name == "workspace" || name == "reserve" || name == "prepared") return 64;
    if constexpr (std::is_void_v<Bare>) {
      return alignof(float);
    } else if constexpr (std::is_arithmetic_v<Bare> || std::is_pointer_v<Bare>) {
      return alignof(Bare);
    } else {
      return 0;  // a handle
    }
  }

  template <class P>
  static P value_of(const Argument& argument) {
    if constexpr (std::is_pointer_v<P>) {
      return static_cast<P>(argument.pointer);
    } else if constexpr (std::is_floating_point_v<P>) {
      return argument.real;
    } else {
      return static_cast<P>(argument.integer);
    }
  }

  template <class... P, size_t... k>
  static int32_t invoke(int32_t (*address)(P...), const std::vector<Argument>& arguments, std::index_sequence<k...>) {
    return address(value_of<P>(arguments[k])...);
  }

  std::string function_;
  std::vector<std::string> names_;
  std::vector<Argument> arguments_;
  std::vector<BadValue> bad_values_;
  std::set<std::pair<std::string, std::string>> in_place_pairs_;
  std::function<int32_t(const std::vector<Argument>&)> run_;
};

}  // namespace varlstm_test
