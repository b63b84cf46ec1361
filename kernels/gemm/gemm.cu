// C [m, n] = op(A) [m, k] * op(B) [k, n] (+ bias + bias2) (+ C), tile by tile through shared memory; and the choice
// between these tiles and what else runs a product.
//
// Operands F32, F64, BF16 or F16; the chain of sum = fma(a, b, sum) over k = 0, 1, ... runs in f32 (f64 for F64); C is
// stored once, rounded to its own dtype: ((sum + bias) + bias2) + C. Elements beyond an edge are zeros in the tile,
// which change no bit of a chain but the sign of a zero. C does not overlap A or B. Bytes from memory: about (m k (n /
// columns) + k n (m / rows)) e; 2 m n k operations: bound by arithmetic once the tile is full (a wide tile does 32
// fused multiply-adds for each element it loads). Block: one tile of C, in a grid of all tiles; shared memory: A as
// [depth][rows + 1], B as [depth][columns + 1] (the odd pitch keeps a transposing store off one bank). Each thread owns
// kThreadRows x kThreadColumns sums, kept in registers, at rows r, r + kRows / kThreadRows, ... of the tile.
//   S1: after it the tiles of this depth lie in shared memory. S2: after it nobody reads them any more.
// Mirrored by host/gemm.h and host/row_product.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/gemm/gemm.h"

#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "kernels/gemm/blas_gemm.h"
#include "kernels/gemm/blas_library.h"
#include "kernels/gemm/gemm_tuning.h"
#include "varlstm.h"

namespace varlstm::cuda {

template <class T, class TC>
struct GemmOperands {
  int64_t m, n, k;
  const T* a;
  int64_t lda;
  bool transpose_a;
  const T* b;
  int64_t ldb;
  bool transpose_b;
  TC* c;
  int64_t ldc;
  bool accumulate;
  const T* bias;
  const T* bias2;
  const int64_t* rows;
};

// shared[kk][line] <- element (line, kk) of a matrix whose lines are rows of op(A) or columns of op(B); `along_k`: k is
// the dimension that lies contiguously. Zeros outside lines x k.
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
  const int64_t tiles_across = (p.n + Tile::kColumns - 1) / Tile::kColumns;
  const int64_t row0 = static_cast<int64_t>(blockIdx.x) / tiles_across * Tile::kRows;
  const int64_t column0 = static_cast<int64_t>(blockIdx.x) % tiles_across * Tile::kColumns;
  int64_t m = p.m, k = p.k;
  if (p.rows != nullptr) {
    int64_t& limited = p.transpose_a ? k : m;
    if (*p.rows < limited) limited = *p.rows;
  }
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
      if (row >= m || column >= p.n) continue;
      C value = sums[i][j] + C(0);  // a sum of -0 becomes 0 in a padded tile: so in every tile
      if (p.bias != nullptr) value += load_scalar(p.bias[column]);
      if (p.bias2 != nullptr) value += load_scalar(p.bias2[column]);
      TC* target = p.c + row * p.ldc + column;
      if (p.accumulate) value += static_cast<C>(load_scalar(*target));
      *target = store_scalar<TC>(value);
    }
  }
}

namespace {

template <class Tile, class T, class TC>
int32_t launch_gemm(Stream stream, const GemmOperands<T, TC>& p) {
  const int64_t tiles = ((p.m + Tile::kRows - 1) / Tile::kRows) * ((p.n + Tile::kColumns - 1) / Tile::kColumns);
  if (tiles > INT32_MAX)
    return fail(VARLSTM_ERROR_UNSUPPORTED, "a product of %lld x %lld is too large for one launch",
                static_cast<long long>(p.m), static_cast<long long>(p.n));
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(tiles));
  shape.block = dim3(Tile::kThreads);
  shape.shared_bytes = sizeof(ComputeType<T>) * Tile::kDepth * (Tile::kRows + 1 + Tile::kColumns + 1);
  return launch(stream, "gemm", shape, gemm_kernel<Tile, T, TC>, p);
}

template <class T, class TC>
int32_t run(Stream stream, const GemmArgs& args, GemmPolicy policy) {
  const GemmOperands<T, TC> p{args.m,
                              args.n,
                              args.k,
                              static_cast<const T*>(args.a),
                              args.lda,
                              args.transpose_a,
                              static_cast<const T*>(args.b),
                              args.ldb,
                              args.transpose_b,
                              static_cast<TC*>(args.c),
                              args.ldc,
                              args.accumulate,
                              static_cast<const T*>(args.bias),
                              static_cast<const T*>(args.bias2),
                              args.rows};
  return policy == GemmPolicy::kWide ? launch_gemm<WideTile>(stream, p) : launch_gemm<FlatTile>(stream, p);
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
  const GemmContext context{stream.state->batch_invariant != 0, *problem == 0};
  GemmPolicy forced;
  if (forced_gemm(&forced) && forced == GemmPolicy::kCublas && !context.cublas)
    return fail(VARLSTM_ERROR_UNSUPPORTED, "VARLSTM_GEMM_POLICY = cublas, but there is no cuBLAS: %s", problem);
  const GemmPolicy policy = gemm_policy(shape_of(args), context);
  if (policy == GemmPolicy::kCublas) return blas_gemm(stream, args);
  return with_scalar(args.dtype, [&](auto scalar) {
    using T = decltype(scalar);
    if (args.dtype_c == args.dtype) return run<T, T>(stream, args, policy);
    if constexpr (sizeof(T) == 2) {
      if (args.dtype_c == DType::kF32) return run<T, float>(stream, args, policy);
    }
    return fail(VARLSTM_ERROR_INTERNAL, "gemm has no kernel from dtype %d to %d", static_cast<int>(args.dtype),
                static_cast<int>(args.dtype_c));
  });
}

}  // namespace varlstm::cuda
