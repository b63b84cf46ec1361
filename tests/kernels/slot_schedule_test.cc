// The slot schedule of a resident recurrence: every entry against a naive sequential greedy, and how long it gets.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/recurrence/schedule/slot_schedule.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "kernels/batch_plan/batch_plan.h"
#include "kernels/batch_plan/segments.h"
#include "kernels/core/device_status.h"
#include "kernels/gemm/gemm.h"
#include "kernels/sort/sort.h"
#include "support/lengths.h"
#include "support/random.h"
#include "varlstm.h"

namespace varlstm::cuda {
namespace {

using varlstm_test::LengthKind;
using varlstm_test::make_lengths;
using varlstm_test::Random;

using Lengths = std::vector<int64_t>;
constexpr int kUntouched = 0xA5;

int64_t sum(const Lengths& lengths) {
  return std::accumulate(lengths.begin(), lengths.end(), int64_t{0});
}
int64_t longest(const Lengths& lengths) {
  return lengths.empty() ? 0 : *std::max_element(lengths.begin(), lengths.end());
}

BatchBounds bounds_of(const Lengths& lengths) {
  return {static_cast<int64_t>(lengths.size()), longest(lengths), sum(lengths)};
}

// How many slots there are, how they are grouped, in how many directions; and how the rows lie.
struct Slots {
  int64_t count, team;
  int64_t directions = 2;
  RowOrder order = RowOrder::kPacked;
};

// A plan and its schedule on the device, every byte of them kUntouched at first.
class DeviceSchedule {
 public:
  DeviceSchedule(const BatchBounds& bounds, const Slots& slots) : bounds_(bounds), slots_(slots) {
    EXPECT_EQ(sort_workspace(bounds.max_batch, &scratch_.sort_workspace_bytes), VARLSTM_OK);
    bytes_ = carve(nullptr);
    EXPECT_EQ(cudaMalloc(&base_, static_cast<size_t>(bytes_)), cudaSuccess);
    carve(base_);
    EXPECT_EQ(cudaMalloc(reinterpret_cast<void**>(&state_.status), sizeof(DeviceStatus)), cudaSuccess);
    EXPECT_EQ(cudaMemsetAsync(state_.status, 0xff, sizeof(DeviceStatus), nullptr), cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(nullptr), cudaSuccess);
  }
  DeviceSchedule(const DeviceSchedule&) = delete;
  DeviceSchedule& operator=(const DeviceSchedule&) = delete;
  ~DeviceSchedule() {
    EXPECT_EQ(cudaFree(state_.status), cudaSuccess);
    EXPECT_EQ(cudaFree(base_), cudaSuccess);
    EXPECT_EQ(cudaFree(plan_.reset_memory), cudaSuccess);
  }

  // Bytes that one allocation takes for everything.
  int64_t carve(void* base) {
    Carver carver(base);
    plan_.lengths = carver.take<int64_t>(bounds_.max_batch);
    plan_.batch_sizes = carver.take<int64_t>(bounds_.max_len);
    plan_.step_offsets = carver.take<int64_t>(bounds_.max_len + 1);
    plan_.sorted_indices = carver.take<int64_t>(bounds_.max_batch);
    plan_.unsorted_indices = carver.take<int64_t>(bounds_.max_batch);
    plan_.cu_seqlens = carver.take<int64_t>(bounds_.max_batch + 1);
    plan_.packed_to_ragged = carver.take<int64_t>(bounds_.max_tokens);
    plan_.ragged_to_packed = carver.take<int64_t>(bounds_.max_tokens);
    plan_.lengths_hash = carver.take<int64_t>(1);
    lengths_ = carver.take<int64_t>(bounds_.max_batch);
    scratch_.raw_lengths = carver.take<int64_t>(bounds_.max_batch);
    scratch_.keys = carver.take<uint64_t>(bounds_.max_batch);
    scratch_.sorted_keys = carver.take<uint64_t>(bounds_.max_batch);
    scratch_.identity = carver.take<int64_t>(bounds_.max_batch);
    scratch_.sort_workspace = carver.take<unsigned char>(scratch_.sort_workspace_bytes);
    schedule_ = carve_slot_schedule(bounds_, slots_.directions, slots_.count, slots_.team, slots_.count, carver);
    slot_scratch_ = carve_slot_scratch(bounds_.max_batch + bounds_.max_tokens, slots_.count, carver);
    return carver.bytes();
  }

