// PTX's atomics: atom returns the old value, red returns none.
// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <type_traits>

#include "kernels/simt/canonical.h"
#include "kernels/simt/convert.h"
#include "kernels/simt/order.h"
#include "kernels/simt/ptx/program.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt::ptx {
namespace {

struct Add {
  template <class T>
  static T result(T old, T value) {
    if constexpr (std::is_integral<T>::value)
      return static_cast<T>(static_cast<std::make_unsigned_t<T>>(old) + static_cast<std::make_unsigned_t<T>>(value));
    else
      return canonical(old + value);
  }
};
struct Min {
  template <class T>
  static T result(T old, T value) {
    return std::min(old, value);
  }
};
struct Max {
  template <class T>
  static T result(T old, T value) {
    return std::max(old, value);
  }
};
struct And {
  template <class T>
  static T result(T old, T value) {
    return old & value;
  }
};
struct Or {
  template <class T>
  static T result(T old, T value) {
    return old | value;
  }
};
struct Xor {
  template <class T>
  static T result(T old, T value) {
    return old ^ value;
  }
};
struct Exchange {
  template <class T>
  static T result(T, T value) {
    return value;
  }
};
// Counts up to the value, then continues at 0; or counts down and then continues at the value.
struct Increment {
  template <class T>
  static T result(T old, T value) {
    return old >= value ? 0 : old + 1;
  }
};
struct Decrement {
  template <class T>
  static T result(T old, T value) {
    return old == 0 || old > value ? value : old - 1;
  }
};
template <float (*kWiden)(uint16_t), uint16_t (*kRound)(float)>
struct AddHalf {
  static uint16_t result(uint16_t old, uint16_t value) { return kRound(kWiden(old) + kWiden(value)); }
  static uint32_t result(uint32_t old, uint32_t value) {
    const auto half = [&](int shift) {
      return uint32_t{result(static_cast<uint16_t>(old >> shift), static_cast<uint16_t>(value >> shift))} << shift;
    };
    return half(0) | half(16);
  }
};

// If no order is given, an atomic is relaxed.
Ordering ordering_of_atomic(const Instruction& i) {
  return {i.order == Order::kWeak ? Order::kRelaxed : i.order, i.scope};
}

// atom has a destination before the address.
template <bool kAtom, class T, class F>
T change(const Frame& f, const Instruction& i, F operation) {
  auto* address = reinterpret_cast<T*>(address_of(f, i, kAtom ? 1 : 0));
  if (reinterpret_cast<uintptr_t>(address) % sizeof(T) != 0)
    defect("misaligned access: " + describe(*current_thread) + " at an atomic " + describe(i.site));
  return change_word(address, operation, kAtom, ordering_of_atomic(i), i.site, 0);
}

template <bool kAtom, class Operation, class T>
void run(Frame& f, const Instruction& i) {
  const T value = operand<T>(f, i, kAtom ? 2 : 1);
  const T old = change<kAtom, T>(f, i, [value](T before, T* changed) {
    *changed = Operation::result(before, value);
    return true;
  });
  if (kAtom) set<T>(f, i.operands[0], old);
}

// atom.cas d, [address], expected, value
template <class T>
void compare_and_exchange(Frame& f, const Instruction& i) {
  const T expected = operand<T>(f, i, 2), value = operand<T>(f, i, 3);
  const T old = change<true, T>(f, i, [expected, value](T before, T* changed) {
    if (before == expected) *changed = value;
    return before == expected;
  });
  set<T>(f, i.operands[0], old);
}

template <class Operation, class T>
void add(Handlers& h, const std::string& name) {
  h["atom." + name] = run<true, Operation, T>;
  h["red." + name] = run<false, Operation, T>;
}

}  // namespace

void add_atomics(Handlers& h) {
  for (const char* type : {"u32", "s32"}) add<Add, uint32_t>(h, std::string("add.") + type);
  for (const char* type : {"u64", "s64"}) add<Add, uint64_t>(h, std::string("add.") + type);
  add<Add, float>(h, "add.f32");
  add<Add, double>(h, "add.f64");
  using AddF16 = AddHalf<from_f16, to_f16>;
  using AddBf16 = AddHalf<from_bf16, to_bf16>;
  add<AddF16, uint16_t>(h, "add.noftz.f16");
  add<AddF16, uint32_t>(h, "add.noftz.f16x2");
  add<AddBf16, uint16_t>(h, "add.noftz.bf16");
  add<AddBf16, uint32_t>(h, "add.noftz.bf16x2");
  add<Increment, uint32_t>(h, "inc.u32");
  add<Decrement, uint32_t>(h, "dec.u32");
  add<Min, uint32_t>(h, "min.u32");
  add<Min, int32_t>(h, "min.s32");
  add<Min, uint64_t>(h, "min.u64");
  add<Min, int64_t>(h, "min.s64");
  add<Max, uint32_t>(h, "max.u32");
  add<Max, int32_t>(h, "max.s32");
  add<Max, uint64_t>(h, "max.u64");
  add<Max, int64_t>(h, "max.s64");
  add<And, uint32_t>(h, "and.b32");
  add<And, uint64_t>(h, "and.b64");
  add<Or, uint32_t>(h, "or.b32");
  add<Or, uint64_t>(h, "or.b64");
  add<Xor, uint32_t>(h, "xor.b32");
  add<Xor, uint64_t>(h, "xor.b64");
  add<Exchange, uint32_t>(h, "exch.b32");
  add<Exchange, uint64_t>(h, "exch.b64");
  h["atom.cas.b16"] = compare_and_exchange<uint16_t>;
  h["atom.cas.b32"] = compare_and_exchange<uint32_t>;
  h["atom.cas.b64"] = compare_and_exchange<uint64_t>;
}

}  // namespace varlstm::simt::ptx
