// The commands. Each returns the exit status; what is wrong with the user's input is an Error.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>

#include "options.h"

namespace tagger {

constexpr int kSuccess = 0, kAimMissed = 1, kBadInput = 2;

int run_train(const Options& options);
int run_eval(const Options& options);
int run_predict(const Options& options);
int run_demo(const Options& options);

// A varlstm_backend from --backend.
int32_t backend_of(const Options& options);

}  // namespace tagger
