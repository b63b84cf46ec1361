// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/matrix.h"

#include <string.h>

#include "kernels/simt/canonical.h"
#include "kernels/simt/collective.h"
#include "kernels/simt/convert.h"
#include "kernels/simt/product_sum.h"
#include "kernels/simt/race.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt {
namespace {

struct MmaInput {
  b32x4 a;
  b32x2 b;
  f32x4 c;
};

constexpr unsigned kFullWarp = ~0u;

void require_full_warp(unsigned mask, const char* what) {
  if (mask != kFullWarp) defect(std::string(what) + " needs all 32 lanes of the warp");
}

const MmaInput& input_of(void* const* in, int lane) {
  return *static_cast<const MmaInput*>(in[lane]);
}

template <int kDepth>
void multiply(const float (&a)[16][kDepth], const float (&b)[kDepth][8], int smallest, void* const* in,
              void* const* out) {
  ++counters().matrix_products;
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      const int row = lane / 4 + i / 2 * 8;
      const int column = lane % 4 * 2 + i % 2;
      const float c = input_of(in, lane).c.r[i];
      static_cast<f32x4*>(out[lane])->r[i] = canonical(sum_of_products(a[row], &b[0][column], 8, kDepth, c, smallest));
    }
  }
}

uint16_t half_of(uint32_t word, int half) {
  return static_cast<uint16_t>(word >> (16 * half));
}

template <float (*kWiden)(uint16_t), int kSmallest>
void multiply_16bit(void* const* in, void* const* out, unsigned mask) {
  require_full_warp(mask, "a matrix product");
  float a[16][16];
  float b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const MmaInput& input = input_of(in, lane);
    const int group = lane / 4;
    const int quad = lane % 4;
    for (int i = 0; i < 8; ++i)
      a[group + i / 2 % 2 * 8][quad * 2 + i % 2 + i / 4 * 8] = kWiden(half_of(input.a.r[i / 2], i % 2));
    for (int i = 0; i < 4; ++i) b[quad * 2 + i % 2 + i / 2 * 8][group] = kWiden(half_of(input.b.r[i / 2], i % 2));
  }
  multiply<16>(a, b, kSmallest, in, out);
}

void multiply_tf32(void* const* in, void* const* out, unsigned mask) {
  require_full_warp(mask, "a matrix product");
  float a[16][8];
  float b[8][8];
  for (int lane = 0; lane < 32; ++lane) {
    const MmaInput& input = input_of(in, lane);
    const int group = lane / 4;
    const int quad = lane % 4;
    for (int i = 0; i < 4; ++i) a[group + i % 2 * 8][quad + i / 2 * 4] = widen_tf32(input.a.r[i]);
    for (int i = 0; i < 2; ++i) b[quad + i * 4][group] = widen_tf32(input.b.r[i]);
  }
  multiply<8>(a, b, kSmallestExponent, in, out);
}

f32x4 product(const char* what, const b32x4& a, const b32x2& b, const f32x4& c, CollectiveFunction function,
              Site site) {
  MmaInput input{a, b, c};
  f32x4 result;
  run_collective(what, kFullWarp, &input, &result, function, site);
  return result;
}

// out: four words for each lane; the first kMatrices are used.
template <int kMatrices, bool kTransposed>
void load_lanes(void* const* in, void* const* out, unsigned mask) {
  require_full_warp(mask, "ldmatrix");
  ++counters().matrix_loads;
  for (int matrix = 0; matrix < kMatrices; ++matrix) {
    uint16_t elements[8][8];
    for (int row = 0; row < 8; ++row) memcpy(elements[row], in[matrix * 8 + row], sizeof elements[row]);
    for (int lane = 0; lane < 32; ++lane) {
      const int row = lane / 4;
      const int column = lane % 4 * 2;
      const uint16_t low = kTransposed ? elements[column][row] : elements[row][column];
      const uint16_t high = kTransposed ? elements[column + 1][row] : elements[row][column + 1];
      static_cast<b32x4*>(out[lane])->r[matrix] = static_cast<uint32_t>(high) << 16 | low;
    }
  }
}

template <int kMatrices, bool kTransposed>
b32x4 load_matrices(const void* row, Site site, uintptr_t pc) {
  Thread& me = *current_thread;
  b32x4 result{};
  if (me.lane < 8 * kMatrices) {
    if (reinterpret_cast<uintptr_t>(row) % 16 != 0)
      defect("misaligned access: " + describe(me) + " at ldmatrix " + describe(site));
    note_access(row, 16, Access::kRead, pc);
  }
  run_collective("ldmatrix", kFullWarp, const_cast<void*>(row), &result, load_lanes<kMatrices, kTransposed>, site);
  return result;
}

uintptr_t address_of(void* pc) {
  return reinterpret_cast<uintptr_t>(pc);
}

}  // namespace

f32x4 mma_bf16_16816(const b32x4& a, const b32x2& b, const f32x4& c, Site site) {
  return product("mma.m16n8k16.bf16", a, b, c, multiply_16bit<from_bf16, kSmallestExponent>, site);
}
f32x4 mma_f16_16816(const b32x4& a, const b32x2& b, const f32x4& c, Site site) {
  return product("mma.m16n8k16.f16", a, b, c, multiply_16bit<from_f16, kSmallestF16Exponent>, site);
}
f32x4 mma_tf32_1688(const b32x4& a, const b32x2& b, const f32x4& c, Site site) {
  return product("mma.m16n8k8.tf32", a, b, c, multiply_tf32, site);
}

uint32_t load_matrix_x1(const void* row, Site site) {
  return load_matrices<1, false>(row, site, address_of(__builtin_return_address(0))).r[0];
}
b32x2 load_matrix_x2(const void* row, Site site) {
  const b32x4 words = load_matrices<2, false>(row, site, address_of(__builtin_return_address(0)));
  return {{words.r[0], words.r[1]}};
}
b32x4 load_matrix_x4(const void* row, Site site) {
  return load_matrices<4, false>(row, site, address_of(__builtin_return_address(0)));
}
uint32_t load_matrix_x1_transposed(const void* row, Site site) {
  return load_matrices<1, true>(row, site, address_of(__builtin_return_address(0))).r[0];
}
b32x2 load_matrix_x2_transposed(const void* row, Site site) {
  const b32x4 words = load_matrices<2, true>(row, site, address_of(__builtin_return_address(0)));
  return {{words.r[0], words.r[1]}};
}
b32x4 load_matrix_x4_transposed(const void* row, Site site) {
  return load_matrices<4, true>(row, site, address_of(__builtin_return_address(0)));
}

}  // namespace varlstm::simt
