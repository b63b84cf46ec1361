// Modes c and b: results against the host back end in double, and reruns against each other.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include "bench/lstm_driver/options.h"
#include "bench/lstm_driver/tensor.h"

namespace varlstm::lstm_driver {

struct Verdict {
  bool passed = false;
  std::string text;    // what failed first; empty where nothing did
  std::string tensor;  // the output that comes closest to its tolerance, or fails
  double error = 0;    // its largest error, relative to its largest element
  double allowed = 0;  // likewise
};

// The largest error that rounding explains, relative to a tensor's largest element. Roundings add up like a random walk
// (Higham and Mary 2019): eps * sqrt(depth), with two depths over a chain of L * min(T, 16) steps, twice that for
// gradients:
//   sums    in + H + 2 additions a step, N more for dparams; eps of what sums run in, float or double
//   stores  one value a step rounded to 16 bits, or multiplied in TF32; eps of that
// A chain ends after 16 steps because the parameters of LstmRun keep forget gates near 0.5 and below 0.8: 0.8^16 = 3 %
// of an older step's rounding is left. The same for every back end, policy and layout; tests/README.md names it as
// well.
double tolerance_of(const Scenario& scenario, Math math, bool gradient, bool parameters);

Verdict check_correctness(const Options& options, const Scenario& scenario, varlstm_ctx* ctx, varlstm_ctx* host);

// `reruns` more steps: every bit of every output the same.
Verdict check_bitwise(const Options& options, const Scenario& scenario, varlstm_ctx* ctx, varlstm_ctx* host);

}  // namespace varlstm::lstm_driver
