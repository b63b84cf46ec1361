// Pack and unpack on the device. See pack.cu.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/core/stream.h"

namespace varlstm::cuda {

// packed [N, F] <- src. If only the device knows N, all max_tokens rows are written, with zeros from N on.
int32_t pack(Stream stream, const PackArgs& args, const void* src, void* packed);

// dst <- packed [N, F]. Every padded position <- pad_value; ragged rows from N on <- 0, as above.
int32_t unpack(Stream stream, const PackArgs& args, double pad_value, const void* packed, void* dst);

}  // namespace varlstm::cuda
