// How far training is: a bar on a terminal, a line now and then otherwise. Both go to stderr.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

namespace tagger {

// What a bar or line says; pure, so that it can be tested.
struct ProgressState {
  int64_t epoch = 1, epochs = 1;
  int64_t done = 0, total = 1;  // tokens of this epoch
  double seconds = 0;           // since the epoch began

  double tokens_per_second() const;
  double seconds_left() const;  // to the last epoch's end; -1 while nothing is known
};
std::string progress_bar(const ProgressState& state);
std::string progress_line(const ProgressState& state);
std::string clock_text(double seconds);  // 0:07, 12:34, 1:02:03

class Progress {
 public:
  Progress(int64_t epochs, int64_t tokens_per_epoch);

  void start_epoch(int64_t epoch);
  void update(int64_t tokens_done);
  void clear();  // takes the bar away, so that a line can be printed

 private:
  using Clock = std::chrono::steady_clock;
  bool terminal_, shown_ = false;
  ProgressState state_;
  Clock::time_point start_, last_shown_;
};

// How far a file is read: a bar on a terminal, nothing otherwise.
std::string file_bar(const std::string& name, uint64_t done, uint64_t total);

class FileProgress {
 public:
  FileProgress(std::string name, uint64_t bytes);

  void update(uint64_t bytes_done);
  void clear();

 private:
  using Clock = std::chrono::steady_clock;
  std::string name_;
  uint64_t bytes_;
  bool terminal_, shown_ = false;
  int64_t calls_ = 0;
  Clock::time_point last_shown_;
};

}  // namespace tagger
