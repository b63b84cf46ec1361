// Replaces operator new and delete of the whole program: counts what is alive, and fails the allocation that a test
// names. Include it in one source file of a program.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <new>

namespace varlstm_test {

struct Allocations {
  std::atomic<int64_t> live{0};     // not freed yet
  std::atomic<int64_t> made{0};     // since the start
  std::atomic<int64_t> fail_at{0};  // the allocation with this number in `made` fails, 0: none
};

inline Allocations& allocations() {
  static Allocations all;
  return all;
}

inline void* allocate_or_null(size_t bytes, size_t alignment) {
  Allocations& all = allocations();
  if (all.made.fetch_add(1) + 1 == all.fail_at.load()) return nullptr;
  const size_t rounded = (bytes + alignment) / alignment * alignment;
  void* memory = alignment <= alignof(std::max_align_t) ? std::malloc(rounded) : std::aligned_alloc(alignment, rounded);
  if (memory != nullptr) all.live.fetch_add(1);
  return memory;
}

inline void* allocate_or_throw(size_t bytes, size_t alignment) {
  void* memory = allocate_or_null(bytes, alignment);
  if (memory == nullptr) throw std::bad_alloc();
  return memory;
}

inline void release(void* memory) {
  if (memory == nullptr) return;
  allocations().live.fetch_sub(1);
  std::free(memory);
}

constexpr size_t kPlain = alignof(std::max_align_t);

}  // namespace varlstm_test

void* operator new(size_t n) {
  return varlstm_test::allocate_or_throw(n, varlstm_test::kPlain);
}
void* operator new[](size_t n) {
  return varlstm_test::allocate_or_throw(n, varlstm_test::kPlain);
}
void* operator new(size_t n, std::align_val_t a) {
  return varlstm_test::allocate_or_throw(n, static_cast<size_t>(a));
}
void* operator new[](size_t n, std::align_val_t a) {
  return varlstm_test::allocate_or_throw(n, static_cast<size_t>(a));
}
void* operator new(size_t n, const std::nothrow_t&) noexcept {
  return varlstm_test::allocate_or_null(n, varlstm_test::kPlain);
}
void* operator new[](size_t n, const std::nothrow_t&) noexcept {
  return varlstm_test::allocate_or_null(n, varlstm_test::kPlain);
}
void* operator new(size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return varlstm_test::allocate_or_null(n, static_cast<size_t>(a));
}
void* operator new[](size_t n, std::align_val_t a, const std::nothrow_t&) noexcept {
  return varlstm_test::allocate_or_null(n, static_cast<size_t>(a));
}
void operator delete(void* p) noexcept {
  varlstm_test::release(p);
}
void operator delete[](void* p) noexcept {
  varlstm_test::release(p);
}
void operator delete(void* p, size_t) noexcept {
  varlstm_test::release(p);
}
void operator delete[](void* p, size_t) noexcept {
  varlstm_test::release(p);
}
void operator delete(void* p, std::align_val_t) noexcept {
  varlstm_test::release(p);
}
void operator delete[](void* p, std::align_val_t) noexcept {
  varlstm_test::release(p);
}
void operator delete(void* p, size_t, std::align_val_t) noexcept {
  varlstm_test::release(p);
}
void operator delete[](void* p, size_t, std::align_val_t) noexcept {
  varlstm_test::release(p);
}
void operator delete(void* p, const std::nothrow_t&) noexcept {
  varlstm_test::release(p);
}
void operator delete[](void* p, const std::nothrow_t&) noexcept {
  varlstm_test::release(p);
}
void operator delete(void* p, std::align_val_t, const std::nothrow_t&) noexcept {
  varlstm_test::release(p);
}
void operator delete[](void* p, std::align_val_t, const std::nothrow_t&) noexcept {
  varlstm_test::release(p);
}
