// Chooses the policy and the tile of a layer's recurrence. All functions are pure functions of cell, shape, dtype, math
// and device.
//
//   cluster   a team of blocks keeps W_hh in registers and shared memory; the team is a thread-block cluster (one block
//             for small H). From sm_90 on; from sm_80 on if one block is enough
//   grid      the team is a set of co-resident blocks that communicate through L2. From sm_80 on
//   stepwise  one launch for each step: always legal
//
// The choice does not depend on the batch, so the results of a sequence are bit-identical whatever else is in the
// batch. Only the numbers of teams and slots depend on it, and no sum depends on those. Nothing here was measured on a
// GPU: the rows of the tables follow from what fits (weights in 128 registers of a thread, and 227 KB of shared
// memory). bench/results/modelled/ has a model's estimates for them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <initializer_list>

#include "capi/contract/shapes.h"
#include "kernels/core/device_facts.h"

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
  constexpr int backward_warps() const { return hidden / 16 < 8 ? hidden / 16 : 8; }
};

// The tiles of a policy and math, with smaller H first and fewer slots first. Register tiles: at most 128 registers of
// a thread hold weights. Large H has a second tile of 16 slots, because few of its teams are resident. A team of the
// largest tile takes 128 of the 132 multiprocessors of an H100 or H200.
// Example: {256, 64, 2, 1, 12, 12} is for H up to 256, in 256 / 64 = 4 blocks of 64 units; it has 2 * 8 = 16 slots, an
// undivided depth, and 12 tiles of the depth in registers in both passes. resident_tile.h continues this example.
template <RecurrencePolicy kPolicy, MathKind kMath>
struct TileTable;

