// The cells of backward: what a thread of a resident recurrence does for the units and slots that it owns.
//
// A thread owns kWide neighbouring units (two, if there are enough cells) in kOwnSlots neighbouring slots. Neighbouring
// units are neighbours in every tensor, so that a thread loads and stores them together; and they share the schedule's
// entry. In a warp 8 pairs of units are beside 4 slots: the parts that it adds are then on different banks, and its
// accesses of a row fill whole sectors of 32 bytes.
//
// Nothing is used in the turn in which it is asked for, but for states from outside a sequence and their gradients,
// which few tokens take or give. In turn t a thread asks for the schedule's entry of turn t + 3, for c and h of the
// row of turn t + 2, and for the saved values and dy of the row of turn t + 1. The row of the next turn is also that
// of the token before, unless this token is the first of its segment; so c and h of each row are asked for once.
//
// If there are more threads than cells, those that own none do the same as those that do, but give nothing to anyone.
// An idle slot computes with the values of row 0. They go nowhere: nothing of them is stored, the product keeps slots
// apart, and the last token of a segment, which is the first that a slot visits, does not take what its slot had
// before. Units that are padding compute with the values of the last unit; their weights are zeros.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/resident/resident_tile.h"
#include "kernels/recurrence/resident/unit_of_rows.h"

namespace varlstm::cuda {

// The same value of neighbouring units.
template <class T, int kWide>
struct alignas(sizeof(T) * kWide) Neighbours {
  T of[kWide];
};

// The same of neighbours, as they were loaded. Two values of 16 bits stay one word until they are used; otherwise they
// would be taken apart, and so waited for, as soon as they are asked for.
template <class T, int kWide>
struct Loaded {
  Neighbours<T, kWide> values;
  VARLSTM_DEVICE T get(int w) const { return values.of[w]; }
  VARLSTM_DEVICE void set(const Neighbours<T, kWide>& from) { values = from; }
  VARLSTM_DEVICE void load(const T* from) { values = *reinterpret_cast<const Neighbours<T, kWide>*>(from); }
};
template <class T>
struct LoadedWord {
  uint32_t word;
  VARLSTM_DEVICE T get(int w) const { return {static_cast<uint16_t>(w == 0 ? word : word >> 16)}; }
  VARLSTM_DEVICE void set(const Neighbours<T, 2>& from) { word = from.of[0].bits | uint32_t{from.of[1].bits} << 16; }
  VARLSTM_DEVICE void load(const T* from) { word = *reinterpret_cast<const uint32_t*>(from); }
};
template <>
struct Loaded<Bf16, 2> : LoadedWord<Bf16> {};
template <>
struct Loaded<F16, 2> : LoadedWord<F16> {};

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
  static_assert(!kAllOwn || kCount == kThreads * kWide * kOwnSlots, "every cell has an owner");
  static_assert(kWide == 1 || (Tile::kUnits % 16 == 0 && kOwnSlots <= 2),
                "8 pairs of units beside 4 slots or pairs of slots");
  static_assert(kWide >= Tile::kStateUnits, "who has a group of units writes all of it");
  static_assert(kWide == 2 || kOwnSlots == 1, "a thread with several cells has pairs of units");
  // Every last token has one of these marks, and every first one. Two bits are tested in one instruction; one is not.
  static constexpr uint32_t kEnds = kLastToken | kGivesFinal, kBegins = kFirstToken | kTakesInitial;

 public:
  // The gradients of the gates of the thread's cells, as they are stored.
  struct Stored {
    Neighbours<Scalar, kWide> of[kOwnSlots][kStored];
  };
  // The sums of the parts of its cells.
  struct Recurrent {
    float of[kWide][kOwnSlots];
  };

