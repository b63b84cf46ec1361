// The exchange of forward of policy grid, in which a team is kBlocks co-resident blocks. States go through L2, in
// pieces of 32 bits that show by themselves whether they have come (checked_words.h). So a step has no flag and no
// fence: the threads of a block share the words of a state among them, load them until they have come, and copy them to
// shared memory. forward_exchange.h has the interface.
//
// The state before `step` is in buffer step % 16 of the area. Who pushes for step + 1 also puts «nothing yet» back into
// its words of step - 1, so that the buffer can be used again.
//   S1: after it the state before `step` is in shared memory, and no thread of the block loads its words any more.
//   S2: nobody waits for a word that is cleared. A block clears the words of step - 1 when it has passed S1 of `step`,
//       and has then seen words of each block for `step`. That block had stored them when it had passed its own S1 of
//       step - 1, which it could do only because its loads for step - 1 had returned what it waited for. This needs no
//       order of memory: what a load returned cannot depend on a store that depends on what the load returned.
//   S3: a load for step + 16 does not return what was there for `step`. Both were stored by one thread, with the
//       clearing in between, but relaxed loads could still return the older one, unless they come after the clearing.
//       So every 8 steps a block releases the number of steps whose words its threads have cleared, as ordered before
//       by S1, and 4 steps later it acquires the numbers of all blocks; that is before the next S1, and so before the
//       loads of all threads after it. Nearly always the numbers have come by then.
//   S4: of resident_forward.h. If the depth is split, it is between a step's product and the copying of the next state,
//       so that there is one buffer in shared memory. Otherwise there are two: step + 2 is copied after S1 of step + 1,
//       which every warp reaches after its product of `step`. A block of one warp has one buffer and S5.
//   S5: after it the block's only warp has read the state.
//
// Example of S3: in step 8 thread 0 releases 9, after S1 of step 8; the words of steps 0 to 6 have been cleared before
// it. The other blocks acquire it in step 12. After S1 of step 13 their threads load for steps 14 to 21, whose buffers
// had steps -2 to 5 before. In step 20 they acquire 17, for steps 22 to 29.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/checked_words.h"
#include "kernels/recurrence/resident/forward_exchange.h"
#include "kernels/recurrence/resident/take_words.h"

namespace varlstm::cuda {

// The memory, in global memory, through which a team of policy grid exchanges states. Each byte must be kNothingYetByte
// before the launch.
template <class Tile>
struct GridForwardArea {
  static constexpr uint32_t kBuffers = 16;
  StateBuffer<Tile> buffer[kBuffers];
  uint32_t cleared[Tile::kBlocks * 8];  // of each block, in a 32-byte sector of its own: the number that it released
};

template <class Tile>
class GridForwardExchange {
 public:
  static constexpr bool kPublishes = true;
  using Area = GridForwardArea<Tile>;
  using Pair = typename Tile::Math::Pair;
  static constexpr int kCopies = Tile::kSplits > 1 || Tile::kForwardWarps == 1 ? 1 : 2;
  struct Shared {
    StateBuffer<Tile> buffer[kCopies];
  };

  VARLSTM_DEVICE GridForwardExchange(Shared& shared, Area* area, const Team& team)
      : shared_(shared), area_(*area), rank_(team.rank) {}
  VARLSTM_DEVICE void begin(int unit) {
    next_ = own_ = reinterpret_cast<uint32_t*>(area_.buffer[0].place(0, unit));
    if (kBatches == 1) simt::keep(own_);  // otherwise registers are few
  }
  VARLSTM_DEVICE void push(const Step& step, int slot_tile, Pair states) {
    store(next_ + slot_tile * kTile, checked_word(states));
    store(own_in(step.number() - 2) + slot_tile * kTile, nothing(states));
  }
  VARLSTM_DEVICE void publish(const Step& step) {
    constexpr uint32_t kEvery = Area::kBuffers / 2, kLater = kEvery / 2;
    if (step.number() % kLater == 1) {
      if (step.number() % kEvery != 1)
        wait_for_cleared(step.number() - kLater);
      else if (threadIdx.x == 0)
        simt::store_release(&area_.cleared[rank_ * 8], step.number());
    }
    if constexpr (Tile::kForwardWarps == 1) simt::block_sync();  // S5
  }
  VARLSTM_DEVICE const StateBuffer<Tile>& wait(const Step& step) {
    next_ = own_in(step.number() + 1);
    if (kBatches == 1) simt::keep(next_);
    StateBuffer<Tile>& copy = shared_.buffer[kCopies == 1 ? 0 : step.odd];
    const auto* from = reinterpret_cast<const simt::b32x4*>(&area_.buffer[step.number() % Area::kBuffers]);
    copy_words(from, reinterpret_cast<simt::b32x4*>(&copy));
    simt::block_sync();  // S1
    return copy;
  }
  VARLSTM_DEVICE void arm(const Step&) {}
  VARLSTM_DEVICE void drain(uint32_t) {}
  VARLSTM_DEVICE void end() {}

