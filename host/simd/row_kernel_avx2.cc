// For x86-64 with AVX2 and FMA. The compile flags are in host/CMakeLists.txt.
// SPDX-License-Identifier: Apache-2.0
#include "host/simd/row_kernel_impl.h"

namespace varlstm::host {

const RowKernels kRowKernelsAvx2 = make_row_kernels<32, 12>("avx2");

}  // namespace varlstm::host
