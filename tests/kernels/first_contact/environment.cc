// Before the first tests on a GPU: the back end, and what their report has to say of the build.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <string>

#include "tests/kernels/first_contact/scale.h"

namespace varlstm_test {
namespace {

#if defined(VARLSTM_SPIN_TRAP)
constexpr int kSpinTrap = VARLSTM_SPIN_TRAP;
#else
constexpr int kSpinTrap = 0;
#endif

class CudaBackend : public ::testing::Environment {
 public:
  void SetUp() override {
    setenv("VARLSTM_TEST_BACKEND", "cuda", 1);
    const std::string trap = "ended by the trap after " + std::to_string(kSpinTrap) + " s (VARLSTM_SPIN_TRAP)";
    std::printf("first contact: sizes %s; waits on the device are %s\n", scale().name,
                emulated()       ? "emulated, and end where they are stuck"
                : kSpinTrap != 0 ? trap.c_str()
                                 : "NOT ended: build with VARLSTM_SPIN_TRAP=20");
  }
};

const ::testing::Environment* const cuda_backend = ::testing::AddGlobalTestEnvironment(new CudaBackend);

}  // namespace
}  // namespace varlstm_test
