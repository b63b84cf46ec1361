// The reserve's header, and the parameters of one layer and direction from the layouts of other libraries.
//
//   LSTM   Keras 2 and 3 (keras.layers.LSTM): kernel [in, 4H], gates i, f, c, o; ONNX (operator LSTM): W [4H, in],
//          i, o, f, c; cuDNN (cudnnGetRNNWeightParams): i, f, c, o; haste (haste.LSTM): kernel [in, 4H], i, g, f, o.
//          Their c is our g
//   GRU    Keras (GRU with reset_after): kernel [in, 3H], z, r, h; ONNX (GRU with linear_before_reset): z, r, h;
//          cuDNN: r, z, n; haste (haste.GRU): kernel [in, 3H], z, r, g. Their h or g is our n
//          A GRU_RESET_BEFORE is Keras' without reset_after, and ONNX's without linear_before_reset
//   RNN    Keras (SimpleRNN): kernel [in, H]; the others: [H, in]
// Each element is copied by one thread of a grid-stride loop. Mirrored by host/rnn/rnn_import.h.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/recurrence/rnn_params.h"

#include <algorithm>
#include <initializer_list>

#include "kernels/cells/facts.h"
#include "kernels/core/launch.h"
#include "kernels/core/scalar.h"
#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/reserve_header.h"
#include "varlstm.h"

namespace varlstm::cuda {

VARLSTM_KERNEL void write_header_kernel(BatchPlan plan, HeaderToWrite header) {
  write_header(plan, header);
}

VARLSTM_KERNEL void check_header_kernel(HeaderToCheck check) {
  check_header(check);
}

// Describes a matrix of another library: `position[k]` is where it has our gate k.
struct ForeignMatrix {
  int64_t position[4];
  bool columns_are_gates;  // [in, GH] rather than [GH, in]
  int64_t gates;           // G
  int64_t hidden, in;
};

// dst [GH, in] <- src, or zeros if src is null.
template <class T>
VARLSTM_KERNEL void import_kernel(ForeignMatrix matrix, const T* src, T* dst) {
  const int64_t stride = static_cast<int64_t>(gridDim.x) * blockDim.x;
  const int64_t gates = matrix.gates * matrix.hidden;
  for (int64_t at = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; at < gates * matrix.in; at += stride) {
    const int64_t k = at % matrix.in, row = at / matrix.in;
    const int64_t foreign = matrix.position[row / matrix.hidden] * matrix.hidden + row % matrix.hidden;
    T value = store_scalar<T>(0);
    if (src != nullptr) value = matrix.columns_are_gates ? src[k * gates + foreign] : src[foreign * matrix.in + k];
    dst[at] = value;
  }
}

int32_t write_reserve_header(Stream stream, const BatchPlan& plan, const HeaderToWrite& header) {
  return launch<write_header_kernel>(stream, "write_header", LaunchShape(), plan, header);
}

int32_t check_reserve_header(Stream stream, const HeaderToCheck& check) {
  LaunchShape shape;
  shape.block = dim3(128);
  return launch<check_header_kernel>(stream, "check_header", shape, check);
}

namespace {

ForeignMatrix foreign_matrix(Cell cell, ParamFormat format, int64_t hidden, int64_t in) {
  ForeignMatrix matrix{{0, 1, 2, 3}, false, cell_facts(cell).gates, hidden, in};
  matrix.columns_are_gates = format == ParamFormat::kKeras || format == ParamFormat::kHaste;
  const auto place = [&](std::initializer_list<int64_t> position) {
    std::copy(position.begin(), position.end(), matrix.position);
  };
  if (cell == Cell::kLstm && format == ParamFormat::kOnnx) place({0, 2, 3, 1});
  if (cell == Cell::kLstm && format == ParamFormat::kHaste) place({0, 2, 1, 3});
  const bool torch = format == ParamFormat::kPyTorch || format == ParamFormat::kCudnn;
  if ((cell == Cell::kGru || cell == Cell::kGruResetBefore) && !torch) place({1, 0, 2});
  return matrix;
}

}  // namespace

int32_t import_params(BackendState* state, const RnnImportArgs& args, void* raw_stream) {
  const Stream stream = make_stream(state, raw_stream);
  return with_scalar(args.shape.dtype, [&](auto scalar) -> int32_t {
    using T = decltype(scalar);
    const LayerOffsets offsets = layer_offsets(args.shape, args.layer, args.direction);
    T* params = static_cast<T*>(args.params);
    const auto run = [&](const void* src, int64_t in, int64_t offset) {
      const ForeignMatrix matrix = foreign_matrix(args.shape.cell, args.format, args.shape.hidden, in);
      return launch<import_kernel<T>>(stream, "import", elementwise_shape(stream, matrix.gates * matrix.hidden * in),
                                      matrix, static_cast<const T*>(src), params + offset);
    };
    VARLSTM_CUDA_TRY(run(args.w_ih, layer_input(args.shape, args.layer), offsets.w_ih));
    VARLSTM_CUDA_TRY(run(args.w_hh, args.shape.hidden, offsets.w_hh));
    if (!args.shape.bias) return VARLSTM_OK;
    VARLSTM_CUDA_TRY(run(args.b_ih, 1, offsets.b_ih));
    return run(args.b_hh, 1, offsets.b_hh);
  });
}

}  // namespace varlstm::cuda
