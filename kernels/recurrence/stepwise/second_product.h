// The launches of a cell with two products in a step, one more for each step. See second_product.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/layer_options.h"
#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/step/step.h"

namespace varlstm::cuda {

// The first product of a step, and the operand of the second one, before the units of that step. Options: NoOptions, or
// LayerOptions<C>, here and below.
template <class T, class C, class Options>
int32_t first_product_step(Stream stream, Cell cell, const LayerForward<T, C>& layer, int64_t step, int64_t steps,
                           const Options& options);

// The same for the streams of rnn_step.
template <class T, class C>
int32_t first_product_streams(Stream stream, Cell cell, const StepLayer<T, C>& layer);

// What the operand's gradient gives to dgates and dh, after the units of that step.
template <class T, class C, class Options>
int32_t second_gradient_step(Stream stream, Cell cell, const LayerBackward<T, C>& layer, int64_t step, int64_t steps,
                             const Options& options);

}  // namespace varlstm::cuda
