// Runs a launch: its blocks in waves, each thread as a fiber.
// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/launch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <deque>
#include <mutex>
#include <numeric>

#include "capi/contract/environment.h"
#include "kernels/simt/address_sanitizer.h"
#include "kernels/simt/address_space.h"
#include "kernels/simt/context.h"
#include "kernels/simt/options.h"
#include "kernels/simt/ptx/runner.h"
#include "kernels/simt/race.h"
#include "kernels/simt/runtime_call.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt {

Launch the_launch;
Statistics counted_so_far;

namespace {

constexpr unsigned kThreadsOfBlock = 1024;
constexpr unsigned kBlocksOfCluster = 16;
constexpr size_t kSharedLimit = 227 * 1024;
// Those of a multiprocessor of an H100. A block takes 1 KiB in addition to its own shared memory.
constexpr size_t kSharedOfMultiprocessor = 228 * 1024, kSharedOfSystem = 1024;
constexpr uint64_t kThreadsOfMultiprocessor = 2048, kBlocksOfMultiprocessor = 32;
constexpr unsigned kBlocksOfWave = 8;  // resident at once unless the launch is cooperative

std::mutex launch_mutex;  // one launch at a time
std::mutex settings_mutex;
std::string report_text;
std::atomic<KernelOverride> kernel_override{ptx::override_of_environment()};

// Reused from launch to launch.
std::deque<Thread> thread_pool;
std::deque<Block> block_pool;
std::deque<Cluster> cluster_pool;

uint64_t count_of(const dim3& extent) {
  return uint64_t{extent.x} * extent.y * extent.z;
}

uint3 unfold(uint64_t number, const dim3& extent) {
  return {static_cast<unsigned>(number % extent.x), static_cast<unsigned>(number / extent.x % extent.y),
          static_cast<unsigned>(number / extent.x / extent.y)};
}

void read_schedule(Options* options) {
  const char* text = getenv("VARLSTM_EMULATOR_SCHEDULE");
  if (text == nullptr || *text == 0) return;
  if (strcmp(text, "fifo") == 0) return;
  if (strcmp(text, "lifo") == 0) {
    options->schedule = Schedule::kLifo;
    return;
  }
  const bool pct = strncmp(text, "pct:", 4) == 0;
  const char* seed = pct ? text + 4 : strncmp(text, "random:", 7) == 0 ? text + 7 : "";
  char* rest = nullptr;
  options->schedule = pct ? Schedule::kPct : Schedule::kRandom;
  options->seed = strtoull(seed, &rest, 10);
  if (rest != seed && *rest == 0) return;
  fprintf(stderr, "VARLSTM_EMULATOR_SCHEDULE = %s is none of: fifo lifo random:SEED pct:SEED\n", text);
  abort();
}

void print_statistics() {
  const Statistics s = statistics();
  fprintf(
      stderr,
      "emulator: %llu launches, %llu threads, %llu switches, %llu barriers, %llu collectives, %llu matrix products, "
      "%llu pushes, %llu instructions of PTX, %llu accesses\n",
      static_cast<unsigned long long>(s.launches), static_cast<unsigned long long>(s.threads),
      static_cast<unsigned long long>(s.switches), static_cast<unsigned long long>(s.barriers),
      static_cast<unsigned long long>(s.collectives), static_cast<unsigned long long>(s.matrix_products),
      static_cast<unsigned long long>(s.pushes), static_cast<unsigned long long>(s.instructions),
      static_cast<unsigned long long>(s.accesses));
}

Options options_of_environment() {
  Options options;
  read_schedule(&options);
  const char* races = emulator_environment({"VARLSTM_EMULATOR_RACES", "0 1"});
  if (races != nullptr) options.races = strcmp(races, "1") == 0;
  const char* size = emulator_environment({"VARLSTM_EMULATOR_SIZE", "small h100"});
  if (size != nullptr && strcmp(size, "h100") == 0) options = with_size_of_h100(options);
  if (getenv("VARLSTM_EMULATOR_STATISTICS") != nullptr) atexit(print_statistics);
  return options;
}

Options& current_options() {
  static Options options = options_of_environment();
  return options;
}

void prepare_block(Block& block, unsigned number, unsigned slot, Cluster& cluster) {
  const LaunchShape& shape = *launch_state().shape;
  block.number = number;
  block.rank = number % shape.cluster;
  block.threads = static_cast<unsigned>(count_of(shape.block));
  block.live = block.threads;
  block.shared = address_space.shared + slot * kSharedStride;
  block.cluster = &cluster;
  block.barrier = {};
  const size_t warps = (block.threads + 31) / 32;
  block.warp_barriers.resize(warps);
  for (Barrier& barrier : block.warp_barriers) barrier.waiting.clear();
  block.ended_lanes.assign(warps, 0);
  block.collectives.resize(warps);
  for (auto& pending : block.collectives) pending.clear();
  block.products.clear();
  block.named.clear();
  block.visitors.clear();
  VARLSTM_UNPOISON(block.shared, kSharedStride);
  memset(block.shared, 0xff, shape.shared_bytes);
  VARLSTM_POISON(block.shared + shape.shared_bytes, kSharedStride - shape.shared_bytes);
  cluster.blocks.push_back(&block);
  cluster.live += block.threads;
}

void prepare_cluster(Cluster& cluster, unsigned number) {
  cluster.number = number;
  cluster.live = cluster.arrived = cluster.phase = 0;
  cluster.waiting.clear();
  cluster.arrivals.clear();
  cluster.blocks.clear();
}

void prepare_thread(Thread& thread, Block& block, unsigned number) {
  const LaunchShape& shape = *launch_state().shape;
  thread.index = unfold(number, shape.block);
  thread.block_index = unfold(block.number, shape.grid);
  thread.number = number;
  thread.lane = number % 32;
  thread.warp = number / 32;
  thread.block = &block;
  thread.done = false;
  thread.waits_for = thread.spins_for = nullptr;
  thread.site = {"", 0};
  thread.place = {nullptr, 0};
  thread.mask = ~0u;
  thread.arrived = false;
  thread.copies.clear();
  thread.copy_group = thread.product_group = 0;
  thread.sums_fenced = thread.a_fenced = false;
  memset(thread.arrivals, 0, sizeof thread.arrivals);
  memset(thread.passed, 0, sizeof thread.passed);
  thread.time = 0;
  thread.segment = 0;
  thread.knowledge = nullptr;
  memset(thread.known_segments, 0, sizeof thread.known_segments);
  thread.patterns = {};
  thread.since_release.clear();
  thread.initialised.clear();
}

void prepare_wave(unsigned first_block, unsigned blocks) {
  Launch& launch = launch_state();
  const unsigned threads = static_cast<unsigned>(count_of(launch.shape->block));
  const unsigned clusters = blocks / launch.shape->cluster;
  while (thread_pool.size() < size_t{blocks} * threads) thread_pool.emplace_back();
  while (block_pool.size() < blocks) block_pool.emplace_back();
  while (cluster_pool.size() < clusters) cluster_pool.emplace_back();
  launch.threads.clear();
  launch.blocks.clear();
  launch.clusters.clear();
  launch.grid_barrier.waiting.clear();
  launch.stores.clear();
  launch.released.clear();
  launch.done = 0;
  for (unsigned i = 0; i < blocks; ++i) {
    Cluster& cluster = cluster_pool[i / launch.shape->cluster];
    if (i % launch.shape->cluster == 0) {
      prepare_cluster(cluster, (first_block + i) / launch.shape->cluster);
      launch.clusters.push_back(&cluster);
    }
    prepare_block(block_pool[i], first_block + i, i, cluster);
    launch.blocks.push_back(&block_pool[i]);
    for (unsigned number = 0; number < threads; ++number) {
      Thread& thread = thread_pool[launch.threads.size()];
      prepare_thread(thread, block_pool[i], number);
      launch.threads.push_back(&thread);
    }
  }
  counters().threads += launch.threads.size();
}

void run_waves() {
  Launch& launch = launch_state();
  const auto blocks = static_cast<unsigned>(count_of(launch.shape->grid));
  const unsigned cluster = launch.shape->cluster;
  const unsigned at_once = launch.shape->cooperative ? blocks : std::max(cluster, kBlocksOfWave / cluster * cluster);
  for (unsigned first = 0; first < blocks && !launch.failed; first += at_once) {
    begin_race_wave();
    begin_order_wave();
    prepare_wave(first, std::min(at_once, blocks - first));
    run_wave();
    if (!launch.report.empty()) launch.failed = true;
  }
}

cudaError_t report_defect(const char* name) {
  const std::lock_guard<std::mutex> guard(settings_mutex);
  report_text = std::string("kernel ") + name + ": " + launch_state().report;
  fprintf(stderr, "emulator: %s\n", report_text.c_str());
  return cudaErrorLaunchFailure;
}

// Returns how many blocks of that shape one multiprocessor holds at a time. Registers are not counted.
uint64_t blocks_of_one(const LaunchShape& shape, const Options& chosen) {
  if (chosen.gpcs[0] == 0) return chosen.resident_blocks / chosen.multiprocessors;
  const uint64_t warps = (count_of(shape.block) + 31) / 32;
  return std::min({kBlocksOfMultiprocessor, kThreadsOfMultiprocessor / (32 * warps),
                   uint64_t{kSharedOfMultiprocessor / (shape.shared_bytes + kSharedOfSystem)}});
}

uint64_t blocks_of_device(const LaunchShape& shape, const Options& chosen) {
  if (chosen.gpcs[0] == 0) return chosen.resident_blocks;
  return blocks_of_one(shape, chosen) * multiprocessors(chosen);
}

}  // namespace