  void set_lengths(const Lengths& lengths, cudaStream_t stream) {
    EXPECT_EQ(cudaMemsetAsync(base_, kUntouched, static_cast<size_t>(bytes_), stream), cudaSuccess);
    plan_.bounds = bounds_;
    plan_.batch = static_cast<int64_t>(lengths.size());
    plan_.tokens = plan_.steps = -1;  // nobody on the host need know them
    take_sequences_as_segments(&plan_);
    if (!lengths.empty()) {
      EXPECT_EQ(
          cudaMemcpyAsync(lengths_, lengths.data(), lengths.size() * sizeof(int64_t), cudaMemcpyHostToDevice, stream),
          cudaSuccess);
    }
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
  }

  // From now on the sequences are cut at these flags, one for each ragged row.
  void set_resets(const std::vector<uint8_t>& flags) {
    int64_t sort_bytes = 0;
    EXPECT_EQ(sort_workspace(bounds_.max_tokens + bounds_.max_batch, &sort_bytes), VARLSTM_OK);
    BatchPlan sized = plan_;
    sized.reset_memory = nullptr;
    void* memory = nullptr;
    EXPECT_EQ(cudaMalloc(&memory, static_cast<size_t>(carve_segments(&sized, &segment_scratch_, sort_bytes))),
              cudaSuccess);
    plan_.reset_memory = static_cast<int64_t*>(memory);
    carve_segments(&plan_, &segment_scratch_, sort_bytes);
    flags_ = flags;
  }

  int32_t enqueue(cudaStream_t stream) {
    const int32_t status = plan_from_lengths({&state_, stream}, plan_, lengths_, VARLSTM_SPACE_BACKEND, scratch_);
    if (status != VARLSTM_OK) return status;
    if (!flags_.empty()) {
      const ResetArgs resets{Layout::kRagged, 0, flags_.data(), static_cast<int64_t>(flags_.size()),
                             VARLSTM_SPACE_HOST};
      const int32_t cut = cut_segments({&state_, stream}, &plan_, resets, segment_scratch_);
      if (cut != VARLSTM_OK) return cut;
    }
    return build_slot_schedule({&state_, stream}, plan_, slots_.order, slots_.directions, schedule_, slot_scratch_, {});
  }

  const SlotSchedule& schedule() const { return schedule_; }
  std::vector<SlotStep> entries(cudaStream_t stream) const {
    return read(schedule_.entries, slots_.directions * schedule_.max_steps * slots_.count, stream);
  }
  Lengths before(cudaStream_t stream) const {
    return read(schedule_.before, slots_.directions * schedule_.tokens, stream);
  }
  Lengths steps(cudaStream_t stream) const { return read(schedule_.steps, slots_.count / slots_.team, stream); }

 private:
  template <class T>
  static std::vector<T> read(const T* from, int64_t count, cudaStream_t stream) {
    std::vector<T> values(static_cast<size_t>(count));
    EXPECT_EQ(cudaMemcpyAsync(values.data(), from, values.size() * sizeof(T), cudaMemcpyDeviceToHost, stream),
              cudaSuccess);
    EXPECT_EQ(cudaStreamSynchronize(stream), cudaSuccess);
    return values;
  }

