// The command line, by CLI11; numbers are checked here, so that the errors say what is allowed.
// SPDX-License-Identifier: Apache-2.0
#include "options.h"

#include <varlstm.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>

#include "error.h"
#include "network_shape.h"
#include "presets.h"

namespace tagger {
namespace {

constexpr int64_t kMaxBatch = int64_t{1} << 20, kMaxEpochs = 1'000'000, kMaxThreads = 4096;

void add_device_options(CLI::App* command, Options* options) {
  command->add_option("--threads", options->threads, "Cores to use; 0: all (demo: one). No influence on the results")
      ->capture_default_str();
  command->add_option("--backend", options->backend, "Where to compute: host or cuda")
      ->check(CLI::IsMember({"host", "cuda"}))
      ->capture_default_str();
}

void add_preset(CLI::App* train, Options* options) {
  std::vector<std::string> names;
  std::string help = "Values for the options that are not given:";
  for (const Preset& preset : presets()) {
    help += (names.empty() ? " " : "; ") + preset.name + ", " + preset.purpose +
            (preset.values.empty() ? "" : ": " + preset.to_text());
    names.push_back(preset.name);
  }
  train->add_option("--preset", options->preset, help)->check(CLI::IsMember(names))->capture_default_str();
}

// Gives the preset's values to those options that the command line left alone.
void apply_preset(CLI::App* train, const std::string& name) {
  for (const Preset& preset : presets()) {
    if (preset.name != name) continue;
    for (const auto& [option, value] : preset.values)
      if (train->count(option) == 0) train->get_option(option)->run_callback_for_default()->default_val(value);
  }
}

void add_train(CLI::App* app, Options* options) {
  CLI::App* train = app->add_subcommand("train", "Train a tagger on sentences with tags");
  const auto number = [&](const char* name, auto* value, const char* help) {
    train->add_option(name, *value, help)->capture_default_str();
  };
  train->add_option("--train", options->train, "CoNLL-U files to learn from; words whose tag is _ are not learned")
      ->required()
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  train->add_option("--dev", options->dev, "CoNLL-U file to measure each epoch on")->required();
  train->add_option("--out", options->out, "Folder for the model of the best epoch; an earlier model is replaced")
      ->required();
  train->add_option("--column", options->column, "Tags to learn: upos (column 4) or xpos (column 5)")
      ->check(CLI::IsMember({"upos", "xpos"}))
      ->capture_default_str();
  add_preset(train, options);
  std::vector<std::string> cells;
  for (const CellKind& kind : cell_kinds()) cells.emplace_back(kind.name);
  train
      ->add_option("--cell", options->cell,
                   "Cell of the recurrent network: " + fmt::format("{}", fmt::join(cells, ", ")))
      ->check(CLI::IsMember(cells))
      ->capture_default_str();
  train
      ->add_option("--word-case", options->word_case,
                   "keep, or lower: words that differ in case alone share an embedding; their characters keep it")
      ->check(CLI::IsMember({"keep", "lower"}))
      ->capture_default_str();
  number("--embedding", &options->embedding, "Features of a word; with --vectors those of the file");
  train->add_option(
      "--vectors", options->vectors,
      "File of pretrained word vectors: text of GloVe, word2vec or fastText, binary of word2vec, plain or "
      "gzip");
  train
      ->add_option("--keep-vectors", options->keep_vectors,
                   "Vectors that the model keeps: seen (of the words of --train and --dev) or all")
      ->check(CLI::IsMember({"seen", "all"}))
      ->capture_default_str();
  train->add_flag("--freeze-vectors", options->freeze_vectors, "Leave the words' pretrained vectors as they are");
  number("--char-filters", &options->char_filters,
         "Features of a word's characters, of each width of a convolution; 0: none");
  number("--char-embedding", &options->char_embedding, "Features of a character");
  train
      ->add_option("--char-widths", options->char_widths,
                   "Characters that a convolution sees at once: one or more widths")
      ->delimiter(',')
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll)
      ->capture_default_str();
  number("--hidden", &options->hidden, "Units of a direction");
  number("--layers", &options->layers, "Recurrent layers");
  number("--projection", &options->projection, "Features that an LSTM's h is projected to; 0: no projection");
  train->add_flag("--layer-norm", options->layer_norm, "Layer normalisation inside an LSTM or a GRU");
  train->add_flag("--unidirectional", options->unidirectional, "Read forward only, not in both directions");
  number("--dropout", &options->dropout,
         "Dropout of the embeddings, between layers and of the recurrent network's output");
  number("--recurrent-dropout", &options->recurrent_dropout, "Dropout inside the recurrent network");
  train
      ->add_option("--recurrent-dropout-kind", options->recurrent_dropout_kind,
                   "What it drops: weights (of W_hh), state (h, the same units in all steps) or candidate (new values)")
      ->check(CLI::IsMember({"weights", "state", "candidate"}))
      ->capture_default_str();
  number("--zoneout", &options->zoneout, "Probability that a unit of h keeps its value in a step");
  number("--zoneout-c", &options->zoneout_c, "The same for the cell state of an LSTM");
  number("--word-dropout", &options->word_dropout,
         "A word seen n times is hidden with probability A / (A + n): how the unknown word is learned");
  number("--batch", &options->batch, "Sentences of a mini-batch");
  number("--epochs", &options->epochs, "Passes over the training file, at most");
  number("--patience", &options->patience, "Stop after that many epochs without a better one; 0: never");
  train->add_option("--optimizer", options->optimizer, "adam or sgd")
      ->check(CLI::IsMember({"adam", "sgd"}))
      ->capture_default_str();
  number("--lr", &options->lr, "Learning rate");
  train
      ->add_option("--lr-schedule", options->lr_schedule,
                   "constant, or linear: the learning rate falls step by step, to 0 at the end of --epochs")
      ->check(CLI::IsMember({"constant", "linear"}))
      ->capture_default_str();
  number("--clip", &options->clip, "Bound on the gradients' norm; 0: none");
  number("--seed", &options->seed, "Number that all chance comes from");
  train->add_option("--log", options->log, "File for a JSON object an epoch");
  add_device_options(train, options);
  train->footer(
      "Ctrl-C keeps the best epoch so far and ends with status 130.\n"
      "Example: varlstm-tagger train --train train.conllu --dev dev.conllu --out model");
}

void add_eval(CLI::App* app, Options* options) {
  CLI::App* eval = app->add_subcommand("eval", "Compare a model's tags with those of a file");
  eval->add_option("--model", options->model, "Folder that train made")->required();
  eval->add_option("file", options->input, "CoNLL-U file with tags")->required();
  eval->add_flag("--json", options->json, "Print one JSON object");
  add_device_options(eval, options);
  eval->footer("A file without a word has no accuracy: 0 tokens, and null in JSON.");
}

void add_predict(CLI::App* app, Options* options) {
  CLI::App* predict = app->add_subcommand("predict", "Print a file with the model's tags in their column");
  predict->add_option("--model", options->model, "Folder that train made")->required();
  predict->add_option("file", options->input, "CoNLL-U file; -: standard input")->capture_default_str();
  add_device_options(predict, options);
  predict->footer("Nothing but the tags is changed; a file without a word is printed as it is.");
}

void add_demo(CLI::App* app, Options* options) {
  CLI::App* demo = app->add_subcommand("demo", "Train two small networks that need no file, and show what they learn");
  add_device_options(demo, options);
}

void check_whole(const char* name, int64_t value, int64_t min, int64_t max) {
  if (value < min || value > max) fail("{} = {} is not from {} to {}", name, value, min, max);
}

void check_share(const char* name, double value) {
  if (!(value >= 0 && value < 1)) fail("{} = {} is not in [0, 1)", name, value);
}

void check_not_negative(const char* name, double value) {
  if (!(value >= 0 && std::isfinite(value))) fail("{} = {} is negative or no number", name, value);
}

void check_numbers(const Options& options) {
  check_whole("--embedding", options.embedding, 1, kMaxUnits);
  check_whole("--hidden", options.hidden, 1, kMaxUnits);
  check_whole("--layers", options.layers, 1, kMaxLayers);
  check_whole("--batch", options.batch, 1, kMaxBatch);
  check_whole("--epochs", options.epochs, 1, kMaxEpochs);
  check_whole("--patience", options.patience, 0, kMaxEpochs);
  check_whole("--seed", options.seed, 0, std::numeric_limits<int64_t>::max());
  check_whole("--threads", options.threads, 0, kMaxThreads);
  check_whole("--projection", options.projection, 0, kMaxUnits);
  check_whole("--char-filters", options.char_filters, 0, kMaxUnits);
  check_whole("--char-embedding", options.char_embedding, 1, kMaxUnits);
  for (size_t k = 0; k < options.char_widths.size(); ++k) {
    check_whole("--char-widths", options.char_widths[k], 1, kMaxCharWidth);
    if (std::count(options.char_widths.begin(), options.char_widths.end(), options.char_widths[k]) > 1)
      fail("--char-widths = {} is there twice", options.char_widths[k]);
  }
  check_share("--dropout", options.dropout);
  check_share("--recurrent-dropout", options.recurrent_dropout);
  check_share("--zoneout", options.zoneout);
  check_share("--zoneout-c", options.zoneout_c);
  if (options.recurrent_dropout > 0 && options.recurrent_dropout_kind == "candidate" &&
      options.cell.rfind("rnn_", 0) == 0)
    fail("--recurrent-dropout-kind = candidate: the cell {} has no candidate", options.cell);
  check_not_negative("--word-dropout", options.word_dropout);
  check_not_negative("--clip", options.clip);
  if (!(options.lr > 0 && std::isfinite(options.lr))) fail("--lr = {} is not a positive number", options.lr);
}

}  // namespace

