// Special registers that do not change while a thread runs.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/coordinates.h"
#include "kernels/simt/ptx/program.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt::ptx {
namespace {

unsigned cluster_extent() {
  return launch_state().shape->cluster;
}

// Clusters extend along x.
void add_cluster(std::map<std::string, SpecialRegister>* all) {
  SpecialRegister one = [] { return 1u; };
  SpecialRegister zero = [] { return 0u; };
  (*all)["%cluster_ctarank"] = (*all)["%cluster_ctaid.x"] = cluster_rank;
  (*all)["%cluster_nctarank"] = (*all)["%cluster_nctaid.x"] = cluster_extent;
  (*all)["%clusterid.x"] = [] { return block_index().x / cluster_extent(); };
  (*all)["%nclusterid.x"] = [] { return grid_extent().x / cluster_extent(); };
  (*all)["%clusterid.y"] = [] { return block_index().y; };
  (*all)["%clusterid.z"] = [] { return block_index().z; };
  (*all)["%nclusterid.y"] = [] { return grid_extent().y; };
  (*all)["%nclusterid.z"] = [] { return grid_extent().z; };
  // Clusters of one block are launches without the attribute.
  (*all)["%is_explicit_cluster"] = [] { return cluster_extent() > 1 ? 1u : 0u; };
  for (const char* axis : {"y", "z"}) {
    (*all)[std::string("%cluster_ctaid.") + axis] = zero;
    (*all)[std::string("%cluster_nctaid.") + axis] = one;
  }
}

void add_lanes(std::map<std::string, SpecialRegister>* all) {
  (*all)["%laneid"] = [] { return current_thread->lane; };
  (*all)["%warpid"] = [] { return current_thread->warp; };
  (*all)["%nwarpid"] = [] { return (current_thread->block->threads + 31) / 32; };
  (*all)["%lanemask_eq"] = [] { return 1u << current_thread->lane; };
  (*all)["%lanemask_lt"] = [] { return (1u << current_thread->lane) - 1; };
  (*all)["%lanemask_le"] = [] { return (2u << current_thread->lane) - 1; };
  (*all)["%lanemask_gt"] = [] { return ~((2u << current_thread->lane) - 1); };
  (*all)["%lanemask_ge"] = [] { return ~((1u << current_thread->lane) - 1); };
}

}  // namespace

const std::map<std::string, SpecialRegister>& special_registers() {
  static const std::map<std::string, SpecialRegister> all = [] {
    std::map<std::string, SpecialRegister> made = {
        {"%tid.x", [] { return thread_index().x; }},   {"%tid.y", [] { return thread_index().y; }},
        {"%tid.z", [] { return thread_index().z; }},   {"%ntid.x", [] { return block_extent().x; }},
        {"%ntid.y", [] { return block_extent().y; }},  {"%ntid.z", [] { return block_extent().z; }},
        {"%ctaid.x", [] { return block_index().x; }},  {"%ctaid.y", [] { return block_index().y; }},
        {"%ctaid.z", [] { return block_index().z; }},  {"%nctaid.x", [] { return grid_extent().x; }},
        {"%nctaid.y", [] { return grid_extent().y; }}, {"%nctaid.z", [] { return grid_extent().z; }}};
    add_cluster(&made);
    add_lanes(&made);
    return made;
  }();
  return all;
}

}  // namespace varlstm::simt::ptx
