// The row kernels with a clock around each call: what a layer's time is made of. The kernels that the library itself
// uses are these, because the linker wraps row_kernels(), row_product and cblas_sgemm.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>

namespace varlstm::host_parts {

enum Part {
  kInput,      // the product of all tokens with W_ih, and with its transpose backward
  kRecurrent,  // the products of the steps
  kWeights,    // the gradients of the weights
  kCells,      // the formulas of the cell
  kTranspose,  // squares of weights or gradients transposed while they are packed
  kParts
};
inline constexpr const char* kPartNames[kParts] = {"input product", "recurrent product", "weight gradients", "cell",
                                                   "transpositions"};

struct PartTime {
  double seconds = 0;  // of all threads together
  double flops = 0;    // of products, with the padding that is multiplied
};
using PartTimes = std::array<PartTime, kParts>;

const char* kernels_name();  // the instruction set
void reset_times();
PartTimes times();  // since reset_times

}  // namespace varlstm::host_parts
