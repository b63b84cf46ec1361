// The cells of backward: what a thread of a resident recurrence does for the units and slots that it owns.
//
// A thread owns kWide neighbouring units (two, if there are enough cells) in kOwnSlots neighbouring slots. Neighbouring
// units share the schedule's entry. In a warp 8 pairs of units are beside 4 slots, or 16 units beside 2 slots: the
// parts that it adds are then on different banks, and its accesses of a row fill whole sectors of 32 bytes.
//
// Nothing is used in the turn in which it is asked for, but for states from outside a sequence and their gradients,
// which few tokens take or give. A turn asks for the schedule's entry of a later turn, for c and h of the row of the
// turn before that one, and for the saved values and dy of the row before that. The row of the next turn is also that
// of the token before, unless this token is the first of its segment; so c and h of each row are asked for once.
//
// With kAhead all this is asked for one turn earlier. Then what the gradients are multiplied by is known before the
// parts of a turn are waited for, so that few operations are left between the parts and dgates, and the saved values
// have a whole turn to come. This takes about 14 registers more for each two cells of a thread. Example: with kAhead
// the turn of step 7 uses factors that the turn of step 8 has computed from values that the turn of step 9 asked for.
//
// If there are more threads than cells, those that own none do the same as those that do, but give nothing to anyone.
// An idle slot computes with the values of row 0. They go nowhere: nothing of them is stored, the product keeps slots
// apart, and the last token of a segment, which is the first that a slot visits, does not take what its slot had
// before. Units that are padding compute with the values of the last unit; their weights are zeros.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <type_traits>

#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/resident/neighbours.h"
#include "kernels/recurrence/resident/resident_tile.h"
#include "kernels/recurrence/resident/unit_of_rows.h"

namespace varlstm::cuda {

// What forward saved of the gates of neighbouring units.
template <class CellType, int kWide>
struct SavedGates {
  using Rows = UnitOfRows<const float>;
  Neighbours<float, kWide> of[CellType::kSaved];

  static VARLSTM_DEVICE Rows rows(const float* gates, int64_t hidden, int64_t unit) {
    return {gates, CellType::kSaved * hidden, unit};
  }
  // kTogether, second: as in Neighbours.
  template <bool kTogether>
  VARLSTM_DEVICE void load(const Rows& rows, uint32_t row, int32_t hidden, int second) {
    const float* gates = rows.of(row);
    for (int k = 0; k < CellType::kSaved; ++k) of[k].template load<kTogether>(gates + k * hidden, second);
  }
  VARLSTM_DEVICE UnitValues<float, CellType::kSaved> unit(int w) const {
    UnitValues<float, CellType::kSaved> values;
    for (int k = 0; k < CellType::kSaved; ++k) values.of[k] = of[k].get(w);
    return values;
  }
};

template <class Tile>
class BackwardCells {
  using Scalar = typename Tile::Scalar;
  using Value = typename Tile::Value;
  using CellType = typename Tile::Cell;
  using Functions = typename Tile::Math::Functions;
  using Layer = LayerBackward<Scalar, float>;
  using Direction = DirectionBackward<Scalar, float>;
  static constexpr int kSaved = CellType::kSaved, kStored = kGradientsOf<CellType>, kGates = CellType::kGates;
  static constexpr int kThreads = Tile::kBackwardThreads, kCount = Tile::kUnits * Tile::kSlots;
  static constexpr bool kAllOwn = kCount >= kThreads;
  static constexpr int kWide = Tile::kBackwardUnits;
  static constexpr int kOwnSlots = kAllOwn ? kCount / kThreads / kWide : 1;
  static constexpr int kAhead = Tile::kBackwardAhead ? 1 : 0;
  // Of a warp: neighbouring groups of kWide units, and neighbouring groups of kOwnSlots slots.
  static constexpr int kUnitGroups = kWide == 2 || Tile::kUnits % 16 != 0 ? 8 : 16;
  static constexpr int kSlotGroups = 32 / kUnitGroups;
  static constexpr int kWarpsOfSlots = Tile::kUnits / kWide / kUnitGroups;
  static_assert(!kAllOwn || kCount == kThreads * kWide * kOwnSlots, "every cell has an owner");
  static_assert(Tile::kUnits % (kWide * kUnitGroups) == 0 && kOwnSlots <= 2, "whole warps");
  static_assert(kWide >= Tile::kStateUnits, "who has a group of units writes all of it");
  static_assert(kWide == 2 || kOwnSlots == 1, "a thread with several cells has pairs of units");
  // Every last token has one of these marks, and every first one. Two bits are tested in one instruction; one is not.
  static constexpr uint32_t kEnds = kLastToken | kGivesFinal, kBegins = kFirstToken | kTakesInitial;
  static constexpr uint32_t kIdle = 1u << 31;
  static constexpr int kTokens = 2 + kAhead;  // of a slot, from that of this turn

