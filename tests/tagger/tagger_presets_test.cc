// --preset: what a name stands for is what the options would do one by one.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>
#include <nlohmann/json.hpp>

#include "presets.h"
#include "tagger_support.h"

namespace {

using nlohmann::json;
using tagger::Preset;
using tagger_test::Outcome;
using tagger_test::read_file;
using tagger_test::run_shell;
using tagger_test::TempFolder;

const std::string kProgram = VARLSTM_TAGGER_PROGRAM;
const std::string kData = VARLSTM_TAGGER_DATA;

const Preset& accurate() {
  return tagger::presets().at(1);
}

class TaggerPresets : public testing::Test {
 protected:
  // Trains into folder/`name`.
  Outcome train(const std::string& name, const std::string& more) {
    return run_shell(kProgram + " train --train " + kData + "/train.conllu --dev " + kData + "/dev.conllu --out " +
                     (folder_ / name) + " --threads 1 " + more);
  }
  std::string config_text(const std::string& name) { return read_file((folder_ / name) + "/config.json"); }
  json config(const std::string& name) { return json::parse(config_text(name)); }
  std::string tensors(const std::string& name) { return read_file((folder_ / name) + "/model.safetensors"); }

  void expect_same_model(const std::string& one, const std::string& other) {
    EXPECT_EQ(config_text(one), config_text(other));
    EXPECT_TRUE(tensors(one) == tensors(other)) << "other parameters";
  }

  const TempFolder folder_;
};

TEST_F(TaggerPresets, FastIsTheDefaultBitForBit) {
  ASSERT_EQ(train("default", "").status, 0);
  const Outcome fast = train("fast", "--preset fast");
  ASSERT_EQ(fast.status, 0) << fast.err;
  expect_same_model("default", "fast");
}

// Capital letters make no other word of "the", and the model is read back with them.
TEST_F(TaggerPresets, WordsInLowerCase) {
  ASSERT_EQ(train("m", "--hidden 8 --epochs 1 --word-case lower").status, 0);
  const json words = config("m")["words"];
  EXPECT_EQ(std::count(words.begin(), words.end(), "the"), 1);
  EXPECT_EQ(std::count(words.begin(), words.end(), "The"), 0);
  EXPECT_EQ(config("m")["tries_lower_case"], true) << "for programs that know no lower_case_words";
  const json characters = config("m")["characters"];
  EXPECT_EQ(std::count(characters.begin(), characters.end(), "T"), 1);
  const Outcome eval = run_shell(kProgram + " eval --json --model " + (folder_ / "m") + " " + kData + "/dev.conllu");
  EXPECT_EQ(json::parse(eval.out)["accuracy"], config("m")["dev_accuracy"]);
}

// The order on the command line does not matter.
TEST_F(TaggerPresets, AccurateIsItsOptionsBitForBit) {
  const Outcome preset = train("preset", "--epochs 2 --preset accurate");
  ASSERT_EQ(preset.status, 0) << preset.err;
  const Outcome options = train("options", accurate().to_text() + " --epochs 2");
  ASSERT_EQ(options.status, 0) << options.err;
  expect_same_model("preset", "options");
}

TEST_F(TaggerPresets, ValuesArriveInTheConfig) {
  const Outcome outcome = train("m", "--preset accurate --embedding 8 --epochs 1");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json config = this->config("m");
  EXPECT_EQ(config["hidden"], 200);
  EXPECT_EQ(config["char_filters"], 50);
  EXPECT_EQ(config["char_widths"], json({2, 3, 4}));
  EXPECT_EQ(config["lower_case_words"], true);
  EXPECT_EQ(config["embedding"], 8);
  EXPECT_FALSE(config.contains("preset"));
}

// The tokens of a file of vectors are in lower case then, too, and so are the words that it brings.
TEST_F(TaggerPresets, VectorsBesideIt) {
  tagger_test::write_file(folder_ / "v", "The 1 2 3\nMARKET 4 5 6\nZanzibar 7 8 9\nzanzibar 0 0 0\n");
  const Outcome outcome =
      train("m", "--preset accurate --hidden 8 --epochs 1 --keep-vectors all --vectors " + (folder_ / "v"));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("vectors: 1 rows have the token of an earlier row"), std::string::npos) << outcome.out;
  const json config = this->config("m");
  EXPECT_EQ(config["words"].back(), "zanzibar");
  EXPECT_EQ(config["words"].size(), config["trained_words"].get<size_t>() + 1);
  const std::string bytes = tensors("m");
  float row[3];
  std::memcpy(row, bytes.data() + bytes.size() - sizeof(row), sizeof(row));
  EXPECT_EQ(std::vector<float>(row, row + 3), (std::vector<float>{7, 8, 9})) << "the first row counts";
  const Outcome eval = run_shell(kProgram + " eval --json --model " + (folder_ / "m") + " " + kData + "/dev.conllu");
  EXPECT_EQ(json::parse(eval.out)["accuracy"], config["dev_accuracy"]);
}

TEST_F(TaggerPresets, OptionsThatAreGivenWin) {
  for (const char* line : {"--hidden 8 --char-widths 4 --char-filters 6 --epochs 1 --preset accurate",
                           "--preset accurate --hidden 8 --char-widths 4 --char-filters 6 --epochs 1"}) {
    const Outcome outcome = train("m", line);
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    const json config = this->config("m");
    EXPECT_EQ(config["hidden"], 8);
    EXPECT_EQ(config["char_filters"], 6);
    EXPECT_EQ(config["char_widths"], json({4}));
    EXPECT_NE(outcome.out.find("epoch 1/1 "), std::string::npos) << outcome.out;
  }
  const Outcome outcome = train("m", "--preset accurate --hidden 8 --char-filters 0 --epochs 1");
  ASSERT_EQ(outcome.status, 0) << "the preset's widths are not the user's: " << outcome.err;
  EXPECT_FALSE(config("m").contains("char_widths"));
}

TEST_F(TaggerPresets, AnUnknownOneIsNamed) {
  const Outcome outcome = train("m", "--preset best");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.err, "varlstm-tagger: --preset: best not in {fast,accurate} (see varlstm-tagger train --help)\n");
  EXPECT_TRUE(folder_.names().empty());
}

}  // namespace
