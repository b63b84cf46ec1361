// The program itself: what it prints, writes and returns, above all for bad input.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>
#include <varlstm.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <nlohmann/json.hpp>
#include <thread>

#include "tagger_support.h"

namespace {

using nlohmann::json;
using tagger_test::Outcome;
using tagger_test::read_file;
using tagger_test::row;
using tagger_test::run_shell;
using tagger_test::TempFolder;
using tagger_test::write_file;

const std::string kProgram = VARLSTM_TAGGER_PROGRAM;
const std::string kData = VARLSTM_TAGGER_DATA;
const std::string kTrain = kData + "/train.conllu", kDev = kData + "/dev.conllu";

Outcome tagger(const std::string& arguments) {
  return run_shell(kProgram + " " + arguments);
}

std::string train_arguments(const std::string& out, const std::string& more = "") {
  return "train --train " + kTrain + " --dev " + kDev + " --out " + out +
         " --embedding 8 --hidden 8 --epochs 2 --threads 1 " + more;
}

// The one line of an error, status 2, nothing on standard output.
void expect_error(const Outcome& outcome, const std::string& text) {
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.err, "varlstm-tagger: " + text + "\n");
}

// One model for the tests that only use it.
class TaggerCli : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    folder_ = new TempFolder;
    const Outcome outcome = tagger(train_arguments(model(), "--lr 2e-2 --log " + log()));
    ASSERT_EQ(outcome.status, 0) << outcome.err;
    train_output_ = outcome.out;
  }
  static void TearDownTestSuite() { delete folder_; }
  static std::string model() { return *folder_ / "model"; }
  static std::string log() { return *folder_ / "log.jsonl"; }

  static TempFolder* folder_;
  static std::string train_output_;
};
TempFolder* TaggerCli::folder_ = nullptr;
std::string TaggerCli::train_output_;

TEST_F(TaggerCli, LogHasAnObjectALine) {
  std::istringstream lines(read_file(log()));
  std::string line;
  int64_t epoch = 0;
  while (std::getline(lines, line)) {
    const json object = json::parse(line);
    EXPECT_EQ(object["epoch"], ++epoch);
    EXPECT_GT(object["seconds"].get<double>(), 0);
    EXPECT_GT(object["tokens_per_s"].get<double>(), 0);
    EXPECT_GT(object["loss"].get<double>(), 0);
    EXPECT_GT(object["dev"].get<double>(), 0);
    EXPECT_LE(object["dev"].get<double>(), 1);
    EXPECT_NE(train_output_.find("epoch " + std::to_string(epoch) + "/2"), std::string::npos);
  }
  EXPECT_EQ(epoch, 2);
}

TEST_F(TaggerCli, EvalJson) {
  const Outcome outcome = tagger("eval --model " + model() + " " + kDev + " --json");
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json scores = json::parse(outcome.out);
  EXPECT_EQ(scores["tokens"], 883);
  const json config = json::parse(read_file(model() + "/config.json"));
  EXPECT_EQ(scores["accuracy"], config["dev_accuracy"]);
  EXPECT_TRUE(scores["oov_accuracy"].is_number());
  int64_t tokens = 0;
  for (const auto& [tag, score] : scores["tags"].items()) {
    for (const char* field : {"precision", "recall", "f1"}) {
      EXPECT_GE(score[field].get<double>(), 0) << tag;
      EXPECT_LE(score[field].get<double>(), 1) << tag;
    }
    tokens += score["tokens"].get<int64_t>();
  }
  EXPECT_EQ(tokens, 883);
}