 private:
  static constexpr int kWords = static_cast<int>(sizeof(StateBuffer<Tile>) / sizeof(simt::b32x4));
  static constexpr int kOfThread = (kWords + Tile::kForwardThreads - 1) / Tile::kForwardThreads;
  // A thread's words are under way together in batches of one size, of up to 8. Example: of 10 words 5 are, twice.
  static constexpr int kBatches = (kOfThread + 7) / 8, kAtOnce = (kOfThread + kBatches - 1) / kBatches;
  static constexpr bool kAllCount = kBatches * kAtOnce * Tile::kForwardThreads == kWords;

  // Pieces of a buffer and of a slot tile. Where this thread's values of slot tile 0 are in the buffer of a step.
  static constexpr uint32_t kBuffer = sizeof(StateBuffer<Tile>) / sizeof(uint32_t), kTile = kBuffer / Tile::kSlotTiles;
  VARLSTM_DEVICE uint32_t* own_in(uint32_t step) const { return own_ + step % Area::kBuffers * kBuffer; }
  VARLSTM_DEVICE static uint32_t nothing(uint32_t) { return kNothingYet; }
  VARLSTM_DEVICE static simt::b32x2 nothing(uint64_t) { return {{kNothingYet, kNothingYet}}; }
  VARLSTM_DEVICE static void store(uint32_t* to, uint32_t word) { simt::store_relaxed4(to, word); }
  VARLSTM_DEVICE static void store(uint32_t* to, const simt::b32x2& word) {
    simt::store_relaxed8(reinterpret_cast<simt::b32x2*>(to), word);
  }

  // Copies the words of a state when they have come. The threads beyond the last word take that word, too.
  VARLSTM_DEVICE static void copy_words(const simt::b32x4* from, simt::b32x4* to) {
#pragma unroll 1
    for (int batch = 0; batch < kBatches; ++batch) {
      const auto at = [&](int k) {
        const int word = static_cast<int>(threadIdx.x) + (batch * kAtOnce + k) * Tile::kForwardThreads;
        return kAllCount || word < kWords ? word : kWords - 1;
      };
      simt::b32x4 words[kAtOnce];
      // Several batches are stored when they have come: that takes fewer registers.
      take_words(
          "the states of a step", [&](int k) { return from + at(k); }, Written(), words,
          [&](int k, const simt::b32x4& word) {
            if (kBatches == 1) to[at(k)] = word;
          });
#pragma unroll
      for (int k = 0; k < kAtOnce; ++k)
        if (kBatches > 1) to[at(k)] = words[k];
    }
  }

  VARLSTM_DEVICE void wait_for_cleared(uint32_t number) const {
    for (int block = static_cast<int>(threadIdx.x); block < Tile::kBlocks; block += Tile::kForwardThreads) {
      simt::spin_until("the words that a block clears", [&] {
        return static_cast<int32_t>(simt::load_acquire(&area_.cleared[block * 8])) >= static_cast<int32_t>(number);
      });
    }
  }

  Shared& shared_;
  Area& area_;
  const int rank_;
  uint32_t* own_;   // where this thread's values of slot tile 0 are in buffer 0
  uint32_t* next_;  // and in the buffer that is pushed to next
};

}  // namespace varlstm::cuda
