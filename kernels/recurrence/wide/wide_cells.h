// The cells of a thread in forward of a wide team: two slots, and of each kPairs pairs of neighbouring units, with all
// gates. It reads, keeps and writes what is theirs, while the product and the exchange are the warpgroup's. For kernel
// files only.
//
// What a step needs from global memory, the x-gates of the step and the schedule's entries of the next one, is asked
// for before its product, which takes longer than these loads. What it leaves behind is written after its states have
// been passed on.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/resident/resident_tile.h"
#include "kernels/recurrence/wide/wide_tile.h"

namespace varlstm::cuda {

// Two neighbouring units.
struct alignas(8) FloatPair {
  float of[2];
};

template <class Tile>
class WideCells {
  using CellType = typename Tile::Cell;
  using Scalar = typename Tile::Scalar;
  using Word = typename Tile::Math::Pair;  // two states as they are multiplied
  using Layer = LayerForward<Scalar, float>;
  using Direction = DirectionForward<Scalar, float>;
  static constexpr int kGates = CellType::kGates, kPairs = Tile::kUnitTiles;

  // What a slot does at a step. Rows are below 2^31 (why_not of recurrence_selection.h). The sequence is read again in
  // the steps that need it.
  struct Token {
    int32_t row;  // or -1: the slot is idle
    uint32_t marks;

    VARLSTM_DEVICE bool has(uint32_t mark) const { return (marks & mark) != 0; }
  };
  // Of one slot and pair.
  struct Pair {
    FloatPair c, h;
  };

 public:
  // first_slot: of the warp; first_unit: of the block. The second slot of the thread is 8 after its first.
  VARLSTM_DEVICE WideCells(Cell kind, const Layer& layer, const Direction& dir, const TeamSchedule& schedule,
                           int first_slot, int64_t first_unit)
      : kind_(kind),
        layer_(layer),
        dir_(dir),
        slot_(first_slot + lane_row()),
        entries_(schedule.entry(0, slot_)),
        distance_(static_cast<uint32_t>(schedule.distance())),
        steps_(static_cast<uint32_t>(schedule.steps())),
        slots_(Tile::kStreamed ? static_cast<int>(schedule.team_slots()) : Tile::kSlots),
        unit_(first_unit + 2 * lane_column()),
        pairs_of_y_(reinterpret_cast<uintptr_t>(dir.y) % (2 * sizeof(Scalar)) == 0 && layer.ldy % 2 == 0) {}

  VARLSTM_DEVICE int slot(int s) const { return slot_ + 8 * s; }

  // Passes the states that the first segments start from to `push`(s, pair, word).
  template <class Push>
  VARLSTM_DEVICE void begin(const Push& push) {
    for (int s = 0; s < 2; ++s) next_[s] = token_at(0, s);
    replace_and_push(0, push);
  }

  // Asks for what `step` needs.
  VARLSTM_DEVICE void ask(uint32_t step) {
    for (int s = 0; s < 2; ++s) {
      now_[s] = next_[s];
      next_[s] = token_at(step + 1, s);
      if (s == 0 || !Tile::kAsksLate) ask_x(s);
    }
  }

  // Does the step. sums: the product of this thread, as wgmma leaves it.
  template <class Push>
  VARLSTM_DEVICE void step(uint32_t step, const float (&sums)[Tile::kColumns / 2], const Push& push) {
    if constexpr (Tile::kAsksLate) ask_x(1);
    FloatPair saved[2][kPairs][CellType::kSaved];
    Pair after[2][kPairs];
#pragma unroll
    for (int s = 0; s < 2; ++s) {
      for (int p = 0; p < kPairs; ++p) {
        for (int e = 0; e < 2; ++e) {
          UnitValues<float, kGates> x, product;
          for (int gate = 0; gate < kGates; ++gate) {
            x.of[gate] = x_[s][p][gate].of[e];
            product.of[gate] = sums[(p * kGates + gate) * 4 + s * 2 + e];
            if constexpr (CellType::kStateBias) {
              if (dir_.b_hh != nullptr) product.of[gate] += load_scalar(dir_.b_hh[gate * layer_.hidden + unit(p) + e]);
            }
          }
          const UnitState<float> before{states_[s][p].h.of[e], states_[s][p].c.of[e]};
          const auto result = forward_unit<CellType, typename Tile::Functions>(kind_, x, product, before);
          for (int k = 0; k < CellType::kSaved; ++k) saved[s][p][k].of[e] = result.saved.of[k];
          after[s][p].h.of[e] = result.after.h;
          after[s][p].c.of[e] = result.after.c;
        }
        states_[s][p] = after[s][p];
      }
    }
    replace_and_push(step + 1, push);
#pragma unroll
    for (int s = 0; s < 2; ++s)
      if (now_[s].row >= 0) save(step, s, saved[s], after[s]);
  }

