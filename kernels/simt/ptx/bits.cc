// PTX's moves, logic, shifts and other work on bits.
// SPDX-License-Identifier: Apache-2.0
#include <type_traits>

#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

template <class T>
void move(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], operand<T>(f, i, 1));
}

void move_predicate(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], operand<uint64_t>(f, i, 1) != 0);
}

// mov d, a, or with {a, b} or {a, b, c, d} on one side, the lowest bits first.
template <class T>
void move_bits(Frame& f, const Instruction& i) {
  const int sources = i.operand_count - i.destinations;
  const int width = 8 * static_cast<int>(sizeof(T));
  uint64_t bits = 0;
  for (int k = 0; k < sources; ++k) {
    const auto part = operand<uint64_t>(f, i, i.destinations + k);
    bits |=
        sources == 1 ? static_cast<T>(part) : (part & ((uint64_t{1} << width / sources) - 1)) << k * width / sources;
  }
  for (int k = 0; k < i.destinations; ++k) {
    const uint64_t part = bits >> k * width / i.destinations;
    set<uint64_t>(f, i.operands[k], i.destinations == 1 ? part : part & ((uint64_t{1} << width / i.destinations) - 1));
  }
}

template <class T>
void and_bits(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], static_cast<T>(operand<T>(f, i, 1) & operand<T>(f, i, 2)));
}
template <class T>
void or_bits(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], static_cast<T>(operand<T>(f, i, 1) | operand<T>(f, i, 2)));
}
template <class T>
void xor_bits(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], static_cast<T>(operand<T>(f, i, 1) ^ operand<T>(f, i, 2)));
}
template <class T>
void not_bits(Frame& f, const Instruction& i) {
  set<T>(f, i.operands[0], static_cast<T>(~operand<T>(f, i, 1)));
}
void not_predicate(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], operand<uint64_t>(f, i, 1) == 0);
}

// An amount larger than the width shifts everything out.
template <class T>
void shift_left(Frame& f, const Instruction& i) {
  const auto amount = operand<uint32_t>(f, i, 2);
  set<T>(f, i.operands[0], amount >= 8 * sizeof(T) ? T(0) : static_cast<T>(operand<T>(f, i, 1) << amount));
}
template <class T>
void shift_right(Frame& f, const Instruction& i) {
  const auto amount = operand<uint32_t>(f, i, 2), most = static_cast<uint32_t>(8 * sizeof(T) - 1);
  const T value = operand<T>(f, i, 1);
  const bool gone = amount > most && std::is_unsigned<T>::value;
  set<T>(f, i.operands[0], gone ? T(0) : static_cast<T>(value >> (amount > most ? most : amount)));
}

// shf d, a, b, c: the upper half of b:a after a shift to the left, or its lower half after a shift to the right.
template <bool kLeft, bool kWrap>
void funnel_shift(Frame& f, const Instruction& i) {
  const uint64_t both = static_cast<uint64_t>(operand<uint32_t>(f, i, 2)) << 32 | operand<uint32_t>(f, i, 1);
  const auto asked = operand<uint32_t>(f, i, 3);
  const uint32_t amount = kWrap ? asked % 32 : asked > 32 ? 32 : asked;
  set<uint32_t>(f, i.operands[0], static_cast<uint32_t>(kLeft ? both << amount >> 32 : both >> amount));
}

