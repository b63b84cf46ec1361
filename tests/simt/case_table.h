// Kernels with a name, for tests that run each of them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <vector>

#include "simt/tensor_maps.h"

namespace varlstm::test {

// Every case runs as 4 blocks of 64 threads in clusters of 2, cooperatively, with kSharedBytes of shared memory, on
// kWords words that are all 0 before. A case of warpgroups has twice as many threads and as much shared memory.
constexpr unsigned kBlocks = 4;
constexpr unsigned kThreads = 64;
constexpr unsigned kCluster = 2;
constexpr size_t kSharedBytes = 4096;
constexpr unsigned kWords = 4 * kBlocks * kThreads;

using CaseKernel = void (*)(uint32_t* words);
using MappedKernel = void (*)(uint32_t* words, TensorMaps maps);

struct KernelCase {
  const char* name;
  CaseKernel kernel;
  const char* report;  // a part of what is reported; null: nothing is
  bool needs_hooks;    // found, or comes to its end, only where accesses are watched
  unsigned threads = kThreads;
  MappedKernel mapped = nullptr;  // in the place of `kernel`: it gets maps of the matrix in words[512..]
};

std::vector<KernelCase> correct_kernels();
KernelCase last_block_case();  // one of them, for any number of blocks
// Defects that a schedule has to bring to light: what is found, or what comes out, differs from the first schedule's.
std::vector<KernelCase> weakly_ordered_kernels();
std::vector<KernelCase> defective_kernels();
// Those of wgmma and bulk copies.
std::vector<KernelCase> defective_warpgroups();
std::vector<KernelCase> correct_warpgroups();
std::vector<KernelCase> defective_tensor_copies();

}  // namespace varlstm::test
