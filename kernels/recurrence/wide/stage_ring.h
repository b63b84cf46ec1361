// A ring of stages in shared memory, through which matrices in global memory flow to a warpgroup that multiplies. For
// kernel files only.
//
// A stage is kBytes contiguous bytes. kSharers blocks of a cluster need the same stages, in the same order: stage n is
// read from L2 once, by sharer n % kSharers, whose filler starts one bulk copy to all of them. In each block it comes
// into slot n % kSlots of that block's ring. Sharers are every kStride-th block of the cluster: with 2 sharers and a
// stride of 4 the ranks 1 and 5 are sharers 0 and 1.
//   full[slot]    of each block: counts the bytes of the stage that comes next, which the block's filler announces.
//   empty[slot]   of the block that fills the slot next: counts the warps of all sharers that have read what was there.
//   R1: a stage is filled only after every warp of the sharers has released its slot, so no copy overwrites what a
//       product still reads.
//   R2: after wait() the warpgroup sees the stage, and what the block's filler knew when it announced it. The
//       copies and wgmma are in the same proxy, so there is no fence.
//   R3: a stage is announced after the stage before it in the slot has come, so in the phase that it belongs to. Its
//       bytes may come before the announcement, but without that the phase does not end, and after it the slot is not
//       filled again before R1.
// Example: 6 slots and 4 blocks. Stage 8 comes into slot 2, from block 0, after 4 blocks x 4 warps have released stage
// 2 at empty[2] of block 0. Slot 2 of block 0 is used like this for stages 8, 20, 32: every lcm(6, 4) = 12 stages.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <numeric>

#include "kernels/arch/device.h"

namespace varlstm::cuda {

template <int kSlots_, int kBytes_, int kSharers_, int kStride_ = 1>
struct StageRing {
  static constexpr int kSlots = kSlots_, kBytes = kBytes_, kSharers = kSharers_;
  static constexpr uint32_t kStride = kStride_;
  static constexpr unsigned kReaders = kSharers * 4;                // warps
  static constexpr uint32_t kEvery = std::lcm(kSlots_, kSharers_);  // from a block's use of a slot to its next one
  static_assert(kBytes % 1024 == 0, "stages begin where a swizzled layout may");

  alignas(1024) unsigned char stage[kSlots][kBytes];
  uint64_t full[kSlots];
  uint64_t empty[kSlots];
  uint64_t beside;  // an mbarrier for what a kernel exchanges beside the stages: the alignment leaves room for it here

  // Which sharer this block is, the rank of the first one, and the bits of the ranks of all.
  VARLSTM_DEVICE static uint32_t sharer() { return kSharers == 1 ? 0 : simt::cluster_rank() / kStride; }
  VARLSTM_DEVICE static uint32_t first_rank() { return kStride == 1 ? 0 : simt::cluster_rank() % kStride; }
  VARLSTM_DEVICE static uint16_t ranks() {
    uint32_t bits = 0;
    for (uint32_t k = 0; k < kSharers; ++k) bits |= 1u << (first_rank() + k * kStride);
    return static_cast<uint16_t>(bits);
  }

  // Of a warpgroup that knows where a stage comes: waits for it; releases it, after which sharer `next` fills its slot.
  // A slot is filled by the same sharer each time, or by each in turn.
  VARLSTM_DEVICE const unsigned char* wait(unsigned slot, unsigned phase, const char* what) {
    simt::mbarrier_wait_bytes(&full[slot], phase, what);  // R2
    return stage[slot];
  }
  VARLSTM_DEVICE void release(unsigned slot, uint32_t first_rank, uint32_t next) {
    if (threadIdx.x % 32 != 0) return;
    if constexpr (kSharers == 1)
      simt::mbarrier_arrive_reader(&empty[slot]);
    else
      simt::mbarrier_arrive_reader(simt::cluster_map(empty, first_rank + next * kStride) + slot);
  }

  // Called by one thread; then a barrier of the cluster must follow.
  VARLSTM_DEVICE void begin() {
    for (int slot = 0; slot < kSlots; ++slot) {
      simt::mbarrier_init(&full[slot], 1);
      simt::mbarrier_init(&empty[slot], kReaders);
    }
  }
};

// One thread of each block, which announces all stages, and starts the copies that are its block's.
template <class Ring>
class StageFiller {
 public:
  // next: the number of the first stage that it fills.
  VARLSTM_DEVICE explicit StageFiller(Ring& ring, uint32_t next = 0)
      : ring_(ring), sharer_(Ring::sharer()), ranks_(Ring::ranks()), next_(next) {}

  // The next stage comes from `from`, which is aligned to 16 bytes and the same in all sharers: its first `bytes`. What
  // this thread has acquired must include what is there.
  VARLSTM_DEVICE void fill(const void* from, unsigned bytes = Ring::kBytes) {
    constexpr uint32_t kSlots = Ring::kSlots;
    const uint32_t n = next_++, slot = n % kSlots;
    if (n >= kSlots) simt::mbarrier_wait_bytes(&ring_.full[slot], (n / kSlots - 1) % 2, "the stage before");
    simt::mbarrier_announce(&ring_.full[slot], bytes);  // R3
    if (n % Ring::kSharers != sharer_) return;
    if (n >= kSlots)
      simt::mbarrier_wait_bytes(&ring_.empty[slot], (n - kSlots) / Ring::kEvery % 2, "a stage to be released");  // R1
    if constexpr (Ring::kSharers == 1)
      simt::bulk_load(ring_.stage[slot], from, bytes, &ring_.full[slot]);
    else
      simt::bulk_load_multicast(ring_.stage[slot], from, bytes, &ring_.full[slot], ranks_);
  }

 private:
  Ring& ring_;
  const uint32_t sharer_;
  const uint16_t ranks_;
  uint32_t next_;
};

// A warpgroup, all of whose threads call each of the members for one stage after the other.
template <class Ring>
class StageReader {
 public:
  // next: the number of the first stage that it reads; those before are released.
  VARLSTM_DEVICE explicit StageReader(Ring& ring, uint32_t next = 0)
      : ring_(ring),
        first_rank_(Ring::first_rank()),
        slot_(next % Ring::kSlots),
        parity_(next / Ring::kSlots % 2),
        released_(Ring::kSharers == 1 ? next % Ring::kSlots : next) {}

  // Returns the next stage when it has come.
  VARLSTM_DEVICE const unsigned char* wait() {
    const unsigned slot = slot_;
    const unsigned char* const stage = ring_.wait(slot, parity_, "a stage");
    if (++slot_ == Ring::kSlots) slot_ = 0, parity_ ^= 1;
    return stage;
  }
  // Releases the oldest stage that is not released: this warp has read it.
  VARLSTM_DEVICE void release() {
    if constexpr (Ring::kSharers == 1) {
      ring_.release(released_, first_rank_, 0);
      if (++released_ == Ring::kSlots) released_ = 0;
    } else {
      ring_.release(released_ % Ring::kSlots, first_rank_, (released_ + Ring::kSlots) % Ring::kSharers);
      ++released_;
    }
  }

 private:
  Ring& ring_;
  const uint32_t first_rank_;
  uint32_t slot_;
  unsigned parity_;
  uint32_t released_;  // stages; if the block has the ring alone, the slot of the next one
};

}  // namespace varlstm::cuda
