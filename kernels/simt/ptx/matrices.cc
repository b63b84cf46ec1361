// PTX's matrix products, and the loads of their operands.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/matrix.h"

#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

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

template <uint32_t kLoad(const void*, Site)>
void load_one(Frame& f, const Instruction& i) {
  set<uint32_t>(f, i.operands[0], kLoad(address_of(f, i, 1), i.site));
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

// Count, transposition and shape may be in either order.
void add_load(Handlers& h, const std::string& count, Handler load) {
  h["ldmatrix.sync.aligned.m8n8." + count + ".b16"] = load;
  h["ldmatrix.sync.aligned." + count + ".m8n8.b16"] = load;
}

}  // namespace

void add_matrices(Handlers& h) {
  h["mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"] = matrix_product<mma_bf16_16816>;
  h["mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"] = matrix_product<mma_f16_16816>;
  h["mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"] = matrix_product<mma_tf32_1688>;
  add_load(h, "x1", load_one<load_matrix_x1>);
  add_load(h, "x2", load_two<load_matrix_x2>);
  add_load(h, "x4", load_four<load_matrix_x4>);
  add_load(h, "x1.trans", load_one<load_matrix_x1_transposed>);
  add_load(h, "x2.trans", load_two<load_matrix_x2_transposed>);
  add_load(h, "x4.trans", load_four<load_matrix_x4_transposed>);
}

}  // namespace varlstm::simt::ptx
