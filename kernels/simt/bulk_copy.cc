// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/bulk_copy.h"

#include "kernels/simt/address_space.h"
#include "kernels/simt/async_copy.h"
#include "kernels/simt/mbarrier.h"
#include "kernels/simt/race.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt {
namespace {

void copy(void* to, const void* from, unsigned bytes, uint64_t* mbarrier, Site site, uintptr_t pc) {
  Thread& me = *current_thread;
  if ((reinterpret_cast<uintptr_t>(to) | reinterpret_cast<uintptr_t>(from) | bytes) % 16 != 0)
    defect("misaligned access: " + describe(me) + " at a bulk copy " + describe(site) +
           ": addresses and bytes must be multiples of 16");
  require_mbarrier(mbarrier, site);
  if (bytes == 0) return;
  const Epoch epoch = begin_async(agent_of_bulk_copies(mbarrier));
  note_async_access(from, bytes, Access::kRead, pc);
  note_async_access(to, bytes, Access::kWrite, pc);
  ++counters().pushes;
  counters().pushed_bytes += bytes;
  start_bulk_store(to, from, bytes, mbarrier, epoch, site);
}

}  // namespace

uint64_t agent_of_bulk_copies(const uint64_t* mbarrier) {
  return uint64_t{1} << 40 | offset_in_shared(mbarrier);
}

void bulk_load(void* to, const void* from, unsigned bytes, uint64_t* mbarrier, Site site) {
  copy(to, from, bytes, mbarrier, site, reinterpret_cast<uintptr_t>(__builtin_return_address(0)));
}

void bulk_load_multicast(void* to, const void* from, unsigned bytes, uint64_t* mbarrier, uint16_t blocks, Site site) {
  const auto pc = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  for (unsigned rank = 0; rank < 16; ++rank)
    if ((blocks >> rank & 1) != 0)
      copy(map_to_peer(to, rank, site), from, bytes, static_cast<uint64_t*>(map_to_peer(mbarrier, rank, site)), site,
           pc);
}

void bulk_push(ClusterAddress to, const void* from, unsigned bytes, ClusterAddress mbarrier, Site site) {
  copy(reinterpret_cast<void*>(to), from, bytes, reinterpret_cast<uint64_t*>(mbarrier), site,
       reinterpret_cast<uintptr_t>(__builtin_return_address(0)));
}

}  // namespace varlstm::simt
