// The operands of a product in the form of our tiles, and the code that the tiles share. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "kernels/gemm/column_sum.h"
#include "kernels/gemm/gemm.h"
#include "varlstm.h"

namespace varlstm::cuda {

// TC is void in a kernel that learns the dtype of C when it runs.
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
  const int64_t* b_rows;
  const T* b_initial;
  int64_t b_initials;
  TC* sums;
};

template <class T, class TC>
GemmOperands<T, TC> make_operands(const GemmArgs& args) {
  return {args.m,
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
          args.rows,
          args.b_rows,
          static_cast<const T*>(args.b_initial),
          args.b_initials,
          static_cast<TC*>(args.sums)};
}

// The products of one launch. In a chain all have the same C, and a block computes its tile of one after the other;
// otherwise the tiles of the first product come first.
template <class T, class TC>
struct GemmGroup {
  int count;
  bool is_chain;
  GemmOperands<T, TC> of[kMostProducts];
};

template <class T, class TC>
VARLSTM_HOST_DEVICE int64_t count_tiles(const GemmOperands<T, TC>& p, int rows, int columns) {
  return ((p.m + rows - 1) / rows) * ((p.n + columns - 1) / columns);
}

// Calls run(product, tile) for the products of a tile of the group, in order.
template <class T, class TC, class Run>
VARLSTM_DEVICE void run_products(const GemmGroup<T, TC>& group, int rows, int columns, int64_t tile, const Run& run) {
  int at = 0;
  if (!group.is_chain)
    for (int64_t tiles; tile >= (tiles = count_tiles(group.of[at], rows, columns)); ++at) tile -= tiles;
#pragma unroll 1
  do {
    run(group.of[at], tile);
  } while (group.is_chain && ++at < group.count);
}

// The same for a kernel that runs one product in a launch.
template <class T, class TC, class Run>
VARLSTM_DEVICE void run_products(const GemmOperands<T, TC>& product, int, int, int64_t tile, const Run& run) {
  run(product, tile);
}

// The first row and column of a block's tile, and how many rows and how much of k count.
struct TileExtent {
  int64_t row0, column0, m, k;
};

template <class T, class TC>
VARLSTM_DEVICE TileExtent tile_extent(const GemmOperands<T, TC>& p, int rows, int columns, int64_t tile) {
  const int64_t tiles_across = (p.n + columns - 1) / columns;
  TileExtent extent{tile / tiles_across * rows, tile % tiles_across * columns, p.m, p.k};
  if (p.rows == nullptr) return extent;
  if (p.transpose_a) {
    if (*p.rows < extent.k) extent.k = *p.rows;
  } else if (*p.rows < extent.m) {
    extent.m = *p.rows;
  }
  return extent;
}

// An element of C <- ((sum + bias) + bias2) + C.
template <class C, class T, class TC>
VARLSTM_DEVICE void store_sum(const GemmOperands<T, TC>& p, int64_t row, int64_t column, C sum) {
  C value = sum + C(0);  // a padded tile turns a sum of -0 into 0, so every tile does
  if (p.bias != nullptr) value += load_scalar(p.bias[column]);
  if (p.bias2 != nullptr) value += load_scalar(p.bias2[column]);
  TC* target = p.c + row * p.ldc + column;
  if (p.accumulate) value += static_cast<C>(load_scalar(*target));
  *target = store_scalar<TC>(value);
}

// Row k of B, which is not transposed; null: zeros.
template <class T, class TC>
VARLSTM_DEVICE const T* row_of_b(const GemmOperands<T, TC>& p, int64_t k) {
  if (p.b_rows == nullptr) return p.b + k * p.ldb;
  const int64_t row = p.b_rows[k];
  if (row >= 0) return row < p.k ? p.b + row * p.ldb : nullptr;
  const int64_t initial = kInitialRow - row;
  return initial >= 0 && initial < p.b_initials ? p.b_initial + initial * p.n : nullptr;
}

// The sums over k of the lines of a tile of op(A), in the order of column_sum.cu: lane l takes k = l, l + kSumLanes,
// ... in double, and then the lanes are added in order. Each thread has kOwn pairs of a line and a lane.
template <int kLines, int kThreads>
struct LineSums {
  static constexpr int kOwn = kLines * kSumLanes / kThreads;
  static_assert(kOwn * kThreads == kLines * kSumLanes, "every thread has the same number");
  double own[kOwn] = {};