// A mask of the `count` lowest bits, for any count.
uint64_t low_bits(uint32_t count) {
  return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

// bfi d, a, b, c, n: the n low bits of a at position c of b.
template <class T>
void insert_bits(Frame& f, const Instruction& i) {
  const auto position = operand<uint32_t>(f, i, 3) & 255, count = operand<uint32_t>(f, i, 4) & 255;
  const uint64_t mask = position >= 64 ? 0 : low_bits(count) << position;
  const uint64_t inserted = position >= 64 ? 0 : static_cast<uint64_t>(operand<T>(f, i, 1)) << position;
  set<T>(f, i.operands[0], static_cast<T>((operand<T>(f, i, 2) & ~mask) | (inserted & mask)));
}

// bmsk d, a, b: b ones from position a. Both are clamped to the width, or taken modulo it.
template <bool kWrap>
void make_mask(Frame& f, const Instruction& i) {
  const auto asked_position = operand<uint32_t>(f, i, 1), asked_count = operand<uint32_t>(f, i, 2);
  const uint32_t position = kWrap ? asked_position % 32 : asked_position;
  const uint32_t count = kWrap ? asked_count % 32 : asked_count;
  set<uint32_t>(f, i.operands[0], position > 31 ? 0 : static_cast<uint32_t>(low_bits(count) << position));
}

// bfe d, a, c, n: n bits of a from position c. A signed type is extended with the highest of them, or with a's own sign
// if they reach beyond a.
template <class T>
void extract_bits(Frame& f, const Instruction& i) {
  const auto position = operand<uint32_t>(f, i, 2) & 255, count = operand<uint32_t>(f, i, 3) & 255;
  constexpr uint32_t kTop = 8 * sizeof(T) - 1;
  const T value = operand<T>(f, i, 1);
  const bool signed_type = std::is_signed<T>::value;
  const uint64_t field =
      position > kTop ? 0 : static_cast<uint64_t>(static_cast<std::make_unsigned_t<T>>(value)) >> position;
  const uint32_t sign_at = count == 0 || position + count - 1 > kTop ? kTop : position + count - 1;
  const bool negative = signed_type && count != 0 && (value >> sign_at & 1) != 0;
  const uint64_t mask = low_bits(position + count > kTop + 1 ? (position > kTop ? 0 : kTop + 1 - position) : count);
  set<T>(f, i.operands[0], static_cast<T>((field & mask) | (negative ? ~mask : 0)));
}

// prmt d, a, b, s: each byte of d is the byte of b:a that four bits of s select, or its sign eight times.
void permute_bytes(Frame& f, const Instruction& i) {
  const uint64_t both = static_cast<uint64_t>(operand<uint32_t>(f, i, 2)) << 32 | operand<uint32_t>(f, i, 1);
  const auto selector = operand<uint32_t>(f, i, 3);
  uint32_t result = 0;
  for (int k = 0; k < 4; ++k) {
    const uint32_t chosen = selector >> 4 * k & 15;
    const auto byte = static_cast<uint32_t>(both >> 8 * (chosen & 7) & 255);
    result |= (chosen < 8 ? byte : byte >= 128 ? 255u : 0u) << 8 * k;
  }
  set<uint32_t>(f, i.operands[0], result);
}

// lop3 d, a, b, c, table: bit 4 a + 2 b + c of the table, for each bit.
void look_up_logic(Frame& f, const Instruction& i) {
  const auto a = operand<uint32_t>(f, i, 1), b = operand<uint32_t>(f, i, 2), c = operand<uint32_t>(f, i, 3);
  const auto table = operand<uint32_t>(f, i, 4);
  uint32_t result = 0;
  for (int k = 0; k < 8; ++k) {
    if ((table >> k & 1) == 0) continue;
    result |= ((k & 4) != 0 ? a : ~a) & ((k & 2) != 0 ? b : ~b) & ((k & 1) != 0 ? c : ~c);
  }
  set<uint32_t>(f, i.operands[0], result);
}

template <class T>
void count_zeros(Frame& f, const Instruction& i) {
  const uint64_t value = operand<T>(f, i, 1);
  constexpr int kWidth = 8 * sizeof(T);
  set<uint32_t>(f, i.operands[0], static_cast<uint32_t>(value == 0 ? kWidth : __builtin_clzll(value) - 64 + kWidth));
}
template <class T>
void count_ones(Frame& f, const Instruction& i) {
  set<uint32_t>(f, i.operands[0], static_cast<uint32_t>(__builtin_popcountll(operand<T>(f, i, 1))));
}
template <class T>
void reverse_bits(Frame& f, const Instruction& i) {
  auto value = operand<T>(f, i, 1);
  T result = 0;
  for (size_t k = 0; k < 8 * sizeof(T); ++k, value >>= 1) result = static_cast<T>(result << 1 | (value & 1));
  set<T>(f, i.operands[0], result);
}

// bfind: the position of the highest bit that differs from the sign, or with .shiftamt its distance from the top; all
// ones if there is no such bit.
template <class T, bool kShift>
void find_highest(Frame& f, const Instruction& i) {
  const auto value = operand<T>(f, i, 1);
  const auto differing = static_cast<uint64_t>(static_cast<std::make_unsigned_t<T>>(value < 0 ? ~value : value));
  const uint32_t position = differing == 0 ? ~0u : 63u - static_cast<uint32_t>(__builtin_clzll(differing));
  set<uint32_t>(f, i.operands[0], kShift && differing != 0 ? 8 * sizeof(T) - 1 - position : position);
}

template <class T>
void add_width(Handlers& h, const std::string& type) {
  h["mov." + type] = move_bits<T>;
  h["and." + type] = and_bits<T>;
  h["or." + type] = or_bits<T>;
  h["xor." + type] = xor_bits<T>;
  h["not." + type] = not_bits<T>;
  h["shl." + type] = shift_left<T>;
  h["shr." + type] = shift_right<T>;
}

template <class T>
void add_wide_only(Handlers& h, const std::string& width) {
  using Signed = std::make_signed_t<T>;
  h["bfi.b" + width] = insert_bits<T>;
  h["bfe.u" + width] = extract_bits<T>;
  h["bfe.s" + width] = extract_bits<Signed>;
  h["clz.b" + width] = count_zeros<T>;
  h["popc.b" + width] = count_ones<T>;
  h["brev.b" + width] = reverse_bits<T>;
  h["bfind.u" + width] = find_highest<T, false>;
  h["bfind.s" + width] = find_highest<Signed, false>;
  h["bfind.shiftamt.u" + width] = find_highest<T, true>;
  h["bfind.shiftamt.s" + width] = find_highest<Signed, true>;
}

}  // namespace

