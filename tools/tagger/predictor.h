// A network's tags for a whole corpus.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <vector>

#include "conllu.h"
#include "corpus.h"
#include "metrics.h"
#include "network.h"

namespace tagger {

// The predicted tag of each token, in the corpus's order. The network's limits hold batches of `batch` sentences.
std::vector<int64_t> predict_corpus(Network* network, const Corpus& corpus, int64_t batch);

Scores score(const Document& document, const Vocabulary& vocabulary, const std::vector<int64_t>& predicted);

}  // namespace tagger
