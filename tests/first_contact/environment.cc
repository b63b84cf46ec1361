// Before the first tests on a GPU: the back end, and what their report has to say of the build.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>

#include "tests/first_contact/scale.h"

namespace varlstm_test {
namespace {

#if defined(VARLSTM_SPIN_TRAP)
constexpr bool kSpinTrap = true;
#else
constexpr bool kSpinTrap = false;
#endif

class CudaBackend : public ::testing::Environment {
 public:
  void SetUp() override {
    setenv("VARLSTM_TEST_BACKEND", "cuda", 1);
    std::printf("first contact: sizes %s; waits on the device are %s\n", scale().name,
                emulated()  ? "emulated, and end where they are stuck"
                : kSpinTrap ? "ended by the trap (VARLSTM_SPIN_TRAP)"
                            : "NOT ended: build with VARLSTM_SPIN_TRAP=ON");
  }
};

const ::testing::Environment* const cuda_backend = ::testing::AddGlobalTestEnvironment(new CudaBackend);

}  // namespace
}  // namespace varlstm_test
