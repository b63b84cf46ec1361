// varlstm-tagger eval and predict: a trained model on a file.
// SPDX-License-Identifier: Apache-2.0
#include "commands.h"
#include "conllu.h"
#include "file.h"
#include "model.h"
#include "network.h"
#include "predictor.h"

namespace tagger {
namespace {

// Sentences at a time. More would be no faster: the LSTM's products are wide enough.
constexpr int64_t kBatch = 64;

std::vector<int64_t> predict(const Options& options, const Model& model, const Document& document) {
  const Context context = make_context(backend_of(options), options.threads);
  const Corpus corpus(document, model.config().vocabulary);
  Network network(context, model.config().shape, corpus.limits(kBatch), Purpose::kInfer);
  model.read_parameters(
      [&](const std::vector<float>& values, int64_t first) { network.parameters().load(values, first); });
  return predict_corpus(&network, corpus, kBatch);
}

std::string input_name(const Options& options) {
  return options.input == "-" ? "standard input" : options.input;
}

}  // namespace

int32_t backend_of(const Options& options) {
  return options.backend == "cuda" ? VARLSTM_BACKEND_CUDA : VARLSTM_BACKEND_HOST;
}

int run_eval(const Options& options) {
  const Model model(options.model);
  const Document document(read_all(options.input), input_name(options), model.config().column);
  document.check_tags();
  const Scores scores = score(document, model.config().vocabulary, predict(options, model, document));
  OutputFile out = OutputFile::standard_output();
  out.write(options.json ? scores.to_json() : scores.to_text());
  out.close();
  return kSuccess;
}

int run_predict(const Options& options) {
  const Model model(options.model);
  const Document document(read_all(options.input), input_name(options), model.config().column);
  std::vector<std::string_view> tags;
  for (int64_t tag : predict(options, model, document)) tags.push_back(model.config().vocabulary.tag(tag));
  OutputFile out = OutputFile::standard_output();
  out.write(document.with_tags(tags));
  out.close();
  return kSuccess;
}

}  // namespace tagger