// The model that was read back has the same accuracy: no option of the network is lost.
TEST_F(TaggerCli, EveryNetworkIsTrainedAndReadBack) {
  for (const std::string network :
       {"--cell gru", "--cell rnn_tanh", "--cell rnn_relu", "--cell gru_reset_before",
        "--char-filters 8 --char-widths 2,3", "--cell gru --char-filters 8 --char-embedding 5 --dropout 0.1",
        "--projection 8 --hidden 16 --epochs 5", "--layer-norm --zoneout 0.1 --zoneout-c 0.3 --recurrent-dropout 0.2",
        "--cell gru --layer-norm --zoneout 0.2 --recurrent-dropout 0.2 --recurrent-dropout-kind state",
        "--projection 8 --hidden 16 --epochs 5 --recurrent-dropout 0.3 --recurrent-dropout-kind candidate"}) {
    SCOPED_TRACE(network);
    const TempFolder folder;
    const Outcome trained = tagger(train_arguments(folder / "m", "--lr 2e-2 " + network));
    ASSERT_EQ(trained.status, 0) << trained.err;
    const auto config = nlohmann::json::parse(read_file(folder / "m/config.json"));
    const auto eval = nlohmann::json::parse(tagger("eval --json --model " + (folder / "m") + " " + kDev).out);
    EXPECT_EQ(eval["accuracy"], config["dev_accuracy"]);
    EXPECT_GT(eval["accuracy"], 0.6);
  }
}

TEST_F(TaggerCli, PredictChangesOnlyTheTags) {
  const Outcome outcome = tagger("predict --model " + model() + " " + kDev);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  std::istringstream in(read_file(kDev)), out(outcome.out);
  std::string before, after;
  int64_t words = 0;
  while (std::getline(in, before)) {
    ASSERT_TRUE(std::getline(out, after));
    const bool word = !before.empty() && before[0] != '#' && before.find_first_of("-.") > before.find('\t');
    if (!word) {
      EXPECT_EQ(before, after);
      continue;
    }
    ++words;
    std::vector<std::string> columns[2];
    for (int k : {0, 1}) {
      std::istringstream row_text(k == 0 ? before : after);
      std::string column;
      while (std::getline(row_text, column, '\t')) columns[k].push_back(column);
      ASSERT_EQ(columns[k].size(), 10u);
      EXPECT_NE(columns[k][3], "_");
      columns[k].erase(columns[k].begin() + 3);
    }
    EXPECT_EQ(columns[0], columns[1]);
  }
  EXPECT_FALSE(std::getline(out, after));
  EXPECT_EQ(words, 883);
  const Outcome piped = run_shell(kProgram + " predict --model " + model() + " <" + kDev);
  EXPECT_EQ(piped.out, outcome.out);
  const Outcome dash = run_shell(kProgram + " predict --model " + model() + " - <" + kDev);
  EXPECT_EQ(dash.out, outcome.out);
}

TEST_F(TaggerCli, UnseenTagIsCountedAsWrong) {
  const TempFolder folder;
  write_file(folder / "f", row("1", "The", "DET") + row("2", "market", "UNSEEN") + "\n");
  const Outcome outcome = tagger("eval --json --model " + model() + " " + (folder / "f"));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json scores = json::parse(outcome.out);
  EXPECT_EQ(scores["tokens"], 2);
  EXPECT_LE(scores["accuracy"].get<double>(), 0.5);
  EXPECT_EQ(scores["tags"]["UNSEEN"]["recall"], 0.0);
  EXPECT_EQ(scores["tags"]["UNSEEN"]["tokens"], 1);
}

