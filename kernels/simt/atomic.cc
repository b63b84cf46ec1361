// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/atomic.h"

#include <algorithm>

#include "kernels/simt/race.h"
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

// An atomic that changes nothing may be a spin: others run. One that changes something is what others may wait for.
template <class T>
T atomic_operation(AtomicKind kind, T* address, T value, T expected, Site site, uintptr_t pc) {
  require_alignment(address, sizeof(T), "an atomic", site);
  note_access(address, sizeof(T), Access::kAtomic, pc);
  const T old = *address;
  const T changed = result_of(kind, old, value, expected);
  *address = changed;
  if (changed == old) {
    spin(site);
  } else {
    note_progress();
    if (launch_state().options.schedule != Schedule::kFifo && draw() % 4 == 0) yield_thread();
  }
  return old;
}

uintptr_t return_address(void* address) {
  return reinterpret_cast<uintptr_t>(address);
}

}  // namespace

int32_t run_atomic(AtomicKind kind, int32_t* address, int32_t value, int32_t expected, Site site) {
  return atomic_operation(kind, address, value, expected, site, return_address(__builtin_return_address(0)));
}

uint32_t run_atomic(AtomicKind kind, uint32_t* address, uint32_t value, uint32_t expected, Site site) {
  return atomic_operation(kind, address, value, expected, site, return_address(__builtin_return_address(0)));
}

uint64_t run_atomic(AtomicKind kind, uint64_t* address, uint64_t value, uint64_t expected, Site site) {
  return atomic_operation(kind, address, value, expected, site, return_address(__builtin_return_address(0)));
}

uint32_t load_acquire(const uint32_t* address, Site site) {
  require_alignment(address, 4, "load_acquire", site);
  spin(site);
  note_access(address, 4, Access::kAtomic, return_address(__builtin_return_address(0)));
  const auto& released = launch_state().released;
  const auto found = released.find(address);
  if (found != released.end()) acquire_from(found->second);
  return *address;
}

void store_release(uint32_t* address, uint32_t value, Site site) {
  require_alignment(address, 4, "store_release", site);
  note_access(address, 4, Access::kAtomic, return_address(__builtin_return_address(0)));
  Epochs& epochs = launch_state().released[address];
  epochs.clear();
  release_into(epochs);
  *address = value;
  note_progress();
  yield_thread();
}

uint32_t add_release(uint32_t* address, uint32_t value, Site site) {
  require_alignment(address, 4, "add_release", site);
  note_access(address, 4, Access::kAtomic, return_address(__builtin_return_address(0)));
  release_into(launch_state().released[address]);
  const uint32_t old = *address;
  *address = old + value;
  note_progress();
  yield_thread();
  return old;
}

b32x4 load_relaxed16(const b32x4* address, Site site) {
  require_alignment(address, 16, "load_relaxed16", site);
  spin(site);
  note_access(address, 16, Access::kAtomic, return_address(__builtin_return_address(0)));
  return *address;
}

void store_relaxed16(b32x4* address, const b32x4& value, Site site) {
  require_alignment(address, 16, "store_relaxed16", site);
  note_access(address, 16, Access::kAtomic, return_address(__builtin_return_address(0)));
  *address = value;
  note_progress();
  yield_thread();
}

}  // namespace varlstm::simt
