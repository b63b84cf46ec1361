// The cells of a thread in forward: what it reads, keeps and writes of its unit and slots, while the product and the
// exchange of states are the whole block's (resident_forward.h).
//
// All that a step needs from global memory is asked for a step ahead: before the wait for the states of step t, the
// x-gates of step t + 1 and the schedule's entries of step t + 2, which say where the x-gates of that step are. So no
// load is waited for in the step that asks for it, but for what a rare step reads besides (below). What a step leaves
// behind is written after its states have been pushed.
//
// Most steps of a warp are alike, and some are rare: a slot is idle, a unit is padding, a segment begins or ends. The
// lanes vote on these when the entries of a step have come, so that in a usual step a warp only passes by the rare
// code. Example: a warp has 8 slots. If one of them has the last token of its sequence, all lanes see that the step
// is marked, and those of that slot write h_n and c_n.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string.h>

#include <type_traits>

#include "kernels/recurrence/recurrence.h"
#include "kernels/recurrence/resident/resident_tile.h"
#include "kernels/recurrence/resident/unit_of_rows.h"

namespace varlstm::cuda {

// The gates of a unit in each row: kSaved planes of H values, of which the first kGates are the x-gates.
template <class CellType>
class GatesOfUnit {
 public:
  VARLSTM_DEVICE GatesOfUnit(float* gates, int64_t hidden, int64_t unit)
      : rows_(gates, CellType::kSaved * hidden, unit), plane_(static_cast<uint32_t>(hidden)) {
    simt::keep(plane_);
  }
  template <class Row>
  VARLSTM_DEVICE UnitValues<float, CellType::kGates> load(Row row) const {
    UnitValues<float, CellType::kGates> x;
    const float* of_row = rows_.of(row);
    for (int k = 0; k < CellType::kGates; ++k) x.of[k] = of_row[plane(k)];
    return x;
  }
  template <class Row>
  VARLSTM_DEVICE void store(Row row, const UnitValues<float, CellType::kSaved>& saved) const {
    float* of_row = rows_.of(row);
    for (int k = 0; k < CellType::kSaved; ++k) of_row[plane(k)] = saved.of[k];
  }

 private:
  VARLSTM_DEVICE uint64_t plane(int k) const { return simt::multiply_wide(plane_, static_cast<uint32_t>(k)); }

  UnitOfRows<float> rows_;
  uint32_t plane_;
};

// The states of a thread's two slots, as they are and as they are exchanged.
template <class Tile>
struct StatePair {
  using Math = typename Tile::Math;
  using Scalar = typename Tile::Scalar;
  float h[2];
  typename Math::Pair rounded;

  VARLSTM_DEVICE void round() { rounded = Math::round_pair(h[0], h[1]); }
  // h of slot s as it is stored in y.
  VARLSTM_DEVICE Scalar stored(int s) const {
    if constexpr (sizeof(Scalar) == 2)
      return {static_cast<uint16_t>(rounded >> 16 * s)};
    else
      return store_scalar<Scalar>(h[s]);
  }
};

// What a warp has found out about the tokens of a step. In a usual step all of its 8 slots have a token without marks
// in a row below 2^32, and all of its 8 units count; then the word is 0. Otherwise it is about this thread's two slots.
struct TokenKinds {
  uint32_t word;

  VARLSTM_DEVICE static TokenKinds usual_ones() { return {0}; }
  VARLSTM_DEVICE static TokenKinds rare_ones() { return {0x80000000u}; }
  VARLSTM_DEVICE void add(int s, uint32_t marks) { word |= (1 | marks << 1) << 8 * s; }

