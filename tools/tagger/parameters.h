// The network's parameters in the back end's memory, and their optimiser.
//
// A mini-batch of a few hundred tokens uses a few hundred of the embedding table's rows (EWT: 350 of 19,676), so a step
// over the whole table would cost more than the network. The step works on one flat buffer instead, the working set:
//
//   [ dense parameters: LSTM, linear | rows of the table that this batch uses ]
//
// gather() brings those rows and their second moments in, forward and backward use them as their embedding table,
// step() clips over the whole working set and updates it, and scatter() takes the rows back.
//
// Adam on rows that rest: a dense Adam goes on moving a row after its word's last occurrence, by the gradient's
// momentum, whose geometric series sums to the whole gradient. Here that sum is applied at once: the rows' beta1 is 0.
// (With Adam's own beta1 and no tail, torch.optim.SparseAdam's rule, a rare word moves a tenth as far: on EWT that
// costs 4 points of accuracy after 3 epochs.) Second moments decay while their row rests, as a
// dense Adam's do, and rows learn at a higher rate (kRowsRate). For SGD nothing differs.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "handles.h"
#include "network_shape.h"
#include "random.h"

namespace tagger {

struct OptimizerOptions {
  enum Kind { kAdam, kSgd } kind = kAdam;
  double lr = 2e-3;
  double clip = 0;  // bound on the gradients' norm; 0: no clipping
};

// As PyTorch begins: table N(0, 1) with row 0 zero, LSTM U(-1/sqrt(H), 1/sqrt(H)), linear U(-1/sqrt(D*H), 1/sqrt(D*H)).
std::vector<float> initial_parameters(const NetworkShape& shape, Random* random);

class Parameters {
 public:
  // max_rows: rows of the table that one batch can use; 0 for a network that does not train.
  Parameters(const Context& context, const NetworkShape& shape, int64_t max_rows);

  // flat: as in parameter_list.
  void load(const std::vector<float>& flat);
  void store(std::vector<float>* flat) const;

  // The dense parameters and their gradients, laid out as in parameter_list.
  float* dense() const { return working_.get(); }
  float* dense_gradient() const { return gradient_.get(); }
  float* table() const { return table_.get(); }

  // Between gather() and step(): the batch's rows and their gradients, [rows, E].
  float* rows() const { return working_.get() + dense_count_; }
  float* rows_gradient() const { return gradient_.get() + dense_count_; }

  // ids: different rows of the table. Sets every gradient of the working set to zero.
  void gather(const std::vector<int64_t>& ids);
  void step(const OptimizerOptions& options);
  void scatter();

 private:
  void decay_rested_rows();
  void copy_rows(const Buffer<float>& from, Buffer<float>* to);

  const Context& context_;
  NetworkShape shape_;
  int64_t dense_count_;
  Buffer<float> table_, table_v_;                             // [V, E]
  Buffer<float> working_, gradient_, working_m_, working_v_;  // [dense | max_rows * E]
  Buffer<int64_t> ids_, dense_step_, rows_step_;
  Buffer<double> norm_;
  Buffer<uint8_t> workspace_;
  Buffer<float> zero_row_;  // [E]
  std::vector<int64_t> host_ids_;
  std::vector<int64_t> last_step_;  // of each row of the table: the step that used it last
  int64_t steps_ = 0;
};

}  // namespace tagger
