// Threads that work for a caller: every piece is done once, and nobody waits for a thread that has no core. A thread
// without a core is played by one that stalls or that others have taken.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <set>
#include <thread>
#include <vector>

#include "host/threads/machine.h"
#include "host/threads/parallel.h"
#include "host/threads/team.h"

namespace varlstm::host {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

// Waits for a condition that must come true; false if it does not within a time that no machine needs.
bool comes(const std::function<bool()>& condition) {
  const auto end = std::chrono::steady_clock::now() + seconds(60);
  while (!condition() && std::chrono::steady_clock::now() < end) std::this_thread::sleep_for(milliseconds(1));
  return condition();
}

double cpu_seconds(clockid_t clock) {
  timespec time{};
  clock_gettime(clock, &time);
  return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
}

TEST(ParallelFor, DoesEachPieceOnce) {
  for (const int64_t threads : {1, 2, 3, 7, 40})
    for (const int64_t pieces : {0, 1, 2, 3, 31, 1000}) {
      std::vector<std::atomic<int>> done(static_cast<size_t>(pieces));
      parallel_for(threads, pieces, [&](int64_t k) { ++done[static_cast<size_t>(k)]; });
      for (const auto& times : done) EXPECT_EQ(times.load(), 1) << threads << " threads, " << pieces << " pieces";
    }
}

TEST(ParallelFor, WorksInsideAnother) {
  std::atomic<int64_t> sum{0};
  parallel_for(3, 20, [&](int64_t outer) { parallel_for(3, 20, [&](int64_t inner) { sum += 20 * outer + inner; }); });
  EXPECT_EQ(sum.load(), 400 * 399 / 2);
}

TEST(ParallelFor, ServesManyCallersAtOnce) {
  std::vector<std::thread> callers;
  std::atomic<int> wrong{0};
  for (int caller = 0; caller < 6; ++caller)
    callers.emplace_back([&, caller] {
      for (int round = 0; round < 300; ++round) {
        std::vector<int64_t> values(17, -1);  // written by helpers, read by the caller
        parallel_for(1 + caller % 4, 17, [&](int64_t k) { values[static_cast<size_t>(k)] = k * round; });
        for (int64_t k = 0; k < 17; ++k) wrong += values[static_cast<size_t>(k)] != k * round;
      }
    });
  for (std::thread& caller : callers) caller.join();
  EXPECT_EQ(wrong.load(), 0);
}

TEST(Pieces, AreClaimedFromBothEndsOfARange) {
  Pieces pieces(10, 3);  // ranks 0 and 1 begin in [0, 5), rank 2 in [5, 10)
  int64_t begin = 0, end = 0;
  std::vector<int64_t> claimed;
  for (const int rank : {0, 1, 2, 0, 1, 2, 1, 1, 1, 0}) {
    ASSERT_TRUE(pieces.claim(rank, &begin, &end));
    EXPECT_EQ(end, begin + 1);
    claimed.push_back(begin);
  }
  EXPECT_EQ(claimed, (std::vector<int64_t>{0, 4, 5, 1, 3, 6, 2, 9, 8, 7}));
  for (int rank = 0; rank < 3; ++rank) EXPECT_FALSE(pieces.claim(rank, &begin, &end));
}

TEST(Pieces, MayBeMoreThan32BitsCount) {
  constexpr int64_t kPieces = (int64_t{1} << 40) + 5, kHalf = kPieces / 2;
  Pieces pieces(kPieces, 4);
  int64_t begin = 0, end = 0, length = 0;
  ASSERT_TRUE(pieces.claim(0, &begin, &length));
  EXPECT_EQ(begin, 0);
  EXPECT_GT(length, 1);
  ASSERT_TRUE(pieces.claim(1, &begin, &end));
  EXPECT_EQ(end, kHalf);
  ASSERT_TRUE(pieces.claim(2, &begin, &end));
  EXPECT_EQ(begin, kHalf);
  EXPECT_EQ(end, kHalf + length);
  ASSERT_TRUE(pieces.claim(3, &begin, &end));
  EXPECT_EQ(end, kPieces);
  EXPECT_LE(end - begin, length);
}

TEST(Helpers, AStalledOneKeepsNoPieceButItsOwn) {
  constexpr int kPieces = 50;
  std::atomic<int> done{0};
  std::atomic<bool> stalls{false}, others_done{false};
  const auto caller = std::this_thread::get_id();
  parallel_for(2, kPieces, [&](int64_t) {
    if (std::this_thread::get_id() == caller) {
      EXPECT_TRUE(comes([&] { return stalls.load(); })) << "no helper came";
    } else if (!stalls.exchange(true)) {
      others_done = comes([&] { return done == kPieces - 1; });
    }
    ++done;
  });
  EXPECT_TRUE(others_done) << "pieces waited for the helper";
  EXPECT_EQ(done.load(), kPieces);
}

// Gives the calling thread one core, and the idle policy or the usual one.
void set_scheduling(int core, int policy) {
  cpu_set_t cores;
  CPU_ZERO(&cores);
  CPU_SET(core, &cores);
  const sched_param parameters{};
  EXPECT_EQ(sched_setaffinity(0, sizeof cores, &cores), 0);
  EXPECT_EQ(sched_setscheduler(0, policy, &parameters), 0);
}

// A helper of the idle policy gets no core while the caller, which does not leave it, works on the same.
TEST(Helpers, ThatAreLateAreNotWaitedFor) {
  constexpr int kRounds = 200;
  cpu_set_t before;
  ASSERT_EQ(sched_getaffinity(0, sizeof before, &before), 0);
  const int core = sched_getcpu();
  std::atomic<bool> came{false};
  const auto of_helper = [&](const std::function<void()>& body) {
    came = false;
    run_with_helpers(1, [&](int rank) {
      if (rank == 0) {
        EXPECT_TRUE(comes([&] { return came.load(); }));
        return;
      }
      body();
      came = true;
    });
  };
  of_helper([&] { set_scheduling(core, SCHED_IDLE); });
  set_scheduling(core, SCHED_OTHER);
  std::atomic<int> begun{0};
  for (int round = 0; round < kRounds; ++round) run_with_helpers(1, [&](int rank) { begun += rank; });
  EXPECT_LT(begun.load(), kRounds / 2);
  ASSERT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
  of_helper([&] {
    set_scheduling(core, SCHED_OTHER);
    EXPECT_EQ(sched_setaffinity(0, sizeof before, &before), 0);
  });
}

// All helpers of this machine are in the work of another caller, and stay there.
class TakenHelpers {
 public:
  TakenHelpers() : caller_([this] { take(); }) {
    EXPECT_TRUE(comes([&] { return taken_ == kHelpers; }));
  }
  ~TakenHelpers() {
    free_ = true;
    caller_.join();
  }