 public:
  // The gradients of the gates of the thread's cells, as they are stored.
  struct Stored {
    uint32_t row[kOwnSlots];
    uint32_t idle[kOwnSlots];  // not stored if it has kIdle
    Neighbours<Scalar, kWide> of[kOwnSlots][kStored];
  };
  // The sums of the parts of its cells.
  struct Recurrent {
    float of[kOwnSlots][kWide];
  };

  // unit0: the block's first unit. There must be at least one step.
  VARLSTM_DEVICE BackwardCells(Cell kind, const Layer& layer, const Direction& dir, const TeamSchedule& schedule,
                               int unit0)
      : kind_(kind), dir_(dir), hidden_(static_cast<int32_t>(layer.hidden)) {
    const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
    // H comes from a lane, because ptxas would load an argument again in every turn. More slots leave no register for
    // it.
    if constexpr (Tile::kSlots == 8) hidden_ = simt::shfl(0xffffffffu, lane == 0 ? hidden_ : 0, 0);
    simt::keep(hidden_);
    unit_ = (warp % kWarpsOfSlots * kUnitGroups + lane % kUnitGroups) * kWide;
    slot_ = (warp / kWarpsOfSlots * kSlotGroups + lane / kUnitGroups) * kOwnSlots % Tile::kSlots;
    owns_ = kAllOwn || thread < kCount;
    const int left = hidden_ - unit0 - unit_;  // units of the layer from this one
    column_ = left > 0 ? unit0 + unit_ : (hidden_ - 1) / kWide * kWide;
    counted_ = !owns_ || left < 0 ? 0 : left < kWide ? left : kWide;
    stores_nothing_ = counted_ > 0 ? 0 : kIdle;
    second_ = column_ + 1 < hidden_ ? 1 : 0;
    has_dy_ = counted_ > 0 && dir.dy != nullptr ? 1 : 0;
    together_ = kWide == 1 ? 1 : layer.in_pairs;
    simt::keep(together_);
    gates_ = SavedGates<CellType, kWide>::rows(dir.gates, layer.hidden, column_);
    dgates_ = {dir.dgates, kStored * layer.hidden, column_};
    if constexpr (CellType::kHasC) c_of_rows_ = {dir.c, layer.hidden, column_};
    if constexpr (CellType::kReadsH) y_of_rows_ = {dir.y, layer.ldy, column_};
    dy_of_rows_ = {dir.dy, layer.ldy, column_};
    if constexpr (Tile::kFewerSlots) is_slot_ = slot_ < schedule.team_slots();
    const int place = is_slot_ ? slot_ : 0;
    entries_ = {schedule.entry(0, 0), schedule.distance(), place};
    dstate_place_ = slot_ * Tile::kGatesPitch + Tile::state_place(unit_, 0);
    simt::keep(dstate_place_);
    if (dir.dh_n != nullptr || dir.dc_n != nullptr) rare_ |= kGivesFinal;
    if (dir.h0 != nullptr || dir.c0 != nullptr) rare_ |= kTakesInitial;
    if (dir.dh0 != nullptr || dir.dc0 != nullptr) began_ |= kTakesInitial;
    const auto steps = static_cast<int32_t>(schedule.steps()), first = (steps - 1) | 1;
    for (int s = 0; s < kOwnSlots; ++s) coming_[s] = schedule.at(first, place + s);
    step_ = first + kTokens;
    for (int k = 0; k < kTokens; ++k) {
      rotate();
      is_rare_ = step_ == first;
      if constexpr (kAhead == 1) prepare();
      if (together_ != 0)
        ask<true>();
      else
        ask<false>();
    }
    mark_next();
  }

