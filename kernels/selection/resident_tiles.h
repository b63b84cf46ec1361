// The tiles of the resident recurrence: for each policy and math a table of the sizes of a team, and what a tile takes
// of a device. bench/static_cycles counts what their kernels issue; recurrence_selection.h chooses among them.
//
//   cluster   a team of blocks keeps W_hh in registers and shared memory; the team is a thread-block cluster (one block
//             for small H). From sm_90 on; from sm_80 on if one block is enough
//   grid      the team is a set of co-resident blocks that communicate through L2. From sm_80 on
//   stepwise  one launch for each step: always legal, without tiles
//
// Nothing here was measured on a GPU: the rows of the tables follow from what fits (weights in 128 registers of a
// thread, and 227 KB of shared memory), and from the clocks of bench/static_cycles.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include "capi/contract/shapes.h"

namespace varlstm::cuda {

// The values equal varlstm_recurrence of varlstm.h, which also has 0: the choice is left to select_recurrence.
enum class RecurrencePolicy : int32_t { kStepwise = 1, kCluster = 2, kGrid = 3 };

inline const char* recurrence_policy_name(RecurrencePolicy policy) {
  return policy == RecurrencePolicy::kStepwise ? "stepwise" : policy == RecurrencePolicy::kCluster ? "cluster" : "grid";
}

// How a resident recurrence multiplies (resident_math.h). There is none for F64.
enum class MathKind { kBf16, kF16, kTf32, kF32 };

inline bool math_kind(DType dtype, bool tf32, MathKind* kind) {
  *kind = dtype == DType::kBF16  ? MathKind::kBf16
          : dtype == DType::kF16 ? MathKind::kF16
          : tf32                 ? MathKind::kTf32
                                 : MathKind::kF32;
  return dtype != DType::kF64;
}

constexpr int value_bytes(MathKind kind) {
  return kind == MathKind::kBf16 || kind == MathKind::kF16 ? 2 : 4;
}
constexpr int tile_depth(MathKind kind) {
  return kind == MathKind::kF32 ? 4 : kind == MathKind::kTf32 ? 8 : 16;
}

// The gates of a cell that has resident kernels; 0: it has none.
constexpr int resident_gates(Cell cell) {
  return cell == Cell::kLstm ? 4 : cell == Cell::kGru ? 3 : cell == Cell::kRnnTanh || cell == Cell::kRnnRelu ? 1 : 0;
}
// Whether a step of the cell has two products with W_hh, one after the other. kernels/cells/facts.cu asserts that its
// kernels say the same.
constexpr bool has_two_products(Cell cell) {
  return cell == Cell::kGruResetBefore;
}
// The row tiles of 16 rows in which the gates of 8 units are.
constexpr int gate_tiles(Cell cell) {
  return (resident_gates(cell) + 1) / 2;
}

// The warps of a block in backward: 8, or fewer for small H. If 8 warps cannot share the units of 8 slots, there are as
// many threads as these: 6 warps for 24 units.
constexpr int backward_warps(int hidden, int units) {
  return hidden < 128 ? hidden / 16 : units % 32 == 0 || 32 % units == 0 ? 8 : units / 4;
}

// The arguments of ResidentTile.
struct TileShape {
  int hidden;      // the largest H
  int units;       // of a block
  int slot_tiles;  // tiles of 8 slots
  int splits;      // splits of the depth, forward
  int forward_register_tiles, backward_register_tiles;

