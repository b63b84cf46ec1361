// Imports the parameters of one layer and direction from other libraries' layouts. Each cell has its gates in the order
// of that library, and the matrices of Keras and haste (kernel, recurrent_kernel) are transposed.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "host/cells/cells.h"
#include "host/rnn/rnn_layout.h"

namespace varlstm::host {

// The place of each of our gates in the format.
inline PerGate foreign_gates(Cell cell, ParamFormat format) {
  const CellTraits& traits = kCellTraits[cell];
  switch (format) {
    case ParamFormat::kKeras:
      return traits.keras;
    case ParamFormat::kOnnx:
      return traits.onnx;
    case ParamFormat::kHaste:
      return traits.haste;
    case ParamFormat::kCudnn:
      return traits.cudnn;
    case ParamFormat::kPyTorch:
      break;
  }
  return {0, 1, 2, 3};
}

template <class T>
void import_params(const RnnImportArgs& args) {
  const int64_t hidden = args.shape.hidden;
  const int64_t gates = kCellTraits[args.shape.cell].gates;
  const PerGate place = foreign_gates(args.shape.cell, args.format);
  // The matrices are [in, GH] rather than [GH, in].
  const bool transposed = args.format == ParamFormat::kKeras || args.format == ParamFormat::kHaste;
  const LayerParams<T> params = layer_params(args.shape, static_cast<T*>(args.params), args.layer, args.direction);
  const auto matrix = [&](const void* source, int64_t in, T* dst) {
    const T* const src = static_cast<const T*>(source);
    for (int64_t gate = 0; gate < gates; ++gate)
      for (int64_t unit = 0; unit < hidden; ++unit) {
        const int64_t foreign = place.of[gate] * hidden + unit;
        for (int64_t k = 0; k < in; ++k)
          dst[(gate * hidden + unit) * in + k] = transposed ? src[k * gates * hidden + foreign] : src[foreign * in + k];
      }
  };
  const auto bias = [&](const void* source, T* dst) {
    const T* const src = static_cast<const T*>(source);
    for (int64_t gate = 0; gate < gates; ++gate)
      for (int64_t unit = 0; unit < hidden; ++unit)
        dst[gate * hidden + unit] = src == nullptr ? T(0) : src[place.of[gate] * hidden + unit];
  };
  matrix(args.w_ih, layer_input(args.shape, args.layer), params.w_ih);
  matrix(args.w_hh, hidden, params.w_hh);
  if (!args.shape.bias) return;
  bias(args.b_ih, params.b_ih);
  bias(args.b_hh, params.b_hh);
}

}  // namespace varlstm::host