  // unit0: the block's first unit. There must be at least one step.
  VARLSTM_DEVICE BackwardCells(Cell kind, const Layer& layer, const Direction& dir, const TeamSchedule& schedule,
                               int unit0)
      : kind_(kind), dir_(dir), hidden_(static_cast<int32_t>(layer.hidden)) {
    const int thread = static_cast<int>(threadIdx.x), lane = thread % 32, warp = thread / 32;
    if constexpr (kWide == 2) {
      constexpr int kGroups = Tile::kUnits / 16;
      unit_ = 2 * (warp % kGroups * 8 + lane % 8);
      slot_ = (warp / kGroups * 4 + lane / 8) * kOwnSlots;
    } else {
      unit_ = thread % Tile::kUnits;
      slot_ = thread / Tile::kUnits % Tile::kSlots;
    }
    owns_ = kAllOwn || thread < kCount;
    const int left = hidden_ - unit0 - unit_;  // units of the layer from this one
    column_ = left > 0 ? unit0 + unit_ : (hidden_ - 1) / kWide * kWide;
    counted_ = !owns_ || left < 0 ? 0 : left < kWide ? left : kWide;
    second_ = column_ + 1 < hidden_ ? 1 : 0;
    has_dy_ = counted_ > 0 && dir.dy != nullptr ? 1 : 0;
    together_ = kWide == 1 ? 1 : layer.in_pairs;
    simt::keep(together_);
    gates_ = {dir.gates, kSaved * layer.hidden, column_};
    dgates_ = {dir.dgates, kStored * layer.hidden, column_};
    if constexpr (CellType::kHasC) c_ = {dir.c, layer.hidden, column_};
    if constexpr (CellType::kReadsH) y_ = {dir.y, layer.ldy, column_};
    dy_ = {dir.dy, layer.ldy, column_};
    entries_ = {schedule.entry(0, 0), schedule.distance(), slot_};
    dstate_place_ = slot_ * Tile::kGatesPitch + Tile::state_place(unit_, 0);
    simt::keep(dstate_place_);
    if (dir.dh_n != nullptr || dir.dc_n != nullptr) rare_ |= kGivesFinal;
    if (dir.h0 != nullptr || dir.c0 != nullptr || dir.dc0 != nullptr) rare_ |= kTakesInitial;
    if (dir.dh0 != nullptr) began_ |= kTakesInitial;
    asked_step_ = static_cast<uint32_t>(schedule.steps() - 1);
    for (int s = 0; s < kOwnSlots; ++s) coming_[s] = entries_.of(asked_step_)[s];
    advance();
    advance();
  }

  // Adds the parts of a turn, which are there.
  template <class Exchange>
  VARLSTM_DEVICE void add_parts(const Exchange& exchange, unsigned turn, Recurrent* recurrent) const {
    if (!kAllOwn && !owns_) return;
#pragma unroll
    for (int w = 0; w < kWide; ++w) exchange.sums(turn, unit_ + w, slot_, recurrent->of[w]);
  }

  // Writes dh0 of the sequences that began at `step`, which was that of the turn before. `recurrent` are the sums of
  // that turn.
  VARLSTM_DEVICE void finish(int32_t step, const Recurrent& recurrent) const {
    for (int s = 0; s < kOwnSlots; ++s) {
      if (!(later_marks_[s] & kTakesInitial) || dir_.dh0 == nullptr) continue;
      for (int w = 0; w < kWide; ++w) {
        if (w >= counted_) break;
        const float straight = CellType::kPassesH ? straight_[s][w].h : 0.0f;
        dir_.dh0[place_of_sequence(step, s) + w] = store_scalar<Scalar>(recurrent.of[w][s] + straight);
      }
    }
  }

  // stored <- the gradients of the gates at `step`. recurrent: the sums of the turn before.
  VARLSTM_DEVICE void turn(int32_t step, const Recurrent& recurrent, Stored* stored) {
    UnitState<float> before[kOwnSlots][kWide], gradient[kOwnSlots][kWide];
    float passed[kOwnSlots][kWide];
    uint32_t rare = 0;
#pragma unroll
    for (int s = 0; s < kOwnSlots; ++s) {
      const bool ends = (now_[s].marks & kEnds) != 0, begins = (now_[s].marks & kBegins) != 0;
#pragma unroll
      for (int w = 0; w < kWide; ++w) {
        gradient[s][w] = {ends ? 0.0f : recurrent.of[w][s], 0};
        if constexpr (CellType::kPassesH) passed[s][w] = ends ? 0.0f : straight_[s][w].h;
        if constexpr (CellType::kHasC) gradient[s][w].c = ends ? 0.0f : straight_[s][w].c;
        before[s][w] = {0, 0};
        if constexpr (CellType::kReadsH) before[s][w].h = begins ? 0.0f : load_scalar(y_of_next_[s].get(w));
        if constexpr (CellType::kHasC) before[s][w].c = begins ? 0.0f : c_of_next_[s].get(w);
      }
      rare |= (now_[s].marks & rare_) | (later_marks_[s] & began_);
    }
    const bool any_rare = simt::any(0xffffffffu, rare != 0);
    if (any_rare) {
      finish(step + 1, recurrent);
      for (int s = 0; s < kOwnSlots; ++s) take_from_outside(step, s, before[s], gradient[s]);
    }
#pragma unroll
    for (int s = 0; s < kOwnSlots; ++s) {
#pragma unroll
      for (int w = 0; w < kWide; ++w) {
        UnitValues<float, kSaved> saved;
        for (int k = 0; k < kSaved; ++k) saved.of[k] = saved_[s][k].get(w);
        gradient[s][w].h += load_scalar(dy_of_now_[s].get(w));
        if constexpr (CellType::kPassesH) gradient[s][w].h += passed[s][w];
        const UnitState<float> after = {0, c_of_now_[s].get(w)};
        const auto d = backward_unit<CellType, Functions>(kind_, saved, before[s][w], after, &gradient[s][w]);
        straight_[s][w] = gradient[s][w];
        for (int k = 0; k < kStored; ++k) stored->of[s][k].of[w] = store_scalar<Scalar>(d.of[k]);
      }
    }
    if (any_rare) give_dc0(step);
  }

