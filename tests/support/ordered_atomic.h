// Atomics that follow what their memory orders promise, rather than what this machine does: on x86 a relaxed
// read-modify-write is as strong as any other, and a test of values could not tell them apart.
//
// Each thread has a vector clock. An operation that acquires joins to it what was released through the atomic, one that
// releases leaves it there; a relaxed one passes nothing on. OrderedData asserts that each access to it is ordered
// behind the accesses of the other threads that it conflicts with. One lock makes the bookkeeping itself safe.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <thread>
#include <utility>

namespace varlstm_test {

constexpr int kMostOrderedThreads = 8;
using VectorClock = std::array<int64_t, kMostOrderedThreads>;

// What all threads of one test share. `self` is set by each thread before its first access.
struct OrderedWorld {
  std::mutex lock;
  std::array<VectorClock, kMostOrderedThreads> clocks{};
  std::atomic<int64_t> unordered{0};  // accesses that were not ordered
  inline static thread_local int self = 0;

  static OrderedWorld& instance() {
    static OrderedWorld world;
    return world;
  }
  VectorClock& own() { return clocks[static_cast<size_t>(self)]; }
  int64_t& own_time() { return own()[static_cast<size_t>(self)]; }
};

inline void join_clock(VectorClock& to, const VectorClock& from) {
  for (size_t k = 0; k < to.size(); ++k) to[k] = std::max(to[k], from[k]);
}

inline bool acquires(std::memory_order order) {
  return order == std::memory_order_acquire || order == std::memory_order_acq_rel || order == std::memory_order_seq_cst;
}
inline bool releases(std::memory_order order) {
  return order == std::memory_order_release || order == std::memory_order_acq_rel || order == std::memory_order_seq_cst;
}

template <class T>
class OrderedAtomic {
 public:
  OrderedAtomic(T value) : value_(value) {}

  T load(std::memory_order order) const {
    OrderedWorld& world = OrderedWorld::instance();
    const std::lock_guard<std::mutex> guard(world.lock);
    if (acquires(order)) join_clock(world.own(), released_);
    return value_;
  }

  void store(T value, std::memory_order order) {
    OrderedWorld& world = OrderedWorld::instance();
    const std::lock_guard<std::mutex> guard(world.lock);
    ++world.own_time();
    released_ = releases(order) ? world.own() : VectorClock{};
    value_ = value;
  }

  T fetch_add(T more, std::memory_order order) {
    const std::lock_guard<std::mutex> guard(OrderedWorld::instance().lock);
    return modify(value_ + more, order);
  }

  T exchange(T value, std::memory_order order) {
    const std::lock_guard<std::mutex> guard(OrderedWorld::instance().lock);
    return modify(value, order);
  }

  bool compare_exchange_strong(T& expected, T value, std::memory_order success, std::memory_order failure) {
    OrderedWorld& world = OrderedWorld::instance();
    const std::lock_guard<std::mutex> guard(world.lock);
    if (value_ == expected) return modify(value, success), true;
    if (acquires(failure)) join_clock(world.own(), released_);
    expected = value_;
    return false;
  }
  bool compare_exchange_weak(T& expected, T value, std::memory_order success, std::memory_order failure) {
    return compare_exchange_strong(expected, value, success, failure);
  }

 private:
  // A read-modify-write under the lock, which carries the earlier releases on. Returns the value before it.
  T modify(T value, std::memory_order order) {
    OrderedWorld& world = OrderedWorld::instance();
    if (acquires(order)) join_clock(world.own(), released_);
    ++world.own_time();
    if (releases(order)) join_clock(released_, world.own());
    return std::exchange(value_, value);
  }

  T value_;
  VectorClock released_{};
};

// How a thread sleeps until such an atomic changes, and how it is woken: it is not, but asks again.
inline void sleep_while(const OrderedAtomic<uint32_t>&, uint32_t) {
  std::this_thread::yield();
}
inline void wake_sleepers(const OrderedAtomic<uint32_t>&) {}

// One place in memory that is no atomic.
class OrderedData {
 public:
  void write() {
    OrderedWorld& world = OrderedWorld::instance();
    const std::lock_guard<std::mutex> guard(world.lock);
    expect_seen(world, written_);
    expect_seen(world, read_);
    written_[static_cast<size_t>(OrderedWorld::self)] = ++world.own_time();
  }

  void read() {
    OrderedWorld& world = OrderedWorld::instance();
    const std::lock_guard<std::mutex> guard(world.lock);
    expect_seen(world, written_);
    read_[static_cast<size_t>(OrderedWorld::self)] = ++world.own_time();
  }

 private:
  static void expect_seen(OrderedWorld& world, const VectorClock& accesses) {
    for (size_t k = 0; k < accesses.size(); ++k)
      if (world.own()[k] < accesses[k]) ++world.unordered;
  }

  VectorClock written_{}, read_{};  // each thread's last access
};

}  // namespace varlstm_test
