// Embeddings of words and features of their characters.
// SPDX-License-Identifier: Apache-2.0
#include "word_input.h"

#include <algorithm>

namespace tagger {

WordInput::WordInput(const Context& context, const NetworkShape& shape, const BatchLimits& limits, bool train)
    : context_(context), shape_(shape) {
  const int64_t tokens = limits.tokens;
  words_ = Buffer<int64_t>::zeros(context, tokens);
  ragged_ = Buffer<int64_t>::zeros(context, tokens);
  if (train) learned_words_ = Buffer<int64_t>::zeros(context, tokens);
  int64_t column = shape.embedding;
  for (const Parameter& parameter : parameter_list(shape)) {
    if (parameter.name == "char_embedding.weight") character_table_ = parameter.offset;
    if (parameter.name.rfind("char_conv.", 0) != 0) continue;
    if (parameter.shape.size() == 1) {
      convolutions_.back().bias = parameter.offset;
      continue;
    }
    const varlstm::ConvMax sizes{parameter.shape[1], parameter.shape[0], parameter.shape[2], VARLSTM_ACTIVATION_TANH,
                                 shape.input()};
    convolutions_.push_back(
        {sizes, parameter.offset, 0, column, Buffer<int64_t>::zeros(context, tokens * sizes.filters)});
    column += sizes.filters;
  }
  if (!has_characters()) return;
  const int64_t characters = limits.characters;
  ids_ = Buffer<int64_t>::zeros(context, characters);
  offsets_ = Buffer<int64_t>::zeros(context, tokens + 1);
  embedded_ = Buffer<float>::zeros(context, characters * shape.char_embedding);
  word_rows_ = Buffer<float>::zeros(context, tokens * shape.embedding);
  joined_ = Buffer<float>::zeros(context, tokens * shape.input());
  if (!train) return;
  d_embedded_ = Buffer<float>::zeros(context, characters * shape.char_embedding);
  d_joined_ = Buffer<float>::zeros(context, tokens * shape.input());
}

void WordInput::upload_words(const std::vector<int64_t>& words, const varlstm::Batch& plan, Buffer<int64_t>* ids) {
  if (has_characters()) {
    ids->upload({words.data(), tokens_});
    return;
  }
  ragged_.upload({words.data(), tokens_});
  varlstm::pack<int64_t>(plan, varlstm::ragged(), 1, ragged_, *ids);
}

void WordInput::set_batch(const Batch& batch, const varlstm::Batch& plan, bool train) {
  tokens_ = batch.tokens();
  upload_words(batch.words, plan, &words_);
  if (train && !frozen_words_.empty()) {
    std::vector<int64_t> learned = batch.words;
    for (int64_t& word : learned)
      if (frozen_words_[static_cast<size_t>(word)]) word = Vocabulary::kPadding;
    upload_words(learned, plan, &learned_words_);
  }
  if (!has_characters()) return;
  characters_ = static_cast<int64_t>(batch.characters.size());
  ids_.upload({batch.characters.data(), characters_});
  offsets_.upload({batch.character_starts.data(), tokens_ + 1});
}

void WordInput::forward(const varlstm::Batch& plan, Parameters& parameters, varlstm::Span<float> out,
                        Workspace* workspace) {
  varlstm::embedding_forward<float>(context_, nullptr, tokens_, shape_.words, shape_.embedding,
                                    parameters.table_of(words_.span().subspan(0, tokens_)), words_,
                                    has_characters() ? word_rows_.span() : out);
  if (!has_characters()) return;
  varlstm::copy_columns<float>(context_, tokens_, shape_.embedding, word_rows_, shape_.embedding, joined_,
                               shape_.input());
  forward_characters(parameters, workspace);
  varlstm::pack<float>(plan, varlstm::ragged(), shape_.input(), joined_, out);
}

void WordInput::forward_characters(Parameters& parameters, Workspace* workspace) {
  const varlstm::Span<const float> values = parameters.values();
  const int64_t features = shape_.char_embedding;
  varlstm::embedding_forward<float>(context_, nullptr, characters_, shape_.characters, features,
                                    values.subspan(character_table_, shape_.characters * features), ids_, embedded_);
  for (Convolution& c : convolutions_) {
    const int64_t weights = c.sizes.filters * c.sizes.in * c.sizes.width;
    varlstm::conv_max_forward<float>(context_, c.sizes, tokens_, characters_, offsets_, embedded_,
                                     values.subspan(c.weight, weights), values.subspan(c.bias, c.sizes.filters),
                                     joined_.span().subspan(c.column, joined_.size() - c.column), c.argmax, *workspace);
  }
}

void WordInput::backward(const varlstm::Batch& plan, Parameters& parameters, varlstm::Span<const float> d_out,
                         Workspace* workspace) {
  if (has_characters()) {
    varlstm::pack_backward<float>(plan, varlstm::ragged(), shape_.input(), d_out, d_joined_);
    varlstm::copy_columns<float>(context_, tokens_, shape_.embedding, d_joined_, shape_.input(), word_rows_,
                                 shape_.embedding);
    backward_characters(parameters, workspace);
  }
  const Buffer<int64_t>& learned = frozen_words_.empty() ? words_ : learned_words_;
  parameters.table_backward(learned.span().subspan(0, tokens_), has_characters() ? word_rows_.span() : d_out,
                            workspace);
}

void WordInput::backward_characters(Parameters& parameters, Workspace* workspace) {
  const varlstm::Span<const float> values = parameters.values();
  const varlstm::Span<float> gradient = parameters.gradient();
  const int64_t features = shape_.char_embedding;
  for (Convolution& c : convolutions_) {
    const int64_t weights = c.sizes.filters * c.sizes.in * c.sizes.width, rest = joined_.size() - c.column;
    varlstm::conv_max_backward<float>(
        context_, c.sizes, tokens_, characters_, offsets_, embedded_, values.subspan(c.weight, weights),
        joined_.span().subspan(c.column, rest), d_joined_.span().subspan(c.column, rest), c.argmax, d_embedded_,
        gradient.subspan(c.weight, weights), gradient.subspan(c.bias, c.sizes.filters), *workspace);
    varlstm::embedding_backward<float>(context_, nullptr, characters_, shape_.characters, features, -1, ids_,
                                       d_embedded_, gradient.subspan(character_table_, shape_.characters * features),
                                       *workspace);
  }
}

}  // namespace tagger