  VARLSTM_DEVICE static int pair(int i) { return static_cast<int>(threadIdx.x) + i * kThreads; }

  // The next kDepth values of k. element(line, kk): of the tile, zero beyond k.
  template <int kDepth, class Element>
  VARLSTM_DEVICE void add(const Element& element) {
    static_assert(kDepth % kSumLanes == 0, "a lane takes the same k of every tile");
#pragma unroll
    for (int i = 0; i < kOwn; ++i)
      for (int kk = pair(i) / kLines; kk < kDepth; kk += kSumLanes)
        own[i] += static_cast<double>(element(pair(i) % kLines, kk));
  }

  // p.sums += the sums of the lines from row0 on. shared: [kLines * kSumLanes], which no thread uses any more.
  //   S1: after it every sum is in shared memory. S2: after it no thread reads them any more.
  template <class T, class TC>
  VARLSTM_DEVICE void store(const GemmOperands<T, TC>& p, int64_t row0, double* shared) {
#pragma unroll
    for (int i = 0; i < kOwn; ++i) shared[pair(i)] = own[i];
    simt::block_sync();  // S1
    for (int line = static_cast<int>(threadIdx.x); line < kLines && row0 + line < p.m; line += kThreads) {
      double sum = shared[line];
      for (int lane = 1; lane < kSumLanes; ++lane) sum += shared[lane * kLines + line];
      TC* const target = p.sums + row0 + line;
      *target = store_scalar<TC>(static_cast<ComputeType<TC>>(static_cast<double>(load_scalar(*target)) + sum));
    }
    simt::block_sync();  // S2
  }
};

// The products in the form of a kernel.
template <class T, class TC>
GemmGroup<T, TC> make_group(const GemmArgs* products, int count, GemmOrder order) {
  GemmGroup<T, TC> group{};
  group.count = count;
  group.is_chain = order == GemmOrder::kChain;
  for (int k = 0; k < count; ++k) group.of[k] = make_operands<T, TC>(products[k]);
  return group;
}

// The blocks of a group: one for each tile of each C, or in a chain for each tile of the one C.
template <class T, class TC>
int64_t count_tiles(const GemmGroup<T, TC>& group, int rows, int columns) {
  int64_t tiles = 0;
  for (int k = 0; k < (group.is_chain ? 1 : group.count); ++k) tiles += count_tiles(group.of[k], rows, columns);
  return tiles;
}

inline int32_t check_blocks(int64_t blocks, int rows, int columns) {
  if (blocks <= INT32_MAX) return VARLSTM_OK;
  return fail(VARLSTM_ERROR_UNSUPPORTED, "a product of %lld blocks for tiles of %d x %d is too large for one launch",
              static_cast<long long>(blocks), rows, columns);
}

// Launches kKernel(products, more...), where `products` is one product or a group.
template <auto kKernel, class Products, class... More>
int32_t launch_tiles(Stream stream, const char* name, int rows, int columns, int threads, size_t shared_bytes,
                     const Products& products, const More&... more) {
  const int64_t tiles = count_tiles(products, rows, columns);
  VARLSTM_CUDA_TRY(check_blocks(tiles, rows, columns));
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(tiles));
  shape.block = dim3(static_cast<unsigned>(threads));
  shape.shared_bytes = shared_bytes;
  return launch<kKernel>(stream, name, shape, products, more...);
}

// Calls body(T(), TC()) with the types of A and B, and of C. body returns a status.
template <class Body>
int32_t with_product_types(DType dtype, DType dtype_c, const Body& body) {
  return with_scalar(dtype, [&](auto scalar) {
    using T = decltype(scalar);
    if (dtype_c == dtype) return body(T(), T());
    if constexpr (sizeof(T) == 2) {
      if (dtype_c == DType::kF32) return body(T(), float());
    }
    return fail(VARLSTM_ERROR_INTERNAL, "gemm has no kernel from dtype %d to %d", static_cast<int>(dtype),
                static_cast<int>(dtype_c));
  });
}

}  // namespace varlstm::cuda