 private:
  void take() {
    run_with_helpers(kHelpers, [&](int rank) {
      if (rank > 0) ++taken_;
      EXPECT_TRUE(comes([&] { return free_.load(); })) << "somebody waits for them";
    });
  }

  const int kHelpers = usable_cores() > 2 ? usable_cores() - 1 : 1;
  std::atomic<int> taken_{0};
  std::atomic<bool> free_{false};
  std::thread caller_;
};

TEST(Helpers, ThatNeverComeAreNotWaitedFor) {
  const TakenHelpers taken;
  std::set<std::thread::id> threads;  // only the caller's, so no lock
  parallel_for(2, 100, [&](int64_t) { threads.insert(std::this_thread::get_id()); });
  EXPECT_EQ(threads, std::set<std::thread::id>{std::this_thread::get_id()});
}

TEST(Teams, RunWithThoseThatAreThere) {
  const TakenHelpers taken;
  int directions = 0;
  run_teams(2, 2, 1, [&](int64_t, Member member) {
    EXPECT_EQ(member.size, 1);
    member.sync();
    ++directions;
  });
  EXPECT_EQ(directions, 2);
}

// Every part of every step is done by one member, after all parts of the step before.
TEST(Teams, OfManyMeetInEachStep) {
  constexpr int kThreads = 5, kParts = 7, kSteps = 400;
  for (const int64_t directions : {1, 2}) {
    std::atomic<int> parts[2] = {{0}, {0}}, early{0};
    run_teams(kThreads, directions, kParts, [&](int64_t d, Member member) {
      for (int step = 0; step < kSteps; ++step) {
        if (step == 0 && member.rank == 0) std::this_thread::sleep_for(milliseconds(5));  // in which others come
        early += parts[d] < step * kParts;
        const Share own = member.own_parts();
        parts[d] += static_cast<int>(own.end - own.begin);
        member.sync();
      }
    });
    EXPECT_EQ(early.load(), 0);
    for (int64_t d = 0; d < directions; ++d) EXPECT_EQ(parts[d].load(), kSteps * kParts) << "direction " << d;
  }
}

TEST(Teams, BeginWithoutThoseThatAreLate) {
  constexpr int kSteps = 10, kAlone = 4;
  Team team(2);
  Member member = team.join();
  std::vector<int> sizes;
  int64_t parts_of_late = 0, first_of_late = 0;
  std::atomic<bool> begins{false};
  std::thread late;
  const auto start = [&] {
    late = std::thread([&] {
      begins = true;
      Member other = team.join();
      first_of_late = other.first;
      for (int step = 0; step < kSteps; ++step) {
        const Share own = other.own_parts();
        parts_of_late += own.end - own.begin;
        other.sync();
      }
    });
    EXPECT_TRUE(comes([&] { return begins.load(); }));
    std::this_thread::sleep_for(milliseconds(20));
  };
  for (int step = 0; step < kSteps; ++step) {
    if (step == kAlone) start();
    sizes.push_back(member.size);
    member.sync();
  }
  team.finish();
  late.join();
  EXPECT_EQ(std::vector<int>(sizes.begin(), sizes.begin() + kAlone), std::vector<int>(kAlone, 1));
  EXPECT_EQ(sizes.back(), 2) << "nobody came in 20 ms";
  EXPECT_EQ(parts_of_late, kSteps - first_of_late);
  EXPECT_EQ(sizes[static_cast<size_t>(first_of_late)], 2);
  EXPECT_EQ(sizes[static_cast<size_t>(first_of_late) - 1], 1);
}

TEST(Teams, TakeNobodyInAfterTheirWork) {
  Team done(2), full(1);
  for (Team* team : {&done, &full}) {
    Member member = team->join();
    member.sync();
    if (team == &done) team->finish();
    EXPECT_EQ(team->join().size, 0);
  }
}

// A thread that waits uses the processor for its spin, and then sleeps.
constexpr auto kStall = milliseconds(400);
constexpr double kMostOfAWait = 0.01;  // seconds, of which a thread that spins gets more on a machine of load 40

TEST(Waiting, AtABarrierLeavesTheCore) {
  Team team(2);
  Member first = team.join();
  std::atomic<bool> joined{false};
  std::thread late([&] {
    Member second = team.join();
    second.step = second.first;
    joined = true;
    std::this_thread::sleep_for(kStall);
    second.sync();
  });
  EXPECT_TRUE(comes([&] {
    if (first.size == 1) first.sync();
    return joined.load();
  }));
  const double before = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
  first.sync();
  EXPECT_LT(cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - before, kMostOfAWait);
  late.join();
}

TEST(Waiting, ForAPieceLeavesTheCore) {
  std::atomic<bool> begun{false};
  double before = 0;
  run_with_helpers(1, [&](int rank) {
    if (rank == 1) {
      begun = true;
      std::this_thread::sleep_for(kStall);
      return;
    }
    EXPECT_TRUE(comes([&] { return begun.load(); }));
    before = cpu_seconds(CLOCK_THREAD_CPUTIME_ID);
  });
  EXPECT_LT(cpu_seconds(CLOCK_THREAD_CPUTIME_ID) - before, kMostOfAWait);
}

TEST(Waiting, ForWorkLeavesTheCore) {
  parallel_for(4, 100, [](int64_t) {});
  const double before = cpu_seconds(CLOCK_PROCESS_CPUTIME_ID);
  std::this_thread::sleep_for(kStall);
  EXPECT_LT(cpu_seconds(CLOCK_PROCESS_CPUTIME_ID) - before, kMostOfAWait);
}

// What a process does that may start no thread, as its exit status.
int alone() {
  const rlimit none{0, 0};
  if ((geteuid() == 0 && setuid(65534) != 0) || setrlimit(RLIMIT_NPROC, &none) != 0) return 77;
  pthread_t thread;
  if (pthread_create(
          &thread, nullptr, [](void*) -> void* { return nullptr; }, nullptr) == 0)
    return 77;
  int64_t sum = 0;  // by one thread, so without a lock
  for (int round = 0; round < 2; ++round) parallel_for(4, 100, [&](int64_t k) { sum += k; });
  run_teams(4, 1, 4, [&](int64_t, const Member& member) { sum += member.size; });
  return sum == 2 * 4950 + 1 ? 0 : 1;
}

TEST(Helpers, ThatCannotBeStartedAreDoneWithout) {
  const pid_t child = fork();
  if (child == 0) _exit(alone());
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status)) << status;
  if (WEXITSTATUS(status) == 77) GTEST_SKIP() << "this system starts threads all the same";
  EXPECT_EQ(WEXITSTATUS(status), 0);
}

