// PTX's matrix products of a warp, the loads of their operands, and copies that run beside the threads.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/matrix.h"

#include "kernels/simt/async_copy.h"
#include "kernels/simt/convert.h"
#include "kernels/simt/coordinates.h"
#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

unsigned char* shared_address(const Frame& f, const Instruction& i, int operand_index) {
  return static_cast<unsigned char*>(shared_bytes_begin()) + operand<uint32_t>(f, i, operand_index);
}

// ldmatrix {d0, d1, d2, d3}, [row]
template <b32x4 kLoad(const void*, Site)>
void load_matrix(Frame& f, const Instruction& i) {
  const b32x4 words = kLoad(shared_address(f, i, 4) + i.offset, i.site);
  for (int k = 0; k < 4; ++k) set<uint32_t>(f, i.operands[k], words.r[k]);
}

// mma {d0 ... d3}, {a0 ... a3}, {b0, b1}, {c0 ... c3}
template <f32x4 kMultiply(const b32x4&, const b32x2&, const f32x4&, Site)>
void multiply_matrices(Frame& f, const Instruction& i) {
  b32x4 a;
  b32x2 b;
  f32x4 c;
  for (int k = 0; k < 4; ++k) a.r[k] = operand<uint32_t>(f, i, 4 + k);
  for (int k = 0; k < 2; ++k) b.r[k] = operand<uint32_t>(f, i, 8 + k);
  for (int k = 0; k < 4; ++k) c.r[k] = operand<float>(f, i, 10 + k);
  const f32x4 d = kMultiply(a, b, c, i.site);
  for (int k = 0; k < 4; ++k) set<float>(f, i.operands[k], d.r[k]);
}

// cp.async [to], [from], bytes; addresses are registers, without an offset.
void copy(Frame& f, const Instruction& i) {
  cp_async(shared_address(f, i, 0), reinterpret_cast<const void*>(operand<uint64_t>(f, i, 1)),
           operand<uint32_t>(f, i, 2), i.site);
}

void commit_copies(Frame&, const Instruction&) {
  cp_async_commit();
}

void wait_for_copies(Frame& f, const Instruction& i) {
  wait_copies(operand<uint32_t>(f, i, 0));
}

void round_to_tf32(Frame& f, const Instruction& i) {
  set<uint32_t>(f, i.operands[0], to_tf32(operand<float>(f, i, 1)));
}

}  // namespace

void add_matrix(Handlers& h) {
  h["ldmatrix.sync.aligned.m8n8.x4.shared.b16"] = load_matrix<load_matrix_x4>;
  h["ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16"] = load_matrix<load_matrix_x4_transposed>;
  h["mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32"] = multiply_matrices<mma_bf16_16816>;
  h["mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32"] = multiply_matrices<mma_f16_16816>;
  h["mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32"] = multiply_matrices<mma_tf32_1688>;
  h["cp.async.cg.shared.global"] = h["cp.async.ca.shared.global"] = copy;
  h["cp.async.commit_group"] = commit_copies;
  h["cp.async.wait_group"] = wait_for_copies;
  h["cvt.rna.tf32.f32"] = round_to_tf32;
}

}  // namespace varlstm::simt::ptx