  VARLSTM_DEVICE bool usual() const { return word == 0; }
  // Of a rare step: whether slot s has a token and the unit counts; the token's marks.
  VARLSTM_DEVICE bool works(int s) const { return (word >> 8 * s & 1) != 0; }
  VARLSTM_DEVICE bool has(int s, uint32_t mark) const { return (word >> 8 * s >> 1 & mark) != 0; }
};

// The results of a step for a thread's two cells of a slot tile, kept until they are saved.
template <class Tile>
struct StepResult {
  uint32_t rows[2];  // of the tokens, if they are usual ones
  TokenKinds kinds;
  UnitValues<float, Tile::Cell::kSaved> saved[2];
  float c[2];
  StatePair<Tile> state;
};

// Gate `gate` of a unit, in slot s of a thread's two, from the sums of the unit's row tiles.
template <int kGateTiles>
VARLSTM_DEVICE float sum_of_gate(const simt::f32x4 (&sums)[kGateTiles], int gate, int s) {
  return sums[gate / 2].r[gate % 2 * 2 + s];
}

// The cells of a thread: one unit, and two slots of each slot tile that its warp owns. The members that take a step
// keep two of what belongs to a step, that of an even step and that of an odd one: `odd` is the step modulo 2 and a
// constant where it is called.
template <class Tile>
class ForwardCells {
  using Scalar = typename Tile::Scalar;
  using CellType = typename Tile::Cell;
  using Functions = typename Tile::Math::Functions;
  using Layer = LayerForward<Scalar, float>;
  using Direction = DirectionForward<Scalar, float>;
  using Gates = UnitValues<float, CellType::kGates>;

 public:
  static constexpr int kTiles = (Tile::kSlotTiles + Tile::kSplits - 1) / Tile::kSplits;
  static_assert(Tile::kSplits == 1 || kTiles == 1, "a warp owns all of its slot tiles, or none");

  // unit: counted in the whole layer. gates_have_inputs: the x-gates are in dir.gates; otherwise set_inputs sets them.
  // The team has at least one step.
  VARLSTM_DEVICE ForwardCells(Cell kind, const Layer& layer, const Direction& dir, const TeamSchedule& schedule,
                              int split, int64_t unit, bool gates_have_inputs)
      : kind_(kind),
        layer_(layer),
        dir_(dir),
        split_(split),
        unit_(unit),
        gates_have_inputs_(gates_have_inputs),
        padding_(owns(0) && unit < layer.hidden ? 0 : 1),
        writes_y_(dir.y != nullptr ? 1 : 0),
        saves_(layer.save ? 1 : 0),
        last_(static_cast<uint32_t>(schedule.steps() - 1)),
        entries_(reinterpret_cast<const Fragment*>(schedule.entry(0, owns(0) ? slot(0) : 0)), schedule.distance(), 0),
        gates_(dir.gates, layer.hidden, unit),
        c_rows_(dir.c, layer.hidden, unit),
        y_rows_(dir.y, layer.ldy, unit) {
    simt::keep(padding_);
    simt::keep(writes_y_);
    simt::keep(saves_);
    look_ahead(0);
    if constexpr (CellType::kStateBias) {
      // -0 changes no sum it is added to.
      for (int gate = 0; gate < CellType::kGates; ++gate)
        b_hh_.of[gate] =
            padding_ == 0 && dir.b_hh != nullptr ? load_scalar(dir.b_hh[gate * layer.hidden + unit]) : -0.0f;
    }
  }

  VARLSTM_DEVICE int unit() const { return static_cast<int>(unit_); }
  // Whether there is an i-th owned slot tile. A warp that has none asks for no x-gates, as if its units were padding.
  VARLSTM_DEVICE bool owns(int i) const { return Tile::kSplits == 1 || slot_tile(i) < Tile::kSlotTiles; }
  VARLSTM_DEVICE int slot_tile(int i) const { return split_ + i * Tile::kSplits; }
  VARLSTM_DEVICE int slot(int i) const { return slot_tile(i) * 8 + 2 * lane_column(); }

  // Returns the states that the first segments start from, and asks for the x-gates of their first tokens.
  VARLSTM_DEVICE StatePair<Tile> begin(int i) {
    StatePair<Tile> state;
    for (int s = 0; s < 2; ++s) state.h[s] = c_[i][s] = h_[i][s] = 0;
    state.round();
    fetch(Step{}, i);
    replace(Step{}, i, state);
    return state;
  }

