// The launches of a projected h, one more for each step. See projection.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/recurrence.h"

namespace varlstm::cuda {

// y of a step <- unprojected W_hr^T, after the units of that step. Options: NoOptions, or LayerOptions<C>.
template <class T, class C, class Options>
int32_t project_step(Stream stream, const LayerForward<T, C>& layer, int64_t step, int64_t steps,
                     const Options& options);

// dprojected of a step <- the gradient of h, before the units of that step.
template <class T, class C, class Options>
int32_t projected_gradient_step(Stream stream, const LayerBackward<T, C>& layer, int64_t step, int64_t steps,
                                const Options& options);

// y [count, P] <- unprojected [count, H] W_hr^T: the same chains of sums.
template <class T>
struct ProjectedRows {
  int64_t count, hidden, features;
  const int64_t* rows;   // [count]; y is 0 where it is -1
  const T* w_hr;         // [P, H]
  const T* unprojected;  // [count, H]
  T* y;                  // [count, P]
  const T* h;            // [., P] at rows[k]: the state before the step, for the zoneout of options
};

// Of the options, clips act and zoneout gives its expectation.
template <class T, class C>
int32_t project_rows(Stream stream, const ProjectedRows<T>& rows, const LayerOptions<C>& options);

}  // namespace varlstm::cuda
