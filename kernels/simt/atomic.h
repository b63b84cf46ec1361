// Atomics, ordered loads and stores, and fences. There are no atomics on floating-point numbers, because their sum
// would depend on the order.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <type_traits>

#include "kernels/arch/fragments.h"
#include "kernels/simt/site.h"

namespace varlstm::simt {

enum class AtomicKind { kAdd, kOr, kAnd, kMin, kMax, kExchange, kCompareExchange };

// On int, unsigned and 64-bit words; returns the old value. Relaxed, device-wide.
int32_t run_atomic(AtomicKind kind, int32_t* address, int32_t value, int32_t expected, Site site);
uint32_t run_atomic(AtomicKind kind, uint32_t* address, uint32_t value, uint32_t expected, Site site);
uint64_t run_atomic(AtomicKind kind, uint64_t* address, uint64_t value, uint64_t expected, Site site);

template <class T>
T run_atomic_as(AtomicKind kind, T* address, T value, T expected, Site site) {
  static_assert(std::is_integral<T>::value && (sizeof(T) == 4 || (sizeof(T) == 8 && std::is_unsigned<T>::value)),
                "atomics are on int, unsigned and unsigned long long");
  if constexpr (sizeof(T) == 8) {
    return static_cast<T>(run_atomic(kind, reinterpret_cast<uint64_t*>(address), static_cast<uint64_t>(value),
                                     static_cast<uint64_t>(expected), site));
  } else {
    return run_atomic(kind, address, value, expected, site);
  }
}

template <class T>
T atomic_add(T* address, T value, Site site = Site::here()) {
  return run_atomic_as(AtomicKind::kAdd, address, value, T(), site);
}
template <class T>
T atomic_or(T* address, T value, Site site = Site::here()) {
  return run_atomic_as(AtomicKind::kOr, address, value, T(), site);
}
template <class T>
T atomic_and(T* address, T value, Site site = Site::here()) {
  return run_atomic_as(AtomicKind::kAnd, address, value, T(), site);
}
template <class T>
T atomic_min(T* address, T value, Site site = Site::here()) {
  return run_atomic_as(AtomicKind::kMin, address, value, T(), site);
}
template <class T>
T atomic_max(T* address, T value, Site site = Site::here()) {
  return run_atomic_as(AtomicKind::kMax, address, value, T(), site);
}
template <class T>
T atomic_exchange(T* address, T value, Site site = Site::here()) {
  return run_atomic_as(AtomicKind::kExchange, address, value, T(), site);
}
template <class T>
T atomic_cas(T* address, T expected, T value, Site site = Site::here()) {
  return run_atomic_as(AtomicKind::kCompareExchange, address, value, expected, site);
}

// A thread that loads the stored value with load_acquire sees what the other thread did before its store_release. The
// load yields, so a spin loop needs nothing else. For the device, and for the blocks of a cluster.
uint32_t load_acquire(const uint32_t* address, Site site = Site::here());
void store_release(uint32_t* address, uint32_t value, Site site = Site::here());
// The scope is the same here; on a GPU the cluster's scope is cheaper.
inline uint32_t load_acquire_cluster(const uint32_t* address, Site site = Site::here()) {
  return load_acquire(address, site);
}
inline void store_release_cluster(uint32_t* address, uint32_t value, Site site = Site::here()) {
  store_release(address, value, site);
}
// An addition that also releases: the arrival at a counter that others read with load_acquire.
uint32_t add_release(uint32_t* address, uint32_t value, Site site = Site::here());

// Order memory between threads that communicate through relaxed atomics, in the block or on the device.
void block_fence();
void device_fence();

// Words of 4, 8 and 16 bytes, aligned to their size. Each piece of 32 bits is read and written whole. Relaxed: they
// make nothing else visible. The loads yield.
void store_relaxed4(uint32_t* address, uint32_t word, Site site = Site::here());
b32x2 load_relaxed8(const b32x2* address, Site site = Site::here());
void store_relaxed8(b32x2* address, const b32x2& word, Site site = Site::here());
b32x4 load_relaxed16(const b32x4* address, Site site = Site::here());
void store_relaxed16(b32x4* address, const b32x4& value, Site site = Site::here());

}  // namespace varlstm::simt