 private:
  VARLSTM_DEVICE void ask_x(int s) {
    for (int gate = 0; gate < kGates; ++gate)
      for (int p = 0; p < kPairs; ++p) x_[s][p][gate] = now_[s].row < 0 ? FloatPair{} : *gate_at(s, p, gate);
  }
  VARLSTM_DEVICE int64_t unit(int p) const {
    return unit_ + 8 * p;
  }
  VARLSTM_DEVICE FloatPair* gate_at(int s, int p, int gate) const {
    return reinterpret_cast<FloatPair*>(dir_.gates + (int64_t{now_[s].row} * CellType::kSaved + gate) * Tile::kHidden +
                                        unit(p));
  }
  VARLSTM_DEVICE const SlotStep* entry_at(uint32_t step, int s) const {
    return entries_ + uint64_t{step} * distance_ + 8 * s;
  }
  VARLSTM_DEVICE Token token_at(uint32_t step, int s) const {
    const bool has_entry = step < steps_ && (!Tile::kStreamed || slot(s) < slots_);
    const SlotStep entry = has_entry ? *entry_at(step, s) : idle_step();
    return {static_cast<int32_t>(entry.row), entry.marks};
  }
  VARLSTM_DEVICE int64_t sequence_at(uint32_t step, int s) const {
    return entry_at(step, s)->sequence;
  }
  VARLSTM_DEVICE static Word rounded(const FloatPair& h) {
    return Tile::Math::round_pair(h.of[0], h.of[1]);
  }
  // A state as it is stored, which in 16 bits is as it is multiplied.
  VARLSTM_DEVICE static Scalar stored(const FloatPair& h, Word word, int e) {
    if constexpr (sizeof(Scalar) == 2)
      return {static_cast<uint16_t>(word >> 16 * e)};
    else
      return h.of[e];
  }

  // Where a segment begins at `step`, the next one, its initial states take the place of the slot's states; where the
  // slot will be idle, zeros do. Then the states are passed on.
  template <class Push>
  VARLSTM_DEVICE void replace_and_push(uint32_t step, const Push& push) {
#pragma unroll
    for (int s = 0; s < 2; ++s) {
      if (next_[s].row < 0 || next_[s].has(kFirstToken)) begin_segment(step, s);
      for (int p = 0; p < kPairs; ++p) {
        const Word word = rounded(states_[s][p].h);
        push(s, p, word);
        if constexpr (CellType::kReadsH)  // as it is stored in y
          for (int e = 0; e < 2; ++e) states_[s][p].h.of[e] = load_scalar(stored(states_[s][p].h, word, e));
      }
    }
  }
  VARLSTM_DEVICE void begin_segment(uint32_t step, int s) {
    const bool takes_initial = next_[s].row >= 0 && next_[s].has(kTakesInitial);
    for (int p = 0; p < kPairs; ++p) {
      states_[s][p] = {};
      if (!takes_initial) continue;
      const int64_t at = sequence_at(step, s) * layer_.hidden + unit(p);
      for (int e = 0; e < 2; ++e) {
        if (dir_.h0 != nullptr) states_[s][p].h.of[e] = load_scalar(dir_.h0[at + e]);
        if (CellType::kHasC && dir_.c0 != nullptr) states_[s][p].c.of[e] = load_scalar(dir_.c0[at + e]);
      }
    }
  }

  VARLSTM_DEVICE void save(uint32_t step, int s, const FloatPair (&saved)[kPairs][CellType::kSaved],
                           const Pair (&after)[kPairs]) const {
    const int64_t row = now_[s].row;
#pragma unroll
    for (int p = 0; p < kPairs; ++p) {
      const Word word = rounded(after[p].h);
      if (dir_.y != nullptr) store_pair(dir_.y + row * layer_.ldy + unit(p), after[p].h, word);
      if (layer_.save) {
        for (int k = 0; k < CellType::kSaved; ++k) *gate_at(s, p, k) = saved[p][k];
        if constexpr (CellType::kHasC)
          *reinterpret_cast<FloatPair*>(dir_.c + row * layer_.hidden + unit(p)) = after[p].c;
      }
      if (!now_[s].has(kGivesFinal)) continue;
      const int64_t at = sequence_at(step, s) * layer_.hidden + unit(p);
      for (int e = 0; e < 2; ++e) {
        if (dir_.h_n != nullptr) dir_.h_n[at + e] = stored(after[p].h, word, e);
        if (CellType::kHasC && dir_.c_n != nullptr) dir_.c_n[at + e] = store_scalar<Scalar>(after[p].c.of[e]);
      }
    }
  }
  VARLSTM_DEVICE void store_pair(Scalar* to, const FloatPair& h, Word word) const {
    if (pairs_of_y_) {
      if constexpr (sizeof(Scalar) == 2)
        *reinterpret_cast<Word*>(to) = word;
      else
        *reinterpret_cast<FloatPair*>(to) = h;
    } else {
      to[0] = stored(h, word, 0);
      to[1] = stored(h, word, 1);
    }
  }

  const Cell kind_;
  const Layer& layer_;
  const Direction& dir_;
  const int slot_;
  const SlotStep* const entries_;    // of this thread's first slot
  const uint32_t distance_, steps_;  // from step to step; of the team
  const int slots_;                  // of the team
  const int64_t unit_;
  const bool pairs_of_y_;  // two neighbours of y may be written together

  Token now_[2], next_[2];          // of this step and of the one after
  FloatPair x_[2][kPairs][kGates];  // zeros of an idle slot, so that none is kept from step to step
  Pair states_[2][kPairs] = {};     // c is unused if the cell has none, h if the cell does not read it
};

}  // namespace varlstm::cuda
