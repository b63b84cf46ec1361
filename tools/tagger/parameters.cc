// Parameters, their initial values and the optimiser's step.
// SPDX-License-Identifier: Apache-2.0
#include "parameters.h"

#include <cmath>

namespace tagger {
namespace {

constexpr double kBeta1 = 0.9, kBeta2 = 0.999, kEpsilon = 1e-8;  // Adam's usual ones

// PyTorch's embeddings start with 1, and a rare word has few steps to get away from there. Chosen on EWT's dev file:
// bench/NOTES.md has the accuracies.
constexpr double kTableDeviation = 0.1;

}  // namespace

std::vector<float> initial_parameters(const NetworkShape& shape, Random* random) {
  std::vector<float> flat(static_cast<size_t>(parameter_count(shape)));
  for (const Parameter& parameter : parameter_list(shape)) {
    float* values = flat.data() + parameter.offset;
    if (parameter.name == "embedding.weight") {
      for (int64_t k = shape.embedding; k < parameter.count; ++k)
        values[k] = static_cast<float>(kTableDeviation * random->normal());
      continue;
    }
    const bool linear = parameter.name.rfind("linear", 0) == 0;
    const double bound = 1.0 / std::sqrt(static_cast<double>(linear ? shape.features() : shape.hidden));
    for (int64_t k = 0; k < parameter.count; ++k)
      values[k] = static_cast<float>(bound * (2.0 * random->uniform() - 1.0));
  }
  return flat;
}

Parameters::Parameters(const Context& context, const NetworkShape& shape, bool train)
    : context_(context), count_(parameter_count(shape)), table_offset_(dense_parameter_count(shape)) {
  values_ = Buffer<float>(context, count_);
  if (!train) return;
  gradient_ = Buffer<float>(context, count_);
  m_ = Buffer<float>(context, count_);
  v_ = Buffer<float>(context, count_);
  step_ = Buffer<int64_t>(context, 1);
  norm_ = Buffer<double>(context, 1);
  int64_t bytes = 0;
  check(varlstm_op_workspace(context.get(), VARLSTM_OP_GRAD_NORM, VARLSTM_DTYPE_F32, count_, 0, 0, &bytes));
  workspace_ = Buffer<uint8_t>(context, bytes);
}

void Parameters::load(const std::vector<float>& flat) {
  values_.to_backend(flat.data(), count_);
}

void Parameters::store(std::vector<float>* flat) const {
  flat->resize(static_cast<size_t>(count_));
  values_.to_host(flat->data(), count_);
}

void Parameters::step(const OptimizerOptions& options) {
  if (options.clip > 0)
    check(varlstm_clip_grad_norm(context_.get(), VARLSTM_DTYPE_F32, count_, options.clip, gradient_.get(), norm_.get(),
                                 workspace_.get(), workspace_.count(), nullptr));
  if (options.kind == OptimizerOptions::kSgd)
    check(varlstm_sgd_step(context_.get(), VARLSTM_DTYPE_F32, count_, options.lr, 0.0, 0.0, 0, values_.get(),
                           gradient_.get(), nullptr, nullptr));
  else
    check(varlstm_adam_step(context_.get(), VARLSTM_DTYPE_F32, count_, options.lr, kBeta1, kBeta2, kEpsilon, 0.0, 0,
                            values_.get(), gradient_.get(), m_.get(), v_.get(), step_.get(), nullptr));
}

}  // namespace tagger