  // Computes what does not depend on the parts, from what was asked for. kNow: before what comes next.
  template <bool kNow = kAhead == 1>
  VARLSTM_DEVICE void prepare() {
    set_before();
    if (is_rare_) {
      simt::warp_sync();  // keeps the compiler from branching for each thread
      take_initial();
    }
#pragma unroll
    for (int s = 0; s < kOwnSlots; ++s) {
#pragma unroll
      for (int w = 0; w < kWide; ++w) {
        prepared_[s][w] = {backward_factors<CellType, Functions>(kind_, saved_[s].unit(w), before_[s][w],
                                                                 UnitState<float>{0, c_[s][0].get(w)}),
                           load_scalar(dy_[s].get(w))};
        if constexpr (kNow) keep(&prepared_[s][w]);
      }
    }
  }

  // Adds the parts of a turn, which are there.
  template <class Exchange>
  VARLSTM_DEVICE void add_parts(const Exchange& exchange, unsigned turn, Recurrent* recurrent) const {
    if (!kAllOwn && !owns_) return;
    exchange.sums(turn, unit_, slot_, recurrent->of);
  }

  // stored <- the gradients of the gates. recurrent: the sums of the turn before. kPrepared: prepare() has been called
  // for this turn, or a turn earlier by go_on().
  template <bool kPrepared = kAhead == 1>
  VARLSTM_DEVICE void turn(const Recurrent& recurrent, Stored* stored) {
    UnitState<float> gradient[kOwnSlots][kWide];
    float passed[kOwnSlots][kWide];
#pragma unroll
    for (int s = 0; s < kOwnSlots; ++s) {
      const bool ends = (tokens_[s][0].marks & kEnds) != 0;
#pragma unroll
      for (int w = 0; w < kWide; ++w) {
        gradient[s][w] = {ends ? 0.0f : recurrent.of[s][w], 0};
        if constexpr (CellType::kPassesH) passed[s][w] = ends ? 0.0f : straight_[s][w].h;
        if constexpr (CellType::kHasC) gradient[s][w].c = ends ? 0.0f : straight_[s][w].c;
      }
    }
    if (is_rare_) {
      finish(recurrent);
      for (int s = 0; s < kOwnSlots; ++s) take_final(s, gradient[s]);
    }
    if constexpr (!kPrepared) prepare();
#pragma unroll
    for (int s = 0; s < kOwnSlots; ++s) {
      stored->row[s] = tokens_[s][0].row, stored->idle[s] = tokens_[s][0].marks | stores_nothing_;
      float d[kStored][kWide];
#pragma unroll
      for (int w = 0; w < kWide; ++w) {
        gradient[s][w].h += prepared_[s][w].dy;
        if constexpr (CellType::kPassesH) gradient[s][w].h += passed[s][w];
        const auto of_unit = backward_unit<CellType>(kind_, prepared_[s][w].by, &gradient[s][w]);
        straight_[s][w] = gradient[s][w];
        for (int k = 0; k < kStored; ++k) d[k][w] = of_unit.of[k];
      }
      for (int k = 0; k < kStored; ++k) stored->of[s][k].round(d[k]);
    }
  }

  // Of those, the one of a gate that flows to the state.
  VARLSTM_DEVICE static const Neighbours<Scalar, kWide>& flowing(const Stored& stored, int s, int gate) {
    return stored.of[s][gate < kGates - CellType::kStateGates ? gate : gate + CellType::kStateGates];
  }
  // Where those of the thread's first unit and slot are among the values that the product reads.
  VARLSTM_DEVICE int dstate_place() const {
    return dstate_place_;
  }

