// Whether this build can multiply by warpgroups (wgmma): only code for sm_90a can, not code for sm_90.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace varlstm::cuda {

#if defined(VARLSTM_NO_WGMMA)
constexpr bool kHasWgmmaCode = false;
#else
constexpr bool kHasWgmmaCode = true;
#endif

constexpr bool runs_wgmma(int capability) {
  return kHasWgmmaCode && capability == 90;
}

}  // namespace varlstm::cuda