  // Asks for the entries of a step. After the last one there are none: that of the last step stands for them, and is
  // not used.
  VARLSTM_DEVICE void look_ahead(uint32_t step) {
    const Fragment* entries = entries_.of(step < last_ ? step : last_);
#pragma unroll
    for (int i = 0; i < kTiles; ++i) {
      for (int s = 0; s < 2; ++s) coming_[i][s] = entries[i * Tile::kSplits * 8 + s];
    }
  }
  // Asks for what the next steps need from memory: the x-gates of step + 1 and the entries of step + 2. Before `step`
  // waits for its states.
  VARLSTM_DEVICE void ask(const Step& step) {
#pragma unroll
    for (int i = 0; i < kTiles; ++i) fetch(step.next(), i);
    look_ahead(step.number() + 2);
  }

  // Sets the x-gates of a step from the sums of the input, and adds both biases in the way of gemm.
  VARLSTM_DEVICE void set_inputs(const Step& step, int i, const simt::f32x4 (&sums)[Tile::kGateTiles],
                                 const Float4& b_ih, const Float4& b_hh) {
    for (int s = 0; s < 2; ++s) {
      for (int gate = 0; gate < CellType::kGates; ++gate)
        x_[step.odd][i][s].of[gate] = sum_of_gate(sums, gate, s) + 0.0f + b_ih.v[gate] + b_hh.v[gate];
    }
  }

  // Does one step of slot tile i. sums: the state's product.
  VARLSTM_DEVICE StepResult<Tile> step(const Step& step, int i, const simt::f32x4 (&sums)[Tile::kGateTiles]) {
    StepResult<Tile> result;
    result.kinds = kinds_[step.odd][i];
    for (int s = 0; s < 2; ++s) {
      result.rows[s] = rows_[step.odd][i][s];
      Gates product;
      for (int gate = 0; gate < CellType::kGates; ++gate) {
        product.of[gate] = sum_of_gate(sums, gate, s);
        if constexpr (CellType::kStateBias) product.of[gate] += b_hh_.of[gate];
      }
      const UnitState<float> before{h_[i][s], c_[i][s]};
      const auto unit = forward_unit<CellType, Functions>(kind_, x_[step.odd][i][s], product, before);
      result.saved[s] = unit.saved;
      result.c[s] = c_[i][s] = unit.after.c;
      result.state.h[s] = unit.after.h;
    }
    result.state.round();
    return result;
  }

  // If a segment begins in a slot at a step, its initial states replace those of the slot's last one; they are zeros
  // after a reset. An idle slot and a unit of padding get zeros. Then h_ <- h, as it is stored in y.
  VARLSTM_DEVICE void replace(const Step& step, int i, StatePair<Tile>& state) {
    const TokenKinds kinds = kinds_[step.odd][i];
    if (!kinds.usual()) {
      for (int s = 0; s < 2; ++s) {
        if (kinds.works(s) && !kinds.has(s, kFirstToken)) continue;
        state.h[s] = c_[i][s] = 0;
        if (kinds.works(s) && kinds.has(s, kTakesInitial)) {
          const int64_t at = sequence_of(step, i, s) * layer_.hidden + unit_;
          if (dir_.h0 != nullptr) state.h[s] = load_scalar(dir_.h0[at]);
          if (CellType::kHasC && dir_.c0 != nullptr) c_[i][s] = load_scalar(dir_.c0[at]);
        }
      }
      state.round();
    }
    if constexpr (CellType::kReadsH) {
      for (int s = 0; s < 2; ++s) h_[i][s] = load_scalar(state.stored(s));
    }
  }

  VARLSTM_DEVICE void save(const Step& step, int i, const StepResult<Tile>& result) const {
    if (result.kinds.usual()) {
      if (writes_y_ != 0) {
        for (int s = 0; s < 2; ++s) *y_rows_.of(result.rows[s]) = result.state.stored(s);
      }
      if (saves_ == 0) return;
      for (int s = 0; s < 2; ++s) {
        gates_.store(result.rows[s], result.saved[s]);
        if constexpr (CellType::kHasC) *c_rows_.of(result.rows[s]) = result.c[s];
      }
    } else {
      for (int s = 0; s < 2; ++s)
        if (result.kinds.works(s)) save_rare(step, i, result, s);
    }
  }

  // The row of slot s's token, or -1 if the slot is idle.
  VARLSTM_DEVICE int64_t row_of(const Step& step, int i, const StepResult<Tile>& result, int s) const {
    if (!result.kinds.usual()) return entry_of(step, i, s).row;
    return s == 0 ? result.rows[0] : result.rows[1];
  }

