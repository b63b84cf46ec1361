// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/async_copy.h"

#include <algorithm>

#include "kernels/simt/address_space.h"
#include "kernels/simt/mbarrier.h"
#include "kernels/simt/race.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt {
namespace {

bool lands_at_once() {
  const AsyncCompletion async = launch_state().options.async;
  return async == AsyncCompletion::kEarly || (async == AsyncCompletion::kRandom && draw() % 2 == 0);
}

Block* owner_of(const void* address) {
  const size_t slot = offset_in_shared(address) / kSharedStride;
  return slot < launch_state().blocks.size() ? launch_state().blocks[slot] : nullptr;
}

bool aligned(const void* address, unsigned bytes) {
  return reinterpret_cast<uintptr_t>(address) % bytes == 0;
}

void land(const AsyncCopy& copy) {
  memcpy(copy.to, copy.from, copy.source_bytes);
  memset(static_cast<unsigned char*>(copy.to) + copy.source_bytes, 0, copy.bytes - copy.source_bytes);
}

void land(const AsyncStore& store) {
  memcpy(store.to, store.from == nullptr ? &store.bits : store.from, store.bytes);
  release_async(store.epoch, launch_state().released[store.mbarrier]);
  complete_transaction(store.mbarrier, store.bytes, store.site);
  note_progress();
}

void start(const AsyncStore& store) {
  if (lands_at_once()) {
    land(store);
  } else {
    launch_state().stores.push_back(store);
  }
}

// The block that owns the address and the mbarrier of an asynchronous store.
Block* target_of(const std::string& what, const void* to, const uint64_t* mbarrier, Site site) {
  Block* target = owner_of(to);
  if (target == nullptr || owner_of(mbarrier) != target)
    defect(what + " " + describe(site) + ": the address and its mbarrier must lie in one block's shared memory");
  if (target->live == 0) defect("early exit: " + what + " " + describe(site) + " to a block that has ended");
  return target;
}

}  // namespace

void cp_async(void* to, const void* from, unsigned bytes, Site site) {
  cp_async_filled(to, from, bytes, bytes, site);
}

void cp_async_filled(void* to, const void* from, unsigned bytes, unsigned source_bytes, Site site) {
  Thread& me = *current_thread;
  if (!aligned(to, bytes) || !aligned(from, bytes))
    defect("misaligned access: " + describe(me) + " at cp_async " + describe(site));
  if (owner_of(to) != me.block) defect("cp_async " + describe(site) + " to what is not the block's own shared memory");
  const auto pc = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  if (source_bytes > bytes)
    defect("cp_async " + describe(site) + ": more bytes of the source than the " + std::to_string(bytes) + " copied");
  if (source_bytes != 0) note_access(from, source_bytes, Access::kRead, pc);
  note_access(to, bytes, Access::kWrite, pc);
  const bool early = lands_at_once();
  if (early) land({to, from, bytes, source_bytes, me.copy_group, site});
  me.copies.push_back({to, early ? to : from, bytes, source_bytes, me.copy_group, site});
}

void cp_async_commit() {
  ++current_thread->copy_group;
}

void wait_copies(unsigned pending) {
  Thread& me = *current_thread;
  const unsigned end = me.copy_group >= pending ? me.copy_group - pending : 0;
  const auto pc = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  std::vector<AsyncCopy> landing;
  for (const AsyncCopy& copy : me.copies)
    if (copy.group < end) landing.push_back(copy);
  me.copies.erase(
      std::remove_if(me.copies.begin(), me.copies.end(), [end](const AsyncCopy& copy) { return copy.group < end; }),
      me.copies.end());
  for (const AsyncCopy& copy : landing) {
    if (copy.from != copy.to) {
      if (copy.source_bytes != 0) note_access(copy.from, copy.source_bytes, Access::kRead, pc);
      land(copy);
    }
    note_access(copy.to, copy.bytes, Access::kWrite, pc);
  }
}

void land_copies() {
  ++current_thread->copy_group;
  wait_copies(0);
}

void store_async(void* to, uint64_t bits, unsigned bytes, uint64_t* mbarrier, Site site) {
  Thread& me = *current_thread;
  if (!aligned(to, bytes)) defect("misaligned access: " + describe(me) + " at st_async " + describe(site));
  Block* target = target_of("st_async", to, mbarrier, site);
  const auto pc = reinterpret_cast<uintptr_t>(__builtin_return_address(0));
  note_access(to, bytes, Access::kWrite, pc);
  require_mbarrier(mbarrier, site);
  ++counters().pushes;
  counters().pushed_bytes += bytes;
  release_into(launch_state().released[mbarrier]);
  start({to, bits, nullptr, bytes, mbarrier, target, {0, 0}, site});
}

void start_bulk_store(void* to, const void* from, unsigned bytes, uint64_t* mbarrier, const Epoch& epoch, Site site) {
  start({to, 0, from, bytes, mbarrier, target_of("a bulk copy", to, mbarrier, site), epoch, site});
}

bool land_store() {
  std::vector<AsyncStore>& stores = launch_state().stores;
  if (stores.empty()) return false;
  // If there are many stores, a share of them completes at once, so that threads that wait for thousands need not poll
  // as often.
  for (size_t left = 1 + stores.size() / 64; left > 0; --left) {
    std::swap(stores[draw() % stores.size()], stores.back());
    const AsyncStore store = stores.back();
    stores.pop_back();
    land(store);
  }
  return true;
}

}  // namespace varlstm::simt
