// The operands of a product in the form of our tiles, and the code that the tiles share. For kernel files only.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
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
          args.rows};
}

// The first row and column of a block's tile, and how many rows and how much of k count.
struct TileExtent {
  int64_t row0, column0, m, k;
};

template <class T, class TC>
VARLSTM_DEVICE TileExtent tile_extent(const GemmOperands<T, TC>& p, int rows, int columns) {
  const int64_t tiles_across = (p.n + columns - 1) / columns, tile = static_cast<int64_t>(blockIdx.x);
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

// Launches kKernel(p, more...) with one block for each tile of C.
template <auto kKernel, class T, class TC, class... More>
int32_t launch_tiles(Stream stream, const char* name, int rows, int columns, int threads, size_t shared_bytes,
                     const GemmOperands<T, TC>& p, const More&... more) {
  const int64_t tiles = ((p.m + rows - 1) / rows) * ((p.n + columns - 1) / columns);
  if (tiles > INT32_MAX)
    return fail(VARLSTM_ERROR_UNSUPPORTED, "a product of %lld x %lld is too large for one launch",
                static_cast<long long>(p.m), static_cast<long long>(p.n));
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(tiles));
  shape.block = dim3(static_cast<unsigned>(threads));
  shape.shared_bytes = shared_bytes;
  return launch<kKernel>(stream, name, shape, p, more...);
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