  // Writes those that flow to the state, rounded to the math's type, where the block's product reads them. All flow
  // there, but for a cell with state gates.
  VARLSTM_DEVICE void write_dstate(Value* dstate, const Stored& stored) const {
    if (!kAllOwn && !owns_) return;
    constexpr bool kInterleaved = Tile::kStateUnits == 2;
    Value values[kGates][kWide];
#pragma unroll
    for (int s = 0; s < kOwnSlots; ++s) {
      for (int gate = 0; gate < kGates; ++gate) {
        const int from = gate < kGates - CellType::kStateGates ? gate : gate + CellType::kStateGates;
        for (int w = 0; w < kWide; ++w) values[gate][w] = Tile::Math::value_of(stored.of[s][from].of[w]);
      }
      Value* to = dstate + dstate_place_ + s * Tile::kGatesPitch;
      if constexpr (Tile::kUnitsTogether) {
        constexpr int kBytes = sizeof values, kAligned = kBytes & -kBytes;
        struct alignas(kAligned < 16 ? kAligned : 16) All {
          Value of[kGates * kWide];
        };
        All all;
        for (int gate = 0; gate < kGates; ++gate)
          for (int w = 0; w < kWide; ++w) all.of[kInterleaved ? gate * kWide + w : w * kGates + gate] = values[gate][w];
        *reinterpret_cast<All*>(to) = all;
      } else {
        for (int gate = 0; gate < kGates; ++gate) {
          Neighbours<Value, kWide> neighbours;
          for (int w = 0; w < kWide; ++w) neighbours.of[w] = values[gate][w];
          *reinterpret_cast<Neighbours<Value, kWide>*>(to + gate * Tile::kUnits) = neighbours;
        }
      }
    }
  }

  // Stores what turn() returned, and goes to the next turn.
  VARLSTM_DEVICE void store(const Stored& stored) {
#pragma unroll
    for (int s = 0; s < kOwnSlots; ++s) {
      if (now_[s].row < 0 || counted_ == 0) continue;
      Scalar* dgates = dgates_.of(static_cast<uint32_t>(now_[s].row));
      if (together_ != 0) {
        for (int k = 0; k < kStored; ++k)
          *reinterpret_cast<Neighbours<Scalar, kWide>*>(dgates + k * hidden_) = stored.of[s][k];
      } else {
        for (int k = 0; k < kStored; ++k) {
          for (int w = 0; w < kWide; ++w) {
            if (w < counted_) dgates[k * hidden_ + w] = stored.of[s][k].of[w];
          }
        }
      }
    }
    advance();
  }

 private:
  struct Token {
    int32_t row;  // negative: idle
    uint32_t marks;
  };

  VARLSTM_DEVICE static int32_t existing_row(const Token& token) {
    return token.row < 0 ? 0 : token.row;
  }

  // The place in h0, c0 and their like of the sequence that begins or ends at `step`.
  VARLSTM_DEVICE int64_t place_of_sequence(int32_t step, int s) const {
    return static_cast<int64_t>(entries_.of(static_cast<uint32_t>(step))[s].sequence) * hidden_ + column_;
  }

  VARLSTM_DEVICE void take_from_outside(int32_t step, int s, UnitState<float> (&before)[kWide],
                                        UnitState<float> (&gradient)[kWide]) const {
    if (now_[s].row < 0 || !(now_[s].marks & (kGivesFinal | kTakesInitial))) return;
    const int64_t place = place_of_sequence(step, s);
    for (int w = 0; w < kWide; ++w) {
      if (w >= counted_) break;
      if (now_[s].marks & kGivesFinal) {
        gradient[w].h = scalar_or_zero(dir_.dh_n, place + w);
        if constexpr (CellType::kHasC) gradient[w].c = scalar_or_zero(dir_.dc_n, place + w);
      }
      if (now_[s].marks & kTakesInitial) {
        if constexpr (CellType::kReadsH) before[w].h = scalar_or_zero(dir_.h0, place + w);
        if constexpr (CellType::kHasC) before[w].c = scalar_or_zero(dir_.c0, place + w);
      }
    }
  }

