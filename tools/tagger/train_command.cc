// varlstm-tagger train
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "commands.h"
#include "conllu.h"
#include "error.h"
#include "file.h"
#include "interrupt.h"
#include "model.h"
#include "network.h"
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
};

Data read_data(const Options& options, Column column) {
  std::vector<Document> train;
  for (const std::string& path : options.train) train.push_back(read_tagged(path, column));
  Vocabulary vocabulary = Vocabulary::of(train);
  Corpus train_corpus;
  for (const Document& document : train) train_corpus.add(document, vocabulary);
  const Document dev = read_tagged(options.dev, column);
  Corpus dev_corpus(dev, vocabulary);
  return {std::move(vocabulary), std::move(train_corpus), std::move(dev_corpus)};
}

std::string size_of(const Corpus& corpus) {
  const int64_t untagged = corpus.tokens() - corpus.tagged();
  return fmt::format("{} sentences, {} words{}", corpus.sentences(), corpus.tokens(),
                     untagged == 0 ? "" : fmt::format(" ({} without a tag)", untagged));
}

NetworkShape shape_of(const Options& options, const Vocabulary& vocabulary) {
  NetworkShape shape;
  shape.words = vocabulary.word_rows();
  shape.cell = find_cell(options.cell);
  shape.embedding = options.embedding;
  shape.hidden = options.hidden;
  shape.layers = options.layers;
  shape.bidirectional = !options.unidirectional;
  shape.tags = vocabulary.tag_count();
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
  out.write(fmt::format("train: {}, {} forms, {} tags; dev: {}\n", size_of(data.train), data.vocabulary.words().size(),
                        data.vocabulary.tag_count(), size_of(data.dev)));

  ModelConfig config{column, shape_of(options, data.vocabulary), std::move(data.vocabulary), 0, 0};
  Random random(static_cast<uint64_t>(options.seed));
  Network network(context, config.shape, larger(data.train.limits(options.batch), data.dev.limits(options.batch)),
                  Purpose::kTrain, options.dropout);
  network.parameters().load(initial_parameters(config.shape, &random));

  std::vector<float> parameters;
  const auto on_epoch = [&](const EpochReport& report) {
    if (!std::isfinite(report.loss))
      fail("the loss of epoch {} is not finite: try a smaller --lr or --clip", report.epoch);
    if (report.best) {
      config.epoch = report.epoch;
      config.dev_accuracy = report.dev;
      network.parameters().store(&parameters);
      save_model(options.out, config, parameters.data());
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
