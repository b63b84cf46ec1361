// A program that loads libvarlstm, computes on two threads and unloads it: the library's threads end before their code
// goes.
// SPDX-License-Identifier: Apache-2.0
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <vector>

#include "varlstm.h"

namespace {

int threads_of_process() {
  int count = 0;
  for (const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) count += thread.exists();
  return count;
}

// varlstm_x, as a function of the loaded library.
template <class Function>
Function* function(void* library, Function*, const char* name) {
  return reinterpret_cast<Function*>(dlsym(library, name));
}
#define VARLSTM_CALL(name) function(library, &name, #name)

// A product of 64 x 128 x 128, in pieces for two threads.
void compute(void* library) {
  constexpr int64_t kRows = 64, kWidth = 128;
  varlstm_ctx* ctx = nullptr;
  ASSERT_EQ(VARLSTM_CALL(varlstm_ctx_create)(VARLSTM_BACKEND_HOST, 0, &ctx), VARLSTM_OK);
  ASSERT_EQ(VARLSTM_CALL(varlstm_ctx_set_i64)(ctx, VARLSTM_KEY_THREADS, 2), VARLSTM_OK);
  const std::vector<float> x(kRows * kWidth, 1.f), weight(kWidth * kWidth, 2.f);
  std::vector<float> y(kRows * kWidth);
  ASSERT_EQ(VARLSTM_CALL(varlstm_linear_forward)(ctx, VARLSTM_DTYPE_F32, kRows, kWidth, kWidth, x.data(), weight.data(),
                                                 nullptr, y.data(), nullptr, 0, nullptr),
            VARLSTM_OK);
  EXPECT_EQ(y, std::vector<float>(kRows * kWidth, 256.f));
  ASSERT_EQ(VARLSTM_CALL(varlstm_ctx_destroy)(ctx), VARLSTM_OK);
}

TEST(Unload, EndsTheLibrarysThreads) {
  const int before = threads_of_process();
  for (int round = 0; round < 3; ++round) {
    void* const library = dlopen(VARLSTM_LIBRARY, RTLD_NOW | RTLD_LOCAL);
    ASSERT_NE(library, nullptr) << dlerror();
    compute(library);
    EXPECT_EQ(threads_of_process(), before + 1);
    ASSERT_EQ(dlclose(library), 0) << dlerror();
    EXPECT_EQ(dlopen(VARLSTM_LIBRARY, RTLD_NOW | RTLD_NOLOAD), nullptr) << "it is still loaded";
    EXPECT_EQ(threads_of_process(), before);
  }
}

}  // namespace
