// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/atomic.h"

#include <algorithm>

#include "kernels/simt/order.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt {
namespace {

template <class T>
T result_of(AtomicKind kind, T old, T value, T expected) {
  switch (kind) {
    case AtomicKind::kAdd:
      return static_cast<T>(static_cast<uint64_t>(old) + static_cast<uint64_t>(value));
    case AtomicKind::kOr:
      return old | value;
    case AtomicKind::kAnd:
      return old & value;
    case AtomicKind::kMin:
      return std::min(old, value);
    case AtomicKind::kMax:
      return std::max(old, value);
    case AtomicKind::kExchange:
      return value;
    case AtomicKind::kCompareExchange:
      return old == expected ? value : old;
  }
  return old;
}

void require_alignment(const void* address, size_t bytes, const char* what, Site site) {
  if (reinterpret_cast<uintptr_t>(address) % bytes != 0)
    defect("misaligned access: " + describe(*current_thread) + " at " + what + " " + describe(site));
}

template <class T>
T atomic_operation(AtomicKind kind, T* address, T value, T expected, Ordering ordering, Site site, uintptr_t pc) {
  require_alignment(address, sizeof(T), "an atomic", site);
  const auto operation = [&](T old, T* changed) {
    *changed = result_of(kind, old, value, expected);
    return kind != AtomicKind::kCompareExchange || old == expected;
  };
  return change_word(address, operation, true, ordering, site, pc);
}

uintptr_t return_address(void* address) {
  return reinterpret_cast<uintptr_t>(address);
}

}  // namespace

int32_t run_atomic(AtomicKind kind, int32_t* address, int32_t value, int32_t expected, Site site) {
  return atomic_operation(kind, address, value, expected, Ordering(), site,
                          return_address(__builtin_return_address(0)));
}

uint32_t run_atomic(AtomicKind kind, uint32_t* address, uint32_t value, uint32_t expected, Site site) {
  return atomic_operation(kind, address, value, expected, Ordering(), site,
                          return_address(__builtin_return_address(0)));
}

uint64_t run_atomic(AtomicKind kind, uint64_t* address, uint64_t value, uint64_t expected, Site site) {
  return atomic_operation(kind, address, value, expected, Ordering(), site,
                          return_address(__builtin_return_address(0)));
}

uint32_t load_acquire(const uint32_t* address, Site site) {
  require_alignment(address, 4, "load_acquire", site);
  return static_cast<uint32_t>(
      load_strong(address, 4, {Order::kAcquire, kGrid}, site, return_address(__builtin_return_address(0))));
}

void store_release(uint32_t* address, uint32_t value, Site site) {
  require_alignment(address, 4, "store_release", site);
  store_strong(address, value, 4, {Order::kRelease, kGrid}, site, return_address(__builtin_return_address(0)));
}

uint32_t add_release(uint32_t* address, uint32_t value, Site site) {
  return atomic_operation(AtomicKind::kAdd, address, value, 0u, {Order::kRelease, kGrid}, site,
                          return_address(__builtin_return_address(0)));
}

void block_fence() {
  fence({Order::kAcquireRelease, kBlock}, true);
}
void device_fence() {
  fence({Order::kAcquireRelease, kGrid}, true);
}

void store_relaxed4(uint32_t* address, uint32_t word, Site site) {
  require_alignment(address, 4, "store_relaxed4", site);
  store_strong(address, word, 4, {}, site, return_address(__builtin_return_address(0)));
}

b32x2 load_relaxed8(const b32x2* address, Site site) {
  require_alignment(address, 8, "load_relaxed8", site);
  b32x2 word;
  load_pieces(address, &word, 4, 2, {}, site, return_address(__builtin_return_address(0)));
  return word;
}

void store_relaxed8(b32x2* address, const b32x2& word, Site site) {
  require_alignment(address, 8, "store_relaxed8", site);
  store_pieces(address, &word, 4, 2, {}, site, return_address(__builtin_return_address(0)));
}

b32x4 load_relaxed16(const b32x4* address, Site site) {
  require_alignment(address, 16, "load_relaxed16", site);
  b32x4 value;
  load_pieces(address, &value, 4, 4, {}, site, return_address(__builtin_return_address(0)));
  return value;
}

void store_relaxed16(b32x4* address, const b32x4& value, Site site) {
  require_alignment(address, 16, "store_relaxed16", site);
  store_pieces(address, &value, 4, 4, {}, site, return_address(__builtin_return_address(0)));
}

}  // namespace varlstm::simt
