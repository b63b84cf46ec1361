// The progress bar and its plain replacement.
// SPDX-License-Identifier: Apache-2.0
#include "progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace tagger {
namespace {

constexpr double kBarInterval = 0.1, kLineInterval = 10;  // seconds

std::string left_text(const ProgressState& state) {
  const double left = state.seconds_left();
  return left < 0 ? "" : clock_text(left) + " left";
}

}  // namespace

double ProgressState::tokens_per_second() const {
  return seconds > 0 ? static_cast<double>(done) / seconds : 0;
}

double ProgressState::seconds_left() const {
  const double rate = tokens_per_second();
  if (rate <= 0) return -1;
  return static_cast<double>(total - done + (epochs - epoch) * total) / rate;
}

std::string clock_text(double seconds) {
  const int64_t whole = std::llround(std::max(seconds, 0.0));
  const int64_t hours = whole / 3600, minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string progress_bar(const ProgressState& state) {
  constexpr int64_t kWidth = 30;
  const int64_t filled = std::clamp<int64_t>(state.total > 0 ? state.done * kWidth / state.total : kWidth, 0, kWidth);
  return fmt::format("epoch {}/{} [{:-<{}}] {:>6.0f} tokens/s  {}", state.epoch, state.epochs,
                     std::string(static_cast<size_t>(filled), '#'), kWidth, state.tokens_per_second(),
                     left_text(state));
}

std::string progress_line(const ProgressState& state) {
  return fmt::format("epoch {}/{}: {} of {} tokens, {:.0f} tokens/s, {}", state.epoch, state.epochs, state.done,
                     state.total, state.tokens_per_second(), left_text(state));
}

Progress::Progress(int64_t epochs, int64_t tokens_per_epoch) : terminal_(::isatty(STDERR_FILENO) == 1) {
  state_.epochs = epochs;
  state_.total = tokens_per_epoch;
}

void Progress::start_epoch(int64_t epoch) {
  state_.epoch = epoch;
  state_.done = 0;
  start_ = last_shown_ = Clock::now();
}

void Progress::update(int64_t tokens_done) {
  const Clock::time_point now = Clock::now();
  if (std::chrono::duration<double>(now - last_shown_).count() < (terminal_ ? kBarInterval : kLineInterval)) return;
  last_shown_ = now;
  state_.done = tokens_done;
  state_.seconds = std::chrono::duration<double>(now - start_).count();
  if (terminal_)
    fmt::print(stderr, "\r{}\033[K", progress_bar(state_));
  else
    fmt::print(stderr, "{}\n", progress_line(state_));
  std::fflush(stderr);
  shown_ = terminal_;
}

void Progress::clear() {
  if (!shown_) return;
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace tagger
