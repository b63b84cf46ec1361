// PTX's instructions of a whole warp: shuffles, votes, reductions, matrix products and the loads of their operands.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/collective.h"
#include "kernels/simt/matrix.h"
#include "kernels/simt/ptx/program.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt::ptx {
namespace {

bool source_exists(ShuffleKind kind, uint32_t lanes) {
  const uint32_t lane = current_thread->lane;
  return kind == ShuffleKind::kIndex || (kind == ShuffleKind::kXor ? lane ^ lanes : lane + lanes) < 32;
}

// shfl.sync d|p, a, lanes, c, mask; p: whether the lane that it is from exists. c cuts the warp into segments.
template <ShuffleKind kKind>
void shuffle_lanes(Frame& f, const Instruction& i) {
  const int first = i.destinations;  // d, or d and p
  const auto bits = operand<uint32_t>(f, i, first), lanes = operand<uint32_t>(f, i, first + 1);
  const auto segments = operand<uint32_t>(f, i, first + 2), mask = operand<uint32_t>(f, i, first + 3);
  if (segments != 31) defect("a shuffle in a part of the warp at " + describe(i.site) + " is not emulated");
  set<uint32_t>(f, i.operands[0], static_cast<uint32_t>(shuffle_bits(kKind, mask, bits, lanes, i.site)));
  if (first == 2) set<uint64_t>(f, i.operands[1], source_exists(kKind, lanes));
}

// vote.sync d, predicate, mask
void vote_ballot(Frame& f, const Instruction& i) {
  set<uint32_t>(f, i.operands[0], ballot(operand<uint32_t>(f, i, 2), operand<uint64_t>(f, i, 1) != 0, i.site));
}
void vote_any(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], any(operand<uint32_t>(f, i, 2), operand<uint64_t>(f, i, 1) != 0, i.site) != 0);
}
void vote_all(Frame& f, const Instruction& i) {
  set<uint64_t>(f, i.operands[0], all(operand<uint32_t>(f, i, 2), operand<uint64_t>(f, i, 1) != 0, i.site) != 0);
}
// Which lanes run together is the hardware's choice: here each runs alone.
void active_mask(Frame& f, const Instruction& i) {
  set<uint32_t>(f, i.operands[0], 1u << current_thread->lane);
}

enum class Reduction { kAdd, kMin, kMax, kAnd, kOr, kXor };

template <Reduction kKind, class T>
T reduced(T a, T b) {
  switch (kKind) {
    case Reduction::kAdd:
      return static_cast<T>(static_cast<uint32_t>(a) + static_cast<uint32_t>(b));
    case Reduction::kMin:
      return a < b ? a : b;
    case Reduction::kMax:
      return a > b ? a : b;
    case Reduction::kAnd:
      return a & b;
    case Reduction::kOr:
      return a | b;
    case Reduction::kXor:
      return a ^ b;
  }
  return a;
}
template <Reduction kKind, class T>
void reduce_lanes(void* const* in, void* const* out, unsigned mask) {
  T result = *static_cast<const T*>(in[__builtin_ctz(mask)]);
  for (unsigned rest = mask & (mask - 1); rest != 0; rest &= rest - 1)
    result = reduced<kKind, T>(result, *static_cast<const T*>(in[__builtin_ctz(rest)]));
  for (unsigned rest = mask; rest != 0; rest &= rest - 1) *static_cast<T*>(out[__builtin_ctz(rest)]) = result;
}
// redux.sync d, a, mask
template <Reduction kKind, class T>
void reduce(Frame& f, const Instruction& i) {
  auto value = operand<T>(f, i, 1);
  T result = 0;
  run_collective("redux", operand<uint32_t>(f, i, 2), &value, &result, reduce_lanes<kKind, T>, i.site);
  set<T>(f, i.operands[0], result);
}

// mma d, a, b, c of four, four, two and four registers.
template <f32x4 kProduct(const b32x4&, const b32x2&, const f32x4&, Site)>
void matrix_product(Frame& f, const Instruction& i) {
  b32x4 a;
  b32x2 b;
  f32x4 c;
  for (int k = 0; k < 4; ++k) a.r[k] = operand<uint32_t>(f, i, 4 + k);
  for (int k = 0; k < 2; ++k) b.r[k] = operand<uint32_t>(f, i, 8 + k);
  for (int k = 0; k < 4; ++k) c.r[k] = operand<float>(f, i, 10 + k);
  const f32x4 d = kProduct(a, b, c, i.site);
  for (int k = 0; k < 4; ++k) set<float>(f, i.operands[k], d.r[k]);
}

void load_one(Frame& f, const Instruction& i) {
  set<uint32_t>(f, i.operands[0], load_matrix_x1(address_of(f, i, 1), i.site));
}
template <b32x2 kLoad(const void*, Site)>
void load_two(Frame& f, const Instruction& i) {
  const b32x2 words = kLoad(address_of(f, i, 2), i.site);
  for (int k = 0; k < 2; ++k) set<uint32_t>(f, i.operands[k], words.r[k]);
}
template <b32x4 kLoad(const void*, Site)>
void load_four(Frame& f, const Instruction& i) {
  const b32x4 words = kLoad(address_of(f, i, 4), i.site);
  for (int k = 0; k < 4; ++k) set<uint32_t>(f, i.operands[k], words.r[k]);
}

}  // namespace

void add_warp(Handlers& h) {
  h["shfl.sync.idx.b32"] = shuffle_lanes<ShuffleKind::kIndex>;
  h["shfl.sync.bfly.b32"] = shuffle_lanes<ShuffleKind::kXor>;
  h["shfl.sync.down.b32"] = shuffle_lanes<ShuffleKind::kDown>;
  h["vote.sync.ballot.b32"] = vote_ballot;
  h["vote.sync.any.pred"] = vote_any;
  h["vote.sync.all.pred"] = vote_all;
  h["activemask.b32"] = active_mask;
  h["redux.sync.add.u32"] = h["redux.sync.add.s32"] = reduce<Reduction::kAdd, uint32_t>;
  h["redux.sync.min.u32"] = reduce<Reduction::kMin, uint32_t>;
  h["redux.sync.min.s32"] = reduce<Reduction::kMin, int32_t>;
  h["redux.sync.max.u32"] = reduce<Reduction::kMax, uint32_t>;
  h["redux.sync.max.s32"] = reduce<Reduction::kMax, int32_t>;
  h["redux.sync.and.b32"] = reduce<Reduction::kAnd, uint32_t>;
  h["redux.sync.or.b32"] = reduce<Reduction::kOr, uint32_t>;
  h["redux.sync.xor.b32"] = reduce<Reduction::kXor, uint32_t>;
  h["mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"] = matrix_product<mma_bf16_16816>;
  h["mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"] = matrix_product<mma_f16_16816>;
  h["mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"] = matrix_product<mma_tf32_1688>;
  h["ldmatrix.sync.aligned.m8n8.x1.b16"] = load_one;
  h["ldmatrix.sync.aligned.m8n8.x2.b16"] = load_two<load_matrix_x2>;
  h["ldmatrix.sync.aligned.m8n8.x4.b16"] = load_four<load_matrix_x4>;
  h["ldmatrix.sync.aligned.m8n8.x2.trans.b16"] = load_two<load_matrix_x2_transposed>;
  h["ldmatrix.sync.aligned.m8n8.x4.trans.b16"] = load_four<load_matrix_x4_transposed>;
}

}  // namespace varlstm::simt::ptx