Options with_size_of_h100(Options options) {
  options.gpcs = {18, 18, 18, 16, 16, 16, 16, 14};
  return options;
}

unsigned multiprocessors(const Options& options) {
  if (options.gpcs[0] == 0) return options.multiprocessors;
  return std::accumulate(options.gpcs.begin(), options.gpcs.end(), 0u);
}

Options options() {
  const std::lock_guard<std::mutex> guard(settings_mutex);
  return current_options();
}

void set_options(const Options& options) {
  const std::lock_guard<std::mutex> guard(settings_mutex);
  current_options() = options;
}

Statistics statistics() {
  const std::lock_guard<std::mutex> guard(launch_mutex);
  return counters();
}

std::string last_report() {
  const std::lock_guard<std::mutex> guard(settings_mutex);
  return report_text;
}

void set_kernel_override(KernelOverride override_kernel) {
  kernel_override = override_kernel;
}

cudaError_t check_shape(const LaunchShape& shape) {
  const uint64_t threads = count_of(shape.block);
  const uint64_t blocks = count_of(shape.grid);
  const bool block_fits = threads >= 1 && threads <= kThreadsOfBlock && shape.block.z <= 64;
  const bool grid_fits = blocks >= 1 && shape.grid.x <= 0x7fffffffu && shape.grid.y <= 65535 && shape.grid.z <= 65535 &&
                         blocks < (uint64_t{1} << 32);
  const bool cluster_fits =
      shape.cluster >= 1 && shape.cluster <= kBlocksOfCluster && shape.grid.x % shape.cluster == 0;
  if (!block_fits || !grid_fits || !cluster_fits || shape.shared_bytes > kSharedLimit)
    return cudaErrorInvalidConfiguration;
  const uint64_t resident = std::min<uint64_t>(blocks_of_device(shape, options()), kSharedBlocks);
  if (shape.cooperative && blocks > resident) return cudaErrorCooperativeLaunchTooLarge;
  return cudaSuccess;
}

