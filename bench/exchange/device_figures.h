// What a GPU does beside exchanges: clusters that run at once, kernel after kernel, copies. Needs the CUDA runtime.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "bench/exchange/report.h"

namespace varlstm::bench {

// Name, driver, clock and the like of the current device.
std::vector<std::pair<std::string, std::string>> describe_device();
unsigned multiprocessor_count();
bool has_warpgroup_products();  // wgmma, which only sm_90a has

// Clusters of `size` blocks with that much shared memory each that run at once; 0 where the size is not supported.
unsigned resident_clusters(unsigned size, size_t shared_bytes);

std::vector<Figure> resident_cluster_figures();
// The time from one kernel of a chain to the next: in a stream, in a graph, and what the host takes to enqueue one.
std::vector<Figure> launch_figures(int repetitions);
// Bytes a second, read and written, of a copy within device memory.
Figure copy_figure(int repetitions);

}  // namespace varlstm::bench
