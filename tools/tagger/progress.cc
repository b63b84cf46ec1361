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

// [###---] for a share from 0 to 1.
std::string bar(double share) {
  constexpr int kWidth = 30;
  const int filled = std::clamp(static_cast<int>(share * kWidth), 0, kWidth);
  return fmt::format("[{:-<{}}]", std::string(static_cast<size_t>(filled), '#'), kWidth);
}

// Takes away the bar on the terminal.
void clear_line() {
  fmt::print(stderr, "\r\033[K");
  std::fflush(stderr);
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
  return fmt::format("epoch {}/{} {} {:>6.0f} tokens/s  {}", state.epoch, state.epochs,
                     bar(state.total > 0 ? static_cast<double>(state.done) / static_cast<double>(state.total) : 1),
                     state.tokens_per_second(), left_text(state));
}

std::string file_bar(const std::string& name, uint64_t done, uint64_t total) {
  const double share = total > 0 ? std::min(static_cast<double>(done) / static_cast<double>(total), 1.0) : 1;
  return fmt::format("{} {} {:>3.0f} %", name, bar(share), 100 * share);
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
  if (shown_) clear_line();
  shown_ = false;
}

FileProgress::FileProgress(std::string name, uint64_t bytes)
    : name_(std::move(name)), bytes_(bytes), terminal_(::isatty(STDERR_FILENO) == 1), last_shown_(Clock::now()) {}

void FileProgress::update(uint64_t bytes_done) {
  constexpr int64_t kCallsBetween = 256;  // looks at the clock
  if (!terminal_ || ++calls_ % kCallsBetween != 0) return;
  const Clock::time_point now = Clock::now();
  if (std::chrono::duration<double>(now - last_shown_).count() < kBarInterval) return;
  last_shown_ = now;
  fmt::print(stderr, "\r{}\033[K", file_bar(name_, bytes_done, bytes_));
  std::fflush(stderr);
  shown_ = true;
}

void FileProgress::clear() {
  if (shown_) clear_line();
  shown_ = false;
}

}  // namespace tagger
