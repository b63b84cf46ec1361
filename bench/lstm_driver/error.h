// What stops the driver because of what the user gave it: one line for stderr, exit status 2.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>
#include <varlstm.hpp>

namespace varlstm::lstm_driver {

class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

template <typename... Args>
[[noreturn]] void fail(fmt::format_string<Args...> format, Args&&... args) {
  throw Error(fmt::format(format, std::forward<Args>(args)...));
}

// An error's text; of one that the library answered with, behind its status.
inline std::string text_of(const std::exception& error) {
  const auto* refused = dynamic_cast<const varlstm::Error*>(&error);
  return refused == nullptr ? error.what() : fmt::format("{}: {}", refused->status_name(), refused->what());
}

}  // namespace varlstm::lstm_driver
