// Linear layer and cross-entropy in one, one chunk of rows at a time, so that the logits [rows, C] never exist at once
// (Wijmans et al. 2024, "Cut Your Losses in Large-Vocabulary Language Models"; the chunks are those of Liger Kernel).
//
// For each chunk: select its kept rows, gather their x, compute logits <- x weight^T + bias, then the loss of those
// rows. Backward computes the same logits again, then dlogits in their place, and from these dweight, dbias and dx.
// Only the device knows the number of kept rows: launches are sized for the whole chunk, and blocks past *count end at
// once. Logits are F32 (F64 for F64), and dlogits are in the dtype. For 16 bits dweight and dbias are F32 in the
// workspace from the first chunk to the last, and are rounded once. Chunks run in stream order, so sums over rows have
// a fixed order. The results of a row depend only on that row, because the elements of the products are chains over k
// (gemm/gemm.h).
// Bytes from memory: the weight, C in e, once for each chunk forward and twice backward, and the logits of a chunk if
// the caches do not hold them. Bound by the arithmetic of the products.
// Launches: 5 for each chunk and at most 2 more forward; up to 7 for each chunk and 6 more backward. Mirrored by
// host/ops/linear_cross_entropy.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/linear_cross_entropy/linear_cross_entropy.h"

#include <algorithm>

#include "kernels/convert/convert.h"
#include "kernels/core/carve.h"
#include "kernels/core/status.h"
#include "kernels/gemm/column_sum.h"
#include "kernels/gemm/gemm.h"
#include "kernels/linear_cross_entropy/chunk.h"
#include "kernels/masked_loss/masked_loss.h"
#include "kernels/selection/linear_cross_entropy_selection.h"
#include "varlstm.h"

namespace varlstm::cuda {
namespace {

bool is_16_bit(DType dtype) {
  return dtype == DType::kBF16 || dtype == DType::kF16;
}

// The dtype of the logits, and of the parameters' gradients while they are summed.
DType wide(DType dtype) {
  return is_16_bit(dtype) ? DType::kF32 : dtype;
}

int64_t bytes_of(DType dtype) {
  return is_16_bit(dtype) ? 2 : dtype == DType::kF32 ? 4 : 8;
}

struct Workspace {
  ChunkScratch scratch;
  int64_t chunk;  // rows
  int64_t bytes;

  Workspace(DType dtype, int64_t rows, int64_t in, int64_t classes, bool backward, void* base) {
    chunk = std::min(rows, chunk_rows_of(in, classes));
    Carver carver(base);
    scratch.totals = carver.take<double>(2);
    scratch.sum = carver.take<double>(1);
    scratch.count = carver.take<int64_t>(1);
    scratch.partial = carver.take<double>(kMostLossPartials);
    scratch.terms = carver.take<double>(chunk);
    scratch.kept = carver.take<int64_t>(chunk);
    scratch.places = carver.take<int64_t>(chunk);
    scratch.x = carver.take<char>(chunk * in * bytes_of(dtype));
    scratch.logits = carver.take<char>(chunk * classes * bytes_of(wide(dtype)));
    const bool narrow_gradients = backward && is_16_bit(dtype);
    scratch.dlogits = narrow_gradients ? carver.take<char>(chunk * classes * bytes_of(dtype)) : scratch.logits;
    scratch.dweight_sum = narrow_gradients ? carver.take<float>(classes * in) : nullptr;
    scratch.dbias_sum = narrow_gradients ? carver.take<float>(classes) : nullptr;
    bytes = carver.bytes();
  }
};

// Runs one call: the products, and between them the kernels of a chunk.
class ChunkedLoss {
 public:
  ChunkedLoss(Stream stream, const LinearLossArgs& args, bool backward)
      : stream_(stream),
        args_(args),
        loss_(args.loss),
        workspace_(loss_.dtype, loss_.rows, args.in, loss_.classes, backward, loss_.workspace) {}

  int32_t forward(void* out, void* weight_sum, void* lse) {
    VARLSTM_CUDA_TRY(weigh_rows(stream_, loss_, scratch_));
    RowChunk chunk{0, workspace_.chunk};
    do {  // a call without rows has one chunk without rows, which stores its mean
      chunk.rows = std::min(workspace_.chunk, loss_.rows - chunk.begin);
      VARLSTM_CUDA_TRY(select_rows(stream_, loss_, scratch_, chunk, false, out, lse));
      VARLSTM_CUDA_TRY(make_logits(chunk));
      VARLSTM_CUDA_TRY(chunk_forward(stream_, loss_, scratch_, chunk, out, weight_sum, lse));
      chunk.begin += chunk.rows;
    } while (chunk.begin < loss_.rows);
    return VARLSTM_OK;
  }

  int32_t backward(const void* lse, const void* dout, void* dx, void* dweight, void* dbias) {
    if (dx == nullptr && dweight == nullptr && dbias == nullptr) return VARLSTM_OK;
    VARLSTM_CUDA_TRY(weigh_rows(stream_, loss_, scratch_));
    void *dweight_sum = dweight, *dbias_sum = dbias;
    if (is_16_bit(loss_.dtype)) {
      dweight_sum = dweight == nullptr ? nullptr : scratch_.dweight_sum;
      dbias_sum = dbias == nullptr ? nullptr : scratch_.dbias_sum;
    }
    VARLSTM_CUDA_TRY(convert_sums(loss_.dtype, dweight, dbias, wide(loss_.dtype), dweight_sum, dbias_sum));
    RowChunk chunk{0, 0};
    for (; chunk.begin < loss_.rows; chunk.begin += chunk.rows) {
      chunk.rows = std::min(workspace_.chunk, loss_.rows - chunk.begin);
      VARLSTM_CUDA_TRY(select_rows(stream_, loss_, scratch_, chunk, true, nullptr, nullptr));
      VARLSTM_CUDA_TRY(make_logits(chunk));
      VARLSTM_CUDA_TRY(chunk_gradient(stream_, loss_, scratch_, chunk, lse, dout));
      if (dweight != nullptr) VARLSTM_CUDA_TRY(add_weight_gradient(chunk, dweight_sum, dbias_sum));
      if (dweight == nullptr && dbias != nullptr) VARLSTM_CUDA_TRY(add_bias_gradient(chunk, dbias_sum));
      if (dx != nullptr) VARLSTM_CUDA_TRY(input_gradient(chunk, dx));
    }
    return convert_sums(wide(loss_.dtype), dweight_sum, dbias_sum, loss_.dtype, dweight, dbias);
  }

