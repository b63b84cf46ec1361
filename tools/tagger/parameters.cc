// Parameters, their initial values and the optimiser's step.
// SPDX-License-Identifier: Apache-2.0
#include "parameters.h"

#include <algorithm>
#include <cmath>
#include <string>

namespace tagger {
namespace {

// PyTorch's embeddings start with 1, and a rare word has few steps to get away from there. Chosen on EWT's dev file:
// bench/NOTES.md has the accuracies.
constexpr double kTableDeviation = 0.1;

// PyTorch's bounds, but for the characters' table, which has Ma and Hovy's (2016).
double bound_of(const Parameter& parameter, const NetworkShape& shape) {
  const auto begins = [&](const char* text) { return parameter.name.rfind(text, 0) == 0; };
  const double units = static_cast<double>(shape.hidden), features = static_cast<double>(shape.features());
  if (begins("char_embedding")) return std::sqrt(3.0 / static_cast<double>(shape.char_embedding));
  if (begins("char_conv.")) {
    const int64_t width = std::stoll(parameter.name.substr(std::string("char_conv.").size()));
    return 1.0 / std::sqrt(static_cast<double>(shape.char_embedding * width));
  }
  return 1.0 / std::sqrt(begins("linear") ? features : units);
}

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
    if (parameter.name.find(".norm_") != std::string::npos) {
      const bool bias = parameter.name.find(".norm_c_bias") != std::string::npos;
      std::fill_n(values, parameter.count, bias ? 0.0f : 1.0f);
      continue;
    }
    const double bound = bound_of(parameter, shape);
    for (int64_t k = 0; k < parameter.count; ++k)
      values[k] = static_cast<float>(bound * (2.0 * random->uniform() - 1.0));
  }
  return flat;
}

Parameters::Parameters(const Context& context, const NetworkShape& shape, bool train)
    : context_(context),
      count_(parameter_count(shape)),
      table_offset_(dense_parameter_count(shape)),
      values_(Buffer<float>::zeros(context, count_)),
      workspace_(context) {
  if (!train) return;
  gradient_ = Buffer<float>::zeros(context, count_);
  m_ = Buffer<float>::zeros(context, count_);
  v_ = Buffer<float>::zeros(context, count_);
  step_ = Buffer<int64_t>::zeros(context, 1);
  norm_ = Buffer<double>(context, 1);
  workspace_.grow(varlstm::op_workspace<float>(context, VARLSTM_OP_GRAD_NORM, count_, 0, 0));
}

void Parameters::load(const std::vector<float>& values, int64_t first) {
  const int64_t count = static_cast<int64_t>(values.size());
  varlstm::copy<float>(context_, values_.span().subspan(first, count), values, VARLSTM_COPY_TO_BACKEND);
}

void Parameters::store(std::vector<float>* flat) const {
  flat->resize(static_cast<size_t>(count_));
  values_.download(*flat);
}

void Parameters::step(const OptimizerOptions& options) {
  if (options.clip > 0) varlstm::clip_grad_norm<float>(context_, options.clip, gradient_, norm_, workspace_);
  if (options.kind == OptimizerOptions::kSgd)
    varlstm::sgd_step<float>(context_, {options.lr}, values_, gradient_);
  else
    varlstm::adam_step<float>(context_, {options.lr}, values_, gradient_, m_, v_, step_);
}

}  // namespace tagger
