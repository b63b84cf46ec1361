// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/wgmma.h"

#include <string.h>

#include <algorithm>
#include <array>
#include <deque>
#include <memory>
#include <vector>

#include "kernels/simt/address_space.h"
#include "kernels/simt/canonical.h"
#include "kernels/simt/collective.h"
#include "kernels/simt/convert.h"
#include "kernels/simt/product_sum.h"
#include "kernels/simt/race.h"
#include "kernels/simt/thread.h"
#include "kernels/simt/wgmma_operands.h"

namespace varlstm::simt {

// The sums of a warp that products under way add to.
struct WarpSums {
  int columns;
  std::array<std::vector<float*>, 32> places;
  std::array<std::vector<float>, 32> values;
  int products = 0;  // under way
};

// A product of a warp that is under way.
struct StartedProduct {
  WarpgroupProduct product;
  std::array<b32x4, 32> a_registers;
  std::shared_ptr<WarpSums> sums;
  unsigned group;
  Epoch epoch;  // what a thread knows that has waited for it
  bool computed;
};

struct WarpProducts {
  std::deque<StartedProduct> started;
  std::vector<std::pair<WarpgroupProduct, Site>> history;  // of the warpgroup's first warp to start each product
  size_t count = 0;                                        // of products that this warp has started
};

namespace {

constexpr uint32_t kUnderWay = 0x7fdbdbdb;  // NaN
constexpr int kRows = 16;                   // of a warp

struct LaneProduct {
  const WarpgroupProduct* product;
  float* const* sums;
  Site site;
  uintptr_t pc;
};

int depth_of(MatrixType type) {
  return type == MatrixType::kTf32 ? 8 : 16;
}
int bytes_of_element(MatrixType type) {
  return type == MatrixType::kTf32 ? 4 : 2;
}

WarpProducts& products_of(Block& block, unsigned warp) {
  if (block.products.size() <= warp) block.products.resize(warp / 4 * 4 + 4);
  if (block.products[warp] == nullptr) block.products[warp] = std::make_shared<WarpProducts>();
  return *block.products[warp];
}

float widen(uint32_t bits, MatrixType type) {
  if (type == MatrixType::kTf32) return widen_tf32(bits);
  return type == MatrixType::kBf16 ? from_bf16(static_cast<uint16_t>(bits)) : from_f16(static_cast<uint16_t>(bits));
}

// The element of A that a warp holds in registers.
float register_element(const StartedProduct& one, int row, int k) {
  const bool is_tf32 = one.product.type == MatrixType::kTf32;
  const int lane = row % 8 * 4 + (is_tf32 ? k % 4 : k % 8 / 2);
  const int index = row / 8 + (is_tf32 ? k / 4 : k / 8) * 2;
  const uint32_t word = one.a_registers[static_cast<size_t>(lane)].r[index];
  return widen(is_tf32 ? word : word >> (16 * (k % 2)), one.product.type);
}

float shared_element(const MatrixLayout& layout, bool transposed, int line, int k, MatrixType type) {
  const ElementPlace place = place_of(layout, transposed, line, k, bytes_of_element(type));
  uint32_t bits = 0;
  memcpy(&bits, current_thread->block->shared + place.word + place.element,
         static_cast<size_t>(bytes_of_element(type)));
  return widen(bits, type);
}

void compute(StartedProduct& one, unsigned warp) {
  const WarpgroupProduct& product = one.product;
  const int depth = depth_of(product.type), first_row = static_cast<int>(warp % 4) * kRows;
  const int smallest = product.type == MatrixType::kF16 ? kSmallestF16Exponent : kSmallestExponent;
  const MatrixLayout a_layout = layout_of(product.a), b_layout = layout_of(product.b);
  float a[kRows][kMostProducts], b[kMostProducts];
  for (int row = 0; row < kRows; ++row)
    for (int k = 0; k < depth; ++k)
      a[row][k] = product.a_in_registers
                      ? register_element(one, row, k)
                      : shared_element(a_layout, product.transpose_a, first_row + row, k, product.type);
  for (int column = 0; column < product.columns; ++column) {
    for (int k = 0; k < depth; ++k) b[k] = shared_element(b_layout, product.transpose_b, column, k, product.type);
    for (int row = 0; row < kRows; ++row) {
      float& sum = one.sums->values[static_cast<size_t>(row % 8 * 4 + column % 8 / 2)]
                                   [static_cast<size_t>(column / 8 * 4 + row / 8 * 2 + column % 2)];
      sum = canonical(sum_of_products(a[row], b, 1, depth, product.accumulate ? sum : 0, smallest));
    }
  }
  one.computed = true;
}

// Reports what the product will read to the race detector.
void note_operand(const MatrixLayout& layout, bool transposed, int first, int lines, MatrixType type, uintptr_t pc,
                  Site site) {
  if (layout.base_offset != 0) defect("wgmma " + describe(site) + ": no base offset of a matrix is emulated");
  const int bytes = bytes_of_element(type), depth = depth_of(type), per_word = 16 / bytes;
  for (int line = first; line < first + lines; line += transposed ? per_word : 1)
    for (int k = 0; k < depth; k += transposed ? 1 : per_word)
      note_async_access(current_thread->block->shared + place_of(layout, transposed, line, k, bytes).word, 16,
                        Access::kRead, pc);
}

bool same(const WarpgroupProduct& a, const WarpgroupProduct& b) {
  return a.type == b.type && a.columns == b.columns && a.transpose_a == b.transpose_a &&
         a.transpose_b == b.transpose_b && a.a_in_registers == b.a_in_registers && a.a == b.a && a.b == b.b &&
         a.accumulate == b.accumulate;
}

// The warps of a warpgroup must start the same products in the same order.
void compare_with_warpgroup(Block& block, unsigned warp, const LaneProduct& lane) {
  auto& history = products_of(block, warp / 4 * 4).history;
  const size_t number = products_of(block, warp).count++;
  if (number == history.size()) {
    for (unsigned other = warp / 4 * 4; other < warp / 4 * 4 + 4; ++other)
      if (block.ended_lanes[other] != 0)
        defect("divergent warpgroup: " + describe(*current_thread) + " is at wgmma " + describe(lane.site) +
               " after lanes of warp " + std::to_string(other) + " of its block have ended");
    history.emplace_back(*lane.product, lane.site);
  } else if (!same(history[number].first, *lane.product)) {
    defect("divergent warpgroup: " + describe(*current_thread) + " is at wgmma " + describe(lane.site) +
           " while another warp of its warpgroup was at wgmma " + describe(history[number].second) +
           ", or with other operands");
  }
}

// The sums that the lanes name: those of an earlier product that is under way, or new ones.
std::shared_ptr<WarpSums> sums_of(WarpProducts& mine, void* const* in) {
  const auto& first = *static_cast<const LaneProduct*>(in[0]);
  for (const StartedProduct& one : mine.started)
    if (one.sums->places[0][0] == first.sums[0]) {
      if (one.sums->columns != first.product->columns)
        defect("wgmma " + describe(first.site) + ": the sums are those of a product of another shape under way");
      return one.sums;
    }
  auto made = std::make_shared<WarpSums>();
  made->columns = first.product->columns;
  const auto count = static_cast<size_t>(made->columns / 2);
  for (size_t lane = 0; lane < 32; ++lane) {
    float* const* places = static_cast<const LaneProduct*>(in[lane])->sums;
    made->places[lane].assign(places, places + count);
    for (float* place : made->places[lane]) {
      made->values[lane].push_back(*place);
      memcpy(place, &kUnderWay, sizeof kUnderWay);
    }
  }
  return made;
}

bool computes_at_once() {
  const AsyncCompletion async = launch_state().options.async;
  return async == AsyncCompletion::kEarly || (async == AsyncCompletion::kRandom && draw() % 2 == 0);
}

void compute_through(WarpProducts& mine, size_t last, unsigned warp) {
  for (size_t k = 0; k <= last; ++k)
    if (!mine.started[k].computed) compute(mine.started[k], warp);
}

void start_in_warp(void* const* in, void* const*, unsigned mask) {
  Thread& me = *current_thread;
  const auto& first = *static_cast<const LaneProduct*>(in[0]);
  if (mask != ~0u || me.block->threads < me.warp / 4 * 128 + 128)
    defect("wgmma " + describe(first.site) + " needs all lanes of a warpgroup of four warps");
  for (int lane = 1; lane < 32; ++lane)
    if (!same(*static_cast<const LaneProduct*>(in[lane])->product, *first.product))
      defect("divergent warp: lanes of the warp of " + describe(me) + " start different products at wgmma " +
             describe(first.site));
  compare_with_warpgroup(*me.block, me.warp, first);
  WarpProducts& mine = products_of(*me.block, me.warp);
  StartedProduct one{*first.product, {}, sums_of(mine, in), me.product_group, {}, false};
  ++one.sums->products;
  for (size_t lane = 0; lane < 32; ++lane)
    one.a_registers[lane] = static_cast<const LaneProduct*>(in[lane])->product->a_registers;
  one.epoch = begin_async(uint64_t{me.block->number} * 32 + me.warp);
  const MatrixType type = one.product.type;
  if (!one.product.a_in_registers)
    note_operand(layout_of(one.product.a), one.product.transpose_a, static_cast<int>(me.warp % 4) * kRows, kRows, type,
                 first.pc, first.site);
  note_operand(layout_of(one.product.b), one.product.transpose_b, 0, one.product.columns, type, first.pc, first.site);
  counters().matrix_products += static_cast<uint64_t>(one.product.columns / 8);
  mine.started.push_back(std::move(one));
  if (computes_at_once()) compute_through(mine, mine.started.size() - 1, me.warp);
}

// Gives the sums to the threads when their last product has ended.
void finish(StartedProduct& one, Site site) {
  if (--one.sums->products != 0) return;
  for (size_t lane = 0; lane < 32; ++lane)
    for (size_t i = 0; i < one.sums->places[lane].size(); ++i) {
      float* place = one.sums->places[lane][i];
      if (memcmp(place, &kUnderWay, sizeof kUnderWay) != 0)
        defect("early use: a lane of the warp of " + describe(*current_thread) +
               " has written sums of a product that was under way up to wgmma_wait " + describe(site));
      *place = one.sums->values[lane][i];
    }
}

struct LaneWait {
  unsigned end;
  Site site;
  Epoch known;  // what the lane knows afterwards
  bool any_ended;
};

void wait_in_warp(void* const* in, void* const*, unsigned) {
  Thread& me = *current_thread;
  const LaneWait wait = *static_cast<const LaneWait*>(in[0]);
  WarpProducts& mine = products_of(*me.block, me.warp);
  while (!mine.started.empty() && mine.started.front().group < wait.end) {
    if (!mine.started.front().computed) compute(mine.started.front(), me.warp);
    for (int lane = 0; lane < 32; ++lane) {
      static_cast<LaneWait*>(in[lane])->known = mine.started.front().epoch;
      static_cast<LaneWait*>(in[lane])->any_ended = true;
    }
    finish(mine.started.front(), wait.site);
    mine.started.pop_front();
  }
}

}  // namespace

void wgmma_fence() {
  current_thread->sums_fenced = current_thread->a_fenced = true;
}

void wgmma_commit() {
  ++current_thread->product_group;
  current_thread->a_fenced = false;
}

void wait_products(unsigned pending, Site site) {
  Thread& me = *current_thread;
  LaneWait wait{me.product_group >= pending ? me.product_group - pending : 0, site, {0, 0}, false};
  run_collective("wgmma_wait", ~0u, &wait, nullptr, wait_in_warp, site);
  if (!wait.any_ended) return;
  acquire_from(wait.known);
  me.sums_fenced = false;
}

void async_proxy_fence() {
  fence_async_proxy(true, false);
}
void async_proxy_fence_device() {
  fence_async_proxy(false, true);
}

uint64_t matrix_descriptor(const void* start, unsigned leading_bytes, unsigned stride_bytes, MatrixSwizzle swizzle,
                           Site site) {
  constexpr unsigned kEnd = 1u << 18;
  const auto address = static_cast<size_t>(static_cast<const unsigned char*>(start) - current_thread->block->shared);
  if (address >= launch_state().shape->shared_bytes)
    defect("matrix_descriptor " + describe(site) + ": the matrix is not in the block's shared memory");
  if (address % 16 != 0 || leading_bytes % 16 != 0 || stride_bytes % 16 != 0 || leading_bytes >= kEnd ||
      stride_bytes >= kEnd)
    defect("matrix_descriptor " + describe(site) + ": address and distances are multiples of 16, below 256 KB");
  return static_cast<uint64_t>(swizzle) << 62 | uint64_t{stride_bytes >> 4} << 32 | uint64_t{leading_bytes >> 4} << 16 |
         address >> 4;
}

void start_product(const WarpgroupProduct& product, float* const* sums, Site site, uintptr_t pc) {
  Thread& me = *current_thread;
  uint32_t bits;
  memcpy(&bits, sums[0], sizeof bits);
  if (!me.sums_fenced && bits != kUnderWay)
    defect("no wgmma_fence: " + describe(me) + " starts wgmma " + describe(site) + " with sums it may have touched");
  if (!me.a_fenced && product.a_in_registers)
    defect("no wgmma_fence: " + describe(me) + " starts wgmma " + describe(site) + " with an A it may have touched");
  LaneProduct lane{&product, sums, site, pc};
  run_collective("wgmma", ~0u, &lane, nullptr, start_in_warp, site);
}

void leave_products() {
  const Thread& me = *current_thread;
  Block& block = *me.block;
  if (me.warp >= block.products.size()) return;
  const WarpProducts& mine = products_of(block, me.warp);
  const auto& history = products_of(block, me.warp / 4 * 4).history;
  if (!mine.started.empty())
    defect("missing wait: " + describe(me) + " ends with a wgmma under way, the last one " +
           describe(history[mine.count - 1].second));
  if (mine.count != history.size())
    defect("divergent warpgroup: " + describe(me) + " ends without wgmma " + describe(history[mine.count].second) +
           ", which another warp of its warpgroup has started");
}

}  // namespace varlstm::simt
