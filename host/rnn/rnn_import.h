// Imports the parameters of one layer and direction from other libraries' layouts. The gate c is our g.
//   Keras 2 and 3 (keras.layers.LSTM)   kernel [in, 4H], gates i, f, c, o
//   ONNX (operator LSTM)                W [4H, in], gates i, o, f, c
//   cuDNN (cudnnGetRNNWeightParams)     gates i, f, c, o
//   haste (haste.LSTM)                  kernel [in, 4H], gates i, g, f, o
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"
#include "host/rnn/rnn_layout.h"

namespace varlstm::host {

struct ForeignFormat {
  int64_t position[4];     // the place of our gates i, f, g, o in the format
  bool columns_are_gates;  // matrices are [in, 4H] rather than [4H, in]
};

inline ForeignFormat foreign_format(ParamFormat format) {
  switch (format) {
    case ParamFormat::kKeras:
      return {{0, 1, 2, 3}, true};
    case ParamFormat::kOnnx:
      return {{0, 2, 3, 1}, false};
    case ParamFormat::kHaste:
      return {{0, 2, 1, 3}, true};
    case ParamFormat::kPyTorch:
    case ParamFormat::kCudnn:
      break;
  }
  return {{0, 1, 2, 3}, false};
}

template <class T>
void import_params(const RnnImportArgs& args) {
  const int64_t hidden = args.shape.hidden;
  const ForeignFormat format = foreign_format(args.format);
  const LayerParams<T> params = layer_params(args.shape, static_cast<T*>(args.params), args.layer, args.direction);
  const auto matrix = [&](const void* source, int64_t in, T* dst) {
    const T* const src = static_cast<const T*>(source);
    for (int64_t gate = 0; gate < 4; ++gate)
      for (int64_t unit = 0; unit < hidden; ++unit) {
        const int64_t foreign = format.position[gate] * hidden + unit;
        for (int64_t k = 0; k < in; ++k)
          dst[(gate * hidden + unit) * in + k] =
              format.columns_are_gates ? src[k * 4 * hidden + foreign] : src[foreign * in + k];
      }
  };
  const auto bias = [&](const void* source, T* dst) {
    const T* const src = static_cast<const T*>(source);
    for (int64_t gate = 0; gate < 4; ++gate)
      for (int64_t unit = 0; unit < hidden; ++unit)
        dst[gate * hidden + unit] = src == nullptr ? T(0) : src[format.position[gate] * hidden + unit];
  };
  matrix(args.w_ih, layer_input(args.shape, args.layer), params.w_ih);
  matrix(args.w_hh, hidden, params.w_hh);
  if (!args.shape.bias) return;
  bias(args.b_ih, params.b_ih);
  bias(args.b_hh, params.b_hh);
}

}  // namespace varlstm::host
