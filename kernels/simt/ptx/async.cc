// PTX's asynchronous copies and stores.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/async_copy.h"
#include "kernels/simt/bulk_copy.h"
#include "kernels/simt/ptx/program.h"
#include "kernels/simt/race.h"
#include "kernels/simt/tensor_copy.h"

namespace varlstm::simt::ptx {
namespace {

// cp.async [to], [from], bytes, bytes of the source
void copy(Frame& f, const Instruction& i) {
  const auto* from = reinterpret_cast<const void*>(operand<uint64_t>(f, i, 1));
  const auto bytes = operand<uint32_t>(f, i, 2), source = i.operand_count > 3 ? operand<uint32_t>(f, i, 3) : bytes;
  cp_async_filled(address_of(f, i, 0), from, bytes, source, i.site);
}
void commit_group(Frame&, const Instruction&) {
  cp_async_commit();
}
void wait_group(Frame& f, const Instruction& i) {
  wait_copies(operand<uint32_t>(f, i, 0));
}
void wait_all(Frame&, const Instruction&) {
  land_copies();
}

// st.async [to], value, [mbarrier]
template <class T>
void store(Frame& f, const Instruction& i) {
  auto* mbarrier = reinterpret_cast<uint64_t*>(shared_pointer(operand<uint32_t>(f, i, 2)));
  store_async(address_of(f, i, 0), operand<T>(f, i, 1), sizeof(T), mbarrier, i.site);
}

// cp.async.bulk [to], [from], bytes, [mbarrier], and the mask of the blocks if it is multicast. to and mbarrier are
// addresses of the cluster, from of device memory or of the block's shared memory.
uint64_t* counting_mbarrier(const Frame& f, const Instruction& i) {
  return reinterpret_cast<uint64_t*>(shared_pointer(operand<uint32_t>(f, i, 3)));
}
void bulk_copy_in(Frame& f, const Instruction& i) {
  bulk_load(address_of(f, i, 0), reinterpret_cast<const void*>(operand<uint64_t>(f, i, 1)), operand<uint32_t>(f, i, 2),
            counting_mbarrier(f, i), i.site);
}
void bulk_copy_to_several(Frame& f, const Instruction& i) {
  bulk_load_multicast(address_of(f, i, 0), reinterpret_cast<const void*>(operand<uint64_t>(f, i, 1)),
                      operand<uint32_t>(f, i, 2), counting_mbarrier(f, i), operand<uint16_t>(f, i, 4), i.site);
}
void bulk_copy_to_peer(Frame& f, const Instruction& i) {
  bulk_push(reinterpret_cast<ClusterAddress>(address_of(f, i, 0)), shared_pointer(operand<uint32_t>(f, i, 1)),
            operand<uint32_t>(f, i, 2), reinterpret_cast<ClusterAddress>(counting_mbarrier(f, i)), i.site);
}

// cp.async.bulk.tensor [to], [map, {x, y}], [mbarrier], and the mask of the blocks if it is multicast
void tensor_copy_in(Frame& f, const Instruction& i) {
  auto* mbarrier = reinterpret_cast<uint64_t*>(shared_pointer(operand<uint32_t>(f, i, 4)));
  tensor_load(address_of(f, i, 0), reinterpret_cast<const CUtensorMap*>(operand<uint64_t>(f, i, 1)),
              operand<int32_t>(f, i, 2), operand<int32_t>(f, i, 3), mbarrier, i.site);
}
void tensor_copy_to_several(Frame& f, const Instruction& i) {
  auto* mbarrier = reinterpret_cast<uint64_t*>(shared_pointer(operand<uint32_t>(f, i, 4)));
  tensor_load_multicast(address_of(f, i, 0), reinterpret_cast<const CUtensorMap*>(operand<uint64_t>(f, i, 1)),
                        operand<int32_t>(f, i, 2), operand<int32_t>(f, i, 3), mbarrier, operand<uint16_t>(f, i, 5),
                        i.site);
}

// fence.proxy.async, of all memory or of one space
template <bool kShared, bool kDevice>
void fence_proxy(Frame&, const Instruction&) {
  fence_async_proxy(kShared, kDevice);
}

}  // namespace

void add_async(Handlers& h) {
  for (const std::string cache : {"ca", "cg"})
    for (const char* hint : {"", ".L2::64B", ".L2::128B", ".L2::256B"})
      h["cp.async." + cache + ".global" + hint] = copy;
  h["cp.async.commit_group"] = commit_group;
  h["cp.async.wait_group"] = wait_group;
  h["cp.async.wait_all"] = wait_all;
  h["cp.async.bulk.global.mbarrier::complete_tx::bytes"] = bulk_copy_in;
  h["cp.async.bulk.global.mbarrier::complete_tx::bytes.multicast::cluster"] = bulk_copy_to_several;
  h["cp.async.bulk.shared::cta.mbarrier::complete_tx::bytes"] = bulk_copy_to_peer;
  const std::string tensor = "cp.async.bulk.tensor.2d.global.mbarrier::complete_tx::bytes";
  h[tensor] = tensor_copy_in;
  h[tensor + ".multicast::cluster"] = tensor_copy_to_several;
  h["fence.proxy.async"] = fence_proxy<true, true>;
  for (const char* space : {"cta", "cluster"})
    h["fence.proxy.async.shared::" + std::string(space)] = fence_proxy<true, false>;
  h["fence.proxy.async.global"] = fence_proxy<false, true>;
  for (const std::string name : {"st.async.", "st.async.weak."}) {
    const std::string bytes = name + "mbarrier::complete_tx::bytes.";
    h[bytes + "b32"] = h[bytes + "u32"] = h[bytes + "s32"] = h[bytes + "f32"] = store<uint32_t>;
    h[bytes + "b64"] = h[bytes + "u64"] = h[bytes + "s64"] = h[bytes + "f64"] = store<uint64_t>;
  }
}

}  // namespace varlstm::simt::ptx
