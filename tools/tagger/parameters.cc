// Parameters, their initial values and the optimiser's step.
// SPDX-License-Identifier: Apache-2.0
#include "parameters.h"

#include <algorithm>
#include <cmath>
#include <string>

#include "vocabulary.h"

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

// Steps over a batch's rows alone take two kernels more than dense ones. The host has no such price; a GPU of 4.8 TB/s
// moves the 36 bytes that a dense step has for each of these elements in about 16 us. That is counted, not measured.
constexpr int64_t kMostDenseOnGpu = int64_t{1} << 21;

bool steps_over_rows(const Context& context, int64_t words, int64_t features, int64_t trained_words) {
  if (words <= trained_words) return false;
  return context.get_i64(VARLSTM_KEY_BACKEND) == VARLSTM_BACKEND_HOST || words * features > kMostDenseOnGpu;
}

Parameters::Parameters(const Context& context, const NetworkShape& shape, int64_t trained_words)
    : context_(context),
      count_(parameter_count(shape)),
      table_offset_(dense_parameter_count(shape)),
      words_(shape.words),
      features_(shape.embedding),
      values_(Buffer<float>::zeros(context, count_)),
      workspace_(context) {
  if (trained_words == 0) return;
  over_rows_ = steps_over_rows(context, words_, features_, trained_words);
  gradient_ = Buffer<float>::zeros(context, over_rows_ ? table_offset_ + trained_words * features_ : count_);
  m_ = Buffer<float>::zeros(context, count_);
  v_ = Buffer<float>::zeros(context, count_);
  if (over_rows_) {
    row_ids_ = Buffer<int64_t>::zeros(context, trained_words);
    last_steps_ = Buffer<int64_t>::zeros(context, words_);
    history_ = Buffer<float>::zeros(context, kHistorySteps * 3);
  }
  steps_ = Buffer<int64_t>::zeros(context, 2);
  norm_ = Buffer<double>(context, 1);
  workspace_.grow(varlstm::op_workspace<float>(context, VARLSTM_OP_GRAD_NORM, gradient_.size(), 0, 0));
}

void Parameters::load(const std::vector<float>& values, int64_t first) {
  catch_up();  // no earlier step moves the loaded values
  const int64_t count = static_cast<int64_t>(values.size());
  varlstm::copy<float>(context_, values_.span().subspan(first, count), values, VARLSTM_COPY_TO_BACKEND);
}

void Parameters::store(std::vector<float>* flat) {
  catch_up();
  flat->resize(static_cast<size_t>(count_));
  values_.download(*flat);
}

varlstm::AdamTable<float> Parameters::adam_table() {
  const int64_t size = words_ * features_;
  return {features_,
          values_.span().subspan(table_offset_, size),
          m_.span().subspan(table_offset_, size),
          v_.span().subspan(table_offset_, size),
          last_steps_,
          history_,
          steps_.span().subspan(1, 1)};
}

varlstm::Span<const float> Parameters::table_of(varlstm::Span<const int64_t> words) {
  if (waited_ > 0) varlstm::adam_rows_catch_up<float>(context_, {0.0}, words, adam_table());
  return values().subspan(table_offset_, words_ * features_);
}

void Parameters::catch_up() {
  if (waited_ > 0) varlstm::adam_rows_catch_up_all<float>(context_, {0.0}, adam_table());
  waited_ = 0;
}

void Parameters::zero_gradient(int64_t first) {
  varlstm::zero<float>(context_, gradient_.span().subspan(first, (over_rows_ ? table_offset_ : count_) - first));
  rows_ = 0;
}

void Parameters::table_backward(varlstm::Span<const int64_t> words, varlstm::Span<const float> d_rows,
                                Workspace* workspace) {
  if (!over_rows_) {
    varlstm::embedding_backward<float>(context_, nullptr, words.size(), words_, features_, Vocabulary::kPadding, words,
                                       d_rows, gradient_.span().subspan(table_offset_, words_ * features_), *workspace);
    return;
  }
  rows_ = words.size();
  varlstm::embedding_backward_rows<float>(context_, nullptr, words_, features_, Vocabulary::kPadding, words, d_rows,
                                          row_ids_, gradient_.span().subspan(table_offset_, rows_ * features_),
                                          *workspace);
}

void Parameters::step(const OptimizerOptions& options) {
  const int64_t row_elements = rows_ * features_;
  const varlstm::Span<float> all =
      over_rows_ ? gradient_.span().subspan(0, table_offset_ + row_elements) : gradient_.span();
  if (options.clip > 0) varlstm::clip_grad_norm<float>(context_, options.clip, all, norm_, workspace_);
  const int64_t dense = over_rows_ ? table_offset_ : count_;
  const varlstm::Span<float> values = values_.span().subspan(0, dense), gradient = all.subspan(0, dense);
  if (options.kind == OptimizerOptions::kSgd)
    varlstm::sgd_step<float>(context_, {options.lr}, values, gradient);
  else
    varlstm::adam_step<float>(context_, {options.lr}, values, gradient, m_, v_, steps_);
  if (over_rows_) step_rows(options, all.subspan(table_offset_, row_elements));
}

void Parameters::step_rows(const OptimizerOptions& options, varlstm::Span<const float> rows) {
  const varlstm::Span<const int64_t> row_ids = row_ids_.span().subspan(0, rows_);
  if (options.kind == OptimizerOptions::kSgd) {
    varlstm::sgd_rows_step<float>(context_, options.lr, words_, features_, row_ids, rows, adam_table().table);
    return;
  }
  varlstm::adam_rows_step<float>(context_, {options.lr}, row_ids, rows, adam_table());
  if (++waited_ == kHistorySteps) catch_up();
}

}  // namespace tagger
