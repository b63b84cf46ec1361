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
// kRows / kThreadRows, ... of the tile.
//   S1: after it the tiles of this depth are in shared memory. S2: after it no thread reads them any more.
// Mirrored by host/gemm/gemm.h and host/gemm/row_product.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/gemm.h"

#include "kernels/gemm/blas_gemm.h"
#include "kernels/gemm/blas_library.h"
#include "kernels/gemm/gemm_operands.h"
#include "kernels/gemm/tensor_gemm.h"
#include "kernels/gemm/wgmma_gemm.h"
#include "kernels/selection/gemm_selection.h"
#include "varlstm.h"

namespace varlstm::cuda {

// shared[kk][line] <- element (line, kk) of a matrix whose lines are rows of op(A) or columns of op(B), with zeros
// outside lines x k. `along_k`: k is the contiguous dimension of the matrix.
template <int Lines, int Depth, int Threads, class C, class T>
VARLSTM_DEVICE void load_tile(const T* matrix, int64_t ld, bool along_k, int64_t line0, int64_t lines, int64_t k0,
                              int64_t k, C* shared) {
  for (int at = static_cast<int>(threadIdx.x); at < Lines * Depth; at += Threads) {
    const int kk = along_k ? at % Depth : at / Lines;
    const int line = along_k ? at / Depth : at % Lines;
    C value = 0;
    if (line0 + line < lines && k0 + kk < k) {
      const int64_t row = along_k ? line0 + line : k0 + kk;
      const int64_t column = along_k ? k0 + kk : line0 + line;
      value = load_scalar(matrix[row * ld + column]);
    }
    shared[kk * (Lines + 1) + line] = value;
  }
}

template <class Tile, class T, class TC>
VARLSTM_KERNEL void __launch_bounds__(Tile::kThreads) gemm_kernel(GemmOperands<T, TC> p) {
  using C = ComputeType<T>;
  constexpr int kRowStep = Tile::kRows / Tile::kThreadRows, kColumnStep = Tile::kColumns / Tile::kThreadColumns;
  const TileExtent extent = tile_extent(p, Tile::kRows, Tile::kColumns);
  const int64_t row0 = extent.row0, column0 = extent.column0, m = extent.m, k = extent.k;
  if (row0 >= m) return;  // the whole block

  C* a_tile = simt::shared_memory<C>();
  C* b_tile = a_tile + Tile::kDepth * (Tile::kRows + 1);
  const int thread_row = static_cast<int>(threadIdx.x) / kColumnStep;
  const int thread_column = static_cast<int>(threadIdx.x) % kColumnStep;
  C sums[Tile::kThreadRows][Tile::kThreadColumns] = {};

  for (int64_t k0 = 0; k0 < k; k0 += Tile::kDepth) {
    load_tile<Tile::kRows, Tile::kDepth, Tile::kThreads>(p.a, p.lda, !p.transpose_a, row0, m, k0, k, a_tile);
    load_tile<Tile::kColumns, Tile::kDepth, Tile::kThreads>(p.b, p.ldb, p.transpose_b, column0, p.n, k0, k, b_tile);
    simt::block_sync();  // S1
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
}

namespace {

template <class Tile, class T, class TC>
int32_t run_tiles(Stream stream, const GemmArgs& args) {
  return launch_tiles<gemm_kernel<Tile, T, TC>>(
      stream, "gemm", Tile::kRows, Tile::kColumns, Tile::kThreads,
      sizeof(ComputeType<T>) * Tile::kDepth * (Tile::kRows + 1 + Tile::kColumns + 1), make_operands<T, TC>(args));
}

GemmShape shape_of(const GemmArgs& args) {
  GemmShape shape;
  shape.dtype = args.dtype, shape.dtype_c = args.dtype_c;
  shape.m = args.m, shape.n = args.n, shape.k = args.k;
  shape.longest_line = args.lda > args.ldb ? args.lda : args.ldb;
  if (args.ldc > shape.longest_line) shape.longest_line = args.ldc;
  shape.rows_are_tokens = !args.transpose_a;
  shape.rows_on_device = args.rows != nullptr;
  shape.accumulate = args.accumulate;
  shape.biases = (args.bias != nullptr) + (args.bias2 != nullptr);
  shape.workspace_bytes = args.workspace == nullptr ? 0 : args.workspace_bytes;
  return shape;
}

}  // namespace

int32_t gemm(Stream stream, const GemmArgs& args) {
  if (args.m == 0 || args.n == 0) return VARLSTM_OK;
  const char* const problem = blas_problem(stream.state->blas);
  const GemmContext context{stream.state->batch_invariant != 0, stream.state->math == VARLSTM_MATH_TF32,
                            stream.state->facts.capability >= 80, *problem == 0, stream.state->facts.capability == 90};
  GemmPolicy forced;
  if (forced_gemm(&forced) && forced == GemmPolicy::kCublas && !context.cublas)
    return fail(VARLSTM_ERROR_UNSUPPORTED, "VARLSTM_GEMM_POLICY = cublas, but there is no cuBLAS: %s", problem);
  const GemmPolicy policy = gemm_policy(shape_of(args), context);
  if (policy == GemmPolicy::kCublas) return blas_gemm(stream, args);
  if (policy == GemmPolicy::kTensor || policy == GemmPolicy::kWgmma) {
    const bool wgmma = policy == GemmPolicy::kWgmma;
    const TensorTile largest = wgmma ? TensorTile::k128x256 : TensorTile::k128x128;
    const TensorTile tile = select_tensor_tile(args.m, args.n, stream.state->multiprocessors, largest);
    return wgmma ? wgmma_gemm(stream, args, tile) : tensor_gemm(stream, args, tile);
  }
  return with_product_types(args.dtype, args.dtype_c, [&](auto scalar, auto scalar_c) {
    using T = decltype(scalar);
    using TC = decltype(scalar_c);
    return policy == GemmPolicy::kWide ? run_tiles<WideTile, T, TC>(stream, args)
                                       : run_tiles<FlatTile, T, TC>(stream, args);
  });
}

}  // namespace varlstm::cuda
