// A test of what reaches the back end: over a back end that only takes notes.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <string>

#include "capi_catalogue.h"
#include "support/fake_backend.h"

namespace varlstm_test {

class Fake : public ::testing::Test {
 protected:
  Fake() { fake_backend() = FakeBackend(); }

  static void fail_next(const std::string& function, int32_t status) {
    fake_backend().fail_in = function;
    fake_backend().fail_with = status;
  }
};

inline Call make(const std::string& label, World& world) {
  for (const Entry& entry : catalogue()) {
    if (entry.label == label) return entry.make(world);
  }
  throw std::runtime_error("no catalogue entry " + label);
}

}  // namespace varlstm_test
