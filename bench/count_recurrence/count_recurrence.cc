// count_recurrence: what one step of the resident recurrence takes, counted in the emulator.
//
//   count_recurrence [--largest H] [FILE]
//
// runs every row of the selection's tables (those up to H, with --largest) forward and backward for 2 and for 4 steps
// and writes JSON, of an LSTM «tiles» and of the other cells that have kernels «tiles_of_other_cells»: «per_step», the
// mean of the difference, of one block; «once», the rest, of the team: weights arranged and loaded, the first states,
// the last gradients. Products and pushes are compared with what the tile's shape says; status 1 where they differ.
// Counts are exact; times there are none. With VARLSTM_EMULATOR_PTX they are those of nvcc's PTX, instructions among
// them, which alone depend on the emulator's schedule: polls count (fewest in fifo, its default).
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <stdexcept>
#include <string>

#include "bench/count_recurrence/team.h"
#include "kernels/simt/options.h"

namespace varlstm::count_recurrence {
namespace {

using cuda::MathKind;
using cuda::RecurrencePolicy;
using nlohmann::json;

// The other RNN has the same kernels.
constexpr struct {
  Cell cell;
  const char* name;
} kCells[] = {{Cell::kLstm, "lstm"}, {Cell::kGru, "gru"}, {Cell::kRnnTanh, "rnn_tanh"}};

// F16 differs from BF16 in nothing that is counted.
constexpr MathKind kMaths[] = {MathKind::kBf16, MathKind::kTf32, MathKind::kF32};

const char* name_of(MathKind math) {
  return math == MathKind::kBf16 ? "bf16" : math == MathKind::kTf32 ? "tf32" : "f32";
}
const char* name_of(Pass pass) {
  return pass == Pass::kForward ? "forward" : "backward";
}

// Of a block and step, by the tile's shape alone.
struct Expected {
  int64_t mma, pushes, pushed_bytes;
};

Expected expected(const TableRow& row, Pass pass) {
  const cuda::TileShape& tile = *row.tile;
  // Forward multiplies whole row tiles of two gates, backward the gates alone.
  const int64_t rows = pass == Pass::kForward ? 2 * cuda::gate_tiles(row.cell) : cuda::resident_gates(row.cell);
  const int64_t weights = rows * tile.units * tile.hidden;
  const int64_t mma = row.math == MathKind::kF32 ? 0 : weights / 16 / tile_depth(row.math) * tile.slot_tiles;
  if (row.policy == RecurrencePolicy::kGrid || tile.blocks() == 1) return {mma, 0, 0};
  const int64_t bytes = pass == Pass::kForward
                            ? int64_t{tile.blocks()} * tile.units * tile.slots() * value_bytes(row.math)
                            : int64_t{4} * tile.hidden * tile.slots();
  // Forward pushes two values at a time, backward two sums.
  return {mma, bytes / (pass == Pass::kForward ? 2 * value_bytes(row.math) : 8), bytes};
}

int threads_of(const cuda::TileShape& tile, Pass pass) {
  return 32 * (pass == Pass::kForward ? tile.groups() * tile.splits : tile.backward_warps());
}

json describe(const TableRow& row, Pass pass) {
  const cuda::TileShape& tile = *row.tile;
  const bool forward = pass == Pass::kForward;
  return {{"policy", recurrence_policy_name(row.policy)},
          {"math", name_of(row.math)},
          {"mode", name_of(pass)},
          {"H", tile.hidden},
          {"units", tile.units},
          {"blocks", tile.blocks()},
          {"slots", tile.slots()},
          {"splits", forward ? tile.splits : 1},
          {"threads", threads_of(tile, pass)},
          {"register_tiles", forward ? tile.forward_register_tiles : tile.backward_register_tiles},
          {"shared_bytes", forward ? forward_shared_bytes(row.policy, row.math, row.cell, tile)
                                   : backward_shared_bytes(row.policy, row.math, row.cell, tile)}};
}

json count(const TableRow& row, Pass pass) {
  // Both even: kernels go through pairs of steps, and one that is left over counts as a pair.
  constexpr int64_t kFewer = 2, kMore = 4;
  const Counts fewer = count_team(row, pass, kFewer), more = count_team(row, pass, kMore);
  json entry = describe(row, pass);
  for (const auto& [name, of_fewer] : fewer) {
    const int64_t steps = more.at(name) - of_fewer;
    entry["per_step"][name] = static_cast<double>(steps) / static_cast<double>((kMore - kFewer) * row.tile->blocks());
    entry["once"][name] = of_fewer - kFewer * steps / (kMore - kFewer);
  }
  const Expected shape = expected(row, pass);
  const json of_shape = {{"mma", shape.mma}, {"pushes", shape.pushes}, {"pushed_bytes", shape.pushed_bytes}};
  for (const auto& [name, value] : of_shape.items()) {
    if (entry["per_step"][name] == value) continue;
    throw std::runtime_error(describe(row, pass).dump() + ": " + name + " = " + entry["per_step"][name].dump() +
                             " of a block and step, by the tile's shape " + value.dump());
  }
  return entry;
}

json count_all(Cell cell, const char* name, int largest) {
  json rows = json::array();
  for (const RecurrencePolicy policy : {RecurrencePolicy::kCluster, RecurrencePolicy::kGrid}) {
    for (const MathKind math : kMaths) {
      const cuda::TileRows table = tile_rows(policy, math);
      for (int index = 0; index < table.count; ++index) {
        const TableRow row{cell, policy, math, index, &table.rows[index]};
        if (row.tile->hidden > largest || !cuda::has_kernels(cell, table, index)) continue;
        for (const Pass pass : {Pass::kForward, Pass::kBackward}) {
          rows.push_back(count(row, pass));
          if (cell != Cell::kLstm) rows.back()["cell"] = name;
        }
      }
    }
  }
  return rows;
}

int run(int argc, char** argv) {
  int largest = 1 << 30, at = 1;
  if (argc > 2 && strcmp(argv[1], "--largest") == 0) {
    largest = atoi(argv[2]);
    at = 3;
  }
  if (argc > at + 1 || (at < argc && argv[at][0] == '-')) {
    fprintf(stderr, "count_recurrence [--largest H] [FILE]\n");
    return 2;
  }
  simt::Options options = simt::options();
  options.races = false;
  simt::set_options(options);
  const bool ptx = getenv("VARLSTM_EMULATOR_PTX") != nullptr;
  json result = {{"note", "counted in the emulator: not measured on a GPU"},
                 {"code", ptx ? "PTX of nvcc" : "the host's compiler's"}};
  for (const auto& [cell, name] : kCells) {
    json& tiles = result[cell == Cell::kLstm ? "tiles" : "tiles_of_other_cells"];
    for (json& row : count_all(cell, name, largest)) tiles.push_back(row);
  }
  if (at == argc) {
    printf("%s\n", result.dump(1).c_str());
    return 0;
  }
  std::ofstream file(argv[at]);
  file << result.dump(1) << '\n';
  if (!file.flush()) throw std::runtime_error(std::string("cannot write ") + argv[at]);
  return 0;
}

}  // namespace
}  // namespace varlstm::count_recurrence

int main(int argc, char** argv) {
  try {
    return varlstm::count_recurrence::run(argc, argv);
  } catch (const std::exception& error) {
    fprintf(stderr, "count_recurrence: %s\n", error.what());
    return 1;
  }
}
