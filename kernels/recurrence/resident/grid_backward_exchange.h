// The exchange of backward of policy grid, in which a team is kBlocks co-resident blocks. Parts go through L2, and each
// part shows by itself which turn it is of. So a turn has no flag and no fence: the threads of a block share the parts
// for its units among them, load them until they have come, and add them up through shared memory.
// backward_exchange.h has the interface.
//
// Turn t uses buffer t % 2, and the parts of turn t have its mark, (t / 2) % 2, in the place of their last bit, which
// is 0 in what is added up. So a part is rounded towards 0 to 23 significant bits. A NaN stays one, because the device
// gives those with the highest bit of the fraction.
//   S1: after it the sums of the groups (below) are in shared memory, and no thread of the block loads parts of the
//       turn any more. They are written again in the next turn, after S5 of resident_backward.h.
//   S2: a load in turn t that returns the mark of t returns the part of t. The same thread has loaded the same word in
//       turn t - 2 until it had the other mark, so it cannot return what was there before that: loads of one word by
//       one thread return the word's values in their order. Before turns 0 and 1 the area has the mark 1.
//   S3: no part is overwritten before it is read. A block pushes for t + 2 when it has passed S1 of t + 1, and has then
//       seen a part of each block of t + 1, which that block stored after its own S1 of turn t. This needs no order of
//       memory: what a load returned cannot depend on a store that depends on what the load returned.
//
// Order of a sum: the sources are divided into kGroups groups of neighbours. Each group is added in the order of the
// sources, then the groups in order. It does not depend on the number of slots.
//
// Example: 64 blocks of 16 units, 8 slots, 256 threads. The parts of one source for a block are 16 * 8 floats, which
// are the words of 32 threads. So there are 8 groups of 8 sources: thread 37 is lane 5 of group 1, and adds the parts
// of sources 8 to 15 for word 5, which has the units 2 and 3 and the slots 2 and 3. With 16 slots each thread has two
// words.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/resident/backward_exchange.h"
#include "kernels/recurrence/resident/take_words.h"

namespace varlstm::cuda {

// The memory, in global memory, through which a team of policy grid exchanges parts. Each byte must be 0xff before the
// launch.
template <class Tile>
struct GridBackwardArea {
  PartSquare parts[2][Tile::kBlocks][Tile::kBlocks][Tile::kUnits / 2][Tile::kSlots / 2];  // by owner and source
};

// How the threads of a block share the parts that it adds up.
template <class Tile>
struct PartGroups {
  static constexpr int kThreads = Tile::kBackwardThreads;
  static constexpr int kMost = kThreads / (Tile::kUnits * 8 / 4);  // with 8 slots, so that a thread has a word
  static constexpr int kGroups = kMost < Tile::kBlocks ? kMost : Tile::kBlocks;
  static constexpr int kSources = Tile::kBlocks / kGroups;                 // of a group
  static constexpr int kLanes = kThreads / kGroups;                        // threads of a group
  static constexpr int kWords = Tile::kUnits * Tile::kSlots / 4 / kLanes;  // of a thread and source
  // All words of a thread; how many are under way together, which is all, or half where that takes many registers.
  static constexpr int kCount = kSources * kWords, kAtOnce = kCount <= 8 ? kCount : kCount / 2;
  static_assert(kGroups * kSources == Tile::kBlocks && kGroups * kLanes == kThreads, "equal groups");
  static_assert(kCount % kAtOnce == 0, "equal rounds");
  static_assert(kWords * kLanes * 4 == Tile::kUnits * Tile::kSlots, "all words");
};

// What take_words waits for: words whose pieces all have a mark in the place of their last bit.
struct Marked {
  uint32_t mark;

  // The last bit is 1 if a piece has another mark.
  VARLSTM_DEVICE uint32_t look(const simt::b32x4& word) const {
    return (word.r[0] ^ mark) | (word.r[1] ^ mark) | (word.r[2] ^ mark) | (word.r[3] ^ mark);
  }
  VARLSTM_DEVICE static uint32_t both(uint32_t a, uint32_t b) { return a | b; }
  VARLSTM_DEVICE static bool come(uint32_t look) { return (look & 1) == 0; }
};

template <class Tile>
class GridBackwardExchange {
  using Targets = PartTargets<Tile>;
  using Groups = PartGroups<Tile>;
  using Buffer = PartBuffer<Tile, Groups::kGroups>;
  static_assert(Targets::kOfOneBlock || Targets::kOfWholeBlocks, "owners after each other");

