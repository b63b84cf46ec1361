// The threads of a running launch, and what they wait for.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stddef.h>
#include <stdint.h>

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "kernels/arch/launch_shape.h"
#include "kernels/simt/collective.h"
#include "kernels/simt/fiber.h"
#include "kernels/simt/knowledge.h"
#include "kernels/simt/options.h"
#include "kernels/simt/order.h"
#include "kernels/simt/site.h"

namespace varlstm::simt {

struct Block;
struct Cluster;
struct WarpProducts;  // of wgmma, in wgmma.cc

// A copy by cp.async that has not arrived.
struct AsyncCopy {
  void* to;
  const void* from;
  unsigned bytes;
  unsigned source_bytes;  // the rest is zeros
  unsigned group;
  Site site;
};

constexpr unsigned kKnownSegments = 64;

struct Thread : Fiber {
  uint3 index;        // in its block
  uint3 block_index;  // in the grid
  unsigned number;    // in its block
  unsigned lane;
  unsigned warp;
  Block* block = nullptr;
  bool done = false;
  unsigned priority = 0;  // of the PCT schedule

  const char* waits_for = nullptr;  // null while it can run
  const char* spins_for = nullptr;  // the name of its spin loop, or null
  Site site{"", 0};
  uintptr_t pc = 0;  // the place where it spins, if `site` has no file
  unsigned mask = 0;
  Site place{nullptr, 0};  // the running line of PTX; no file if the kernel is code of the host

  unsigned votes = 0;    // the votes that the last bar.red counted
  bool arrived = false;  // at the cluster's barrier
  bool arrival_releases = true;
  unsigned cluster_phase = 0;  // the phase that it arrived in
  Site arrival_site{"", 0};
  std::vector<AsyncCopy> copies;
  unsigned copy_group = 0;
  unsigned product_group = 0;  // of wgmma
  bool sums_fenced = false;    // it has called wgmma_fence since it last got sums of wgmma
  bool a_fenced = false;       // since its last group of wgmma

  // For the race detector: the number of barriers arrived at and passed in each scope, and of releases so far.
  uint32_t arrivals[kScopes];
  uint32_t passed[kScopes];
  uint32_t time;
  uint32_t segment;  // 0: it is made at the next access
  Knowledge knowledge;
  uint32_t known_segments[kKnownSegments];  // some of the segments that `knowledge` holds; 0: none
  OpenPatterns patterns;
  std::vector<uint32_t> since_release;  // segments that no arrival at the cluster's barrier has released
  std::vector<uint32_t> initialised;    // segments that initialised mbarriers, since its last fence for them
};

// The threads that wait for the rest of their group.
struct Barrier {
  std::vector<Thread*> waiting;
  unsigned votes = 0;  // of those that wait at bar.red: how many predicates are true
};

// One shuffle, vote or matrix product, until its last lane has arrived.
struct Collective {
  unsigned mask;
  unsigned present;
  const char* what;
  CollectiveFunction function;
  void* in[32];
  void* out[32];
  Thread* threads[32];
};

// Barrier `id` of bar.sync, for some threads of the block or with a number of its own: the threads that wait, and the
// number of threads it is for.
struct NamedBarrier : Barrier {
  unsigned arrived = 0;  // by bar.arrive: these threads do not wait
  unsigned count = 0;
  Epochs known;
};

// The last use of a block's shared memory by another block.
struct Visit {
  uint32_t cluster_arrivals;  // of the visiting thread
  uintptr_t pc;
};

struct Block {
  unsigned number;  // in the grid
  unsigned rank;    // in its cluster
  unsigned threads;
  unsigned live;
  unsigned char* shared;
  Cluster* cluster;
  Barrier barrier;
  std::vector<Barrier> warp_barriers;
  std::vector<unsigned> ended_lanes;                    // by warp
  std::vector<std::vector<Collective>> collectives;     // by warp
  std::vector<std::shared_ptr<WarpProducts>> products;  // by warp, if it has started any
  std::map<unsigned, NamedBarrier> named;
  std::map<unsigned, Visit> visitors;  // by the number of the block that used this block's shared memory
};

struct Cluster {
  unsigned number;
  unsigned live = 0;
  unsigned arrived = 0;
  unsigned phase = 0;
  std::vector<Thread*> waiting;
  std::vector<Thread*> arrivals;  // of this phase
  std::vector<Block*> blocks;
};

// A store by st.async or a bulk copy that has not arrived.
struct AsyncStore {
  void* to;
  uint64_t bits;
  const void* from;  // of a bulk copy; null: bits are stored
  unsigned bytes;
  uint64_t* mbarrier;
  Block* target;
  Epoch epoch;  // of a bulk copy
  Site site;
};

struct Launch {
  const LaunchShape* shape = nullptr;
  int device = 0;
  Options options;
  const std::function<void()>* body = nullptr;
  const void* arguments = nullptr;  // host memory that threads read: the copy of the arguments
  size_t argument_bytes = 0;
  std::vector<Thread*> threads;  // of this wave
  std::vector<Block*> blocks;    // of this wave
  std::vector<Cluster*> clusters;
  Barrier grid_barrier;
  std::vector<AsyncStore> stores;
  std::map<const void*, Epochs> released;  // by the address of an mbarrier
  unsigned done = 0;
  bool failed = false;
  std::string report;
  uint64_t progress = 0;  // actions that another thread could wait for
};

// The running launch. The process runs one at a time.
extern Launch the_launch;
inline Launch& launch_state() {
  return the_launch;
}
extern Statistics counted_so_far;
inline Statistics& counters() {
  return counted_so_far;
}

// The emulated thread that runs on this thread of the host; null outside kernels.
extern __thread Thread* current_thread __attribute__((tls_model("initial-exec")));

// Returns «block 3 thread 5», with all coordinates if there is more than one dimension.
std::string describe(const Thread& thread);
std::string describe(Site site);

// Returns the next random number of this launch's sequence.
uint64_t draw();

// Scheduling. block_on returns when another thread has called make_ready; yield_thread lets others run; defect ends the
// launch.
void make_ready(Thread* thread);
void block_on(const char* what, unsigned mask, Site site);
void yield_thread();
void note_progress();
void spin(Site site);
void spin_at(uintptr_t pc);  // for code of the host
void give_way();             // in the middle of an access
[[noreturn]] void defect(const std::string& text);

// Runs the threads of this wave until all have ended or a defect was found.
void run_wave();

// Completes some asynchronous stores; returns false if there are none.
bool land_store();

}  // namespace varlstm::simt
