// The cells of a thread in forward: what it reads, keeps and writes of its unit and slots, while the product and the
// exchange of states are the whole block's (resident_forward.h).
//
// All that a step needs from global memory is asked for a step ahead: before the wait for the states of step t, the
// x-gates of step t + 1 and the schedule's entries of step t + 2, which say where the x-gates of that step are. So no
// load is waited for in the step that asks for it, but for what a rare step reads besides (below). What a step leaves
// behind is written after its states have been pushed.
//
// Most steps of a thread are alike, and some are rare: a slot is idle, a unit is padding, a segment begins or ends. The
// entries of a step say so when they have come, and in a usual step a thread only passes by the rare code. Loads that
// an idle slot or a unit of padding has no use for are off by their predicates, without a branch. Example: one of the
// eight slots has the last token of its sequence. The threads of that slot write h_n and c_n, and the other lanes of
// their warps wait for them.
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
      : rows_(gates, CellType::kSaved * hidden, unit),
        bytes_(static_cast<uint32_t>(hidden * static_cast<int64_t>(sizeof(float)))) {
    simt::keep(bytes_);
  }
  template <class Row>
  VARLSTM_DEVICE UnitValues<float, CellType::kGates> load(Row row) const {
    UnitValues<float, CellType::kGates> x;
    float* first = rows_.of(row);
    simt::keep_global(first);
    for (int k = 0; k < CellType::kGates; ++k) x.of[k] = *plane(first, k);
    return x;
  }
  template <class Row>
  VARLSTM_DEVICE void store(Row row, const UnitValues<float, CellType::kSaved>& saved) const {
    float* first = rows_.of(row);
    simt::keep_global(first);
    for (int k = 0; k < CellType::kSaved; ++k) *plane(first, k) = saved.of[k];
  }

 private:
  VARLSTM_DEVICE float* plane(float* of_row, int k) const {
    return reinterpret_cast<float*>(reinterpret_cast<char*>(of_row) +
                                    simt::multiply_wide(bytes_, static_cast<uint32_t>(k)));
  }

  UnitOfRows<float> rows_;
  uint32_t bytes_;  // of a plane
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

constexpr uint32_t kPadding = 1u << 30;  // no mark of a token

// What a thread knows of the tokens of a step in its two slots: of each slot the marks, with kPadding if its unit is
// padding, and all bits if it is idle. In a usual step both words are 0.
struct TokenKinds {
  uint32_t of[2];

  VARLSTM_DEVICE bool usual() const { return (of[0] | of[1]) == 0; }
  // Whether slot s has a token and the unit counts; whether the token has a mark.
  VARLSTM_DEVICE bool works(int s) const { return (of[s] & kPadding) == 0; }
  VARLSTM_DEVICE bool has(int s, uint32_t mark) const { return (of[s] & mark) != 0; }
};

// The results of a step for a thread's two cells of a slot tile, kept until they are saved.
template <class Tile>
struct StepResult {
  uint32_t rows[2];  // of the tokens
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
  static constexpr bool kCoarse = Tile::Math::kCoarseForward && std::is_same_v<CellType, LstmCell>;
  using Functions = std::conditional_t<kCoarse, Coarse, typename Tile::Math::Functions>;
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
        padding_(owns(0) && unit < layer.hidden ? 0 : kPadding),
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
  VARLSTM_DEVICE int slot_tile(int i) const { return Tile::kSplits == 1 ? i : split_ + i * Tile::kSplits; }
  VARLSTM_DEVICE int slot(int i) const { return slot_tile(i) * 8 + 2 * lane_column(); }