 private:
  // What the schedule says, read again: only in rare steps, so that it need not stay in registers.
  VARLSTM_DEVICE SlotStep entry_of(const Step& step, int i, int s) const {
    return slot_step(entries_.of(step.number() < last_ ? step.number() : last_)[i * Tile::kSplits * 8 + s]);
  }
  VARLSTM_DEVICE int64_t sequence_of(const Step& step, int i, int s) const {
    return entry_of(step, i, s).sequence;
  }
  VARLSTM_DEVICE static SlotStep slot_step(const Fragment& entry) {
    SlotStep step;
    memcpy(&step, &entry, sizeof step);
    return step;
  }

  // Looks at the entries of a step, which have come, and asks for its x-gates. The upper half of a row's number is not
  // 0 in an idle slot, and in rows from 2^32 on.
  VARLSTM_DEVICE void fetch(const Step& step, int i) {
    const SlotStep tokens[2] = {slot_step(coming_[i][0]), slot_step(coming_[i][1])};
    Gates(&x)[2] = x_[step.odd][i];
    TokenKinds& kinds = kinds_[step.odd][i];
    for (int s = 0; s < 2; ++s) rows_[step.odd][i][s] = static_cast<uint32_t>(tokens[s].row);
    // A token without marks has no sequence either. All words take part: a register of a load that nothing reads would
    // be used for something else, which then waits for the load.
    uint32_t rare = padding_;
    for (const SlotStep& token : tokens) rare |= static_cast<uint32_t>(token.row >> 32) | token.sequence | token.marks;
    kinds = TokenKinds::usual_ones();
    if (simt::all(0xffffffffu, rare == 0) != 0) {
      if (!gates_have_inputs_) return;
      for (int s = 0; s < 2; ++s) x[s] = gates_.load(rows_[step.odd][i][s]);
    } else {
      kinds = TokenKinds::rare_ones();
      for (int s = 0; s < 2; ++s) {
        const bool works = tokens[s].row >= 0 && padding_ == 0;
        if (works) kinds.add(s, tokens[s].marks);
        if (!gates_have_inputs_) continue;
        x[s] = {};
        if (works) x[s] = gates_.load(tokens[s].row);
      }
    }
  }

  // Saves the cell of any token.
  VARLSTM_DEVICE void save_rare(const Step& step, int i, const StepResult<Tile>& result, int s) const {
    const SlotStep token = entry_of(step, i, s);
    if (writes_y_ != 0) *y_rows_.of(token.row) = result.state.stored(s);
    if (saves_ != 0) {
      gates_.store(token.row, result.saved[s]);
      if constexpr (CellType::kHasC) *c_rows_.of(token.row) = result.c[s];
    }
    if (!(token.marks & kGivesFinal)) return;
    const int64_t at = static_cast<int64_t>(token.sequence) * layer_.hidden + unit_;
    if (dir_.h_n != nullptr) dir_.h_n[at] = result.state.stored(s);
    if (CellType::kHasC && dir_.c_n != nullptr) dir_.c_n[at] = store_scalar<Scalar>(result.c[s]);
  }

  const Cell kind_;
  const Layer& layer_;
  const Direction& dir_;
  const int split_;
  const int64_t unit_;
  const bool gates_have_inputs_;
  uint32_t padding_, writes_y_, saves_;  // 0 or 1: the unit is padding; y, and what backward needs, are wanted
  const uint32_t last_;                  // step
  UnitOfRows<const Fragment> entries_;   // of this thread's first slot, as 16 bytes each; a row is a step
  GatesOfUnit<CellType> gates_;
  UnitOfRows<float> c_rows_;
  UnitOfRows<Scalar> y_rows_;

  Fragment coming_[kTiles][2];  // the entries that were asked for last
  uint32_t rows_[2][kTiles][2];
  TokenKinds kinds_[2][kTiles];
  Gates x_[2][kTiles][2];
  Gates b_hh_;          // of this unit; unused if it is part of the x-gates
  float c_[kTiles][2];  // unused if the cell has no c
  float h_[kTiles][2];  // the unit's own h; unused if the cell does not read it
};

}  // namespace varlstm::cuda
