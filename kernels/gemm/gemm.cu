// C [m, n] = op(A) [m, k] * op(B) [k, n] (+ bias + bias2) (+ C), tile by tile through shared memory; and the choice
// between these tiles and the other ways to run a product.
//
// Operands are F32, F64, BF16 or F16. The chain of sum = fma(a, b, sum) over k = 0, 1, ... runs in f32 (f64 for F64). C
// is stored once, rounded to its own dtype: ((sum + bias) + bias2) + C. Elements beyond an edge are zeros in the tile;
// they change no bit of a chain except the sign of a zero. C must not overlap A or B.
// Bytes from memory: about (m k (n / columns) + k n (m / rows)) e; 2 m n k operations. Bound by arithmetic once the
// tile is full: a wide tile does 32 fused multiply-adds for each element that it loads. A block computes one tile of C,
// in a grid of all tiles. Shared memory: A as [depth][rows + 1], B as [depth][columns + 1] (the odd pitch spreads a
// transposing store over the banks). Each thread owns kThreadRows x kThreadColumns sums in registers, at rows r, r +
// kRows / kThreadRows, ... of the tile. A launch may have several products (GemmGroup).
//   S1: after it the tiles of this depth are in shared memory. S2: after it no thread reads them any more.
// If the sums of A are wanted, the blocks of the first columns add up the tiles of A as they pass (LineSums).
// Mirrored by host/gemm/gemm.h and host/gemm/row_product.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/gemm.h"

#include "kernels/gemm/blas_gemm.h"
#include "kernels/gemm/blas_library.h"
#include "kernels/gemm/column_sum.h"
#include "kernels/gemm/gemm_operands.h"
#include "kernels/gemm/tensor_gemm.h"
#include "kernels/gemm/wgmma_gemm.h"
#include "kernels/gemm/wgmma_pair.h"
#include "kernels/selection/gemm_selection.h"
#include "kernels/selection/wgmma_code.h"
#include "varlstm.h"