// A word without a tag is not learned and not counted, but it is tagged, and its neighbours see it.
TEST_F(TaggerCli, WordsWithoutATag) {
  const TempFolder folder;
  const std::string half = row("1", "The", "DET") + row("2", "market", "_") + row("3", "The", "DET") + "\n";
  write_file(folder / "f", half);
  const Outcome outcome = tagger("eval --json --model " + model() + " " + (folder / "f"));
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json scores = json::parse(outcome.out);
  EXPECT_EQ(scores["tokens"], 2);
  EXPECT_EQ(scores["untagged"], 1);
  EXPECT_FALSE(scores["tags"].contains("_"));
  const Outcome text = tagger("eval --model " + model() + " " + (folder / "f"));
  EXPECT_EQ(text.out.rfind("tokens        2\nuntagged      1  (words that have no tag in the file: left out)\n", 0), 0u)
      << text.out;
  const Outcome predicted = tagger("predict --model " + model() + " " + (folder / "f"));
  EXPECT_EQ(predicted.status, 0) << predicted.err;
  EXPECT_EQ(predicted.out.find("\t_\tX"), std::string::npos) << "every word gets a tag";

  // Sentences whose words have no tag at all teach nothing: the same network as without them, but for its words.
  const std::string tagged = row("1", "a", "A") + row("2", "b", "B") + "\n" + row("1", "b", "B") + "\n";
  write_file(folder / "tagged", tagged);
  write_file(folder / "more", row("1", "a", "_") + row("2", "b", "B") + "\n");
  const auto train = [&](const std::string& files) {
    return tagger("train --train " + files + " --dev " + (folder / "tagged") + " --out " + (folder / "m") +
                  " --embedding 4 --hidden 4 --epochs 30 --batch 2 --lr 5e-2 --patience 0 --threads 1");
  };
  const Outcome trained = train((folder / "tagged") + " " + (folder / "more"));
  ASSERT_EQ(trained.status, 0) << trained.err;
  EXPECT_EQ(trained.out.rfind(
                "train: 3 sentences, 5 words (1 without a tag), 2 forms, 2 tags; dev: 2 sentences, 3 words\n", 0),
            0u)
      << trained.out;
  EXPECT_NE(trained.out.find("dev 1.0000"), std::string::npos)
      << "the tags that are there are learned: " << trained.out;
  const std::string config = read_file((folder / "m") + "/config.json");
  EXPECT_EQ(json::parse(config)["tags"], json({"A", "B"}));
  EXPECT_EQ(train("--train " + (folder / "more")).status, 2) << "--train needs a file after it";
  EXPECT_EQ(train((folder / "tagged") + " --train " + (folder / "more")).out.substr(0, 40), trained.out.substr(0, 40))
      << "files may be named one by one";
}

// Nothing to tag is nothing to do, and nothing to compare has no accuracy: neither is an error.
TEST_F(TaggerCli, TextsWithoutAWord) {
  const TempFolder folder;
  for (const std::string& text : {std::string(), std::string("\n"), std::string("# only a comment\r\n\r\n"),
                                  std::string("\xEF\xBB\xBF"), row("0.1", "x", "_") + "\n"}) {
    write_file(folder / "f", text);
    for (const std::string& file : {(folder / "f"), "- <" + (folder / "f"), " <" + (folder / "f")}) {
      const Outcome predicted = tagger("predict --model " + model() + " " + file);
      EXPECT_EQ(predicted.status, 0) << predicted.err;
      EXPECT_EQ(predicted.out, text);
      EXPECT_EQ(predicted.err, "");
    }
    for (const std::string& file : {(folder / "f"), "- <" + (folder / "f")}) {
      const Outcome scores = tagger("eval --model " + model() + " " + file);
      EXPECT_EQ(scores.status, 0) << scores.err;
      EXPECT_EQ(scores.out, "tokens        0\naccuracy      none: there is no word to compare\n");
      const Outcome json_scores = tagger("eval --json --model " + model() + " " + file);
      EXPECT_EQ(json_scores.status, 0) << json_scores.err;
      EXPECT_EQ(json_scores.out,
                R"({"tokens":0,"untagged":0,"accuracy":null,"oov_tokens":0,"oov_accuracy":null,"tags":{}})"
                "\n");
    }
  }
  EXPECT_EQ(tagger("predict --model " + model() + " /dev/null").out, "");
  // The model is looked at all the same.
  expect_error(tagger("predict --model " + (folder / "none") + " /dev/null"), "there is no model " + (folder / "none"));
}

TEST_F(TaggerCli, AReaderThatGoesAwayIsAnError) {
  // More than a pipe holds, so that the program still writes when its reader has gone.
  const TempFolder folder;
  std::string text;
  for (int k = 0; k < 8; ++k) text += read_file(kDev) + "\n";
  write_file(folder / "f", text);
  const Outcome outcome = run_shell("{ " + kProgram + " predict --model " + model() + " " + (folder / "f") +
                                    "; echo $? >" + (folder / "status") + "; } | true");
  EXPECT_EQ(outcome.err, "varlstm-tagger: cannot write standard output: Broken pipe\n");
  EXPECT_EQ(read_file(folder / "status"), "2\n");
}

