// A small network, and the check that holds all of its gradients at once, for the tests of the tagger's network.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>
#include <string>
#include <vector>

#include "network.h"
#include "support/context.h"

namespace tagger {

inline NetworkShape small_shape(int64_t layers, bool bidirectional) {
  NetworkShape shape;
  shape.words = 9;
  shape.embedding = 5;
  shape.hidden = 6;
  shape.layers = layers;
  shape.bidirectional = bidirectional;
  shape.tags = 3;
  return shape;
}

// A training step of plain SGD with a small learning rate lowers the loss by |movement|^2 / lr, within 5 %: the
// curvature along a step of this size.
inline void expect_fall_of_squared_gradient(const NetworkShape& shape, const Corpus& corpus, double dropout) {
  SCOPED_TRACE("dropout " + std::to_string(dropout));
  const Context context = make_context(varlstm_test::test_backend(), 1);
  Network network(context, shape, corpus.limits(12), Purpose::kTrain, {dropout});
  Random random(2);
  network.parameters().load(initial_parameters(shape, &random));
  std::vector<int64_t> order(12);
  std::iota(order.begin(), order.end(), 0);
  Batch batch;
  corpus.fill(order.data(), 12, &batch);
  TrainOptions options;
  options.optimizer.kind = OptimizerOptions::kSgd;
  options.optimizer.lr = 1e-2;
  options.dropout = dropout;
  std::vector<float> before, after;
  network.parameters().store(&before);
  Random chance(4), same_chance(4);  // so that both steps drop the same elements
  const double tokens = static_cast<double>(batch.tokens());
  network.train(batch, options, &chance);
  const double loss = network.take_loss() / tokens;
  network.parameters().store(&after);
  double squares = 0;
  for (size_t k = 0; k < before.size(); ++k) squares += std::pow(static_cast<double>(after[k]) - before[k], 2);
  const double expected_fall = squares / options.optimizer.lr;
  network.train(batch, options, &same_chance);
  const double fall = loss - network.take_loss() / tokens;
  EXPECT_GT(expected_fall, 1e-4);
  EXPECT_NEAR(fall, expected_fall, 0.05 * expected_fall);
  for (const Parameter& parameter : parameter_list(shape)) {
    const auto moved = [&](int64_t k) { return before[static_cast<size_t>(k)] != after[static_cast<size_t>(k)]; };
    bool any = false;
    for (int64_t k = parameter.offset; k < parameter.offset + parameter.count; ++k) any = any || moved(k);
    EXPECT_TRUE(any) << parameter.name << " learned nothing";
    if (parameter.name != "lstm.weight_ih_l0") continue;
    for (int64_t column = 0; column < shape.input(); ++column) {
      any = false;
      for (int64_t k = column; k < parameter.count; k += shape.input()) any = any || moved(parameter.offset + k);
      EXPECT_TRUE(any) << "nothing reads feature " << column << " of a word";
    }
  }
}

}  // namespace tagger
