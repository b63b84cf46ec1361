// For x86-64 with AVX-512F. The compile flags are in host/CMakeLists.txt.
// SPDX-License-Identifier: Apache-2.0
#include "host/simd/row_kernel_impl.h"

namespace varlstm::host {

const RowKernels kRowKernelsAvx512 = make_row_kernels<64, 24>("avx512");

}  // namespace varlstm::host
