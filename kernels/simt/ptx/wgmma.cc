// PTX's products of a warpgroup.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/wgmma.h"

#include "kernels/simt/ptx/program.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt::ptx {
namespace {

// wgmma.mma_async {d...}, a, b, scale-d, scale-a, scale-b, and in 16 bits transpose-a, transpose-b. a is a descriptor
// or four registers, which are not transposed.
template <MatrixType kType>
void multiply(Frame& f, const Instruction& i) {
  constexpr bool kTransposable = kType != MatrixType::kTf32;
  const int sums = i.destinations, rest = i.operand_count - sums;
  const auto word = [&](int index) { return get<uint64_t>(f, any_slot(i, index)); };
  WarpgroupProduct product{};
  product.type = kType;
  product.columns = 2 * sums;
  product.a_in_registers = rest == (kTransposable ? 9 : 8);
  if (!product.a_in_registers && rest != (kTransposable ? 7 : 5))
    defect("wgmma " + describe(i.site) + " has " + std::to_string(i.operand_count) + " operands");
  int at = sums;
  if (product.a_in_registers)
    for (uint32_t& r : product.a_registers.r) r = static_cast<uint32_t>(word(at++));
  else
    product.a = word(at++);
  product.b = word(at++);
  product.accumulate = word(at++) != 0;
  for (int k = 0; k < 2; ++k)
    if (word(at++) != 1) defect("wgmma " + describe(i.site) + ": only operands with a scale of 1 are emulated");
  if (kTransposable && !product.a_in_registers) product.transpose_a = word(at++) != 0;
  if (kTransposable) product.transpose_b = word(at) != 0;
  float* places[128];
  for (int k = 0; k < sums; ++k) places[k] = reinterpret_cast<float*>(f.registers + any_slot(i, k));
  start_product(product, places, i.site, 0);
}

void fence_registers(Frame&, const Instruction&) {
  wgmma_fence();
}
void commit(Frame&, const Instruction&) {
  wgmma_commit();
}
void wait(Frame& f, const Instruction& i) {
  wait_products(operand<uint32_t>(f, i, 0), i.site);
}

}  // namespace

void add_wgmma(Handlers& h) {
  const std::string name = "wgmma.mma_async.sync.aligned.m64n";
  for (int columns = 8; columns <= 256; columns += 8) {
    const std::string shape = name + std::to_string(columns);
    h[shape + "k16.f32.bf16.bf16"] = multiply<MatrixType::kBf16>;
    h[shape + "k16.f32.f16.f16"] = multiply<MatrixType::kF16>;
    h[shape + "k8.f32.tf32.tf32"] = multiply<MatrixType::kTf32>;
  }
  h["wgmma.fence.sync.aligned"] = fence_registers;
  h["wgmma.commit_group.sync.aligned"] = commit;
  h["wgmma.wait_group.sync.aligned"] = wait;
}

}  // namespace varlstm::simt::ptx