  constexpr int blocks() const { return hidden / units; }
  constexpr int slots() const { return 8 * slot_tiles; }
  constexpr int groups() const { return units / 8; }
  constexpr int backward_warps() const { return cuda::backward_warps(hidden, units); }
};

// The tiles of a policy and math, with smaller H first and fewer slots first. Those of one H differ in the slots and
// the register tiles alone, which no sum depends on. Register tiles: at most 128 registers of a thread hold weights.
// Where few teams are resident there is a second tile of 16 slots, if it spills no registers. A team of the largest
// tile takes 128 of the 132 multiprocessors of an H100 or H200.
//
// The blocks of a cluster are chosen by the simulated periods of bench/static_cycles, forward and backward together,
// and by what is resident. In 16 bits 4 blocks at H = 128 take 1,674 clocks and 2 take 1,860. At H = 256 8 take 1,948
// and 4 take 2,218, but only 15 clusters of 8 are resident, which 120 sequences fill. A tile for 384 of 16 blocks takes
// 2,286, and the one for 512 takes 2,769, but has one of 16 slots, which is faster from 57 sequences of one length on.
// In TF32, where 384 takes 3,146 and 512 takes 4,309, it is not. Above H = 512 the weights of a cluster would be in
// shared memory for the most part, and reading them takes longer than the exchange of a grid.
//
// Example: {256, 64, 2, 1, 12, 12} is for H up to 256, in 256 / 64 = 4 blocks of 64 units; it has 2 * 8 = 16
// slots, an undivided depth, and 12 tiles of the depth in registers in both passes. resident_tile.h continues this
// example.
template <RecurrencePolicy kPolicy, MathKind kMath>
struct TileTable;

struct ClusterTiles16 {
  static constexpr TileShape kTiles[] = {{32, 32, 1, 1, 2, 8},   {64, 64, 1, 1, 4, 16},   {128, 32, 1, 1, 8, 8},
                                         {128, 32, 2, 1, 8, 8},  {256, 64, 1, 1, 16, 16}, {256, 64, 2, 1, 12, 12},
                                         {512, 32, 1, 2, 16, 8}, {512, 32, 2, 2, 16, 6}};
};
struct GridTiles16 {
  static constexpr TileShape kTiles[] = {{64, 16, 1, 1, 4, 4},    {128, 32, 1, 1, 8, 8},   {256, 32, 1, 1, 16, 8},
                                         {384, 16, 1, 2, 12, 4},  {384, 16, 2, 2, 12, 4},  {512, 16, 1, 2, 16, 4},
                                         {512, 16, 2, 2, 16, 4},  {640, 16, 1, 4, 10, 4},  {640, 16, 2, 4, 10, 4},
                                         {768, 16, 1, 4, 12, 4},  {768, 16, 2, 4, 12, 4},  {896, 16, 1, 4, 14, 4},
                                         {896, 16, 2, 4, 14, 4},  {1024, 16, 1, 4, 16, 4}, {1024, 16, 2, 4, 16, 3},
                                         {2048, 16, 1, 4, 16, 2}, {2048, 16, 2, 4, 16, 1}};
};
template <>
struct TileTable<RecurrencePolicy::kCluster, MathKind::kBf16> : ClusterTiles16 {};
template <>
struct TileTable<RecurrencePolicy::kCluster, MathKind::kF16> : ClusterTiles16 {};
template <>
struct TileTable<RecurrencePolicy::kGrid, MathKind::kBf16> : GridTiles16 {};
template <>
struct TileTable<RecurrencePolicy::kGrid, MathKind::kF16> : GridTiles16 {};
template <>
struct TileTable<RecurrencePolicy::kCluster, MathKind::kTf32> {
  static constexpr TileShape kTiles[] = {{32, 32, 1, 1, 4, 16},   {64, 64, 1, 1, 8, 16},   {128, 32, 1, 1, 16, 16},
                                         {128, 32, 2, 1, 12, 16}, {256, 32, 1, 2, 16, 16}, {256, 32, 2, 2, 16, 16},
                                         {384, 24, 1, 2, 16, 7},  {512, 32, 1, 2, 16, 8},  {512, 32, 2, 2, 16, 8}};
};
template <>
struct TileTable<RecurrencePolicy::kGrid, MathKind::kTf32> {
  static constexpr TileShape kTiles[] = {{64, 16, 1, 1, 8, 8},   {128, 16, 1, 1, 16, 8}, {256, 16, 1, 2, 16, 8},
                                         {384, 16, 1, 4, 12, 8}, {384, 16, 2, 4, 12, 8}, {512, 16, 1, 4, 16, 8},
                                         {512, 16, 2, 4, 16, 8}, {640, 16, 1, 4, 16, 6}, {640, 16, 2, 4, 16, 6},
                                         {768, 16, 1, 4, 16, 5}, {768, 16, 2, 4, 16, 4}, {896, 16, 1, 4, 16, 4},
                                         {896, 16, 2, 4, 14, 2}, {1024, 8, 1, 8, 16, 4}, {1024, 8, 2, 8, 16, 4}};
};
// F32 has its weights in shared memory only, and one split: its chain is that of stepwise, bit for bit. From H = 640 on
// there is no room for 16 units and 16 slots, from 768 on none for 16 units.
template <>
struct TileTable<RecurrencePolicy::kCluster, MathKind::kF32> {
  static constexpr TileShape kTiles[] = {
      {32, 32, 1, 1, 0, 0}, {64, 32, 1, 1, 0, 0}, {128, 32, 1, 1, 0, 0}, {256, 32, 1, 1, 0, 0}, {256, 32, 2, 1, 0, 0}};
};
template <>
struct TileTable<RecurrencePolicy::kGrid, MathKind::kF32> {
  static constexpr TileShape kTiles[] = {
      {64, 16, 1, 1, 0, 0},  {128, 16, 1, 1, 0, 0}, {256, 16, 1, 1, 0, 0}, {384, 16, 1, 1, 0, 0}, {384, 16, 2, 1, 0, 0},
      {512, 16, 1, 1, 0, 0}, {512, 16, 2, 1, 0, 0}, {640, 16, 1, 1, 0, 0}, {768, 8, 1, 1, 0, 0},  {768, 8, 2, 1, 0, 0},
      {896, 8, 1, 1, 0, 0},  {896, 8, 2, 1, 0, 0},  {1024, 8, 1, 1, 0, 0}, {1024, 8, 2, 1, 0, 0}};
};

// The rows of a table, without the types of the table.
struct TileRows {
  const TileShape* rows;
  int count;
};

template <RecurrencePolicy kPolicy, MathKind kMath>
constexpr TileRows rows_of_table() {
  using Table = TileTable<kPolicy, kMath>;
  return {Table::kTiles, static_cast<int>(sizeof Table::kTiles / sizeof Table::kTiles[0])};
}

template <RecurrencePolicy kPolicy>
TileRows tile_rows_of(MathKind kind) {
  switch (kind) {
    case MathKind::kBf16:
      return rows_of_table<kPolicy, MathKind::kBf16>();
    case MathKind::kF16:
      return rows_of_table<kPolicy, MathKind::kF16>();
    case MathKind::kTf32:
      return rows_of_table<kPolicy, MathKind::kTf32>();
    default:
      return rows_of_table<kPolicy, MathKind::kF32>();
  }
}

inline TileRows tile_rows(RecurrencePolicy policy, MathKind kind) {
  if (policy == RecurrencePolicy::kCluster) return tile_rows_of<RecurrencePolicy::kCluster>(kind);
  if (policy == RecurrencePolicy::kGrid) return tile_rows_of<RecurrencePolicy::kGrid>(kind);
  return {nullptr, 0};
}

// Whether there are kernels of a cell for row k of a table. Beside the LSTM, cells have the first tile of each H alone,
// so that there is less to compile; a large batch of theirs takes more turns.
constexpr bool has_kernels(Cell cell, const TileRows& table, int k) {
  return cell == Cell::kLstm || k == 0 || table.rows[k - 1].hidden != table.rows[k].hidden;
}

// The shared memory of a block, in bytes, as in ForwardShared and BackwardShared. resident_launch.h asserts that they
// agree.
constexpr int64_t weight_bytes(MathKind kind, int row_tiles, int depth, int register_tiles) {
  const int tiles = depth / tile_depth(kind);
  const int64_t bytes = kind == MathKind::kF32
                            ? int64_t{16} * 16 * row_tiles * tiles
                            : int64_t{16} * 32 * row_tiles * (tiles > register_tiles ? tiles - register_tiles : 0);
  return bytes > 0 ? bytes : 16;
}
constexpr int64_t forward_shared_bytes(RecurrencePolicy policy, MathKind kind, Cell cell, const TileShape& t) {
  const int64_t buffer = int64_t{t.slots()} * t.hidden * value_bytes(kind);
  const bool one = t.splits > 1 || t.groups() == 1;  // policy grid needs no second buffer
  const int64_t exchange = policy == RecurrencePolicy::kGrid ? (one ? buffer : 2 * buffer)
                           : t.blocks() == 1                 ? 2 * buffer
                                                             : 2 * buffer + 16;
  const int64_t of_splits = int64_t{16} * 32 * gate_tiles(cell) * t.splits * t.slot_tiles * t.groups();
  return exchange + (t.splits > 1 ? of_splits : 16) +
         t.groups() * t.splits * weight_bytes(kind, gate_tiles(cell), t.hidden / t.splits, t.forward_register_tiles);
}
constexpr int64_t backward_shared_bytes(RecurrencePolicy policy, MathKind kind, Cell cell, const TileShape& t) {
  const int64_t of_block = int64_t{4} * t.units * (t.slots() + 2), buffer = of_block * t.blocks();
  const int most_groups = 32 * t.backward_warps() / (2 * t.units);  // grid_backward_exchange.h
  const int groups = most_groups < t.blocks() ? most_groups : t.blocks();
  const int64_t exchange = policy == RecurrencePolicy::kGrid ? (of_block * groups + 15) / 16 * 16
                           : t.blocks() == 1                 ? 2 * buffer
                                                             : 2 * buffer + 16;
  const int depth = resident_gates(cell) * t.units, row_tiles = t.hidden / 16 / t.backward_warps();
  const int64_t dstate = int64_t{2} * t.slots() * ((depth * value_bytes(kind) + 63) / 64 * 64 + 16);
  return exchange + dstate + t.backward_warps() * weight_bytes(kind, row_tiles, depth, t.backward_register_tiles);
}

// The size of LayersShared, likewise asserted: ForwardShared, W_ih, the biases, and two buffers for outputs of the
// layer below, of an LSTM.
constexpr int64_t layers_shared_bytes(RecurrencePolicy policy, MathKind kind, const TileShape& t) {
  const int64_t buffer = int64_t{t.slots()} * (t.hidden * value_bytes(kind) + 16);
  return forward_shared_bytes(policy, kind, Cell::kLstm, t) + 2 * buffer + int64_t{2} * 16 * t.units + 16 +
         t.groups() * weight_bytes(kind, gate_tiles(Cell::kLstm), t.hidden, 0);
}

// The bytes of W_hh of one direction as forward arranges it, or of W_ih of a layer above the lowest, with padding; the
// same for every tile of that H. Backward takes no more.
constexpr int64_t recurrent_weight_bytes(MathKind kind, Cell cell, const TileShape& t) {
  return int64_t{2} * gate_tiles(cell) * t.hidden * t.hidden * value_bytes(kind);
}

// The global memory through which a team of policy grid communicates: the larger of its two areas. resident_launch.h
// asserts that the sizes agree.
constexpr int64_t grid_forward_area_bytes(MathKind kind, const TileShape& t) {
  return int64_t{16} * t.slots() * t.hidden * value_bytes(kind) + 32 * t.blocks();
}
constexpr int64_t grid_backward_area_bytes(const TileShape& t) {
  return int64_t{2} * 4 * t.blocks() * t.hidden * t.slots();
}
constexpr int64_t grid_area_bytes(MathKind kind, const TileShape& t) {
  return grid_forward_area_bytes(kind, t) > grid_backward_area_bytes(t) ? grid_forward_area_bytes(kind, t)
                                                                        : grid_backward_area_bytes(t);
}

// The number of words of 8 bytes in which a layer passes the output of one row to the next layer (resident_layers.h).
constexpr int64_t handover_words(MathKind kind, int64_t hidden) {
  return hidden * value_bytes(kind) / 8;
}

// The most layers of a stack in one launch: their arguments are parameters of the kernel.
constexpr int kMaxStackedLayers = 8;

// Whether a tile has a kernel of stacked layers. Its depth must be undivided, so that the sums of the input are made in
// gemm's order. It must have one tile of slots, and not more than kMostStackedUnits, because otherwise the kernel
// spills registers. Both matrices must fit in the most shared memory that a block of any device has.
constexpr int kMostStackedUnits = 256;
constexpr bool stacks_layers(RecurrencePolicy policy, MathKind kind, const TileShape& t) {
  return t.splits == 1 && t.slot_tiles == 1 && t.hidden <= kMostStackedUnits &&
         layers_shared_bytes(policy, kind, t) <= 227 * 1024;
}

// The tile and the teams that a layer runs with; tile is null for stepwise.
struct RecurrenceChoice {
  RecurrencePolicy policy;
  MathKind math;
  Cell cell;
  int index;  // of the tile in its table
  const TileShape* tile;
  int64_t teams;       // teams of each direction, and of each layer in the launch
  int64_t directions;  // that run at once: all of the layer's, or 1 if they run one after the other
  int64_t clocks;      // modelled, of the whole batch forward and backward

  int64_t slots() const { return teams * tile->slots(); }
};

// What is modelled of a step of a tile (step_clocks.h): clocks of its chain, clocks of the work that overlaps, and the
// bytes of device memory that a block moves meanwhile.
struct StepFigures {
  int32_t chain, work, bytes;
};
struct TileStep {
  RecurrencePolicy policy;
  MathKind math;
  int hidden, slots;
  StepFigures forward, backward;
};

}  // namespace varlstm::cuda
