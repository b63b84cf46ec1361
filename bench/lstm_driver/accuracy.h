// Modes c and b: results against the host back end in double, and reruns against each other.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

#include <varlstm.hpp>
#include "bench/lstm_driver/options.h"

namespace varlstm::lstm_driver {

struct Verdict {
  bool passed = false;
  std::string text;    // what failed first; empty where nothing did
  std::string remark;  // what was not compared, and why; empty where everything was
  std::string tensor;  // the output that comes closest to its tolerance, or fails
  double error = 0;    // its largest error, relative to its largest element
  double allowed = 0;  // likewise
};

// The largest error that rounding explains, relative to a tensor's largest element (of dh0 and dc0, that of both).
// Roundings add up like a random walk (Higham and Mary 2019): 2 * eps * sqrt(depth), with two depths over a chain of L
// * min(T, 16) steps, twice that for gradients:
//   sums    in + H + 2 additions and 16 roundings of the gates a step, N more for dparams; eps of what sums run in
//           (float or double)
//   stores  one value a step rounded to 16 bits, or multiplied in TF32; eps of that
// A chain ends after 16 steps because the parameters of NetworkRun keep forget and update gates near 0.5, and W_hh of
// an RNN small: little of an older step's rounding is left. The gradients of h0 and c0 are a product over all T steps,
// and keep the rounding of each. The 2 is for tensors of a few elements, where 1 - tanh^2 cancels and no larger element
// stands beside. The same for every cell, back end, policy and layout; tests/README.md names it as well.
double tolerance_of(const Scenario& scenario, Math math, const std::string& tensor);

// Whether rounding may carry a unit across the kink of its cell, where its gradient jumps: then no tolerance for
// gradients follows from rounding, and they are not compared. The estimate is the number of units, of all tokens, times
// the tolerance of y, which is some thirty times the usual error.
bool may_cross_kink(const Scenario& scenario, Math math);

Verdict check_correctness(const Options& options, const Scenario& scenario, const Context& ctx, const Context& host);

// `reruns` more steps: every bit of every output the same.
Verdict check_bitwise(const Options& options, const Scenario& scenario, const Context& ctx, const Context& host);

}  // namespace varlstm::lstm_driver