TEST(Machine, ReadsHowManyThreadsAreWanted) {
  EXPECT_EQ(threads_of_list(nullptr), 0);
  EXPECT_EQ(threads_of_list(""), 0);
  EXPECT_EQ(threads_of_list("many"), 0);
  EXPECT_EQ(threads_of_list("0"), 0);
  EXPECT_EQ(threads_of_list("-2"), 0);
  EXPECT_EQ(threads_of_list("3"), 3);
  EXPECT_EQ(threads_of_list(" 4,2"), 4);
  EXPECT_EQ(threads_of_list("99999999999999999999"), kMostThreads);
}

TEST(Machine, ReadsQuotasOfProcessorTime) {
  EXPECT_EQ(cores_of_quota(""), 0);
  EXPECT_EQ(cores_of_quota("max 100000"), 0);
  EXPECT_EQ(cores_of_quota("-1 100000"), 0);
  EXPECT_EQ(cores_of_quota("100000 0"), 0);
  EXPECT_EQ(cores_of_quota("50000 100000"), 1);
  EXPECT_EQ(cores_of_quota("200000 100000"), 2);
  EXPECT_EQ(cores_of_quota("200001 100000"), 3);
  EXPECT_GE(usable_cores(), 1);
  EXPECT_GE(default_threads(), 1);
}

}  // namespace
}  // namespace varlstm::host
