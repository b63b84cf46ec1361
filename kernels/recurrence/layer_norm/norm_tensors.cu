// Layer normalisation of whole tensors, beside the steps of a recurrence.
//
//   normalise_rows      values [count, columns] <- (values - mean) * rstd of each row, and rstd
//   add_gain_gradients  dgain[k] += sum over the rows of gradients[row, k] * hat[row, k];  dbias[k] += of gradients
//
// normalise_rows: a block of kNormThreads threads for each row, in a loop if there are very many; its shared memory is
// a value for each warp, and its barriers are those of norm_row.h. Bytes: 5 C of each element. add_gain_gradients:
// grid, block, order and shared memory are those of gemm/column_sum.cu, with two sums: a block owns kColumns columns,
// its kLanes rows of threads add rows lane, lane + kLanes, ... in double, and thread row 0 adds the sums of the lanes
// in order and rounds once. The order depends on the number of rows alone. Bytes: 2 C of each element.
//   S1: after it every lane's sums are in shared memory.
// Mirrored by host/rnn/layer_norm.h and host/rnn/layer_norm_gradients.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/core/launch.h"
#include "kernels/recurrence/layer_norm/layer_norm.h"
#include "kernels/recurrence/layer_norm/norm_row.h"
#include "varlstm.h"

namespace varlstm::cuda {

constexpr unsigned kColumns = 32, kLanes = 8;

VARLSTM_DEVICE int64_t rows_that_count(int64_t count, const int64_t* counted) {
  return counted == nullptr || *counted > count ? count : *counted;
}

template <class C>
VARLSTM_KERNEL void __launch_bounds__(kNormThreads) normalise_rows_kernel(NormalisedRows<C> rows) {
  const int64_t count = rows_that_count(rows.count, rows.counted);
  for (int64_t row = blockIdx.x; row < count; row += gridDim.x) {
    const C rstd = normalise_row<1>(rows.values + row * rows.columns, rows.columns, simt::shared_memory<C>());
    if (rows.rstd != nullptr && threadIdx.x == 0) rows.rstd[row] = rstd;
  }
}

template <class T, class C>
VARLSTM_KERNEL void __launch_bounds__(kColumns* kLanes) gain_gradients_kernel(GainSums<T, C> sums) {
  double* const lanes = simt::shared_memory<double>();
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kColumns + threadIdx.x;
  const int64_t count = rows_that_count(sums.count, sums.counted);
  double of_gain = 0, of_bias = 0;
  for (int64_t row = threadIdx.y; row < count && column < sums.columns; row += kLanes) {
    const double gradient = static_cast<double>(sums.gradients[row * sums.ld + column]);
    of_gain += gradient * static_cast<double>(sums.hat[row * sums.hat_ld + column]);
    of_bias += gradient;
  }
  double* const own = lanes + 2 * (threadIdx.y * kColumns + threadIdx.x);
  own[0] = of_gain, own[1] = of_bias;
  simt::block_sync();  // S1
  if (threadIdx.y != 0 || column >= sums.columns) return;
  for (unsigned lane = 1; lane < kLanes; ++lane) {
    of_gain += lanes[2 * (lane * kColumns + threadIdx.x)];
    of_bias += lanes[2 * (lane * kColumns + threadIdx.x) + 1];
  }
  const auto add = [&](T* out, double sum) {
    out[column] = store_scalar<T>(static_cast<C>(static_cast<double>(load_scalar(out[column])) + sum));
  };
  add(sums.dgain, of_gain);
  if (sums.dbias != nullptr) add(sums.dbias, of_bias);
}

template <class C>
int32_t normalise_rows(Stream stream, const NormalisedRows<C>& rows) {
  return launch<normalise_rows_kernel<C>>(stream, "normalise_rows", norm_shape<C>(looped_rows(rows.count), 1), rows);
}

template <class T, class C>
int32_t add_gain_gradients(Stream stream, const GainSums<T, C>& sums) {
  if (sums.columns == 0 || sums.count == 0) return VARLSTM_OK;
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>((sums.columns + kColumns - 1) / kColumns));
  shape.block = dim3(kColumns, kLanes);
  shape.shared_bytes = 2 * kColumns * kLanes * sizeof(double);
  return launch<gain_gradients_kernel<T, C>>(stream, "gain_gradients", shape, sums);
}

template int32_t normalise_rows(Stream, const NormalisedRows<float>&);
template int32_t normalise_rows(Stream, const NormalisedRows<double>&);
template int32_t add_gain_gradients(Stream, const GainSums<float, float>&);
template int32_t add_gain_gradients(Stream, const GainSums<double, double>&);
template int32_t add_gain_gradients(Stream, const GainSums<Bf16, float>&);
template int32_t add_gain_gradients(Stream, const GainSums<F16, float>&);

}  // namespace varlstm::cuda