TEST_F(TaggerCli, TextsForPeople) {
  EXPECT_EQ(tagger("--version").status, 0);
  EXPECT_EQ(tagger("--version").out.find("varlstm-tagger "), 0u);
  for (const char* command : {"", "train", "eval", "predict", "demo"}) {
    const Outcome help = tagger(std::string(command) + " --help");
    EXPECT_EQ(help.status, 0) << command;
    EXPECT_NE(help.out.find("Usage: varlstm-tagger"), std::string::npos) << command;
  }
  EXPECT_NE(tagger("eval --model " + model() + " " + kDev).out.find("oov accuracy"), std::string::npos);
}

TEST_F(TaggerCli, WrongCommandLines) {
  expect_error(tagger(""), "which command? train, eval, predict or demo (see varlstm-tagger --help)");
  expect_error(tagger("--foo"), "The following argument was not expected: --foo (see varlstm-tagger --help)");
  expect_error(tagger("eval --model m f --foo"),
               "The following argument was not expected: --foo (see varlstm-tagger eval --help)");
  expect_error(tagger("train --trian a.conllu"),
               "The following argument was not expected: --trian (see varlstm-tagger train --help)");
  expect_error(tagger("train --trian a.conllu --cell tree"),
               "The following argument was not expected: --trian (see varlstm-tagger train --help)");
  expect_error(tagger("train --trian --dev"),
               "The following argument was not expected: --trian (see varlstm-tagger train --help)");
  expect_error(tagger("train"), "--train is required (see varlstm-tagger train --help)");
  const TempFolder folder;
  const auto with = [&](const std::string& more) { return tagger(train_arguments(folder / "m", more)); };
  expect_error(with("--batch -1"), "--batch = -1 is not from 1 to 1048576");
  expect_error(with("--batch 0"), "--batch = 0 is not from 1 to 1048576");
  expect_error(with("--layers 0"), "--layers = 0 is not from 1 to 256");
  expect_error(with("--threads -2"), "--threads = -2 is not from 0 to 4096");
  expect_error(with("--seed -1"), "--seed = -1 is not from 0 to 9223372036854775807");
  expect_error(with("--dropout 1.5"), "--dropout = 1.5 is not in [0, 1)");
  expect_error(with("--word-dropout nan"), "--word-dropout = nan is negative or no number");
  expect_error(with("--lr 0"), "--lr = 0 is not a positive number");
  expect_error(with("--lr-schedule cosine"),
               "--lr-schedule: cosine not in {constant,linear} (see varlstm-tagger train --help)");
  expect_error(with("--clip -1"), "--clip = -1 is negative or no number");
  expect_error(with("--batch x"), "Could not convert: --batch = x (see varlstm-tagger train --help)");
  expect_error(with("--cell gru2"),
               "--cell: gru2 not in {lstm,gru,rnn_tanh,rnn_relu,gru_reset_before} (see varlstm-tagger train --help)");
  expect_error(with("--char-filters 0 --char-widths 3"), "--char-widths needs --char-filters");
  expect_error(with("--char-filters 4 --char-widths 3,101"), "--char-widths = 101 is not from 1 to 100");
  expect_error(with("--char-filters 4 --char-widths 3,3"), "--char-widths = 3 is there twice");
  expect_error(with("--char-filters -1"), "--char-filters = -1 is not from 0 to 1048576");
  expect_error(with("--cell gru --projection 4"), "the cell gru has no projection");
  expect_error(with("--projection 8"), "projection = 8 is not below hidden = 8");
  expect_error(with("--cell rnn_tanh --layer-norm"), "the cell rnn_tanh has no layer_norm");
  expect_error(with("--cell gru --zoneout-c 0.1"), "the cell gru has no zoneout_c");
  expect_error(with("--recurrent-dropout 1"), "--recurrent-dropout = 1 is not in [0, 1)");
  expect_error(with("--cell rnn_relu --recurrent-dropout 0.1 --recurrent-dropout-kind candidate"),
               "--recurrent-dropout-kind = candidate: the cell rnn_relu has no candidate");
  expect_error(with("--column feats"), "--column: feats not in {upos,xpos} (see varlstm-tagger train --help)");
  EXPECT_TRUE(folder.names().empty());
}