struct ClusterTiles16 {
  static constexpr TileShape kTiles[] = {{32, 32, 1, 1, 2, 8},    {64, 64, 1, 1, 4, 16},   {128, 64, 1, 1, 8, 16},
                                         {256, 64, 1, 1, 16, 16}, {256, 64, 2, 1, 12, 12}, {512, 32, 1, 2, 16, 8},
                                         {512, 32, 2, 2, 16, 6}};
};
struct GridTiles16 {
  static constexpr TileShape kTiles[] = {{64, 16, 1, 1, 4, 4},    {128, 32, 1, 1, 8, 8},   {256, 32, 1, 1, 16, 8},
                                         {512, 16, 1, 2, 16, 4},  {512, 16, 2, 2, 16, 4},  {1024, 16, 1, 4, 16, 4},
                                         {1024, 16, 2, 4, 16, 4}, {2048, 16, 1, 4, 16, 2}, {2048, 16, 2, 4, 16, 1}};
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
  static constexpr TileShape kTiles[] = {{32, 32, 1, 1, 4, 16},   {64, 64, 1, 1, 8, 16},   {128, 64, 1, 1, 16, 32},
                                         {256, 32, 1, 2, 16, 16}, {256, 32, 2, 2, 16, 16}, {512, 32, 1, 2, 16, 8},
                                         {512, 32, 2, 2, 16, 8}};
};
template <>
struct TileTable<RecurrencePolicy::kGrid, MathKind::kTf32> {
  static constexpr TileShape kTiles[] = {{64, 16, 1, 1, 8, 8},   {128, 16, 1, 1, 16, 8}, {256, 16, 1, 2, 16, 8},
                                         {512, 16, 1, 4, 16, 8}, {512, 16, 2, 4, 16, 8}, {1024, 8, 1, 8, 16, 4},
                                         {1024, 8, 2, 8, 16, 4}};
};
// F32 has its weights in shared memory only, and one split: its chain is that of stepwise, bit for bit.
template <>
struct TileTable<RecurrencePolicy::kCluster, MathKind::kF32> {
  static constexpr TileShape kTiles[] = {
      {32, 32, 1, 1, 0, 0}, {64, 32, 1, 1, 0, 0}, {128, 32, 1, 1, 0, 0}, {256, 32, 1, 1, 0, 0}, {256, 32, 2, 1, 0, 0}};
};
template <>
struct TileTable<RecurrencePolicy::kGrid, MathKind::kF32> {
  static constexpr TileShape kTiles[] = {{64, 16, 1, 1, 0, 0},  {128, 16, 1, 1, 0, 0}, {256, 16, 1, 1, 0, 0},
                                         {512, 16, 1, 1, 0, 0}, {512, 16, 2, 1, 0, 0}, {1024, 8, 1, 1, 0, 0},
                                         {1024, 8, 2, 1, 0, 0}};
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

// Whether there are kernels of a cell for row k of a table. Each row is compiled for each policy, math and cell, which
// takes long: beside the LSTM, cells have the first tile of each H alone, so that a large batch takes more turns.
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
  const int64_t dstate = int64_t{t.slots()} * ((depth * value_bytes(kind) + 63) / 64 * 64 + 16);
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
// gemm's order. It must have one tile of slots, because with two the kernel spills registers at H = 256. Both matrices
// must fit in the most shared memory that a block of any device has.
constexpr bool stacks_layers(RecurrencePolicy policy, MathKind kind, const TileShape& t) {
  return t.splits == 1 && t.slot_tiles == 1 && layers_shared_bytes(policy, kind, t) <= 227 * 1024;
}

struct RecurrenceShape {
  Cell cell;
  DType dtype;
  bool tf32;  // f32 may be rounded to TF32 for products
  int64_t hidden;
  int64_t directions;
  bool projects = false;     // h has fewer features than there are units
  bool cell_states = false;  // c of every token, or its gradient
  bool options = false;      // the cell has options that its kernels must know
  bool layer_norm = false;   // the cell has layer normalisation
  int64_t max_rows = 0;      // the most tokens of a batch
};

constexpr int log2_of(int power) {
  int log = 0;
  while (1 << log < power) ++log;
  return log;
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

  int64_t slots() const { return teams * tile->slots(); }
};

// Returns how many teams of that tile are resident together.
inline int64_t resident_teams(RecurrencePolicy policy, const TileShape& tile, const DeviceFacts& device) {
  return policy == RecurrencePolicy::kGrid ? device.resident_blocks / tile.blocks()
                                           : device.active_clusters[log2_of(tile.blocks())];
}

inline bool fits(RecurrencePolicy policy, MathKind kind, Cell cell, const TileShape& tile, const DeviceFacts& device) {
  return forward_shared_bytes(policy, kind, cell, tile) <= device.shared_bytes &&
         backward_shared_bytes(policy, kind, cell, tile) <= device.shared_bytes;
}

inline bool fits_layers(RecurrencePolicy policy, MathKind kind, const TileShape& tile, const DeviceFacts& device) {
  return stacks_layers(policy, kind, tile) && layers_shared_bytes(policy, kind, tile) <= device.shared_bytes;
}

// Returns null if the policy may run the shape, otherwise the reason against it.
inline const char* why_not(RecurrencePolicy policy, const RecurrenceShape& shape, const DeviceFacts& device) {
  if (policy == RecurrencePolicy::kStepwise) return nullptr;
  MathKind kind;
  if (has_two_products(shape.cell)) return "resident kernels exchange once in a step, and the cell needs two";
  if (resident_gates(shape.cell) == 0) return "the cell has no resident kernels";
  if (shape.projects) return "resident kernels have no projection of h";
  if (shape.layer_norm) return "resident kernels have no layer normalisation";
  if (shape.cell_states) return "resident kernels have no output of c of every token";
  if (shape.options) return "resident kernels have no option of a cell but dropout of weights";
  if (shape.max_rows > INT32_MAX) return "resident kernels count rows with 32 bits";
  if (!math_kind(shape.dtype, shape.tf32, &kind)) return "F64 is computed a step at a time";
  if (device.capability < 80) return "tensor cores for these types need sm_80";
  if (policy == RecurrencePolicy::kGrid && device.resident_blocks == 0) return "the device has no cooperative launches";
  const TileRows table = tile_rows(policy, kind);
  const char* reason = "H is larger than the largest tile";
  for (int k = 0; k < table.count; ++k) {
    const TileShape& tile = table.rows[k];
    if (tile.hidden < shape.hidden) continue;
    reason = nullptr;
    if (policy == RecurrencePolicy::kCluster && tile.blocks() > 1 && device.capability < 90)
      reason = "clusters of blocks need sm_90";
    else if (!fits(policy, kind, shape.cell, tile, device))
      reason = "the weights do not fit a multiprocessor's shared memory";
    else if (resident_teams(policy, tile, device) < 1)
      reason = policy == RecurrencePolicy::kGrid ? "the device has too few multiprocessors for a team's blocks"
                                                 : "no cluster of that size is resident";
    return reason;  // the first tile that holds H decides, whatever the batch
  }
  return reason;
}

// Returns the policy: `forced` if that is not 0 (stepwise if it is not legal), otherwise the first legal one of
// cluster, grid, stepwise.
inline RecurrencePolicy select_recurrence(const RecurrenceShape& shape, const DeviceFacts& device, int32_t forced) {
  if (forced != 0)
    return why_not(static_cast<RecurrencePolicy>(forced), shape, device) == nullptr
               ? static_cast<RecurrencePolicy>(forced)
               : RecurrencePolicy::kStepwise;
  for (const RecurrencePolicy policy : {RecurrencePolicy::kCluster, RecurrencePolicy::kGrid})
    if (why_not(policy, shape, device) == nullptr) return policy;
  return RecurrencePolicy::kStepwise;
}

// Chooses the tile and the teams for B sequences: the tile with the fewest slots whose teams hold the whole batch at
// once, otherwise the tile with the most slots that has kernels of the cell. Two directions run one after the other if
// not even one team of each is resident. layers: the number of layers in one launch.
inline RecurrenceChoice choose_tile(RecurrencePolicy policy, const RecurrenceShape& shape, int64_t batch,
                                    const DeviceFacts& device, int64_t layers = 1) {
  RecurrenceChoice choice{policy, MathKind::kF32, shape.cell, 0, nullptr, 0, 0};
  if (!math_kind(shape.dtype, shape.tf32, &choice.math)) return choice;
  const TileRows table = tile_rows(policy, choice.math);
  for (int k = 0; k < table.count; ++k) {
    const TileShape& tile = table.rows[k];
    if (tile.hidden < shape.hidden || (choice.tile != nullptr && tile.hidden != choice.tile->hidden)) continue;
    if (!has_kernels(shape.cell, table, k)) continue;
    if (!fits(policy, choice.math, shape.cell, tile, device)) continue;
    if (layers > 1 && !fits_layers(policy, choice.math, tile, device)) continue;
    const int64_t resident = resident_teams(policy, tile, device) / layers;
    if (resident < 1) continue;
    choice.directions = resident < shape.directions ? 1 : shape.directions;
    const int64_t most = resident / choice.directions;
    const int64_t wanted = batch > 0 ? (batch + tile.slots() - 1) / tile.slots() : 1;
    choice.index = k;
    choice.tile = &tile;
    choice.teams = wanted < most ? wanted : most;
    if (wanted <= most) break;
  }
  return choice;
}

// Returns null if the forward of that many layers may run as one launch, otherwise the reason against it. The policy
// must be legal.
inline const char* why_not_together(RecurrencePolicy policy, const RecurrenceShape& shape, int64_t layers,
                                    const DeviceFacts& device) {
  if (layers < 2) return "there is one layer";
  if (shape.cell != Cell::kLstm) return "only layers of an LSTM run in one launch";
  if (layers > kMaxStackedLayers) return "there are more layers than one launch takes";
  if (shape.directions > 1) return "a layer above needs both directions of the whole sequence";
  MathKind kind;
  if (policy == RecurrencePolicy::kStepwise || !math_kind(shape.dtype, shape.tf32, &kind))
    return "the recurrence does not stay resident";
  const TileRows table = tile_rows(policy, kind);
  int first = 0;
  while (first + 1 < table.count && table.rows[first].hidden < shape.hidden) ++first;
  const TileShape& tile = table.rows[first];
  if (tile.splits > 1) return "warps share the depth of a product at this H";
  if (!fits_layers(policy, kind, tile, device)) return "W_ih and W_hh do not fit a multiprocessor's shared memory";
  if (resident_teams(policy, tile, device) < layers) return "the device has too few multiprocessors for all layers";
  return nullptr;
}

// The largest batch for which running layers in one launch should pay off. The batch is at most L / 2 (rounded down)
// times the slots of a layer. So a slot takes at most about L / 2 sequences one after the other, while layers one after
// the other work through the batch L times. Results are bit-identical either way.
inline int64_t most_together(const RecurrenceChoice& together, int64_t layers) {
  return layers / 2 * together.slots();
}

}  // namespace varlstm::cuda
