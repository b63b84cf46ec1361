// varlstm-tagger train
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cmath>
#include <optional>

#include "commands.h"
#include "error.h"
#include "file.h"
#include "interrupt.h"
#include "model.h"
#include "network.h"
#include "train_data.h"
#include "trainer.h"

namespace tagger {
namespace {

std::string size_of(const Corpus& corpus) {
  const int64_t untagged = corpus.tokens() - corpus.tagged();
  return fmt::format("{} sentences, {} words{}", corpus.sentences(), corpus.tokens(),
                     untagged == 0 ? "" : fmt::format(" ({} without a tag)", untagged));
}

// Without the words and tags, which the data has.
NetworkShape shape_of(const Options& options) {
  NetworkShape shape;
  shape.cell = find_cell(options.cell);
  shape.embedding = options.embedding;
  shape.hidden = options.hidden;
  shape.layers = options.layers;
  shape.projection = options.projection;
  shape.layer_norm = options.layer_norm;
  shape.zoneout_h = options.zoneout;
  shape.zoneout_c = options.zoneout_c;
  if (options.char_filters > 0) {
    shape.char_filters = options.char_filters;
    shape.char_embedding = options.char_embedding;
    shape.char_widths = options.char_widths;
  }
  shape.bidirectional = !options.unidirectional;
  if (const std::string fault = cell_option_fault(shape); !fault.empty()) fail("{}", fault);
  return shape;
}

InnerDropout inner_dropout_of(const Options& options) {
  const std::string& kind = options.recurrent_dropout_kind;
  return {options.dropout, options.recurrent_dropout,
          kind == "state"       ? VARLSTM_RECURRENT_DROPOUT_STATE
          : kind == "candidate" ? VARLSTM_RECURRENT_DROPOUT_CANDIDATE
                                : VARLSTM_RECURRENT_DROPOUT_WEIGHTS};
}

TrainerSettings settings_of(const Options& options) {
  TrainerSettings settings;
  settings.batch = options.batch;
  settings.epochs = options.epochs;
  settings.patience = options.patience;
  settings.lr_falls = options.lr_schedule == "linear";
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
  NetworkShape whole = shape_of(options);
  const Context context = make_context(backend_of(options), options.threads);
  check_model_place(options.out);
  TrainData data = read_train_data(options, column);
  whole.words = data.vocabulary.word_rows();
  whole.tags = data.vocabulary.tag_count();
  whole.characters = data.vocabulary.character_rows();
  if (!options.vectors.empty()) whole.embedding = data.pretrained.features;
  std::optional<OutputFile> log;
  if (!options.log.empty()) log.emplace(options.log);
  OutputFile out = OutputFile::standard_output();
  out.write(fmt::format("train: {}, {} forms, {} tags; dev: {}\n", size_of(data.train), data.vocabulary.trained_words(),
                        data.vocabulary.tag_count(), size_of(data.dev)));
  if (!options.vectors.empty()) out.write(vectors_text(data.pretrained));

  ModelConfig config{column, whole, std::move(data.vocabulary), 0, 0};
  // The network learns without the rows that neither train nor dev has. They join it in the model's file.
  NetworkShape shape = config.shape;
  shape.words -= data.pretrained.other_rows;
  Random random(static_cast<uint64_t>(options.seed));
  Network network(context, shape, larger(data.train.limits(options.batch), data.dev.limits(options.batch)),
                  Purpose::kTrain, inner_dropout_of(options));
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