// What a file of vectors gives is what the model begins with, keeps if it is frozen, and finds for words that training
// did not see.
TEST_F(TaggerCli, PretrainedVectors) {
  const TempFolder folder;
  write_file(folder / "v", "the 1 2 3\nMarket 4 5 6\nmarket 7 8 9\nstars -1 -2 -3\nMarket 0 0 0\n");
  write_file(folder / "t", row("1", "The", "DET") + row("2", "market", "NOUN") + "\n" + row("1", "boy", "NOUN") + "\n");
  write_file(folder / "d", row("1", "the", "DET") + row("2", "boy", "NOUN") + "\n");
  const auto train = [&](const std::string& more) {
    return tagger("train --train " + (folder / "t") + " --dev " + (folder / "d") + " --out " + (folder / "m") +
                  " --hidden 4 --epochs 3 --lr 0.1 --word-dropout 0 --patience 0 --threads 1 --vectors " +
                  (folder / "v") + " " + more);
  };
  const auto words = [&] { return json::parse(read_file((folder / "m") + "/config.json"))["words"]; };
  const auto table = [&](size_t word) {  // its row, which is the last tensor's
    const std::string bytes = read_file((folder / "m") + "/model.safetensors");
    const size_t rows = words().size() + 2;
    std::vector<float> values(3);
    std::memcpy(values.data(), bytes.data() + bytes.size() - (rows - 2 - word) * 3 * sizeof(float), 3 * sizeof(float));
    return values;
  };
  const Outcome seen = train("--freeze-vectors");
  ASSERT_EQ(seen.status, 0) << seen.err;
  EXPECT_EQ(seen.out.substr(0, seen.out.find("epoch")),
            "train: 2 sentences, 3 words, 3 forms, 2 tags; dev: 1 sentences, 2 words\n"
            "vectors: " +
                (folder / "v") +
                ", 5 rows of 3 features (text of GloVe); train: 66.7 % of 3 words, 66.7 % of 3 "
                "forms (33.3 % by their lower case); dev: 50.0 % of 2 words, 50.0 % of 2 forms (0.0 % by their lower "
                "case)\n");
  EXPECT_EQ(words(), json({"The", "market", "boy", "the"}));
  EXPECT_EQ(table(0), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(table(1), (std::vector<float>{7, 8, 9}));
  EXPECT_EQ(table(3), (std::vector<float>{1, 2, 3}));

  const Outcome all = train("--keep-vectors all");
  ASSERT_EQ(all.status, 0) << all.err;
  EXPECT_NE(all.out.find("vectors: 1 rows have the token of an earlier row, which counts\n"), std::string::npos);
  EXPECT_EQ(words(), json({"The", "market", "boy", "the", "Market", "stars"}));
  EXPECT_NE(table(1), (std::vector<float>{7, 8, 9})) << "it is learned further";
  EXPECT_EQ(table(4), (std::vector<float>{4, 5, 6}));
  EXPECT_EQ(table(5), (std::vector<float>{-1, -2, -3}));

  // "Stars" takes the row of "stars"; training has seen neither.
  write_file(folder / "e", row("1", "Stars", "NOUN") + row("2", "boy", "NOUN") + "\n");
  const Outcome scores = tagger("eval --json --model " + (folder / "m") + " " + (folder / "e"));
  ASSERT_EQ(scores.status, 0) << scores.err;
  EXPECT_EQ(json::parse(scores.out)["oov_tokens"], 1);
  const auto tags = [&](const std::string& form) {
    write_file(folder / "e", row("1", form, "_") + "\n");
    return tagger("predict --model " + (folder / "m") + " " + (folder / "e")).out;
  };
  EXPECT_NE(tags("Stars").find("Stars\tlemma\t"), std::string::npos);

  expect_error(train("--embedding 4"), "--embedding = 4, but the vectors of " + (folder / "v") + " have 3 features");
  expect_error(tagger(train_arguments(folder / "n", "--freeze-vectors")), "--freeze-vectors needs --vectors");
  expect_error(tagger(train_arguments(folder / "n", "--keep-vectors all")), "--keep-vectors needs --vectors");
  write_file(folder / "v", "the 1 2\nmarket 1\na 1 2\n");
  expect_error(train(""), (folder / "v") + ":2: the row \"market 1\" is not a token and 2 numbers");
}

TEST_F(TaggerCli, BadTrainingFiles) {
  const TempFolder folder;
  const auto train_on = [&](const std::string& train, const std::string& dev) {
    return tagger("train --train " + train + " --dev " + dev + " --out " + (folder / "m"));
  };
  const std::string file = folder / "f.conllu";
  expect_error(train_on(folder / "none", kDev), "cannot open " + (folder / "none") + ": No such file or directory");
  expect_error(train_on(kTrain, folder / "none"), "cannot open " + (folder / "none") + ": No such file or directory");
  write_file(file, "");
  expect_error(train_on(file, kDev), file + ": no sentence in it");
  expect_error(train_on(kTrain, file), file + ": no sentence in it");
  write_file(file, "# c\n" + row("1", "a", "X") + "2\tb\n");
  expect_error(train_on(file, kDev), file + ":3: a row has 10 columns separated by tabs, this one has 2");
  write_file(file, row("1", "a", "_") + row("2", "b", "_"));
  const std::string none = file + ": none of its 2 words has a tag in column 4 (UPOS)";
  expect_error(train_on(file, kDev), none);
  expect_error(train_on(kTrain, file), none);
  expect_error(train_on(kTrain + " " + file, kDev), none);
  const Outcome xpos = tagger(train_arguments(folder / "m", "--column xpos"));
  EXPECT_EQ(xpos.status, 2);
  EXPECT_NE(xpos.err.find("words has a tag in column 5 (XPOS)"), std::string::npos) << xpos.err;
  write_file(file, row("1", "a", "X") + row("2", "b", "A B"));
  expect_error(train_on(file, kDev), file + ":2: the tag \"A B\" in column 4 (UPOS) holds a space (U+0020)");
  EXPECT_EQ(folder.names(), std::vector<std::string>{"f.conllu"});
}

TEST_F(TaggerCli, BadPlacesAndModels) {
  const TempFolder folder;
  expect_error(tagger(train_arguments(folder / "none/m")),
               "cannot create " + (folder / "none/m") + ": No such file or directory");
  write_file(folder / "file", "x");
  expect_error(tagger(train_arguments(folder / "file")), (folder / "file") + " is there already and no folder");
  expect_error(tagger(train_arguments(folder.path())),
               folder.path() + " is there already and not a model: it holds file");
  expect_error(tagger("eval --model " + folder.path() + " " + kDev),
               folder.path() + " is no model: it has no config.json");
  expect_error(tagger("predict --model " + (folder / "none") + " " + kDev), "there is no model " + (folder / "none"));
  EXPECT_EQ(folder.names(), std::vector<std::string>{"file"});
  expect_error(tagger(train_arguments("''")), "the folder for the model has no name");

  std::filesystem::copy(model(), folder / "odd");
  std::string config = read_file(folder / "odd/config.json");
  config.replace(config.find("\"NOUN\""), 6, "\"NO\\tUN\"");
  write_file(folder / "odd/config.json", config);
  const Outcome odd = tagger("predict --model " + (folder / "odd") + " " + kDev);
  EXPECT_EQ(odd.status, 2);
  EXPECT_EQ(odd.out, "");
  EXPECT_NE(odd.err.find((folder / "odd/config.json") + " is no config of a model: tags["), std::string::npos);
  EXPECT_NE(odd.err.find("] = \"NO\\tUN\" holds a tab (U+0009)\n"), std::string::npos) << odd.err;

  std::filesystem::copy(model(), folder / "cut");
  const std::string tensors = folder / "cut/model.safetensors", bytes = read_file(tensors);
  write_file(tensors, bytes.substr(0, bytes.size() / 2));
  const Outcome outcome = tagger("predict --model " + (folder / "cut") + " " + kDev);
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.err.find("varlstm-tagger: " + tensors + " is no safetensors file of a model: "), 0u) << outcome.err;
  EXPECT_EQ(outcome.out, "");
}

