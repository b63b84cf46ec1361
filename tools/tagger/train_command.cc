// varlstm-tagger train
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <iterator>
#include <optional>

#include "commands.h"
#include "conllu.h"
#include "error.h"
#include "file.h"
#include "interrupt.h"
#include "model.h"
#include "network.h"
#include "pretrained.h"
#include "trainer.h"

namespace tagger {
namespace {

Document read_tagged(const std::string& path, Column column) {
  Document document(read_all(path), path, column);
  document.check_tags();
  document.require_tags();
  return document;
}

// What is learned from, as numbers: the texts themselves are not needed any longer.
struct Data {
  Vocabulary vocabulary;
  Corpus train, dev;
  Pretrained pretrained;  // without its words, which are in the vocabulary
};

// The vocabulary with the words that pretrained vectors bring.
Vocabulary with_vectors(const Vocabulary& vocabulary, Pretrained* pretrained) {
  std::vector<std::string> words = vocabulary.words();
  Vocabulary::Extras extras;
  extras.tries_lower_case = true;
  for (std::vector<std::string>* more : {&pretrained->dev_words, &pretrained->other_words}) {
    extras.not_trained += static_cast<int64_t>(more->size());
    std::move(more->begin(), more->end(), std::back_inserter(words));
    more->clear();
  }
  return Vocabulary(std::move(words), vocabulary.tags(), extras);
}

Data read_data(const Options& options, Column column) {
  std::vector<Document> train;
  for (const std::string& path : options.train) train.push_back(read_tagged(path, column));
  const Document dev = read_tagged(options.dev, column);
  Vocabulary vocabulary = Vocabulary::of(train);
  Pretrained pretrained;
  if (!options.vectors.empty()) {
    pretrained = read_pretrained(options.vectors, vocabulary.words(), train, dev, options.keep_vectors == "all");
    if (options.embedding_is_given && options.embedding != pretrained.features)
      fail("--embedding = {}, but the vectors of {} have {} features", options.embedding, options.vectors,
           pretrained.features);
    vocabulary = with_vectors(vocabulary, &pretrained);
  }
  Corpus train_corpus;
  for (const Document& document : train) train_corpus.add(document, vocabulary);
  Corpus dev_corpus(dev, vocabulary);
  return {std::move(vocabulary), std::move(train_corpus), std::move(dev_corpus), std::move(pretrained)};
}

std::string vectors_text(const Pretrained& vectors) {
  std::string text =
      fmt::format("vectors: {}, {} rows of {} features ({}); train: {}; dev: {}\n", vectors.path, vectors.rows,
                  vectors.features, vectors.form, vectors.train.to_text(), vectors.dev.to_text());
  if (vectors.duplicates > 0)
    text += fmt::format("vectors: {} rows have the token of an earlier row, which counts\n", vectors.duplicates);
  if (vectors.unusable > 0)
    text += fmt::format("vectors: {} rows are left out: CoNLL-U cannot hold their tokens\n", vectors.unusable);
  return text;
}

// Puts the vectors into the rows of the embedding table; returns which rows they took.
std::vector<bool> place_vectors(const Pretrained& vectors, const NetworkShape& shape, std::vector<float>* parameters) {
  std::vector<bool> taken(static_cast<size_t>(shape.words), false);
  float* row = parameters->data() + dense_parameter_count(shape) + Vocabulary::kFirstWord * shape.embedding;
  const float* vector = vectors.vectors.data();
  for (size_t word = 0; word < vectors.has_vector.size(); ++word, row += shape.embedding, vector += shape.embedding) {
    if (!vectors.has_vector[word]) continue;
    std::copy_n(vector, shape.embedding, row);
    taken[word + Vocabulary::kFirstWord] = true;
  }
  return taken;
}

std::string size_of(const Corpus& corpus) {
  const int64_t untagged = corpus.tokens() - corpus.tagged();
  return fmt::format("{} sentences, {} words{}", corpus.sentences(), corpus.tokens(),
                     untagged == 0 ? "" : fmt::format(" ({} without a tag)", untagged));
}

NetworkShape shape_of(const Options& options, const Data& data) {
  const bool pretrained = !options.vectors.empty();
  NetworkShape shape;
  shape.words = data.vocabulary.word_rows();
  shape.cell = find_cell(options.cell);
  shape.embedding = pretrained ? data.pretrained.features : options.embedding;
  shape.hidden = options.hidden;
  shape.layers = options.layers;
  shape.bidirectional = !options.unidirectional;
  shape.tags = data.vocabulary.tag_count();
  return shape;
}

TrainerSettings settings_of(const Options& options) {
  TrainerSettings settings;
  settings.batch = options.batch;
  settings.epochs = options.epochs;
  settings.patience = options.patience;
  settings.options.dropout = options.dropout;
  settings.word_dropout = options.word_dropout;
  settings.options.optimizer.kind = options.optimizer == "adam" ? OptimizerOptions::kAdam : OptimizerOptions::kSgd;
  settings.options.optimizer.lr = options.lr;
  settings.options.optimizer.clip = options.clip;
  return settings;
}

int report_end(const TrainingResult& result, const Options& options, OutputFile* out) {
  if (result.signal != 0) {
    if (result.best_epoch == 0)
      fmt::print(stderr, "varlstm-tagger: interrupted before the first epoch's end: no model was written\n");
    else
      fmt::print(stderr, "varlstm-tagger: interrupted: {} has the model of epoch {}, dev {:.4f}\n", options.out,
                 result.best_epoch, result.best_dev);
    return 128 + result.signal;
  }
  out->write(
      fmt::format("{} has the model of epoch {}, dev {:.4f}\n", options.out, result.best_epoch, result.best_dev));
  return kSuccess;
}

}  // namespace

int run_train(const Options& options) {
  const Column column = options.column == "upos" ? Column::kUpos : Column::kXpos;
  const Context context = make_context(backend_of(options), options.threads);
  check_model_place(options.out);
  Data data = read_data(options, column);
  std::optional<OutputFile> log;
  if (!options.log.empty()) log.emplace(options.log);
  OutputFile out = OutputFile::standard_output();
  out.write(fmt::format("train: {}, {} forms, {} tags; dev: {}\n", size_of(data.train), data.vocabulary.trained_words(),
                        data.vocabulary.tag_count(), size_of(data.dev)));
  if (!options.vectors.empty()) out.write(vectors_text(data.pretrained));

  ModelConfig config{column, shape_of(options, data), std::move(data.vocabulary), 0, 0};
  // The network learns without the rows that neither train nor dev has. They join it in the model's file.
  NetworkShape shape = config.shape;
  shape.words -= data.pretrained.other_rows;
  Random random(static_cast<uint64_t>(options.seed));
  Network network(context, shape, larger(data.train.limits(options.batch), data.dev.limits(options.batch)),
                  Purpose::kTrain, options.dropout);
  std::vector<float> parameters = initial_parameters(shape, &random);
  if (!options.vectors.empty()) {
    std::vector<bool> rows = place_vectors(data.pretrained, shape, &parameters);
    data.pretrained.vectors = {};
    if (options.freeze_vectors) network.freeze_words(std::move(rows));
  }
  network.parameters().load(parameters);

  const auto on_epoch = [&](const EpochReport& report) {
    if (!std::isfinite(report.loss))
      fail("the loss of epoch {} is not finite: try a smaller --lr or --clip", report.epoch);
    if (report.best) {
      config.epoch = report.epoch;
      config.dev_accuracy = report.dev;
      network.parameters().store(&parameters);
      save_model(options.out, config, parameters.data(), data.pretrained.other_vectors);
    }
    out.write(fmt::format("epoch {}/{}  loss {:.4f}  dev {:.4f}  {:.0f} tokens/s  {:.1f} s{}\n", report.epoch,
                          options.epochs, report.loss, report.dev, report.tokens_per_s, report.seconds,
                          report.best ? "  saved" : ""));
    if (log) log->write(log_line(report));
  };
  const InterruptGuard interrupt;
  const TrainingResult result = train_network(
      &network, data.train, data.dev, settings_of(options), &random, [&] { return interrupt.signal(); }, on_epoch);
  const int status = report_end(result, options, &out);
  if (log) log->close();
  out.close();
  return status;
}

}  // namespace tagger