  // Returns the states that the first segments start from, and asks for the x-gates of their first tokens.
  VARLSTM_DEVICE StatePair<Tile> begin(int i) {
    StatePair<Tile> state;
    for (int s = 0; s < 2; ++s) state.h[s] = c_[i][s] = h_[i][s] = 0;
    state.round();
    fetch(Step{}, i);
    replace(Step{}, i, state);
    keep_own(i, state);
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

  // Does one step of slot tile i and passes the states after it to `push`. sums: the state's product. kSaves: what the
  // step leaves behind is written at once; otherwise the caller calls `save`.
  template <bool kSaves, class Push>
  VARLSTM_DEVICE StepResult<Tile> step(const Step& step, int i, const simt::f32x4 (&sums)[Tile::kGateTiles],
                                       const Push& push) {
    StepResult<Tile> result;
    result.kinds = kinds_[step.odd][i];
    const TokenKinds& next = kinds_[step.next().odd][i];
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
    if (result.kinds.usual() && next.usual()) {
      push(result.state);
      keep_own(i, result.state);
      if constexpr (kSaves) save_usual(result);
    } else {
      StatePair<Tile> state = result.state;
      replace(step.next(), i, state);
      push(state);
      keep_own(i, state);
      if constexpr (kSaves) save_rare(step, i, result);
    }
    return result;
  }

  VARLSTM_DEVICE void save(const Step& step, int i, const StepResult<Tile>& result) const {
    if (result.kinds.usual())
      save_usual(result);
    else
      save_rare(step, i, result);
  }

  // The row of slot s's token, or -1 if the slot is idle.
  VARLSTM_DEVICE static int32_t row_of(const StepResult<Tile>& result, int s) {
    return static_cast<int32_t>(s == 0 ? result.rows[0] : result.rows[1]);
  }

 private:
  // If a segment begins in a slot at a step, its initial states replace those of the slot's last one; they are zeros
  // after a reset. An idle slot and a unit of padding get zeros.
  VARLSTM_DEVICE void replace(const Step& step, int i, StatePair<Tile>& state) {
    const TokenKinds kinds = kinds_[step.odd][i];
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

  // The unit's own h, as it is stored in y.
  VARLSTM_DEVICE void keep_own(int i, const StatePair<Tile>& state) {
    if constexpr (CellType::kReadsH) {
      for (int s = 0; s < 2; ++s) h_[i][s] = load_scalar(state.stored(s));
    }
  }
  // The sequence of a token that begins or ends one, read again: only in rare steps, so that it need not stay in a
  // register.
  VARLSTM_DEVICE int64_t sequence_of(const Step& step, int i, int s) const {
    return entries_.of(step.number() < last_ ? step.number() : last_)[i * Tile::kSplits * 8 + s].words.r[2];
  }

  // Looks at the entries of a step, which have come, and asks for its x-gates. The words of an entry are those of
  // SlotStep; of an idle slot's row, both words are -1, and of another one's the upper word is 0 (why_not of
  // recurrence_selection.h). All words are read: a register of a load that nothing reads would be used for something
  // else, which then waits for the load. So the row is computed from the sequence, too, which changes nothing. As
  // another value than its word it need not be copied either, for which ptxas would wait as well.
  VARLSTM_DEVICE void fetch(const Step& step, int i) {
    for (int s = 0; s < 2; ++s) {
      const uint32_t(&entry)[4] = coming_[i][s].words.r;
      const uint32_t row = entry[0] | (entry[1] & entry[2]), nothing = entry[1] | padding_;
      rows_[step.odd][i][s] = row;
      kinds_[step.odd][i].of[s] = nothing | entry[3];
      if (gates_have_inputs_ && nothing == 0) x_[step.odd][i][s] = gates_.load(row);
    }
  }

  VARLSTM_DEVICE void save_y(const StepResult<Tile>& result, int s) const {
    if (writes_y_ != 0) *y_rows_.of(result.rows[s]) = result.state.stored(s);
  }
  VARLSTM_DEVICE void save_for_backward(const StepResult<Tile>& result, int s) const {
    gates_.store(result.rows[s], result.saved[s]);
    if constexpr (CellType::kHasC) *c_rows_.of(result.rows[s]) = result.c[s];
  }
  VARLSTM_DEVICE void save_usual(const StepResult<Tile>& result) const {
    for (int s = 0; s < 2; ++s) save_y(result, s);
    if (saves_ == 0) return;
    for (int s = 0; s < 2; ++s) save_for_backward(result, s);
  }
  VARLSTM_DEVICE void save_rare(const Step& step, int i, const StepResult<Tile>& result) const {
    for (int s = 0; s < 2; ++s) {
      if (!result.kinds.works(s)) continue;
      save_y(result, s);
      if (saves_ != 0) save_for_backward(result, s);
      if (!result.kinds.has(s, kGivesFinal)) continue;
      const int64_t at = sequence_of(step, i, s) * layer_.hidden + unit_;
      if (dir_.h_n != nullptr) dir_.h_n[at] = result.state.stored(s);
      if (CellType::kHasC && dir_.c_n != nullptr) dir_.c_n[at] = store_scalar<Scalar>(result.c[s]);
    }
  }

  const Cell kind_;
  const Layer& layer_;
  const Direction& dir_;
  const int split_;
  const int64_t unit_;
  const bool gates_have_inputs_;
  uint32_t padding_;                    // kPadding if the unit is, or 0
  uint32_t writes_y_, saves_;           // 0 or 1: y, and what backward needs, are wanted
  const uint32_t last_;                 // step
  UnitOfRows<const Fragment> entries_;  // of this thread's first slot, as 16 bytes each; a row is a step
  GatesOfUnit<CellType> gates_;
  UnitOfRows<float> c_rows_;
  UnitOfRows<Scalar> y_rows_;

  Fragment coming_[kTiles][2];  // the entries that were asked for last
  uint32_t rows_[2][kTiles][2];
  TokenKinds kinds_[2][kTiles];
  Gates x_[2][kTiles][2] = {};  // those of a unit of padding stay zeros, and those of an idle slot are not used
  Gates b_hh_;                  // of this unit; unused if it is part of the x-gates
  float c_[kTiles][2];          // unused if the cell has no c
  float h_[kTiles][2];          // the unit's own h; unused if the cell does not read it
};

}  // namespace varlstm::cuda
