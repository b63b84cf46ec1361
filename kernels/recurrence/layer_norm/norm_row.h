// Layer normalisation of a row by a block, forward and backward. For kernel files only.
//
//   forward   hat = (v - mean(v)) * rstd,  rstd = 1 / sqrt(mean((v - mean(v))^2) + epsilon)
//   backward  dv = (dhat - mean(dhat) - hat * mean(dhat * hat)) * rstd
//
// The row has kGroups groups of `units` elements. A thread owns the units threadIdx.x + i * kNormThreads of each group:
// it alone reads and writes them. Each adds its own in that order, and block_sum adds the threads, so that the sums
// depend on nothing but the row. The barriers are those of block_sum (core/reduce.h). Mirrored by
// host/simd/norm_rows.h.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <math.h>
#include <stdint.h>

#include "kernels/arch/device.h"
#include "kernels/arch/launch_shape.h"
#include "kernels/cells/gru.h"
#include "kernels/cells/lstm.h"
#include "kernels/core/reduce.h"
#include "kernels/core/scalar.h"

namespace varlstm::cuda {

constexpr double kNormEpsilon = 1e-5;
constexpr unsigned kNormThreads = 128;

// A block for each row and direction; the shared memory is the scratch of block_sum.
template <class C>
LaunchShape norm_shape(int64_t rows, int64_t directions) {
  LaunchShape shape;
  shape.grid = dim3(static_cast<unsigned>(rows), 1, static_cast<unsigned>(directions));
  shape.block = dim3(kNormThreads);
  shape.shared_bytes = kNormThreads / 32 * sizeof(C);
  return shape;
}

// The blocks of a grid-stride loop over rows.
inline int64_t looped_rows(int64_t rows) {
  constexpr int64_t kMost = int64_t{1} << 20;
  return rows < kMost ? rows : kMost;
}

// Calls body(unit) for the units of this thread.
template <class Body>
VARLSTM_DEVICE void for_own_units(int64_t units, const Body& body) {
  for (int64_t unit = threadIdx.x; unit < units; unit += kNormThreads) body(unit);
}

// The mean over a row of value(group, unit). scratch: shared memory for a value of each warp.
template <int kGroups, class C, class Value>
VARLSTM_DEVICE C row_mean(int64_t units, C* scratch, const Value& value) {
  C sum = 0;
  for_own_units(units, [&](int64_t unit) {
    for (int group = 0; group < kGroups; ++group) sum += value(group, unit);
  });
  return block_sum(sum, scratch) / static_cast<C>(kGroups * units);
}

// values [kGroups, units] <- hat. Returns rstd.
template <int kGroups, class C>
VARLSTM_DEVICE C normalise_row(C* values, int64_t units, C* scratch) {
  const C mean =
      row_mean<kGroups>(units, scratch, [&](int group, int64_t unit) { return values[group * units + unit]; });
  const C variance = row_mean<kGroups>(units, scratch, [&](int group, int64_t unit) {
    const C deviation = values[group * units + unit] - mean;
    return deviation * deviation;
  });
  const C rstd = C(1) / sqrt(variance + static_cast<C>(kNormEpsilon));
  for_own_units(units, [&](int64_t unit) {
    for (int group = 0; group < kGroups; ++group) {
      C& value = values[group * units + unit];
      value = (value - mean) * rstd;
    }
  });
  return rstd;
}

// Calls store(group, unit, dv) for the units of this thread. dhat(group, unit) is the gradient of hat.
template <int kGroups, class C, class Gradient, class Store>
VARLSTM_DEVICE void normalised_gradient(const C* hat, C rstd, int64_t units, C* scratch, const Gradient& dhat,
                                        const Store& store) {
  const C mean = row_mean<kGroups>(units, scratch, dhat);
  const C along = row_mean<kGroups>(
      units, scratch, [&](int group, int64_t unit) { return dhat(group, unit) * hat[group * units + unit]; });
  for_own_units(units, [&](int64_t unit) {
    for (int group = 0; group < kGroups; ++group)
      store(group, unit, (dhat(group, unit) - mean - hat[group * units + unit] * along) * rstd);
  });
}

// Returns visit(cell) for a cell that has a form with layer normalisation.
template <class Visit>
auto with_normalised_cell(Cell kind, const Visit& visit) {
  return kind == Cell::kGru ? visit(GruCell()) : visit(LstmCell());  // capi lets no other cell through
}

}  // namespace varlstm::cuda
