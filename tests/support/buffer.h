// The back end's memory between two canaries of 256 bytes, which are verified on demand and on destruction.
// On the host under AddressSanitizer the canaries are poisoned as well, so that reading them is found too.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <type_traits>
#include <vector>

#include "support/check_status.h"
#include "support/context.h"
#include "support/random.h"
#include "varlstm.h"

#if defined(__SANITIZE_ADDRESS__)
#include <sanitizer/asan_interface.h>
#endif

namespace varlstm_test {

// What a buffer holds before anything is copied to it. Both leave NaN or noise where a call forgets to write.
enum class Fill { kNan, kRandomBytes };

template <class T>
class Buffer {
 public:
  Buffer(varlstm_ctx* context, int64_t count, Fill fill = Fill::kNan, uint64_t seed = 1)
      : context_(context), count_(count) {
    REQUIRE_OK(varlstm_alloc(context_, bytes() + 2 * kCanaryBytes, &block_));
    try {
      const std::vector<unsigned char> canary = canary_bytes();
      copy(block_, canary.data(), kCanaryBytes, VARLSTM_COPY_TO_BACKEND);
      copy(end(), canary.data(), kCanaryBytes, VARLSTM_COPY_TO_BACKEND);
      poison(true);
      this->fill(fill, seed);
    } catch (...) {
      release();
      throw;
    }
  }

  Buffer(varlstm_ctx* context, const std::vector<T>& values) : Buffer(context, static_cast<int64_t>(values.size())) {
    set(values);
  }

  Buffer(const Buffer&) = delete;
  Buffer& operator=(const Buffer&) = delete;
  ~Buffer() {
    EXPECT_TRUE(canaries_intact());
    release();
  }

  T* data() { return reinterpret_cast<T*>(static_cast<unsigned char*>(block_) + kCanaryBytes); }
  const T* data() const { return reinterpret_cast<const T*>(static_cast<unsigned char*>(block_) + kCanaryBytes); }
  int64_t count() const { return count_; }
  int64_t bytes() const { return count_ * static_cast<int64_t>(sizeof(T)); }

  void set(const std::vector<T>& values) {
    ASSERT_EQ(static_cast<int64_t>(values.size()), count_);
    copy(data(), values.data(), bytes(), VARLSTM_COPY_TO_BACKEND);
  }

  std::vector<T> get() const {
    std::vector<T> values(static_cast<size_t>(count_));
    copy(values.data(), data(), bytes(), VARLSTM_COPY_TO_HOST);
    return values;
  }

  void fill(Fill fill, uint64_t seed = 1) {
    if (fill == Fill::kNan) {
      fill_nan();
    } else {
      fill_random_bytes(seed);
    }
  }

  // Every element a NaN; bytes and integers get all bits set, which is a NaN where they are read as float or double.
  void fill_nan() {
    if constexpr (std::is_floating_point_v<T>) {
      set(std::vector<T>(static_cast<size_t>(count_), std::numeric_limits<T>::quiet_NaN()));
    } else {
      set(std::vector<T>(static_cast<size_t>(count_), static_cast<T>(~static_cast<T>(0))));
    }
  }

  void fill_random_bytes(uint64_t seed) {
    Random random(seed);
    std::vector<T> values(static_cast<size_t>(count_));
    unsigned char* raw = reinterpret_cast<unsigned char*>(values.data());
    for (int64_t k = 0; k < bytes(); k += 8) {
      const uint64_t word = random.bits();
      std::memcpy(raw + k, &word, static_cast<size_t>(std::min<int64_t>(8, bytes() - k)));
    }
    set(values);
  }

  ::testing::AssertionResult canaries_intact() const {
    const std::vector<unsigned char> expected = canary_bytes();
    std::vector<unsigned char> before(kCanaryBytes), after(kCanaryBytes);
    poison(false);
    copy(before.data(), block_, kCanaryBytes, VARLSTM_COPY_TO_HOST);
    copy(after.data(), end(), kCanaryBytes, VARLSTM_COPY_TO_HOST);
    poison(true);
    for (int64_t k = 0; k < kCanaryBytes; ++k) {
      if (before[k] != expected[k]) {
        return ::testing::AssertionFailure() << "byte " << k - kCanaryBytes << " before the buffer was written";
      }
      if (after[k] != expected[k]) {
        return ::testing::AssertionFailure() << "byte " << k << " after the buffer's " << bytes() << " was written";
      }
    }
    return ::testing::AssertionSuccess();
  }

 private:
  static constexpr int64_t kCanaryBytes = 256;

  static std::vector<unsigned char> canary_bytes() {
    std::vector<unsigned char> canary(kCanaryBytes);
    for (int64_t k = 0; k < kCanaryBytes; ++k) canary[k] = static_cast<unsigned char>(0x5a ^ (k * 37));
    return canary;
  }

  unsigned char* end() const { return static_cast<unsigned char*>(block_) + kCanaryBytes + bytes(); }

  void copy(void* dst, const void* src, int64_t byte_count, int32_t kind) const {
    if (byte_count > 0) REQUIRE_OK(varlstm_copy(context_, dst, src, byte_count, kind, nullptr));
    if (kind == VARLSTM_COPY_TO_BACKEND) REQUIRE_OK(varlstm_sync(context_, nullptr));
  }

  void poison(bool on) const {
#if defined(__SANITIZE_ADDRESS__)
    if (test_backend() != VARLSTM_BACKEND_HOST) return;
    if (on) {
      ASAN_POISON_MEMORY_REGION(block_, kCanaryBytes);
      ASAN_POISON_MEMORY_REGION(end(), kCanaryBytes);
    } else {
      ASAN_UNPOISON_MEMORY_REGION(block_, kCanaryBytes);
      ASAN_UNPOISON_MEMORY_REGION(end(), kCanaryBytes);
    }
#else
    (void)on;
#endif
  }

  void release() {
    poison(false);
    EXPECT_OK(varlstm_free(context_, block_));
  }

  varlstm_ctx* context_;
  int64_t count_;
  void* block_ = nullptr;
};

// Workspaces and reserves.
using ByteBuffer = Buffer<unsigned char>;

}  // namespace varlstm_test
