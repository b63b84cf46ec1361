// Training on real text: the first 2,000 sentences of the Universal Dependencies treebank English EWT, where it is.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tagger_support.h"

namespace {

using namespace tagger_test;

std::string first_sentences(const std::string& text, int count) {
  size_t at = 0;
  for (int k = 0; k < count && at != std::string::npos; ++k) at = text.find("\n\n", at + 1);
  return at == std::string::npos ? text : text.substr(0, at + 2);
}

TEST(TaggerEwt, TwoThousandSentences) {
  const char* chosen = std::getenv("VARLSTM_EWT_DIR");
  const fs::path data = chosen ? chosen : VARLSTM_EWT_DIR;
  if (!fs::exists(data / "train.conllu")) GTEST_SKIP() << "no treebank in " << data << " (set VARLSTM_EWT_DIR)";
  const TempFolder folder;
  const std::string train = folder / "train.conllu", dev = folder / "dev.conllu", model = folder / "model";
  write_file(train, first_sentences(read_file(data / "train.conllu"), 2000));
  write_file(dev, first_sentences(read_file(data / "dev.conllu"), 500));
  const std::string program = VARLSTM_TAGGER_PROGRAM;
  const Outcome trained =
      run_shell(program + " train --train " + train + " --dev " + dev + " --out " + model + " --epochs 3 --hidden 64");
  ASSERT_EQ(trained.status, 0) << trained.err;
  const Outcome scored = run_shell(program + " eval --json --model " + model + " " + dev);
  ASSERT_EQ(scored.status, 0) << scored.err;
  const auto scores = nlohmann::json::parse(scored.out);
  EXPECT_GE(scores["accuracy"].get<double>(), 0.70) << trained.out;
  EXPECT_LT(scores["oov_accuracy"].get<double>(), scores["accuracy"].get<double>());
}

}  // namespace