bool parse_command_line(int argc, char** argv, Options* options) {
  CLI::App app("Tags the words of sentences, by an LSTM, GRU or RNN over sentences of different lengths (libvarlstm).",
               "varlstm-tagger");
  const int32_t version = varlstm_version();
  app.set_version_flag("--version", fmt::format("varlstm-tagger {}.{}.{}\n{}", version / 10000, version / 100 % 100,
                                                version % 100, varlstm_build_info()));
  app.require_subcommand(0, 1);  // none is seen below, after unknown options
  app.option_defaults()->multi_option_policy(CLI::MultiOptionPolicy::TakeLast);  // so that scripts can append
  app.get_formatter()->column_width(32);
  app.footer("Exit status: 0; 1 if demo falls short of its aim; 2 for bad input; 130 after Ctrl-C.");
  add_train(&app, options);
  add_eval(&app, options);
  add_predict(&app, options);
  add_demo(&app, options);
  try {
    app.parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == static_cast<int>(CLI::ExitCodes::Success)) {
      app.exit(error);
      return false;
    }
    // What is not known comes before what is missing or wrong, because the missing option may be there, misspelt.
    const auto commands = app.get_subcommands();
    const auto unknown = app.remaining(true);
    const std::string text =
        unknown.empty() ? error.what() : "The following argument was not expected: " + unknown.front();
    fail("{} (see varlstm-tagger {}--help)", text, commands.empty() ? "" : commands[0]->get_name() + " ");
  }
  if (app.get_subcommands().empty()) fail("which command? train, eval, predict or demo (see varlstm-tagger --help)");
  const std::string command = app.get_subcommands().front()->get_name();
  options->command = command == "train"     ? Options::kTrain
                     : command == "eval"    ? Options::kEval
                     : command == "predict" ? Options::kPredict
                                            : Options::kDemo;
  if (options->command == Options::kTrain) {
    CLI::App* const train = app.get_subcommand("train");
    apply_preset(train, options->preset);
    options->embedding_is_given = train->count("--embedding") > 0;
    for (const char* name : {"--char-embedding", "--char-widths"})
      if (train->count(name) > 0 && options->char_filters == 0) fail("{} needs --char-filters", name);
    for (const char* name : {"--keep-vectors", "--freeze-vectors"})
      if (train->count(name) > 0 && options->vectors.empty()) fail("{} needs --vectors", name);
  }
  check_numbers(*options);
  return true;
}

}  // namespace tagger
