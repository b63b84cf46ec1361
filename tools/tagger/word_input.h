// What the recurrent network reads of each word: its row of the embedding table and, beside it, features of its
// characters (Kim 2016, Ma & Hovy 2016): for each width a convolution over the embedded characters, and the maximum
// over the word.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "context.h"
#include "corpus.h"
#include "network_shape.h"
#include "parameters.h"

namespace tagger {

class WordInput {
 public:
  WordInput(const Context& context, const NetworkShape& shape, const BatchLimits& limits, bool train);

  // The rows of the embedding table that are true get no gradient.
  void freeze_words(std::vector<bool> rows) { frozen_words_ = std::move(rows); }

  // Uploads the batch, whose plan is `plan`.
  void set_batch(const Batch& batch, const varlstm::Batch& plan, bool train);
  // out [N, shape.input()] packed <- the words of the batch.
  void forward(const varlstm::Batch& plan, Parameters& parameters, varlstm::Span<float> out, Workspace* workspace);
  // Makes the gradient of the words' table, and adds to those of the characters' and of the convolutions. d_out: of
  // out.
  void backward(const varlstm::Batch& plan, Parameters& parameters, varlstm::Span<const float> d_out,
                Workspace* workspace);

 private:
  // One convolution: the places of its weight and bias among the parameters, and which rows its maxima come from.
  struct Convolution {
    varlstm::ConvMax sizes;
    int64_t weight, bias, column;  // `column`: where its features begin
    Buffer<int64_t> argmax;        // [N, filters]
  };

  bool has_characters() const { return !convolutions_.empty(); }
  void upload_words(const std::vector<int64_t>& words, const varlstm::Batch& plan, Buffer<int64_t>* ids);
  void forward_characters(Parameters& parameters, Workspace* workspace);
  void backward_characters(Parameters& parameters, Workspace* workspace);

  Context context_;
  NetworkShape shape_;
  std::vector<bool> frozen_words_;
  std::vector<Convolution> convolutions_;
  int64_t character_table_ = 0;          // its place among the parameters
  int64_t tokens_ = 0, characters_ = 0;  // of the batch

  Buffer<int64_t> words_, learned_words_;  // [N], packed without characters, else ragged
  Buffer<int64_t> ragged_;                 // ids on their way to being packed
  // With characters alone, all of them ragged:
  Buffer<int64_t> ids_, offsets_;                // [M] characters, [N + 1] where a word's begin
  Buffer<float> embedded_, d_embedded_;          // [M, Ec]
  Buffer<float> word_rows_, joined_, d_joined_;  // [N, E], [N, shape.input()]
};

}  // namespace tagger