  // Writes those that flow to the state, rounded to the math's type, where the block's product reads them. All flow
  // there, but for a cell with state gates.
  VARLSTM_DEVICE void write_dstate(Value* dstate, const Stored& stored) const {
    if (!kAllOwn && !owns_) return;
    constexpr bool kInterleaved = Tile::kStateUnits == 2;
    constexpr bool kWords = kInterleaved && Neighbours<Scalar, kWide>::kInWord;
    using Piece = std::conditional_t<kWords, uint32_t, Value>;
    constexpr int kPieces = kWords ? 1 : kWide;  // of a gate
#pragma unroll
    for (int s = 0; s < kOwnSlots; ++s) {
      Piece pieces[kGates][kPieces];
      for (int gate = 0; gate < kGates; ++gate) {
        const auto& from = flowing(stored, s, gate);
        if constexpr (kWords) {
          pieces[gate][0] = from.word;
        } else {
          for (int w = 0; w < kWide; ++w) pieces[gate][w] = Tile::Math::value_of(from.get(w));
        }
      }
      Value* to = dstate + dstate_place_ + s * Tile::kGatesPitch;
      if constexpr (Tile::kUnitsTogether) {
        constexpr int kBytes = sizeof pieces, kAligned = kBytes & -kBytes;
        struct alignas(kAligned < 16 ? kAligned : 16) All {
          Piece of[kGates * kPieces];
        };
        All all;
        for (int gate = 0; gate < kGates; ++gate)
          for (int w = 0; w < kPieces; ++w)
            all.of[kInterleaved ? gate * kPieces + w : w * kGates + gate] = pieces[gate][w];
        *reinterpret_cast<All*>(to) = all;
      } else {
        struct alignas(sizeof(Value) * kWide) OfGate {
          Value of[kWide];
        };
        for (int gate = 0; gate < kGates; ++gate) {
          OfGate all;
          for (int w = 0; w < kWide; ++w) all.of[w] = pieces[gate][w];
          *reinterpret_cast<OfGate*>(to + gate * Tile::kUnits) = all;
        }
      }
    }
  }

  VARLSTM_DEVICE bool is_last() const {
    return step_ == 0;
  }

  // After the last turn: dh0 and dc0 of the sequences that began in it. `recurrent`: its sums.
  VARLSTM_DEVICE void finish_last(const Recurrent& recurrent) {
    rotate();
    finish(recurrent);
  }

  // Stores what a turn has returned.
  VARLSTM_DEVICE void store(const Stored& stored) const {
    if (together_ != 0)
      store<true>(stored);
    else
      store<false>(stored);
  }
  // Goes to the next turn: stores what this one has returned, and asks for what the turns after the next will need.
  VARLSTM_DEVICE void go_on(const Stored& stored) {
    if (__builtin_expect(together_ != 0, 1))
      go_on<true>(stored);
    else
      go_on<false>(stored);
  }

 private:
  struct Token {
    uint32_t row = 0;  // 0 of an idle slot
    uint32_t marks = kIdle;
  };
  struct Prepared {
    BackwardFactors<CellType, float> by;
    float dy;
  };

  // The place in h0, c0 and their like of the sequence that begins or ends at `step`.
  VARLSTM_DEVICE int64_t place_of_sequence(int32_t step, int s) const {
    return static_cast<int64_t>(entries_.of(static_cast<uint32_t>(step))[s].sequence) * hidden_ + column_;
  }

