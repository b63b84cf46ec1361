// The coordinates of a thread, and the shared memory of its block and of its cluster.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/simt/cuda_runtime.h"
#include "kernels/simt/site.h"

namespace varlstm::simt {

// CUDA's threadIdx and its like. They do not change while a thread runs, so the compiler may merge calls.
uint3 thread_index() __attribute__((const));
uint3 block_index() __attribute__((const));
uint3 block_extent() __attribute__((const));
uint3 grid_extent() __attribute__((const));

unsigned cluster_rank() __attribute__((const));

void* shared_bytes_begin() __attribute__((const));
// The launch's dynamic shared memory, aligned to 1024 bytes, as swizzled operands of wgmma need it.
template <class T>
T* shared_memory() {
  return static_cast<T*>(shared_bytes_begin());
}

// Returns the same place in the shared memory of the cluster's block `rank`, which must still be running when the
// pointer is used.
void* map_to_peer(void* pointer, unsigned rank, Site site);
template <class T>
T* cluster_map(T* pointer, unsigned rank, Site site = Site::here()) {
  return static_cast<T*>(map_to_peer(pointer, rank, site));
}

// An address in the shared memory of a block of the cluster. Bytes can be added to it.
using ClusterAddress = uintptr_t;

// cluster_map in that form.
inline ClusterAddress cluster_address(const void* pointer, unsigned rank, Site site = Site::here()) {
  return reinterpret_cast<uintptr_t>(map_to_peer(const_cast<void*>(pointer), rank, site));
}

}  // namespace varlstm::simt

#define threadIdx (::varlstm::simt::thread_index())
#define blockIdx (::varlstm::simt::block_index())
#define blockDim (::varlstm::simt::block_extent())
#define gridDim (::varlstm::simt::grid_extent())