  BatchBounds bounds_;
  Slots slots_;
  State state_;
  void* base_ = nullptr;
  int64_t bytes_ = 0;
  BatchPlan plan_ = {};
  int64_t* lengths_ = nullptr;  // as the caller gives them
  PlanScratch scratch_ = {};
  SegmentScratch segment_scratch_ = {};
  std::vector<uint8_t> flags_;
  SlotSchedule schedule_ = {};
  SlotScratch slot_scratch_ = {};
};

// What the sequential algorithm does with lengths that are within their bounds.
struct Expected {
  Lengths lengths, slot, start;  // by caller's index
  std::vector<Lengths> rows;     // [b][t]
  Lengths loads;                 // by slot

  Expected(const Lengths& given, const Slots& slots)
      : lengths(given), slot(given.size(), -1), start(given.size(), -1), rows(given.size()), loads(slots.count) {
    Lengths ranked(given.size());
    std::iota(ranked.begin(), ranked.end(), int64_t{0});
    std::stable_sort(ranked.begin(), ranked.end(), [&](int64_t a, int64_t b) { return given[a] > given[b]; });
    number_rows(ranked, slots.order);
    Lengths order;  // the first slot of every team, then the second of every team, ...
    for (int64_t k = 0; k < slots.team; ++k) {
      for (int64_t first = 0; first < slots.count; first += slots.team) order.push_back(first + k);
    }
    for (const int64_t b : ranked) {
      if (given[b] == 0) continue;
      slot[b] =
          *std::min_element(order.begin(), order.end(), [&](int64_t p, int64_t q) { return loads[p] < loads[q]; });
      start[b] = loads[slot[b]];
      loads[slot[b]] += given[b];
    }
  }