TEST_F(TaggerCli, CudaBackEndThatIsNotThere) {
  int32_t devices = 0;
  ASSERT_EQ(varlstm_device_count(VARLSTM_BACKEND_CUDA, &devices), VARLSTM_OK);
  if (devices > 0) GTEST_SKIP() << "this library has a CUDA back end, and a device for it";
  const Outcome outcome = tagger("demo --backend cuda");
  EXPECT_EQ(outcome.status, 2);
  EXPECT_EQ(outcome.err.find("varlstm-tagger: --backend cuda cannot be used here: "), 0u) << outcome.err;
}

TEST_F(TaggerCli, FullDisk) {
  const TempFolder folder;
  // No file may grow beyond 4 blocks of 512 bytes: a disk that fills while the model is written.
  const Outcome limited = run_shell("ulimit -f 4; exec " + kProgram + " " + train_arguments(folder / "m"));
  EXPECT_EQ(limited.status, 2);
  EXPECT_EQ(limited.err.find("varlstm-tagger: cannot write " + (folder / "m.partial-")), 0u) << limited.err;
  EXPECT_EQ(std::count(limited.err.begin(), limited.err.end(), '\n'), 1);
  EXPECT_TRUE(folder.names().empty());

  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "no /dev/full here";
  for (const std::string& arguments :
       {"predict --model " + model() + " " + kDev, "eval --model " + model() + " " + kDev, std::string("demo"),
        train_arguments(folder / "m")}) {
    const Outcome full = run_shell(kProgram + " " + arguments + " >/dev/full");
    expect_error(full, "cannot write standard output: No space left on device");
  }
  expect_error(tagger(train_arguments(folder / "m", "--log /dev/full")),
               "cannot write /dev/full: No space left on device");
}

