// The network's parameters in the back end's memory, one flat buffer in the order of parameter_list, with the
// optimiser's state in buffers of the same layout. Of a large embedding table's gradient there are the rows alone that
// a batch touches.
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

// Whether the embedding table is trained by the rows of a batch alone, of at most so many words. The result is the same
// as of dense steps, but for the order in which the gradient's norm is summed.
bool steps_over_rows(const Context& context, int64_t words, int64_t features, int64_t trained_words);

class Parameters {
 public:
  // trained_words: the most words of a batch that is trained on; 0 if none is.
  Parameters(const Context& context, const NetworkShape& shape, int64_t trained_words);

  // Values as in parameter_list; load overwrites those from element `first` on.
  void load(const std::vector<float>& values, int64_t first = 0);
  void store(std::vector<float>* flat);

  // The recurrent network's parameters and the linear layer's begin the buffer, the embedding table ends it.
  varlstm::Span<const float> values() const { return values_; }
  // The embedding table, of which the rows of `words` are up to date.
  varlstm::Span<const float> table_of(varlstm::Span<const int64_t> words);
  // Does the steps for which rows of the table have waited: Adam moves a row without a gradient, too.
  void catch_up();

  // Of all but the embedding table.
  varlstm::Span<float> gradient() { return gradient_.span().subspan(0, table_offset_); }
  // Of all from element `first` on.
  void zero_gradient(int64_t first);
  // Makes the embedding table's gradient, after zero_gradient: that of the rows of `words`. d_rows [words, features]:
  // of these rows.
  void table_backward(varlstm::Span<const int64_t> words, varlstm::Span<const float> d_rows, Workspace* workspace);
  // Clips the gradient and moves the values: torch.optim.Adam with its usual betas and epsilon, or plain SGD.
  void step(const OptimizerOptions& options);

 private:
  static constexpr int64_t kHistorySteps = 1024;  // for which a row may wait

  varlstm::AdamTable<float> adam_table();
  void step_rows(const OptimizerOptions& options, varlstm::Span<const float> rows);

  Context context_;
  int64_t count_, table_offset_, words_, features_;
  bool over_rows_ = false;        // what steps_over_rows says
  int64_t rows_ = 0;              // over rows: those of the table's gradient
  int64_t waited_ = 0;            // over rows: steps since all of them were caught up
  Buffer<float> values_, m_, v_;  // [count_]
  Buffer<float> gradient_;        // of all but the table, then of the table, or [rows_, features_]
  Buffer<int64_t> row_ids_;       // over rows: [rows_]
  Buffer<int64_t> last_steps_;    // over rows: [words_]
  Buffer<float> history_;         // over rows
  Buffer<int64_t> steps_;         // of all but the table, of the table
  Buffer<double> norm_;
  Workspace workspace_;
};

}  // namespace tagger
