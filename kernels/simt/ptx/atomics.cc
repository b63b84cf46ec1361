// PTX's atomics: atom gives the old value, red none.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/atomic.h"

#include "kernels/simt/ptx/program.h"
#include "kernels/simt/race.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt::ptx {
namespace {

bool releases(const Instruction& i) {
  return i.order == Order::kRelease || i.order == Order::kAcquireRelease;
}
bool acquires(const Instruction& i) {
  return i.order == Order::kAcquire || i.order == Order::kAcquireRelease;
}

// The first operand of the operation is operand `first` + 1, behind the address.
template <AtomicKind kKind, class T>
T run(Frame& f, const Instruction& i, int first) {
  auto* address = reinterpret_cast<T*>(address_of(f, i, first));
  const bool compares = kKind == AtomicKind::kCompareExchange;
  const T expected = compares ? operand<T>(f, i, first + 1) : T();
  const T value = operand<T>(f, i, first + (compares ? 2 : 1));
  if constexpr (kKind == AtomicKind::kAdd && sizeof(T) == 4)
    if (i.order == Order::kRelease) return add_release(address, value, i.site);
  if (releases(i)) release_into(launch_state().released[address]);
  const T old = run_atomic(kKind, address, value, expected, i.site);
  if (acquires(i)) acquire_from(launch_state().released[address]);
  return old;
}

template <AtomicKind kKind, class T>
void atom(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], run<kKind, T>(f, i, 1));
}
template <AtomicKind kKind, class T>
void red(Frame& f, const Instruction& i) {
  run<kKind, T>(f, i, 0);
}

template <AtomicKind kKind, class T>
void add(Handlers& h, const std::string& name) {
  h["atom." + name] = atom<kKind, T>;
  h["red." + name] = red<kKind, T>;
}

}  // namespace

void add_atomics(Handlers& h) {
  for (const char* type : {"u32", "s32"}) add<AtomicKind::kAdd, uint32_t>(h, std::string("add.") + type);
  for (const char* type : {"u64", "s64"}) add<AtomicKind::kAdd, uint64_t>(h, std::string("add.") + type);
  add<AtomicKind::kMin, uint32_t>(h, "min.u32");
  add<AtomicKind::kMin, int32_t>(h, "min.s32");
  add<AtomicKind::kMin, uint64_t>(h, "min.u64");
  add<AtomicKind::kMax, uint32_t>(h, "max.u32");
  add<AtomicKind::kMax, int32_t>(h, "max.s32");
  add<AtomicKind::kMax, uint64_t>(h, "max.u64");
  add<AtomicKind::kOr, uint32_t>(h, "or.b32");
  add<AtomicKind::kOr, uint64_t>(h, "or.b64");
  add<AtomicKind::kAnd, uint32_t>(h, "and.b32");
  add<AtomicKind::kAnd, uint64_t>(h, "and.b64");
  add<AtomicKind::kExchange, uint32_t>(h, "exch.b32");
  add<AtomicKind::kExchange, uint64_t>(h, "exch.b64");
  add<AtomicKind::kCompareExchange, uint32_t>(h, "cas.b32");
  add<AtomicKind::kCompareExchange, uint64_t>(h, "cas.b64");
}

}  // namespace varlstm::simt::ptx