namespace varlstm::cuda {

// shared[kk][line] <- element (line, kk) of a matrix whose lines are rows of op(A) or columns of op(B), with zeros
// outside lines x k. `along_k`: k is the contiguous dimension of the matrix. row_of(row): where that row of the matrix
// begins, or null for zeros.
template <int Lines, int Depth, int Threads, class C, class RowOf>
VARLSTM_DEVICE void load_tile(const RowOf& row_of, bool along_k, int64_t line0, int64_t lines, int64_t k0, int64_t k,
                              C* shared) {
  for (int at = static_cast<int>(threadIdx.x); at < Lines * Depth; at += Threads) {
    const int kk = along_k ? at % Depth : at / Lines;
    const int line = along_k ? at / Depth : at % Lines;
    C value = 0;
    if (line0 + line < lines && k0 + kk < k) {
      const int64_t row = along_k ? line0 + line : k0 + kk;
      const int64_t column = along_k ? k0 + kk : line0 + line;
      const auto* const from = row_of(row);
      if (from != nullptr) value = load_scalar(from[column]);
    }
    shared[kk * (Lines + 1) + line] = value;
  }
}

template <class Tile, class T, class TC>
VARLSTM_DEVICE void multiply_tile(const GemmOperands<T, TC>& p, int64_t tile) {
  using C = ComputeType<T>;
  constexpr int kRowStep = Tile::kRows / Tile::kThreadRows, kColumnStep = Tile::kColumns / Tile::kThreadColumns;
  const TileExtent extent = tile_extent(p, Tile::kRows, Tile::kColumns, tile);
  const int64_t row0 = extent.row0, column0 = extent.column0, m = extent.m, k = extent.k;
  if (row0 >= m) return;  // the whole block

  C* a_tile = simt::shared_memory<C>();
  C* b_tile = a_tile + Tile::kDepth * (Tile::kRows + 1);
  const int thread_row = static_cast<int>(threadIdx.x) / kColumnStep;
  const int thread_column = static_cast<int>(threadIdx.x) % kColumnStep;
  C sums[Tile::kThreadRows][Tile::kThreadColumns] = {};
  LineSums<Tile::kRows, Tile::kThreads> of_a;
  const bool sums_a = p.sums != nullptr && column0 == 0;
  const auto row_of_a = [&](int64_t row) { return p.a + row * p.lda; };
  const auto b_row = [&](int64_t row) { return p.transpose_b ? p.b + row * p.ldb : row_of_b(p, row); };

  for (int64_t k0 = 0; k0 < k; k0 += Tile::kDepth) {
    load_tile<Tile::kRows, Tile::kDepth, Tile::kThreads>(row_of_a, !p.transpose_a, row0, m, k0, k, a_tile);
    load_tile<Tile::kColumns, Tile::kDepth, Tile::kThreads>(b_row, p.transpose_b, column0, p.n, k0, k, b_tile);
    simt::block_sync();  // S1
    if (sums_a)
      of_a.template add<Tile::kDepth>([&](int line, int kk) { return a_tile[kk * (Tile::kRows + 1) + line]; });
    for (int kk = 0; kk < Tile::kDepth; ++kk) {
      C a[Tile::kThreadRows], b[Tile::kThreadColumns];
      for (int i = 0; i < Tile::kThreadRows; ++i) a[i] = a_tile[kk * (Tile::kRows + 1) + thread_row + i * kRowStep];
      for (int j = 0; j < Tile::kThreadColumns; ++j)
        b[j] = b_tile[kk * (Tile::kColumns + 1) + thread_column + j * kColumnStep];
      for (int i = 0; i < Tile::kThreadRows; ++i)
        for (int j = 0; j < Tile::kThreadColumns; ++j) sums[i][j] = simt::fma(a[i], b[j], sums[i][j]);
    }
    simt::block_sync();  // S2
  }

  for (int i = 0; i < Tile::kThreadRows; ++i) {
    for (int j = 0; j < Tile::kThreadColumns; ++j) {
      const int64_t row = row0 + thread_row + i * kRowStep, column = column0 + thread_column + j * kColumnStep;
      if (row < m && column < p.n) store_sum(p, row, column, sums[i][j]);
    }
  }
  if (sums_a) of_a.store(p, row0, reinterpret_cast<double*>(a_tile));
}

template <class Tile, class T, class TC>
VARLSTM_KERNEL void __launch_bounds__(Tile::kThreads) gemm_kernel(GemmGroup<T, TC> group) {
  run_products(group, Tile::kRows, Tile::kColumns, static_cast<int64_t>(blockIdx.x),
               [&](const GemmOperands<T, TC>& p, int64_t tile) { multiply_tile<Tile>(p, tile); });
}

namespace {

template <class Tile, class T, class TC>
int32_t run_tiles(Stream stream, const GemmGroup<T, TC>& group) {
  constexpr size_t kBytes = sizeof(ComputeType<T>) * Tile::kDepth * (Tile::kRows + 1 + Tile::kColumns + 1);
  static_assert(kBytes >= sizeof(double) * Tile::kRows * kSumLanes, "the sums of A take the place of the tiles");
  return launch_tiles<gemm_kernel<Tile, T, TC>>(stream, "gemm", Tile::kRows, Tile::kColumns, Tile::kThreads, kBytes,
                                                group);
}

GemmShape shape_of(const GemmArgs& args) {
  GemmShape shape;
  shape.dtype = args.dtype, shape.dtype_c = args.dtype_c;
  shape.m = args.m, shape.n = args.n, shape.k = args.k;
  shape.longest_line = args.lda > args.ldb ? args.lda : args.ldb;
  if (args.ldc > shape.longest_line) shape.longest_line = args.ldc;
  shape.rows_are_tokens = !args.transpose_a;
  shape.rows_on_device = args.rows != nullptr;
  shape.b_by_index = args.b_rows != nullptr;
  shape.accumulate = args.accumulate;
  shape.biases = (args.bias != nullptr) + (args.bias2 != nullptr);
  shape.workspace_bytes = args.workspace == nullptr ? 0 : args.workspace_bytes;
  return shape;
}

GemmPolicy policy_of(Stream stream, const GemmArgs& args) {
  const GemmContext context{stream.state->batch_invariant != 0, stream.state->math == VARLSTM_MATH_TF32,
                            stream.state->facts.capability >= 80, *blas_problem(stream.state->blas) == 0,
                            runs_wgmma(stream.state->facts.capability)};
  return gemm_policy(shape_of(args), context);
}

bool is_empty(const GemmArgs& args) {
  return args.m == 0 || args.n == 0;
}

// The sums of A of a product whose kernel does not add them up.
int32_t add_sums(Stream stream, const GemmArgs& args) {
  if (args.sums == nullptr) return VARLSTM_OK;
  return add_column_sums(stream, args.dtype, args.dtype_c, args.k, args.m, args.a, args.lda, args.rows, args.sums,
                         nullptr);
}

// Whether a kernel that runs one of the products runs the other one, too.
bool have_one_kernel(const GemmArgs& args, GemmPolicy policy, const GemmArgs& other, GemmPolicy other_policy) {
  const auto is_plain = [](GemmPolicy one) { return one == GemmPolicy::kWide || one == GemmPolicy::kFlat; };
  if (policy == GemmPolicy::kCublas || args.dtype != other.dtype || args.dtype_c != other.dtype_c) return false;
  if (is_plain(policy)) return is_plain(other_policy);
  return policy == other_policy && args.transpose_a == other.transpose_a && args.transpose_b == other.transpose_b;
}

// The largest tile that can run them all.
TensorTile largest_tile(const GemmArgs* products, int count, bool wgmma) {
  if (!wgmma) return TensorTile::k128x128;
  for (int k = 0; k < count; ++k)
    if (!takes_pairs(products[k])) return TensorTile::k128x256;
  return TensorTile::k256x256;
}

// Runs products that have one kernel. policy: of the product with the largest tiles.
int32_t run_group(Stream stream, const GemmArgs* products, int count, GemmOrder order, GemmPolicy policy) {
  if (policy == GemmPolicy::kTensor || policy == GemmPolicy::kWgmma) {
    const bool wgmma = policy == GemmPolicy::kWgmma;
    const TensorTile tile = select_tensor_tile(products[0].m, products[0].n, stream.state->multiprocessors,
                                               largest_tile(products, count, wgmma));
    if (!wgmma) return tensor_gemm(stream, products, count, order, tile);
    VARLSTM_CUDA_TRY(wgmma_gemm(stream, products, count, order, tile));
    for (int k = 0; k < count; ++k) VARLSTM_CUDA_TRY(add_sums(stream, products[k]));
    return VARLSTM_OK;
  }
  return with_product_types(products[0].dtype, products[0].dtype_c, [&](auto scalar, auto scalar_c) {
    const auto group = make_group<decltype(scalar), decltype(scalar_c)>(products, count, order);
    return policy == GemmPolicy::kWide ? run_tiles<WideTile>(stream, group) : run_tiles<FlatTile>(stream, group);
  });
}

}  // namespace

bool takes_rows_by_index(Stream stream, const GemmArgs& args) {
  const GemmPolicy policy = policy_of(stream, args);
  return policy != GemmPolicy::kCublas && policy != GemmPolicy::kWgmma;
}

int32_t gemm(Stream stream, const GemmArgs& args) {
  if (is_empty(args)) return VARLSTM_OK;
  GemmPolicy forced;
  const char* const problem = blas_problem(stream.state->blas);
  if (forced_gemm(&forced) && forced == GemmPolicy::kCublas && *problem != 0)
    return fail(VARLSTM_ERROR_UNSUPPORTED, "VARLSTM_GEMM_POLICY = cublas, but there is no cuBLAS: %s", problem);
  const GemmPolicy policy = policy_of(stream, args);
  if (policy != GemmPolicy::kCublas) return run_group(stream, &args, 1, GemmOrder::kIndependent, policy);
  VARLSTM_CUDA_TRY(blas_gemm(stream, args));
  return add_sums(stream, args);
}

int32_t gemm_group(Stream stream, const GemmArgs* products, int count, GemmOrder order) {
  bool together = count > 1 && count <= kMostProducts && !is_empty(products[0]);
  const GemmPolicy first = together ? policy_of(stream, products[0]) : GemmPolicy::kCublas;
  GemmPolicy policy = first;
  for (int k = 1; k < count && together; ++k) {
    const GemmPolicy own = policy_of(stream, products[k]);
    together = !is_empty(products[k]) && have_one_kernel(products[0], first, products[k], own);
    if (own == GemmPolicy::kWide) policy = own;
  }
  if (together) return run_group(stream, products, count, order, policy);
  for (int k = 0; k < count; ++k) VARLSTM_CUDA_TRY(gemm(stream, products[k]));
  return VARLSTM_OK;
}

}  // namespace varlstm::cuda