  VARLSTM_DEVICE void give_dc0(int32_t step) const {
    if constexpr (CellType::kHasC) {
      for (int s = 0; s < kOwnSlots; ++s) {
        if (now_[s].row < 0 || !(now_[s].marks & kTakesInitial) || dir_.dc0 == nullptr) continue;
        for (int w = 0; w < kWide; ++w) {
          if (w < counted_) dir_.dc0[place_of_sequence(step, s) + w] = store_scalar<Scalar>(straight_[s][w].c);
        }
      }
    }
  }

  // Goes to the next turn, and asks for what the turns after it will need. After the turn of step 0 it asks again for
  // the entries of step 0.
  VARLSTM_DEVICE void advance() {
    asked_step_ = asked_step_ > 0 ? asked_step_ - 1 : 0;
    const SlotStep* entries = entries_.of(asked_step_);
#pragma unroll
    for (int s = 0; s < kOwnSlots; ++s) {
      later_marks_[s] = now_[s].marks;
      now_[s] = next_[s];
      next_[s] = {static_cast<int32_t>(coming_[s].row), coming_[s].marks};
      coming_[s] = entries[s];
      c_of_now_[s] = c_of_next_[s];
    }
    if (together_ != 0)
      ask<true>();
    else
      ask<false>();
  }

  // Asks for the values of `now` and for c and h of `next`.
  template <bool kTogether>
  VARLSTM_DEVICE void ask() {
#pragma unroll
    for (int s = 0; s < kOwnSlots; ++s) {
      const uint32_t row = existing_row(now_[s]), next_row = existing_row(next_[s]);
      const float* gates = gates_.of(row);
      for (int k = 0; k < kSaved; ++k) load<kTogether>(gates + k * hidden_, &saved_[s][k]);
      if (has_dy_ != 0) load<kTogether>(dy_.of(row), &dy_of_now_[s]);
      if constexpr (CellType::kHasC) load<kTogether>(c_.of(next_row), &c_of_next_[s]);
      if constexpr (CellType::kReadsH) load<kTogether>(y_.of(next_row), &y_of_next_[s]);
    }
  }

  template <bool kTogether, class T>
  VARLSTM_DEVICE void load(const T* from, Loaded<T, kWide>* to) const {
    if constexpr (kTogether) {
      to->load(from);
    } else {
      Neighbours<T, kWide> values;
      for (int w = 0; w < kWide; ++w) values.of[w] = from[w * second_];
      to->set(values);
    }
  }

  const Cell kind_;
  const Direction& dir_;
  const int32_t hidden_;
  int unit_, slot_;  // the first, in the block
  bool owns_;
  int32_t column_;             // the first unit, in the layer; of padding, one of the last units
  int counted_;                // units that are not padding; 0 if the thread owns none
  int second_;                 // from the first unit to the second that is loaded
  int32_t has_dy_, together_;  // whether there is a dy; whether neighbouring units are loaded and stored together
  UnitOfRows<const float> gates_, c_;
  UnitOfRows<const Scalar> y_, dy_;
  UnitOfRows<Scalar> dgates_;
  UnitOfRows<const SlotStep> entries_;  // one for each step
  int dstate_place_;
  uint32_t rare_ = 0, began_ = 0;  // the marks of this turn, and of the turn before, that give or take more
  uint32_t asked_step_;            // the step whose entries were asked for last
  SlotStep coming_[kOwnSlots];
  Token now_[kOwnSlots] = {}, next_[kOwnSlots] = {};
  uint32_t later_marks_[kOwnSlots];  // of the turn before
  Loaded<float, kWide> saved_[kOwnSlots][kSaved];
  Loaded<Scalar, kWide> dy_of_now_[kOwnSlots] = {}, y_of_next_[kOwnSlots] = {};
  Loaded<float, kWide> c_of_now_[kOwnSlots] = {}, c_of_next_[kOwnSlots] = {};
  UnitState<float> straight_[kOwnSlots][kWide] = {};  // the gradient that goes straight to the step before
};

}  // namespace varlstm::cuda