  // Writes dh0 and dc0 of the sequences that began in the turn before. `recurrent` are the sums of that turn.
  VARLSTM_DEVICE void finish(const Recurrent& recurrent) const {
    for (int s = 0; s < kOwnSlots; ++s) {
      if (!(later_marks_[s] & kTakesInitial)) continue;
      const int64_t place = place_of_sequence(step_ + 1, s);
      for (int w = 0; w < kWide; ++w) {
        if (w >= counted_) break;
        const float straight = CellType::kPassesH ? straight_[s][w].h : 0.0f;
        if (dir_.dh0 != nullptr) dir_.dh0[place + w] = store_scalar<Scalar>(recurrent.of[s][w] + straight);
        if constexpr (CellType::kHasC)
          if (dir_.dc0 != nullptr) dir_.dc0[place + w] = store_scalar<Scalar>(straight_[s][w].c);
      }
    }
  }

  VARLSTM_DEVICE void take_final(int s, UnitState<float> (&gradient)[kWide]) const {
    if (!(tokens_[s][0].marks & kGivesFinal)) return;
    const int64_t place = place_of_sequence(step_, s);
    for (int w = 0; w < kWide; ++w) {
      if (w >= counted_) break;
      gradient[w].h = scalar_or_zero(dir_.dh_n, place + w);
      if constexpr (CellType::kHasC) gradient[w].c = scalar_or_zero(dir_.dc_n, place + w);
    }
  }

  VARLSTM_DEVICE void rotate() {
    --step_;
    is_rare_ = is_next_rare_;
#pragma unroll
    for (int s = 0; s < kOwnSlots; ++s) {
      later_marks_[s] = tokens_[s][0].marks;
      for (int k = 0; k < kTokens - 1; ++k) {
        tokens_[s][k] = tokens_[s][k + 1];
        c_[s][k] = c_[s][k + 1];
        y_[s][k] = y_[s][k + 1];
      }
      if (Tile::kFewerSlots && !is_slot_) coming_[s] = idle_step();
      auto row = static_cast<int32_t>(coming_[s].row);
      simt::keep(row);  // here, and not before the parts are pushed: it may be waited for
      tokens_[s][kTokens - 1] = {static_cast<uint32_t>(row > 0 ? row : 0),
                                 coming_[s].marks | (static_cast<uint32_t>(row) & kIdle)};
    }
  }

  // before_ <- the states before this turn's: those that the rows have, and then the sequences' initial ones.
  VARLSTM_DEVICE void set_before() {
#pragma unroll
    for (int s = 0; s < kOwnSlots; ++s) {
      const bool begins = (tokens_[s][0].marks & kBegins) != 0;
#pragma unroll
      for (int w = 0; w < kWide; ++w) {
        if constexpr (CellType::kReadsH) before_[s][w].h = begins ? 0.0f : load_scalar(y_[s][1].get(w));
        if constexpr (CellType::kHasC) before_[s][w].c = begins ? 0.0f : c_[s][1].get(w);
      }
    }
  }
  VARLSTM_DEVICE void take_initial() {
    for (int s = 0; s < kOwnSlots; ++s) {
      if (!(tokens_[s][0].marks & kTakesInitial)) continue;
      const int64_t place = place_of_sequence(step_, s);
      for (int w = 0; w < kWide; ++w) {
        if (w >= counted_) break;
        if constexpr (CellType::kReadsH) before_[s][w].h = scalar_or_zero(dir_.h0, place + w);
        if constexpr (CellType::kHasC) before_[s][w].c = scalar_or_zero(dir_.c0, place + w);
      }
    }
  }

  // A turn early, because the vote takes long.
  VARLSTM_DEVICE void mark_next() {
    uint32_t marks = 0;
    for (int s = 0; s < kOwnSlots; ++s) marks |= (tokens_[s][1].marks & rare_) | (tokens_[s][0].marks & began_);
    is_next_rare_ = simt::any(0xffffffffu, marks != 0);
  }

  // The branch before it keeps the compiler from waiting for what was asked for before the parts are pushed.
  template <bool kTogether>
  VARLSTM_DEVICE void go_on(const Stored& stored) {
    rotate();
    if constexpr (kAhead == 1) prepare();
    mark_next();
    store<kTogether>(stored);
    ask<kTogether>();
  }

