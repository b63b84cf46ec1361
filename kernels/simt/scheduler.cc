// Chooses which thread runs next, and reports when none can run.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include <algorithm>
#include <map>

#include "kernels/simt/race.h"
#include "kernels/simt/spin.h"
#include "kernels/simt/symbol.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt {

__thread Thread* current_thread __attribute__((tls_model("initial-exec"))) = nullptr;

namespace {

Fiber host_fiber;
std::vector<Thread*> ready;
size_t first_ready = 0;  // fifo takes from the front
uint64_t random_state = 1;
unsigned lowest_priority = 0;
uint64_t spins = 0;
uint64_t progress_at_spin = 0;

bool lower_priority(const Thread* a, const Thread* b) {
  return a->priority < b->priority;
}

Thread* take_first() {
  Thread* thread = ready[first_ready++];
  if (first_ready > 4096) {
    ready.erase(ready.begin(), ready.begin() + static_cast<ptrdiff_t>(first_ready));
    first_ready = 0;
  }
  return thread;
}

Thread* take_last() {
  Thread* thread = ready.back();
  ready.pop_back();
  return thread;
}

// Takes the thread of the highest priority. One time in 64 that thread first gets the lowest priority of all.
Thread* take_by_priority() {
  std::pop_heap(ready.begin(), ready.end(), lower_priority);
  if (ready.size() > 1 && draw() % 64 == 0) {
    ready.back()->priority = --lowest_priority;
    std::push_heap(ready.begin(), ready.end(), lower_priority);
    std::pop_heap(ready.begin(), ready.end(), lower_priority);
  }
  return take_last();
}

Thread* take_next() {
  if (launch_state().failed) return nullptr;
  while (first_ready == ready.size()) {
    ready.clear();
    first_ready = 0;
    if (!land_store()) return nullptr;
  }
  switch (launch_state().options.schedule) {
    case Schedule::kFifo:
      return take_first();
    case Schedule::kLifo:
      return take_last();
    case Schedule::kRandom:
      std::swap(ready[draw() % ready.size()], ready.back());
      return take_last();
    case Schedule::kPct:
      return take_by_priority();
  }
  return nullptr;
}

void go_on(Thread* me, bool last) {
  Thread* next = take_next();
  if (next == me) return;
  ++counters().switches;
  current_thread = next;
  switch_fiber(*me, next != nullptr ? *next : host_fiber, last);
}

std::string wait_of(const Thread& thread) {
  if (thread.waits_for != nullptr) return thread.waits_for;
  return thread.spins_for != nullptr ? std::string("a spin loop for ") + thread.spins_for : "a spin loop";
}

// The waiting threads, grouped by the place where they wait, for reports of a deadlock.
std::string waiting_threads() {
  std::map<std::string, std::pair<unsigned, std::string>> groups;
  for (const Thread* thread : launch_state().threads) {
    if (thread->done) continue;
    char mask[32] = "";
    if (thread->mask != ~0u) snprintf(mask, sizeof mask, " mask 0x%x", thread->mask);
    const std::string place = thread->site.file != nullptr ? describe(thread->site) : symbol_of(thread->pc);
    auto& group = groups["at " + wait_of(*thread) + " " + place + mask];
    if (group.first++ < 3) group.second += (group.second.empty() ? "" : ", ") + describe(*thread);
  }
  std::string text;
  for (const auto& [where, group] : groups)
    text += "\n  " + std::to_string(group.first) + " threads " + where + ": " + group.second;
  return text;
}

void thread_main() {
  Thread* me = current_thread;
  (*launch_state().body)();
  leave_kernel();
  go_on(me, true);
}

}  // namespace

uint64_t draw() {
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return random_state >> 11;
}

void make_ready(Thread* thread) {
  thread->waits_for = nullptr;
  ready.push_back(thread);
  if (launch_state().options.schedule == Schedule::kPct) std::push_heap(ready.begin(), ready.end(), lower_priority);
}

void block_on(const char* what, unsigned mask, Site site) {
  Thread* me = current_thread;
  me->waits_for = what;
  me->mask = mask;
  me->site = site;
  go_on(me, false);
}

void yield_thread() {
  Thread* me = current_thread;
  make_ready(me);
  if (draw() % 4 == 0) land_store();
  go_on(me, false);
}

void note_progress() {
  ++launch_state().progress;
}

void name_spin(const char* what) {
  current_thread->spins_for = what;
}

void spin(Site site) {
  Launch& launch = launch_state();
  const uint64_t progress = launch.progress + counters().barriers + counters().collectives + launch.done;
  spins = progress == progress_at_spin ? spins + 1 : 0;
  progress_at_spin = progress;
  current_thread->site = site;
  current_thread->mask = ~0u;
  const uint64_t patience = 1000 + 200 * launch.threads.size();
  if (spins > patience && !land_store()) {
    spins = 0;
    defect("livelock: threads spin and nothing changes" + waiting_threads());
  }
  // A spinning thread gets the lowest priority; otherwise the thread that it waits for might never run.
  if (launch.options.schedule == Schedule::kPct) current_thread->priority = --lowest_priority;
  if (launch.options.schedule == Schedule::kLifo) {
    ready.insert(ready.begin(), current_thread);
    if (draw() % 4 == 0) land_store();
    go_on(current_thread, false);
    return;
  }
  yield_thread();
}

void spin_at(uintptr_t pc) {
  current_thread->pc = pc;
  spin(Site{nullptr, 0});
}

// With its high priority the thread would run again at once.
void give_way() {
  if (launch_state().options.schedule == Schedule::kPct && draw() % 2 == 0)
    current_thread->priority = --lowest_priority;
  yield_thread();
}

void defect(const std::string& text) {
  Launch& launch = launch_state();
  launch.failed = true;
  launch.report += (launch.report.empty() ? "" : "\n") + text;
  Thread* me = current_thread;
  current_thread = nullptr;
  switch_fiber(*me, host_fiber, true);
  __builtin_unreachable();
}

void run_wave() {
  Launch& launch = launch_state();
  ready.clear();
  first_ready = 0;
  lowest_priority = 1u << 31;
  spins = 0;
  random_state = (launch.options.seed + 1) * 0x9E3779B97F4A7C15ull | 1;
  for (Thread* thread : launch.threads) {
    thread->priority = (1u << 31) + static_cast<unsigned>(draw() % (1u << 31));
    start_fiber(*thread, thread_main);
    make_ready(thread);
  }
  while (Thread* next = take_next()) {
    current_thread = next;
    switch_fiber(host_fiber, *next, false);
    current_thread = nullptr;
  }
  if (!launch.failed && launch.done < launch.threads.size()) {
    launch.failed = true;
    launch.report += "deadlock: " + std::to_string(launch.threads.size() - launch.done) + " threads wait for ever, " +
                     std::to_string(launch.done) + " have ended" + waiting_threads();
  }
}

}  // namespace varlstm::simt
