// Parameters, their initial values and the optimiser's step.
// SPDX-License-Identifier: Apache-2.0
#include "parameters.h"

#include <cmath>

namespace tagger {
namespace {

constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;  // Adam's usual ones
// Adam's rate for the table's rows, in units of --lr. On EWT with the defaults, after 3 epochs: 1 gives 0.904 on dev,
// 1.5 gives 0.911, 2 gives 0.916 (and 0.908 where the second moments of resting rows do not decay).
constexpr double kRowsRate = 2;

}  // namespace

std::vector<float> initial_parameters(const NetworkShape& shape, Random* random) {
  std::vector<float> flat(static_cast<size_t>(parameter_count(shape)));
  for (const Parameter& parameter : parameter_list(shape)) {
    float* values = flat.data() + parameter.offset;
    if (parameter.name == "embedding.weight") {
      for (int64_t k = shape.embedding; k < parameter.count; ++k) values[k] = static_cast<float>(random->normal());
      continue;
    }
    const bool linear = parameter.name.rfind("linear", 0) == 0;
    const double bound = 1.0 / std::sqrt(static_cast<double>(linear ? shape.features() : shape.hidden));
    for (int64_t k = 0; k < parameter.count; ++k)
      values[k] = static_cast<float>(bound * (2.0 * random->uniform() - 1.0));
  }
  return flat;
}

Parameters::Parameters(const Context& context, const NetworkShape& shape, int64_t max_rows)
    : context_(context), shape_(shape), dense_count_(dense_parameter_count(shape)) {
  const int64_t table = shape.words * shape.embedding;
  const int64_t working = dense_count_ + max_rows * shape.embedding;
  table_ = Buffer<float>(context, table);
  working_ = Buffer<float>(context, working);
  if (max_rows == 0) return;
  table_v_ = Buffer<float>(context, table);
  gradient_ = Buffer<float>(context, working);
  working_m_ = Buffer<float>(context, working);
  working_v_ = Buffer<float>(context, working);
  zero_row_ = Buffer<float>(context, shape.embedding);
  ids_ = Buffer<int64_t>(context, max_rows);
  last_step_.assign(static_cast<size_t>(shape.words), 0);
  dense_step_ = Buffer<int64_t>(context, 1);
  rows_step_ = Buffer<int64_t>(context, 1);
  norm_ = Buffer<double>(context, 1);
  int64_t bytes = 0;
  check(varlstm_op_workspace(context.get(), VARLSTM_OP_GRAD_NORM, VARLSTM_DTYPE_F32, working, 0, 0, &bytes));
  workspace_ = Buffer<uint8_t>(context, bytes);
}

void Parameters::load(const std::vector<float>& flat) {
  working_.to_backend(flat.data(), dense_count_);
  table_.to_backend(flat.data() + dense_count_, shape_.words * shape_.embedding);
}

void Parameters::store(std::vector<float>* flat) const {
  flat->resize(static_cast<size_t>(parameter_count(shape_)));
  working_.to_host(flat->data(), dense_count_);
  table_.to_host(flat->data() + dense_count_, shape_.words * shape_.embedding);
}

void Parameters::gather(const std::vector<int64_t>& ids) {
  host_ids_ = ids;
  const int64_t rows = static_cast<int64_t>(ids.size());
  ids_.to_backend(ids.data(), rows);
  const auto bring = [&](const Buffer<float>& table, Buffer<float>* working) {
    check(varlstm_embedding_forward(context_.get(), nullptr, VARLSTM_DTYPE_F32, rows, shape_.words, shape_.embedding,
                                    table.get(), ids_.get(), working->get() + dense_count_, nullptr));
  };
  bring(table_, &working_);
  bring(table_v_, &working_v_);
  decay_rested_rows();
  gradient_.zero(dense_count_ + rows * shape_.embedding);
  // The rows have no momentum of their own: what another batch's left here goes.
  check(varlstm_zero(context_.get(), working_m_.get() + dense_count_,
                     rows * shape_.embedding * static_cast<int64_t>(sizeof(float)), nullptr));
}

// v *= beta2^rested for each row that was not in the last batches, by an SGD step without a gradient:
// v -= 1 * (1 - beta2^rested) * v.
void Parameters::decay_rested_rows() {
  float* v = working_v_.get() + dense_count_;
  for (int64_t id : host_ids_) {
    int64_t& last = last_step_[static_cast<size_t>(id)];
    const int64_t rested = steps_ - last;
    last = steps_ + 1;
    if (rested > 0)
      check(varlstm_sgd_step(context_.get(), VARLSTM_DTYPE_F32, shape_.embedding, 1.0, 0.0,
                             1.0 - std::pow(kBeta2, static_cast<double>(rested)), 0, v, zero_row_.get(), nullptr,
                             nullptr));
    v += shape_.embedding;
  }
  ++steps_;
}

void Parameters::step(const OptimizerOptions& options) {
  const int64_t count = dense_count_ + static_cast<int64_t>(host_ids_.size()) * shape_.embedding;
  if (options.clip > 0)
    check(varlstm_clip_grad_norm(context_.get(), VARLSTM_DTYPE_F32, count, options.clip, gradient_.get(), norm_.get(),
                                 workspace_.get(), workspace_.count(), nullptr));
  if (options.kind == OptimizerOptions::kSgd) {
    check(varlstm_sgd_step(context_.get(), VARLSTM_DTYPE_F32, count, options.lr, 0.0, 0.0, 0, working_.get(),
                           gradient_.get(), nullptr, nullptr));
    return;
  }
  const auto adam = [&](int64_t first, int64_t elements, double lr, double beta1, const Buffer<int64_t>& step_count) {
    check(varlstm_adam_step(context_.get(), VARLSTM_DTYPE_F32, elements, lr, beta1, kBeta2, kEpsilon, 0.0, 0,
                            working_.get() + first, gradient_.get() + first, working_m_.get() + first,
                            working_v_.get() + first, step_count.get(), nullptr));
  };
  adam(0, dense_count_, options.lr, kBeta1, dense_step_);
  adam(dense_count_, count - dense_count_, kRowsRate * options.lr, 0.0, rows_step_);
}

void Parameters::scatter() {
  copy_rows(working_, &table_);
  copy_rows(working_v_, &table_v_);
}

void Parameters::copy_rows(const Buffer<float>& from, Buffer<float>* to) {
  const int64_t features = shape_.embedding;
  const float* row = from.get() + dense_count_;
  for (int64_t id : host_ids_) {
    check(varlstm_copy(context_.get(), to->get() + id * features, row, features * static_cast<int64_t>(sizeof(float)),
                       VARLSTM_COPY_WITHIN_BACKEND, nullptr));
    row += features;
  }
}

}  // namespace tagger