 private:
  // For the kept rows: gathers x, and logits <- x weight^T + bias.
  int32_t make_logits(RowChunk chunk) {
    VARLSTM_CUDA_TRY(move_rows(stream_, loss_.dtype, chunk.rows, scratch_.count, scratch_.kept, args_.in,
                               row_of(args_.x, chunk.begin), scratch_.x));
    GemmArgs product{};
    product.dtype = loss_.dtype, product.dtype_c = wide(loss_.dtype);
    product.m = chunk.rows, product.n = loss_.classes, product.k = args_.in;
    product.a = scratch_.x, product.lda = args_.in;
    product.b = args_.weight, product.ldb = args_.in, product.transpose_b = true;
    product.c = scratch_.logits, product.ldc = loss_.classes;
    product.bias = args_.bias;
    product.rows = scratch_.count;
    return gemm(stream_, product);
  }

  // dweight [classes, in] += dlogits^T x; dbias [classes] += the column sums of dlogits, unless it is null.
  int32_t add_weight_gradient(RowChunk chunk, void* dweight, void* dbias) {
    GemmArgs product{};
    product.dtype = loss_.dtype, product.dtype_c = wide(loss_.dtype);
    product.m = loss_.classes, product.n = args_.in, product.k = chunk.rows;
    product.a = scratch_.dlogits, product.lda = loss_.classes, product.transpose_a = true;
    product.b = scratch_.x, product.ldb = args_.in;
    product.c = dweight, product.ldc = args_.in;
    product.sums = dbias;
    product.accumulate = true;
    product.rows = scratch_.count;
    return gemm(stream_, product);
  }

  int32_t add_bias_gradient(RowChunk chunk, void* dbias) {
    return add_column_sums(stream_, loss_.dtype, wide(loss_.dtype), chunk.rows, loss_.classes, scratch_.dlogits,
                           loss_.classes, scratch_.count, dbias, nullptr);
  }

  // dx rows <- dlogits weight for the kept rows, first computed in the place of their x; zeros for the others.
  int32_t input_gradient(RowChunk chunk, void* dx) {
    GemmArgs product{};
    product.dtype = product.dtype_c = loss_.dtype;
    product.m = chunk.rows, product.n = args_.in, product.k = loss_.classes;
    product.a = scratch_.dlogits, product.lda = loss_.classes;
    product.b = args_.weight, product.ldb = args_.in;
    product.c = scratch_.x, product.ldc = args_.in;
    product.rows = scratch_.count;
    VARLSTM_CUDA_TRY(gemm(stream_, product));
    return move_rows(stream_, loss_.dtype, chunk.rows, nullptr, scratch_.places, args_.in, scratch_.x,
                     const_cast<void*>(row_of(dx, chunk.begin)));
  }

  // Converts the parameters' gradients from one dtype to another. Does nothing if the dtypes are equal (then the memory
  // is the same), or for a gradient that is not requested.
  int32_t convert_sums(DType from, const void* weight_from, const void* bias_from, DType to, void* weight_to,
                       void* bias_to) {
    if (from == to) return VARLSTM_OK;
    if (weight_to != nullptr)
      VARLSTM_CUDA_TRY(convert(stream_, from, to, loss_.classes * args_.in, weight_from, weight_to));
    return bias_to == nullptr ? VARLSTM_OK : convert(stream_, from, to, loss_.classes, bias_from, bias_to);
  }

  const void* row_of(const void* matrix, int64_t row) const {
    return static_cast<const char*>(matrix) + row * args_.in * bytes_of(loss_.dtype);
  }

  Stream stream_;
  const LinearLossArgs& args_;
  const LossArgs& loss_;
  const Workspace workspace_;
  const ChunkScratch& scratch_ = workspace_.scratch;
};

}  // namespace

int32_t linear_cross_entropy_workspace(DType dtype, int64_t rows, int64_t in, int64_t classes, bool backward,
                                       int64_t* bytes) {
  constexpr int64_t kMostElements = INT64_MAX / 64;  // of each array: then their sum in bytes fits
  const int64_t widest = std::max(in, classes);
  if (std::min(rows, chunk_rows_of(in, classes)) > kMostElements / widest || classes > kMostElements / in)
    return fail(VARLSTM_ERROR_INVALID_ARGUMENT, "the workspace's bytes do not fit 63 bits");
  *bytes = Workspace(dtype, rows, in, classes, backward, nullptr).bytes;
  return VARLSTM_OK;
}

int32_t linear_cross_entropy_forward(Stream stream, const LinearLossArgs& args, void* out, void* weight_sum,
                                     void* lse) {
  return ChunkedLoss(stream, args, false).forward(out, weight_sum, lse);
}

int32_t linear_cross_entropy_backward(Stream stream, const LinearLossArgs& args, const void* lse, const void* dout,
                                      void* dx, void* dweight, void* dbias) {
  return ChunkedLoss(stream, args, true).backward(lse, dout, dx, dweight, dbias);
}

}  // namespace varlstm::cuda
