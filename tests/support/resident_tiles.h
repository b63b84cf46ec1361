// The resident recurrence's tiles, from the library's own tables: shapes that use each, on a device that holds few
// teams.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>
#include <stdlib.h>

#include <map>
#include <string>
#include <vector>

#include "kernels/selection/recurrence_selection.h"
#include "support/recurrence_way.h"

#if VARLSTM_EMULATED
#include "kernels/simt/options.h"
#endif

namespace varlstm_test {

inline varlstm::cuda::RecurrencePolicy policy_of(const RecurrenceWay& way) {
  return static_cast<varlstm::cuda::RecurrencePolicy>(way.policy);
}
inline varlstm::cuda::RecurrenceShape shape_of(const RecurrenceWay& way, int64_t hidden, int64_t directions) {
  const bool bf16 = way.precision.stored.dtype == VARLSTM_DTYPE_BF16,
             f16 = way.precision.stored.dtype == VARLSTM_DTYPE_F16;
  return {static_cast<varlstm::Cell>(way.cell),
          bf16  ? varlstm::DType::kBF16
          : f16 ? varlstm::DType::kF16
                : varlstm::DType::kF32,
          way.precision.math == VARLSTM_MATH_TF32, hidden, directions};
}
// The rows that have kernels of the way's cell.
inline varlstm::cuda::TileRows tiles_of(const RecurrenceWay& way) {
  const varlstm::cuda::RecurrenceShape shape = shape_of(way, 1, 1);
  varlstm::cuda::MathKind kind;
  EXPECT_TRUE(varlstm::cuda::math_kind(shape.dtype, shape.tf32, &kind));
  const varlstm::cuda::TileRows table = varlstm::cuda::tile_rows(policy_of(way), kind);
  static std::map<std::string, std::vector<varlstm::cuda::TileShape>> tables;  // by the name of a way
  std::vector<varlstm::cuda::TileShape>& rows = tables[way.name()];
  if (rows.empty()) {
    for (int k = 0; k < table.count; ++k)
      if (varlstm::cuda::has_kernels(shape.cell, table, k)) rows.push_back(table.rows[k]);
  }
  return {rows.data(), static_cast<int>(rows.size())};
}

// For its lifetime, rnns that are made have teams of as many slots as the tile, and contexts find an emulated device
// that holds that many teams of the tile at a time, whichever the policy. A GPU stays as it is.
class FewTeams {
 public:
  FewTeams(const varlstm::cuda::TileShape& tile, int teams) {
    setenv("VARLSTM_RECURRENCE_SLOTS", std::to_string(tile.slots()).c_str(), 1);
#if VARLSTM_EMULATED
    saved_ = varlstm::simt::options();
    varlstm::simt::Options few = saved_;
    few.resident_blocks = static_cast<unsigned>(teams * tile.blocks());
    few.multiprocessors = static_cast<unsigned>(teams);
    few.gpcs = {};
    varlstm::simt::set_options(few);
#else
    (void)teams;
#endif
  }
  ~FewTeams() {
    unsetenv("VARLSTM_RECURRENCE_SLOTS");
#if VARLSTM_EMULATED
    varlstm::simt::set_options(saved_);
#endif
  }
  FewTeams(const FewTeams&) = delete;
  FewTeams& operator=(const FewTeams&) = delete;

#if VARLSTM_EMULATED
 private:
  varlstm::simt::Options saved_;
#endif
};

// Two, whichever the policy: small batches then give a slot several sequences.
struct TwoTeams : FewTeams {
  explicit TwoTeams(const varlstm::cuda::TileShape& tile) : FewTeams(tile, 2) {}
};

// The limit of the next smaller tile; below the smallest a width that is no multiple of anything.
inline int64_t hidden_below(const varlstm::cuda::TileRows& tiles, int index) {
  for (int k = index; k-- > 0;)
    if (tiles.rows[k].hidden < tiles.rows[index].hidden) return tiles.rows[k].hidden;
  return 30;
}

// The first tile whose team has several blocks.
inline int first_team_of_blocks(const varlstm::cuda::TileRows& tiles) {
  int index = 0;
  while (tiles.rows[index].blocks() == 1) ++index;
  return index;
}

// A batch of that many sequences of hostile lengths: one giant, zeros, ties, ones.
inline std::vector<int64_t> hostile_lengths(int64_t batch, int64_t giant) {
  const int64_t pattern[] = {2, 0, 3, 3, 1, 2, 4, 1};
  std::vector<int64_t> lengths;
  for (int64_t b = 0; b < batch; ++b) lengths.push_back(pattern[b % 8]);
  lengths[static_cast<size_t>(batch / 2)] = giant;
  return lengths;
}

inline std::string way_label(const ::testing::TestParamInfo<RecurrenceWay>& tested) {
  return tested.param.name();
}

// Tests of every way; the host has none.
class ResidentWays : public ::testing::TestWithParam<RecurrenceWay> {
 protected:
  void SetUp() override {
    if (test_backend() == VARLSTM_BACKEND_HOST) GTEST_SKIP() << "the host has one way alone";
  }
  const RecurrenceWay& way() const { return GetParam(); }
};

// The sequences of a batch that is run with tile `index` of a table on a device of two teams, or of `teams`: some slots
// take a second one where the table has no tile of more slots.
inline int64_t batch_of_tile(const varlstm::cuda::TileRows& tiles, int index, int64_t directions, int teams = 2) {
  const varlstm::cuda::TileShape& tile = tiles.rows[index];
  const int64_t slots = teams / directions * tile.slots();
  const bool widest = index + 1 == tiles.count || tiles.rows[index + 1].hidden != tile.hidden;
  return widest ? slots + 7 : slots - 3;
}

}  // namespace varlstm_test
