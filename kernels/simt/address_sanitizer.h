// Tells AddressSanitizer about memory and stacks; does nothing without it.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#if defined(__SANITIZE_ADDRESS__)
#define VARLSTM_ASAN 1
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#define VARLSTM_POISON(pointer, bytes) __asan_poison_memory_region(pointer, bytes)
#define VARLSTM_UNPOISON(pointer, bytes) __asan_unpoison_memory_region(pointer, bytes)
#else
#define VARLSTM_ASAN 0
#define VARLSTM_POISON(pointer, bytes) static_cast<void>(pointer)
#define VARLSTM_UNPOISON(pointer, bytes) static_cast<void>(pointer)
#endif
