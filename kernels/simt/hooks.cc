// The functions that -fsanitize=thread calls from kernels: they call the race detector instead of libtsan, which is not
// linked. Host code of the same files calls them too, outside launches; there they do nothing.
// SPDX-License-Identifier: Apache-2.0
#if !defined(__SANITIZE_ADDRESS__)

#include <stddef.h>
#include <stdint.h>

#include "kernels/simt/address_space.h"
#include "kernels/simt/order.h"
#include "kernels/simt/race.h"
#include "kernels/simt/thread.h"

namespace {

using varlstm::simt::Access;

inline bool is_watched(const void* address) {
  return varlstm::simt::current_thread != nullptr && !varlstm::simt::in_fiber_stack(address);
}

inline void note(const void* address, size_t bytes, Access access, void* pc) {
  if (!is_watched(address)) return;
  varlstm::simt::note_access(address, bytes, access, reinterpret_cast<uintptr_t>(pc));
}

// Volatile accesses are relaxed accesses. In 16 bytes each half is an access of its own.
inline void note_volatile(void* address, size_t bytes, bool stores, void* pc) {
  if (!is_watched(address)) return;
  const auto piece = static_cast<unsigned>(bytes < 8 ? bytes : 8);
  for (size_t at = 0; at < bytes; at += piece) {
    if (stores)
      varlstm::simt::note_volatile_store(static_cast<char*>(address) + at, piece, reinterpret_cast<uintptr_t>(pc));
    else
      varlstm::simt::note_volatile_load(static_cast<char*>(address) + at, piece, reinterpret_cast<uintptr_t>(pc));
  }
}

}  // namespace

#define VARLSTM_HOOK(name, bytes, access)                      \
  extern "C" void name(void* address) {                        \
    note(address, bytes, access, __builtin_return_address(0)); \
  }
#define VARLSTM_VOLATILE_HOOK(name, bytes, stores)                      \
  extern "C" void name(void* address) {                                 \
    note_volatile(address, bytes, stores, __builtin_return_address(0)); \
  }
#define VARLSTM_HOOKS(bytes)                                                 \
  VARLSTM_HOOK(__tsan_read##bytes, bytes, Access::kRead)                     \
  VARLSTM_HOOK(__tsan_write##bytes, bytes, Access::kWrite)                   \
  VARLSTM_HOOK(__tsan_unaligned_read##bytes, bytes, Access::kRead)           \
  VARLSTM_HOOK(__tsan_unaligned_write##bytes, bytes, Access::kWrite)         \
  VARLSTM_VOLATILE_HOOK(__tsan_volatile_read##bytes, bytes, false)           \
  VARLSTM_VOLATILE_HOOK(__tsan_volatile_write##bytes, bytes, true)           \
  VARLSTM_VOLATILE_HOOK(__tsan_unaligned_volatile_read##bytes, bytes, false) \
  VARLSTM_VOLATILE_HOOK(__tsan_unaligned_volatile_write##bytes, bytes, true)
VARLSTM_HOOKS(1)
VARLSTM_HOOKS(2)
VARLSTM_HOOKS(4)
VARLSTM_HOOKS(8)
VARLSTM_HOOKS(16)

extern "C" {
void __tsan_init() {}
void __tsan_func_entry(void*) {}
void __tsan_func_exit() {}
void __tsan_vptr_read(void**) {}
void __tsan_vptr_update(void**, void*) {}
void __tsan_read_range(void* address, size_t bytes) {
  note(address, bytes, Access::kRead, __builtin_return_address(0));
}
void __tsan_write_range(void* address, size_t bytes) {
  note(address, bytes, Access::kWrite, __builtin_return_address(0));
}
// The atomics of host code, for example of a shared_ptr's counter and of a static variable's guard.
char __tsan_atomic8_load(const volatile char* address, int) {
  return __atomic_load_n(address, __ATOMIC_SEQ_CST);
}
int __tsan_atomic32_load(const volatile int* address, int) {
  return __atomic_load_n(address, __ATOMIC_SEQ_CST);
}
int __tsan_atomic32_fetch_add(volatile int* address, int value, int) {
  return __atomic_fetch_add(address, value, __ATOMIC_SEQ_CST);
}
long __tsan_atomic64_load(const volatile long* address, int) {
  return __atomic_load_n(address, __ATOMIC_SEQ_CST);
}
}

#endif
