// Gradients of a recurrent network in double against central differences, through y, h_n, c_n and c of every token.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <algorithm>
#include <vector>

#include "support/gradcheck.h"
#include "support/rnn_runner.h"

namespace varlstm_test {

// The variables of a case in one vector: params, x, h0, c0.
inline std::vector<double> variables_of(const RnnCase<double>& problem) {
  std::vector<double> all;
  for (const auto* part : {&problem.params, &problem.x, &problem.h0, &problem.c0}) {
    all.insert(all.end(), part->begin(), part->end());
  }
  return all;
}

inline RnnCase<double> with_variables(RnnCase<double> problem, const std::vector<double>& all) {
  auto next = all.begin();
  for (auto* part : {&problem.params, &problem.x, &problem.h0, &problem.c0}) {
    std::copy_n(next, part->size(), part->begin());
    next += static_cast<int64_t>(part->size());
  }
  return problem;
}

// At most `most` elements of each part, in random places.
inline std::vector<int64_t> some_of_each_part(const RnnCase<double>& problem, int64_t most, Random& random) {
  std::vector<int64_t> at;
  int64_t start = 0;
  for (const auto* part : {&problem.params, &problem.x, &problem.h0, &problem.c0}) {
    const int64_t count = static_cast<int64_t>(part->size());
    const std::vector<int64_t> order = random.permutation(count);
    for (int64_t k = 0; k < std::min(count, most); ++k) at.push_back(start + order[k]);
    start += count;
  }
  return at;
}

// `elements` of each part are moved.
inline void check_gradients(varlstm_ctx* context, const RnnCase<double>& problem, int64_t elements, Random& random) {
  SCOPED_TRACE(describe(problem));
  const RnnUpstream<double> upstream = make_upstream(problem, random);
  RnnRunner<double> runner(context, problem);
  runner.forward(VARLSTM_MODE_SAVE, problem.seed);
  const RnnGradients<double> gradients = runner.backward(upstream);

  std::vector<double> analytic;
  for (const auto* part : {&gradients.dparams, &gradients.dx}) {
    analytic.insert(analytic.end(), part->begin(), part->end());
  }
  if (!problem.h0.empty()) {
    for (const auto* part : {&gradients.dh0, &gradients.dc0}) {
      analytic.insert(analytic.end(), part->begin(), part->end());
    }
  }
  const ScalarFunction f = [&](const std::vector<double>& variables) {
    runner.set(with_variables(problem, variables));
    const RnnOutputs<double> out = runner.forward(VARLSTM_MODE_INFER, problem.seed);
    return dot(upstream.dy, out.y) + dot(upstream.dh_n, out.h_n) + dot(upstream.dc_n, out.c_n) +
           dot(upstream.dc, out.c);
  };
  EXPECT_TRUE(gradient_matches(f, variables_of(problem), analytic, some_of_each_part(problem, elements, random)));
}

}  // namespace varlstm_test