TEST_F(TaggerCli, SameBytesForAnyNumberOfThreads) {
  const TempFolder folder;
  for (const char* threads : {"1", "2"})
    ASSERT_EQ(tagger(train_arguments(folder / threads,
                                     std::string("--hidden 40 --dropout 0.2 --threads ") + threads + " --seed 9"))
                  .status,
              0);
  for (const char* file : {"/model.safetensors", "/config.json"})
    EXPECT_EQ(read_file((folder / "1") + file), read_file((folder / "2") + file)) << file;
}

TEST_F(TaggerCli, TheLearningRateMayFall) {
  const TempFolder folder;
  for (const char* schedule : {"constant", "linear"})
    ASSERT_EQ(tagger(train_arguments(folder / schedule, std::string("--lr-schedule ") + schedule)).status, 0);
  EXPECT_NE(read_file(folder / "constant/model.safetensors"), read_file(folder / "linear/model.safetensors"));
}

// Starts training that would take hours and ends it by a signal once the given file is there.
int interrupt_training(const TempFolder& folder, int signal, const std::string& once_there) {
  const pid_t child = fork();
  if (child == 0) {
    const std::string line = "exec " + kProgram + " " + train_arguments(folder / "m", "--epochs 100000 --patience 0") +
                             " >" + (folder / "out") + " 2>" + (folder / "err");
    execl("/bin/sh", "sh", "-c", line.c_str(), static_cast<char*>(nullptr));
    _exit(127);
  }
  for (int k = 0; k < 6000 && !std::filesystem::exists(once_there); ++k)
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  kill(child, signal);
  int status = 0;
  waitpid(child, &status, 0);
  return tagger_test::exit_status(status);
}

TEST_F(TaggerCli, InterruptKeepsTheBestModel) {
  for (int signal : {SIGINT, SIGTERM}) {
    const TempFolder folder;
    const int status = interrupt_training(folder, signal, folder / "m/config.json");
    EXPECT_EQ(status, 128 + signal) << read_file(folder / "err");
    const std::string err = read_file(folder / "err");
    EXPECT_EQ(err.find("varlstm-tagger: interrupted: " + (folder / "m") + " has the model of epoch "), 0u) << err;
    EXPECT_EQ(folder.names(), (std::vector<std::string>{"err", "m", "out"}));
    EXPECT_EQ(tagger("eval --model " + (folder / "m") + " " + kDev).status, 0);
  }
}

TEST_F(TaggerCli, Demo) {
  const Outcome outcome = tagger("demo");
  EXPECT_EQ(outcome.status, 0) << outcome.out;
  for (const char* text : {"is/VB it/PRP too/RB late/RB now/RB say/VB sorry/JJ\n", "ooh/NNP ooh/NNP\n",
                           "sorry/JJ yeah/NNP\n", "predicted symbols are legal\n"})
    EXPECT_NE(outcome.out.find(text), std::string::npos) << text;
}

}  // namespace
