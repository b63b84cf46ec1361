// SPDX-License-Identifier: Apache-2.0
#include "host/threads/machine.h"

#include <fcntl.h>
#include <sched.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "host/threads/helpers.h"

namespace varlstm::host {
namespace {

constexpr int kText = 4096;

// The file's text, without its last line's end; "" if it cannot be read.
void read_text(const char* path, char (&text)[kText]) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  const ssize_t bytes = file < 0 ? 0 : read(file, text, kText - 1);
  if (file >= 0) close(file);
  text[bytes > 0 ? bytes : 0] = '\0';
  text[strcspn(text, "\n")] = '\0';
}

int fewer(int a, int b) {
  return a == 0 ? b : b == 0 ? a : a < b ? a : b;
}

// The least quota of this process's cgroup and those above it, of version 2; 0: none.
int quota_of_cgroups() {
  char own[kText], path[kText + 64], text[kText];
  read_text("/proc/self/cgroup", own);
  if (strncmp(own, "0::/", 4) != 0) return 0;
  int least = 0;
  for (char* const group = own + 3; *group != '\0';) {
    snprintf(path, sizeof path, "/sys/fs/cgroup%s/cpu.max", group);
    read_text(path, text);
    least = fewer(least, cores_of_quota(text));
    *strrchr(group, '/') = '\0';
  }
  return least;
}

int cores_of_affinity() {
  cpu_set_t set;
  if (sched_getaffinity(0, sizeof set, &set) == 0) return CPU_COUNT(&set);
  const long online = sysconf(_SC_NPROCESSORS_ONLN);  // more than a cpu_set_t can hold
  return online > 0 ? static_cast<int>(online) : 1;
}

}  // namespace

int threads_of_list(const char* text) {
  const long threads = text == nullptr ? 0 : strtol(text, nullptr, 10);
  return threads < 1 ? 0 : threads > kMostThreads ? kMostThreads : static_cast<int>(threads);
}

int cores_of_quota(const char* text) {
  long long quota = 0, period = 0;
  if (sscanf(text, "%lld %lld", &quota, &period) != 2 || quota <= 0 || period <= 0) return 0;
  const long long cores = quota / period + (quota % period != 0);
  return cores > kMostThreads ? kMostThreads : static_cast<int>(cores);
}

int usable_cores() {
  static const int cores = fewer(cores_of_affinity(), quota_of_cgroups());
  return cores;
}

int default_threads() {
  static const int threads = threads_of_list(getenv("OMP_NUM_THREADS"));
  return threads > 0 ? threads : usable_cores();
}

}  // namespace varlstm::host