cudaError_t count_blocks_of_multiprocessor(const LaunchShape& shape, int* blocks) {
  cudaError_t error = begin_device_call("cudaOccupancyMaxActiveBlocksPerMultiprocessor");
  if (error == cudaSuccess) error = check_shape(shape);
  if (error == cudaSuccess) *blocks = static_cast<int>(blocks_of_one(shape, options()));
  return error;
}

cudaError_t count_resident_clusters(const LaunchShape& shape, int* clusters) {
  const cudaError_t error = check_shape(shape);
  if (error != cudaSuccess) return error;
  const Options chosen = options();
  if (chosen.gpcs[0] == 0) {
    *clusters = static_cast<int>(chosen.multiprocessors);
    return cudaSuccess;
  }
  const uint64_t blocks = blocks_of_one(shape, chosen);
  *clusters = 0;
  for (const unsigned gpc : chosen.gpcs) *clusters += static_cast<int>(gpc * blocks / shape.cluster);
  return cudaSuccess;
}

cudaError_t run_kernel(const KernelCall& call, void (*enter)(const void* bound), const void* bound,
                       size_t bound_bytes) {
  const Options chosen = options();
  const std::lock_guard<std::mutex> guard(launch_mutex);
  const KernelOverride override_kernel = kernel_override;
  std::function<void()> body = override_kernel != nullptr ? override_kernel(call) : std::function<void()>();
  if (!body) body = [enter, bound] { enter(bound); };
  Launch& launch = launch_state();
  launch.shape = call.shape;
  launch.device = call.device;
  launch.options = chosen;
  launch.body = &body;
  launch.arguments = bound;
  launch.argument_bytes = bound_bytes;
  launch.failed = false;
  launch.report.clear();
  ++counters().launches;
  begin_race_launch();
  begin_order_launch();
  run_waves();
  return launch.failed ? report_defect(call.name) : cudaSuccess;
}

}  // namespace varlstm::simt