  // Has the values computed now, before the parts are waited for.
  VARLSTM_DEVICE static void keep(Prepared* prepared) {
    float values[sizeof(Prepared) / sizeof(float)];
    memcpy(values, prepared, sizeof values);
    for (float& value : values) simt::keep(value);
    memcpy(prepared, values, sizeof values);
  }

  template <bool kTogether>
  VARLSTM_DEVICE void store(const Stored& stored) const {
#pragma unroll
    for (int s = 0; s < kOwnSlots; ++s) {
      Scalar* const dgates = dgates_.of(stored.row[s]);
      Scalar* places[kStored];
      for (int k = 0; k < kStored; ++k) places[k] = dgates + k * hidden_;
      if (stored.idle[s] & kIdle) continue;
      for (int k = 0; k < kStored; ++k) {
        if constexpr (kTogether) {
          stored.of[s][k].store(places[k]);
        } else {
          for (int w = 0; w < kWide; ++w) {
            if (w < counted_) places[k][w] = stored.of[s][k].get(w);
          }
        }
      }
    }
  }

  template <bool kTogether>
  VARLSTM_DEVICE void ask() {
    const int32_t step = step_ - kTokens;
    const SlotStep* entries = entries_.of(static_cast<uint32_t>(step > 0 ? step : 0));
#pragma unroll
    for (int s = 0; s < kOwnSlots; ++s) {
      coming_[s] = entries[s];
      const uint32_t row = tokens_[s][kAhead].row, next_row = tokens_[s][kAhead + 1].row;
      saved_[s].template load<kTogether>(gates_, row, hidden_, second_);
      if (has_dy_ != 0) dy_[s].template load<kTogether>(dy_of_rows_.of(row), second_);
      if constexpr (CellType::kHasC) c_[s][kAhead + 1].template load<kTogether>(c_of_rows_.of(next_row), second_);
      if constexpr (CellType::kReadsH) y_[s][kAhead + 1].template load<kTogether>(y_of_rows_.of(next_row), second_);
    }
  }

  const Cell kind_;
  const Direction& dir_;
  int32_t hidden_;
  int unit_, slot_;             // the first, in the block
  bool owns_, is_slot_ = true;  // is_slot_: the team has the thread's slots
  int32_t column_;              // the first unit, in the layer; of padding, one of the last units
  int counted_;                 // units that are not padding; 0 if the thread owns none
  uint32_t stores_nothing_;     // kIdle if there are none
  int second_;                  // from the first unit to the second that is loaded
  int32_t has_dy_, together_;   // whether there is a dy; whether neighbouring units are loaded and stored together
  typename SavedGates<CellType, kWide>::Rows gates_;
  UnitOfRows<const float> c_of_rows_;
  UnitOfRows<const Scalar> y_of_rows_, dy_of_rows_;
  UnitOfRows<Scalar> dgates_;
  UnitOfRows<const SlotStep> entries_;  // one for each step
  int dstate_place_;
  uint32_t rare_ = 0, began_ = 0;  // the marks of this turn, and of the turn before, that give or take more
  bool is_rare_ = false, is_next_rare_ = false;  // whether a thread of the warp has one in this turn, and in the next
  int32_t step_;                                 // of this turn
  SlotStep coming_[kOwnSlots];
  Token tokens_[kOwnSlots][kTokens];  // of this turn and the next ones
  uint32_t later_marks_[kOwnSlots];   // of the turn before
  SavedGates<CellType, kWide> saved_[kOwnSlots];
  Neighbours<Scalar, kWide> dy_[kOwnSlots] = {};
  Neighbours<Scalar, kWide> y_[kOwnSlots][kTokens] = {};  // of the rows of the tokens
  Neighbours<float, kWide> c_[kOwnSlots][kTokens] = {};
  UnitState<float> before_[kOwnSlots][kWide] = {};  // of the tokens of this turn
  Prepared prepared_[kOwnSlots][kWide];
  UnitState<float> straight_[kOwnSlots][kWide] = {};  // the gradient that goes straight to the step before
};

}  // namespace varlstm::cuda
