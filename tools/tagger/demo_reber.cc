// Demo, second part: an LSTM learns the embedded Reber grammar from strings of different lengths.
// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <set>

#include "demo.h"
#include "network.h"
#include "predictor.h"
#include "reber.h"

namespace tagger {
namespace {

constexpr int64_t kTrainStrings = 4000, kTestStrings = 1000, kBatch = 32, kMaxEpochs = 60;

// A corpus whose words are all symbols of a string but the last, and whose "tags" are the symbols that follow.
struct Strings {
  Corpus corpus;
  std::vector<uint32_t> legal;  // a token
  std::string example;          // the longest one
};

void add(const ReberString& string, Strings* strings) {
  std::vector<int64_t> words, next;
  for (size_t k = 0; k + 1 < string.symbols.size(); ++k) {
    words.push_back(Vocabulary::kFirstWord + reber_symbol(string.symbols[k]));
    next.push_back(reber_symbol(string.symbols[k + 1]));
  }
  strings->corpus.add_sentence(words, next);
  strings->legal.insert(strings->legal.end(), string.legal_next.begin(), string.legal_next.end());
  if (string.symbols.size() > strings->example.size()) strings->example = string.symbols;
}

struct Outcome {
  int64_t illegal_symbols = 0, illegal_strings = 0;
};

Outcome test(Network* network, const Strings& strings) {
  const std::vector<int64_t> predicted = predict_corpus(network, strings.corpus, kBatch);
  Outcome outcome;
  for (int64_t s = 0; s < strings.corpus.sentences(); ++s) {
    int64_t illegal = 0;
    for (int64_t n = strings.corpus.start(s); n < strings.corpus.start(s + 1); ++n) {
      const size_t k = static_cast<size_t>(n);
      illegal += (strings.legal[k] >> predicted[k] & 1u) == 0;
    }
    outcome.illegal_symbols += illegal;
    outcome.illegal_strings += illegal > 0;
  }
  return outcome;
}

NetworkShape reber_shape() {
  NetworkShape shape;
  shape.words = Vocabulary::kFirstWord + kReberSymbolCount;
  shape.embedding = 8;
  shape.hidden = 32;
  shape.bidirectional = false;
  shape.tags = kReberSymbolCount;
  return shape;
}

}  // namespace

bool demo_reber(const Context& context, OutputFile* out) {
  Random random(1);
  Strings train, unseen;
  std::set<std::string> known;
  for (int64_t k = 0; k < kTrainStrings; ++k) {
    const ReberString string = embedded_reber_string(&random);
    known.insert(string.symbols);
    add(string, &train);
  }
  while (unseen.corpus.sentences() < kTestStrings) {
    const ReberString string = embedded_reber_string(&random);
    if (known.insert(string.symbols).second) add(string, &unseen);
  }
  const BatchLimits limits = larger(train.corpus.limits(kBatch), unseen.corpus.limits(kBatch));
  out->write(
      fmt::format("Embedded Reber grammar: which symbol may come next? The second to last must be the second\n"
                  "  {} strings to learn from, {} others to test on, of up to {} symbols, such as\n  {}\n",
                  kTrainStrings, kTestStrings, limits.length + 1, unseen.example));

  Network network(context, reber_shape(), limits, Purpose::kTrain);
  network.parameters().load(initial_parameters(reber_shape(), &random));
  TrainOptions options;
  options.optimizer.lr = 3e-3;
  options.optimizer.clip = 1;
  Batch batch;
  Outcome outcome;
  for (int64_t epoch = 1; epoch <= kMaxEpochs; ++epoch) {
    const std::vector<int64_t> order = shuffled_order(train.corpus, &random);
    for (int64_t first = 0; first < kTrainStrings; first += kBatch) {
      train.corpus.fill(order.data() + first, std::min(kBatch, kTrainStrings - first), &batch);
      network.train(batch, options, &random);
    }
    const double loss = network.take_loss();
    outcome = test(&network, unseen);
    out->write(fmt::format("  epoch {:>2}  loss {:.4f}  strings with an illegal prediction: {:>4} of {}\n", epoch,
                           loss / static_cast<double>(train.corpus.tokens()), outcome.illegal_strings, kTestStrings));
    if (outcome.illegal_symbols == 0) break;
  }
  if (outcome.illegal_symbols > 0) {
    out->write("  FAILED: not every prediction is legal\n");
    return false;
  }
  out->write(fmt::format("  all {} predicted symbols are legal\n", unseen.corpus.tokens()));
  return true;
}

}  // namespace tagger