 private:
  void number_rows(const Lengths& ranked, RowOrder order) {
    int64_t row = 0;
    if (order == RowOrder::kRagged) {
      for (size_t b = 0; b < lengths.size(); ++b) {
        for (int64_t t = 0; t < lengths[b]; ++t) rows[b].push_back(row++);
      }
      return;
    }
    for (int64_t t = 0; t < longest(lengths); ++t) {
      for (const int64_t b : ranked) {
        if (lengths[b] > t) rows[b].push_back(row++);
      }
    }
  }
};

bool untouched(const SlotStep& entry) {
  const auto* bytes = reinterpret_cast<const unsigned char*>(&entry);
  return std::all_of(bytes, bytes + sizeof entry, [](unsigned char byte) { return byte == kUntouched; });
}

bool is(const SlotStep& entry, int64_t row, int64_t sequence, uint32_t marks) {
  return entry.row == row && entry.sequence == sequence && entry.marks == marks;
}

// One slot of one direction, entry by entry; `seen` counts the sequences.
void check_slot(const Expected& expected, bool reverse, int64_t slot, int64_t steps, const SlotSchedule& schedule,
                const SlotStep* entries, const int64_t* before, Lengths* seen) {
  const auto entry = [&](int64_t s) -> const SlotStep& { return entries[s * schedule.slots + slot]; };
  int64_t s = 0;
  while (s < expected.loads[slot]) {
    const int64_t b = entry(s).sequence;
    ASSERT_LT(b, static_cast<int64_t>(seen->size())) << "slot " << slot << ", step " << s;
    ASSERT_EQ(expected.slot[b], slot) << "sequence " << b;
    ASSERT_EQ(expected.start[b], s) << "sequence " << b;
    ++(*seen)[b];
    const int64_t length = expected.lengths[b];
    for (int64_t k = 0; k < length; ++k, ++s) {
      const uint32_t marks =
          (k == 0 ? kFirstToken + kTakesInitial : 0) + (k == length - 1 ? kLastToken + kGivesFinal : 0);
      // A token without marks has no sequence: that is how the resident kernels know it.
      ASSERT_TRUE(is(entry(s), expected.rows[b][reverse ? length - 1 - k : k], marks == 0 ? 0 : b, marks))
          << "slot " << slot << ", step " << s << ", row " << entry(s).row;
      ASSERT_EQ(before[entry(s).row], k == 0 ? kInitialRow - b : entry(s - 1).row) << "row " << entry(s).row;
    }
  }
  for (; s < steps; ++s) ASSERT_TRUE(is(entry(s), -1, 0, 0)) << "slot " << slot << ", step " << s;
  for (; s < schedule.max_steps; ++s) ASSERT_TRUE(untouched(entry(s))) << "slot " << slot << ", step " << s;
}

// Everything about a schedule that was built for `lengths`; returns its steps.
int64_t check(const Lengths& lengths, const Slots& slots, const DeviceSchedule& device, cudaStream_t stream = nullptr) {
  const Expected expected(lengths, slots);
  const std::vector<SlotStep> entries = device.entries(stream);
  const Lengths steps = device.steps(stream), before = device.before(stream);
  const SlotSchedule& schedule = device.schedule();
  for (int64_t team = 0; team < slots.count / slots.team; ++team) {
    const auto begin = expected.loads.begin() + team * slots.team;
    EXPECT_EQ(steps[team], *std::max_element(begin, begin + slots.team)) << "team " << team;
  }
  const int64_t makespan = longest(expected.loads);
  EXPECT_LE(makespan, schedule.max_steps);
  EXPECT_LE(makespan * slots.count, sum(lengths) + longest(lengths) * (slots.count - 1));  // of any list schedule
  for (int64_t d = 0; d < slots.directions && !::testing::Test::HasFailure(); ++d) {
    Lengths seen(lengths.size());
    for (int64_t p = 0; p < slots.count && !::testing::Test::HasFailure(); ++p)
      check_slot(expected, d == 1, p, steps[p / slots.team], schedule,
                 entries.data() + d * schedule.max_steps * slots.count, before.data() + d * schedule.tokens, &seen);
    for (size_t b = 0; b < lengths.size(); ++b) EXPECT_EQ(seen[b], lengths[b] > 0 ? 1 : 0) << "sequence " << b;
  }
  return makespan;
}

int64_t build_and_check(const Lengths& lengths, const Slots& slots) {
  SCOPED_TRACE("lengths " + varlstm_test::to_string(lengths) + " on " + std::to_string(slots.count) + " slots");
  DeviceSchedule device(bounds_of(lengths), slots);
  device.set_lengths(lengths, nullptr);
  EXPECT_EQ(device.enqueue(nullptr), VARLSTM_OK);
  return check(lengths, slots, device);
}

// Lengths like an English treebank's sentences: a median of 13 tokens, some beyond 100.
Lengths sentence_lengths(int64_t batch, Random& random) {
  Lengths lengths;
  for (int64_t b = 0; b < batch; ++b) {
    const double length = std::exp(std::log(13.0) + 0.75 * random.normal());
    lengths.push_back(std::clamp<int64_t>(std::llround(length), 1, 159));
  }
  return lengths;
}

// The lower bound is not always reachable: of 400 simulated batches of 256 uniform lengths on 120 slots, 16 lay above
// 1.06 of it and none above 1.09; of the other shapes here none above 1.06. The seeds below are fixed.
void expect_close_to_the_best(const Lengths& lengths, const Slots& slots) {
  const int64_t makespan = build_and_check(lengths, slots);
  const int64_t least = std::max(longest(lengths), (sum(lengths) + slots.count - 1) / slots.count);
  EXPECT_LE(static_cast<double>(makespan), 1.06 * static_cast<double>(least));
}

TEST(SlotSchedule, OfUniformLengthsIsShort) {
  Random random(1);
  expect_close_to_the_best(make_lengths(LengthKind::kUniform, 256, 1000, random), {120, 8});
}
TEST(SlotSchedule, OfLogNormalLengthsIsShort) {
  Random random(2);
  expect_close_to_the_best(make_lengths(LengthKind::kLogNormal, 256, 1000, random), {120, 40, 1});
}
TEST(SlotSchedule, OfSentencesIsShort) {
  Random random(3);
  expect_close_to_the_best(sentence_lengths(256, random), {32, 32});
  expect_close_to_the_best(sentence_lengths(64, random), {64, 16});
}
TEST(SlotSchedule, OfManyMoreSequencesThanSlotsIsShort) {
  Random random(4);
  expect_close_to_the_best(sentence_lengths(3000, random), {48, 8});
  expect_close_to_the_best(make_lengths(LengthKind::kUniform, 700, 30, random), {6, 3});
}
TEST(SlotSchedule, OfLengthsThatHurt) {
  Random random(5);
  for (const LengthKind kind : varlstm_test::kLengthKinds) {
    SCOPED_TRACE(varlstm_test::length_kind_name(kind));
    for (const int64_t batch : {0, 1, 5, 6, 7, 12, 61}) {
      if (batch == 0 && kind == LengthKind::kSingle) continue;
      build_and_check(make_lengths(kind, batch, 1 + batch * 2, random), {6, 2});
    }
  }
}
TEST(SlotSchedule, OfRaggedRows) {
  Random random(9);
  for (const LengthKind kind : varlstm_test::kLengthKinds) {
    SCOPED_TRACE(varlstm_test::length_kind_name(kind));
    for (const int64_t batch : {1, 6, 25}) {
      build_and_check(make_lengths(kind, batch, 1 + batch * 2, random), {6, 2, 2, RowOrder::kRagged});
    }
  }
}
TEST(SlotSchedule, OfBatchesAboutAsLargeAsTheSlots) {
  Random random(6);
  const Slots shapes[] = {{1, 1}, {2, 1}, {3, 3, 1}, {64, 8}, {65, 13}, {96, 32}};
  for (const Slots& slots : shapes) {
    for (const int64_t batch : {slots.count - 1, slots.count, slots.count + 1, 2 * slots.count + 1})
      build_and_check(make_lengths(LengthKind::kTies, batch, 9, random), slots);
  }
}
TEST(SlotSchedule, FillsAnEmptySlotWithManyShortSequences) {
  Lengths lengths(40, 1);
  lengths.insert(lengths.begin(), {30, 2, 30});
  EXPECT_EQ(build_and_check(lengths, {3, 1}), 34);
}
TEST(SlotSchedule, OnAsManySlotsAsADeviceHas) {
  Random random(7);
  build_and_check({3, 1, 2}, {kMaxSlots, 128, 1});
  build_and_check(make_lengths(LengthKind::kUniform, 132 * 32 * 2 + 5, 12, random), {132 * 32, 32, 1});
}

// Resets shorten the chain: 8 sequences of 128 tokens keep half of 16 slots busy for 128 steps. Cut at every 16th
// token, their segments of 21, 16 and 11 tokens keep all slots busy, for 64 steps.
TEST(SlotSchedule, OfSegmentsIsShorter) {
  const Lengths lengths(8, 128);
  const Slots slots = {16, 4, 2, RowOrder::kRagged};
  for (const bool resets : {false, true}) {
    DeviceSchedule device(bounds_of(lengths), slots);
    device.set_lengths(lengths, nullptr);
    std::vector<uint8_t> flags(8 * 128);
    for (size_t row = 0; row < flags.size(); ++row) flags[row] = row % 16 == 5 && row % 128 > 16 ? 1 : 0;
    if (resets) device.set_resets(flags);
    ASSERT_EQ(device.enqueue(nullptr), VARLSTM_OK);
    const std::vector<SlotStep> entries = device.entries(nullptr);
    const Lengths steps = device.steps(nullptr);
    EXPECT_EQ(longest(steps), resets ? 64 : 128);
    for (int64_t d = 0; d < 2; ++d) {
      std::vector<int> visits(flags.size()), begun(8), ended(8);
      int64_t segments = 0;
      for (int64_t s = 0; s < device.schedule().max_steps; ++s) {
        for (int64_t slot = 0; slot < 16; ++slot) {
          if (s >= steps[slot / 4]) continue;
          const SlotStep& entry = entries[(d * device.schedule().max_steps + s) * 16 + slot];
          if (entry.row < 0) continue;
          ++visits[entry.row];
          segments += entry.marks & kFirstToken ? 1 : 0;
          if (entry.marks & kTakesInitial) ++begun[entry.sequence];
          if (entry.marks & kGivesFinal) ++ended[entry.sequence];
        }
      }
      EXPECT_EQ(visits, std::vector<int>(flags.size(), 1));
      EXPECT_EQ(begun, std::vector<int>(8, 1));
      EXPECT_EQ(ended, std::vector<int>(8, 1));
      EXPECT_EQ(segments, resets ? 8 + std::count(flags.begin(), flags.end(), 1) : 8);
    }
  }
}

// Bounds are all that the host knows; lengths beyond them are cut as the plan cuts them.
TEST(SlotSchedule, OfLengthsThatTheDeviceClamps) {
  const BatchBounds bounds = {9, 5, 17};
  const Slots slots = {4, 2};
  DeviceSchedule device(bounds, slots);
  const std::vector<std::pair<Lengths, Lengths>> cases = {{{3, -2, 9, 0, 4}, {3, 0, 5, 0, 4}},
                                                          {{5, 5, 5, 5, 5, 5}, {5, 5, 5, 2, 0, 0}},
                                                          {{}, {}},
                                                          {{1, 2}, {1, 2}},
                                                          {{INT64_MIN, INT64_MAX}, {0, 5}}};
  for (const auto& [given, clamped] : cases) {
    SCOPED_TRACE(varlstm_test::to_string(given));
    device.set_lengths(given, nullptr);
    ASSERT_EQ(device.enqueue(nullptr), VARLSTM_OK);
    check(clamped, slots, device);
  }
}

TEST(SlotSchedule, OfBoundsWithoutTokens) {
  for (const BatchBounds& bounds : {BatchBounds{0, 0, 0}, BatchBounds{3, 0, 0}, BatchBounds{3, 7, 0}}) {
    DeviceSchedule device(bounds, {4, 2});
    const Lengths lengths(static_cast<size_t>(bounds.max_batch), 0);
    device.set_lengths(lengths, nullptr);
    ASSERT_EQ(device.enqueue(nullptr), VARLSTM_OK);
    EXPECT_EQ(check(lengths, {4, 2}, device), 0);
  }
}

TEST(SlotSchedule, IsBuiltAnewByACapturedGraph) {
  const Slots slots = {6, 3};
  Random random(8);
  DeviceSchedule device({20, 12, 240}, slots);
  cudaStream_t stream = nullptr;
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t exec = nullptr;
  ASSERT_EQ(cudaStreamCreateWithFlags(&stream, cudaStreamNonBlocking), cudaSuccess);
  device.set_lengths(Lengths(20, 0), stream);
  ASSERT_EQ(cudaStreamBeginCapture(stream, cudaStreamCaptureModeGlobal), cudaSuccess);
  EXPECT_EQ(device.enqueue(stream), VARLSTM_OK);
  ASSERT_EQ(cudaStreamEndCapture(stream, &graph), cudaSuccess);
  ASSERT_EQ(cudaGraphInstantiate(&exec, graph, 0), cudaSuccess);
  ASSERT_EQ(cudaGraphDestroy(graph), cudaSuccess);
  for (int k = 0; k < 5; ++k) {
    const Lengths lengths = make_lengths(LengthKind::kZerosAmong, 20, 12, random);
    device.set_lengths(lengths, stream);
    ASSERT_EQ(cudaGraphLaunch(exec, stream), cudaSuccess);
    check(lengths, slots, device, stream);
  }
  EXPECT_EQ(cudaGraphExecDestroy(exec), cudaSuccess);
  EXPECT_EQ(cudaStreamDestroy(stream), cudaSuccess);
}

TEST(SlotSchedule, OfTooManySlotsIsUnsupported) {
  DeviceSchedule device({1, 1, 1}, {kMaxSlots + 1, 1, 1});
  device.set_lengths({1}, nullptr);
  EXPECT_EQ(device.enqueue(nullptr), VARLSTM_ERROR_UNSUPPORTED);
}

}  // namespace
}  // namespace varlstm::cuda
