// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/coordinates.h"

#include <string.h>

#include "kernels/simt/thread.h"

namespace varlstm::simt {
namespace {

std::string coordinates(uint3 index) {
  if (index.y == 0 && index.z == 0) return std::to_string(index.x);
  return "(" + std::to_string(index.x) + ", " + std::to_string(index.y) + ", " + std::to_string(index.z) + ")";
}

}  // namespace

uint3 thread_index() {
  return current_thread->index;
}
uint3 block_index() {
  return current_thread->block_index;
}
uint3 block_extent() {
  const dim3& block = launch_state().shape->block;
  return {block.x, block.y, block.z};
}
uint3 grid_extent() {
  const dim3& grid = launch_state().shape->grid;
  return {grid.x, grid.y, grid.z};
}
unsigned cluster_rank() {
  return current_thread->block->rank;
}
void* shared_bytes_begin() {
  return current_thread->block->shared;
}

void* map_to_peer(void* pointer, unsigned rank, Site site) {
  const Block& block = *current_thread->block;
  const auto offset = static_cast<size_t>(static_cast<unsigned char*>(pointer) - block.shared);
  if (offset >= launch_state().shape->shared_bytes)
    defect("cluster_map " + describe(site) + ": the address is not in the block's shared memory");
  if (rank >= block.cluster->blocks.size()) defect("cluster_map " + describe(site) + ": no such block in the cluster");
  return block.cluster->blocks[rank]->shared + offset;
}

std::string describe(const Thread& thread) {
  return "block " + coordinates(thread.block_index) + " thread " + coordinates(thread.index);
}

std::string describe(Site site) {
  const char* slash = strrchr(site.file, '/');
  return "(" + std::string(slash != nullptr ? slash + 1 : site.file) + ":" + std::to_string(site.line) + ")";
}

}  // namespace varlstm::simt
