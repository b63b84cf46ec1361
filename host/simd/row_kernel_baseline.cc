// For every machine of the architecture (SSE2, NEON). The compile flags are in host/CMakeLists.txt.
// SPDX-License-Identifier: Apache-2.0
#include "host/simd/row_kernel_impl.h"

namespace varlstm::host {

const RowKernels kRowKernelsBaseline = make_row_kernels<16, 12>("baseline");

}  // namespace varlstm::host