void add_bits(Handlers& h) {
  h["mov.u16"] = h["mov.s16"] = move<uint16_t>;
  h["mov.u32"] = h["mov.s32"] = h["mov.f32"] = move<uint32_t>;
  h["mov.u64"] = h["mov.s64"] = h["mov.f64"] = move<uint64_t>;
  h["mov.pred"] = move_predicate;
  add_width<uint16_t>(h, "b16");
  add_width<uint32_t>(h, "b32");
  add_width<uint64_t>(h, "b64");
  h["and.pred"] = and_bits<uint64_t>;
  h["or.pred"] = or_bits<uint64_t>;
  h["xor.pred"] = xor_bits<uint64_t>;
  h["not.pred"] = not_predicate;
  h["shr.u16"] = shift_right<uint16_t>;
  h["shr.u32"] = shift_right<uint32_t>;
  h["shr.u64"] = shift_right<uint64_t>;
  h["shr.s16"] = shift_right<int16_t>;
  h["shr.s32"] = shift_right<int32_t>;
  h["shr.s64"] = shift_right<int64_t>;
  h["shf.l.wrap.b32"] = funnel_shift<true, true>;
  h["shf.r.wrap.b32"] = funnel_shift<false, true>;
  h["shf.l.clamp.b32"] = funnel_shift<true, false>;
  h["shf.r.clamp.b32"] = funnel_shift<false, false>;
  add_wide_only<uint32_t>(h, "32");
  add_wide_only<uint64_t>(h, "64");
  h["bmsk.clamp.b32"] = make_mask<false>;
  h["bmsk.wrap.b32"] = make_mask<true>;
  h["prmt.b32"] = permute_bytes;
  h["lop3.b32"] = look_up_logic;
}

}  // namespace varlstm::simt::ptx
