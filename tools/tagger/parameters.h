// The network's parameters in the back end's memory, one flat buffer in the order of parameter_list, with their
// gradients and the optimiser's state in buffers of the same layout.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "context.h"
#include "network_shape.h"
#include "random.h"

namespace tagger {

struct OptimizerOptions {
  enum Kind { kAdam, kSgd } kind = kAdam;
  double lr = 2e-3;
  double clip = 0;  // bound on the gradients' norm; 0: no clipping
};

// As PyTorch begins, but for the table's deviation: table N(0, 0.1^2) with row 0 zero, recurrent network U(-1/sqrt(H),
// 1/sqrt(H)) with ones and zeros for its layer normalisation, linear U(-1/sqrt(D*R), 1/sqrt(D*R)).
std::vector<float> initial_parameters(const NetworkShape& shape, Random* random);

class Parameters {
 public:
  Parameters(const Context& context, const NetworkShape& shape, bool train);

  // Values as in parameter_list; load overwrites those from element `first` on.
  void load(const std::vector<float>& values, int64_t first = 0);
  void store(std::vector<float>* flat) const;

  // The recurrent network's parameters and the linear layer's begin the buffer, the embedding table ends it.
  varlstm::Span<const float> values() const { return values_; }
  varlstm::Span<const float> table() const { return values().subspan(table_offset_, count_ - table_offset_); }
  varlstm::Span<float> gradient() { return gradient_; }
  varlstm::Span<float> table_gradient() { return gradient().subspan(table_offset_, count_ - table_offset_); }

  void zero_gradient() { gradient_.zero(); }
  // Clips the gradient and moves the values: torch.optim.Adam with its usual betas and epsilon, or plain SGD.
  void step(const OptimizerOptions& options);

 private:
  Context context_;
  int64_t count_, table_offset_;
  Buffer<float> values_, gradient_, m_, v_;
  Buffer<int64_t> step_;
  Buffer<double> norm_;
  Workspace workspace_;
};

}  // namespace tagger