 public:
  using Area = GridBackwardArea<Tile>;
  struct Shared {
    alignas(16) Buffer sums;  // of the groups, in the place of sources
  };

  VARLSTM_DEVICE GridBackwardExchange(Shared& shared, Area* area, const Team& team, int row0)
      : shared_(shared),
        area_(*area),
        rank_(team.rank),
        owner_(Targets::owner(row0, 0)),
        unit_(Targets::unit(row0, 0)) {}
  VARLSTM_DEVICE void begin() {}
  VARLSTM_DEVICE void push(unsigned turn, int r, int slot, const simt::f32x4& sums) {
    const int owner = owner_ + (Targets::kOfOneBlock ? 0 : r * 16 / Tile::kUnits);
    const int unit = unit_ + (Targets::kOfOneBlock ? r * 16 : r * 16 % Tile::kUnits);
    auto& parts = area_.parts[turn % 2][owner][rank_];
    auto* to = &parts[unit / 2][lane_column() + slot / 2];
    const auto square = PartSquare::from<Buffer::kSlotsFirst>(sums);
    for (int half = 0; half < 2; ++half) {
      simt::b32x2 word;
      memcpy(&word, square.of[half], sizeof word);
      for (uint32_t& piece : word.r) piece = (piece & ~1u) | turn_.mark;
      simt::store_relaxed8(reinterpret_cast<simt::b32x2*>(to->of[half]), word);
    }
  }
  VARLSTM_DEVICE void publish(unsigned) {}
  VARLSTM_DEVICE void wait(unsigned turn, unsigned) {
    constexpr int kOfSource = Tile::kUnits * Tile::kSlots / 4, kSources = Groups::kSources;
    const int group = static_cast<int>(threadIdx.x) / Groups::kLanes;
    const int lane = static_cast<int>(threadIdx.x) % Groups::kLanes;
    const auto* from = reinterpret_cast<const simt::b32x4*>(area_.parts[turn % 2][rank_][group * kSources]) + lane;
    float sums[4];
#pragma unroll
    for (int first = 0; first < Groups::kCount; first += Groups::kAtOnce) {
      simt::b32x4 words[Groups::kAtOnce];
      const auto place = [&](int i) {
        const int k = (first + i) / kSources, source = (first + i) % kSources;
        return from + source * kOfSource + k * Groups::kLanes;
      };
      take_words("the parts of a turn", place, turn_, words, [](int, const simt::b32x4&) {});
#pragma unroll
      for (int i = 0; i < Groups::kAtOnce; ++i) {
        const int k = (first + i) / kSources, source = (first + i) % kSources;
        add(words[i], source == 0, sums);
        if (source == kSources - 1) share(sums, group, lane + k * Groups::kLanes);
      }
    }
    simt::block_sync();  // S1
    turn_.mark = (turn + 1) / 2 % 2;
    simt::keep(turn_.mark);
  }
  template <int kOwnSlots, int kWide>
  VARLSTM_DEVICE void sums(unsigned, int unit, int slot, float (&sums)[kOwnSlots][kWide]) const {
    shared_.sums.add(unit, slot, sums);
  }
  VARLSTM_DEVICE void renew(unsigned) {}
  VARLSTM_DEVICE void end() {}

 private:
  VARLSTM_DEVICE static void add(const simt::b32x4& word, bool first, float (&sums)[4]) {
    for (int i = 0; i < 4; ++i) {
      const uint32_t piece = word.r[i] & ~1u;
      float part;
      memcpy(&part, &piece, sizeof part);
      sums[i] = first ? part : sums[i] + part;
    }
  }
  // Gives the block the sums of a group for the four cells of a word.
  VARLSTM_DEVICE void share(const float (&sums)[4], int group, int word) {
    const int unit = word / (Tile::kSlots / 2) * 2, slot = word % (Tile::kSlots / 2) * 2;
    *shared_.sums.place(group, unit, slot) = {{{sums[0], sums[1]}, {sums[2], sums[3]}}};
  }

  Shared& shared_;
  Area& area_;
  const int rank_, owner_, unit_;
  Marked turn_{0};  // of the turn
};

}  // namespace varlstm::cuda
