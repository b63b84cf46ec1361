// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/fiber.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <boost/context/detail/fcontext.hpp>

#include "kernels/simt/address_sanitizer.h"
#include "kernels/simt/address_space.h"

namespace varlstm::simt {
namespace {

namespace context = boost::context::detail;

constexpr size_t kGuarded = 16 << 10;  // a guard page costs a mapping, and a process may have 65530
constexpr unsigned long long kMark = 0x5ac3'c35a'0ff0'f00f;

unsigned char* new_stack() {
  static size_t used = 0;
  if (used == kStacks || address_space.stacks == nullptr) {
    fprintf(stderr, "varlstm emulator: no address space for a stack more than %zu\n", used);
    abort();
  }
  unsigned char* slot = address_space.stacks + kStackStride * used;
  if (used++ < kGuarded) mprotect(slot, 4096, PROT_NONE);
  unsigned char* stack = slot + kStackStride - kStackBytes;
  memcpy(stack, &kMark, sizeof kMark);
  return stack;
}

// The fiber that is being left while another is entered.
Fiber* leaving = nullptr;
void (*fiber_entry)() = nullptr;

#if VARLSTM_ASAN
const void* host_stack = nullptr;
size_t host_stack_bytes = 0;

void finish_switch(void* fake_stack) {
  const void* bottom = nullptr;
  size_t bytes = 0;
  __sanitizer_finish_switch_fiber(fake_stack, &bottom, &bytes);
  if (leaving->stack == nullptr) {
    host_stack = bottom;
    host_stack_bytes = bytes;
  }
}
#endif

void enter(context::transfer_t from) {
  leaving->context = from.fctx;
#if VARLSTM_ASAN
  finish_switch(nullptr);
#endif
  fiber_entry();
  abort();
}

}  // namespace

void start_fiber(Fiber& fiber, void (*entry)()) {
  if (fiber.stack == nullptr) fiber.stack = new_stack();
  VARLSTM_UNPOISON(fiber.stack, kStackBytes);
  fiber_entry = entry;
  fiber.fake_stack = nullptr;
  fiber.context = context::make_fcontext(fiber.stack + kStackBytes, kStackBytes - 64, enter);
}

void switch_fiber(Fiber& from, Fiber& to, bool last) {
  leaving = &from;
#if VARLSTM_ASAN
  __sanitizer_start_switch_fiber(last ? nullptr : &from.fake_stack, to.stack != nullptr ? to.stack : host_stack,
                                 to.stack != nullptr ? kStackBytes : host_stack_bytes);
#else
  static_cast<void>(last);
#endif
  const context::transfer_t back = context::jump_fcontext(to.context, nullptr);
  leaving->context = back.fctx;
#if VARLSTM_ASAN
  finish_switch(from.fake_stack);
#endif
}

bool stack_overflowed(const Fiber& fiber) {
  return memcmp(fiber.stack, &kMark, sizeof kMark) != 0;
}

}  // namespace varlstm::simt
