// Bulk copies of a box of a matrix: cp.async.bulk.tensor of the PTX ISA (section «Data Movement and Conversion
// Instructions: Tensor copy»). The matrix and the extents of the box are in a tensor map, which the host makes by
// cuTensorMapEncodeTiled and passes as an argument of the kernel (const __grid_constant__): a map anywhere else is a
// defect. That it has __grid_constant__ only nvcc's PTX shows, which otherwise takes a copy in local memory. The copies
// belong to the async proxy, as bulk copies of one dimension do (bulk_copy.h).
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "kernels/simt/cuda_driver.h"
#include "kernels/simt/site.h"

namespace varlstm::simt {

// Copies the box whose first element is column x of row y to this block's shared memory: its rows one after the other,
// each of 128 bytes if the map swizzles, and then the word w of 16 bytes of row r is the word w ^ (r % 8). What lies
// outside the matrix is 0. `to` is a multiple of 128, and of 1024 if the map swizzles. The mbarrier, which is in
// this block, counts the bytes of the whole box.
void tensor_load(void* to, const CUtensorMap* map, int x, int y, uint64_t* mbarrier, Site site = Site::here());

// The same to each block of the cluster whose bit is in `blocks`, at the same place of its shared memory. Each of these
// blocks counts the bytes at the same place as `mbarrier`.
void tensor_load_multicast(void* to, const CUtensorMap* map, int x, int y, uint64_t* mbarrier, uint16_t blocks,
                           Site site = Site::here());

}  // namespace varlstm::simt
