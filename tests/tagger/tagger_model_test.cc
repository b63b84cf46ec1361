// A model's folder: what is written is read again, foreign and cut folders are errors, and nothing partial is left.
// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <gtest/gtest.h>

#include <cmath>
#include <nlohmann/json.hpp>
#include <numeric>

#include "error.h"
#include "file.h"
#include "tagger_model_support.h"
#include "tagger_support.h"

namespace tagger {
namespace {

using tagger_test::config_text;
using tagger_test::parameters_of;
using tagger_test::read_file;
using tagger_test::TempFolder;
using tagger_test::write_file;
namespace fs = std::filesystem;

ModelConfig small_config() {
  Vocabulary vocabulary({"a", "B", "\xC3\xA4\"\\", "<unk>"}, {"NOUN", "VERB", "X"});
  NetworkShape shape;
  shape.words = vocabulary.word_rows();
  shape.embedding = 3;
  shape.hidden = 2;
  shape.layers = 2;
  shape.bidirectional = true;
  shape.tags = vocabulary.tag_count();
  return {Column::kXpos, shape, std::move(vocabulary), 4, 0.75};
}

std::vector<float> counting(const NetworkShape& shape) {
  std::vector<float> values(static_cast<size_t>(parameter_count(shape)));
  std::iota(values.begin(), values.end(), 1.0f);
  return values;
}

std::string load_error(const std::string& folder) {
  try {
    parameters_of(Model(folder));
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string config_error(const std::string& text) {
  try {
    parse_config(text);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  const size_t at = text.find(what);
  EXPECT_NE(at, std::string::npos) << what;
  return at == std::string::npos ? text : text.replace(at, what.size(), by);
}

TEST(TaggerModel, RoundTrip) {
  const TempFolder folder;
  const ModelConfig config = small_config();
  const std::vector<float> parameters = counting(config.shape);
  save_model(folder / "m", config, parameters.data());
  EXPECT_EQ(folder.names(), std::vector<std::string>{"m"});
  const Model model(folder / "m");
  EXPECT_EQ(parameters_of(model), parameters);
  EXPECT_EQ(model.config().column, Column::kXpos);
  EXPECT_EQ(model.config().vocabulary.words(), config.vocabulary.words());
  EXPECT_EQ(model.config().vocabulary.tags(), config.vocabulary.tags());
  EXPECT_EQ(model.config().vocabulary.word_id("B"), Vocabulary::kFirstWord + 1);
  EXPECT_EQ(model.config().vocabulary.word_id("b"), Vocabulary::kUnknown);
  EXPECT_EQ(model.config().shape.embedding, 3);
  EXPECT_EQ(model.config().shape.hidden, 2);
  EXPECT_EQ(model.config().shape.layers, 2);
  EXPECT_TRUE(model.config().shape.bidirectional);
  EXPECT_EQ(model.config().epoch, 4);
  EXPECT_EQ(model.config().dev_accuracy, 0.75);
}

// A model of before there was a choice of cells has no "cell" in its config.
TEST(TaggerModel, CellIsKept) {
  ModelConfig config = small_config();
  const std::string lstm = config_text(config);
  EXPECT_STREQ(parse_config(replaced(lstm, " \"cell\": \"lstm\",\n", "")).shape.cell->name, "lstm");
  for (const CellKind& cell : cell_kinds()) {
    const TempFolder folder;
    config.shape.cell = &cell;
    const std::vector<float> parameters = counting(config.shape);
    save_model(folder / "m", config, parameters.data());
    const Model model(folder / "m");
    EXPECT_EQ(model.config().shape.cell, &cell);
    EXPECT_EQ(parameters_of(model), parameters);
  }
  EXPECT_EQ(config_error(replaced(lstm, "\"cell\": \"lstm\"", "\"cell\": \"gru2\"")),
            "\"cell\" = \"gru2\" is none of lstm, gru, rnn_tanh, rnn_relu, gru_reset_before");
  EXPECT_EQ(config_error(replaced(lstm, "\"cell\": \"lstm\"", "\"cell\": 1")),
            "\"cell\" = 1 is none of lstm, gru, rnn_tanh, rnn_relu, gru_reset_before");
}

// A model of before there were options of a cell has none of them in its config, and none of pretrained vectors.
TEST(TaggerModel, OptionsAreKept) {
  ModelConfig config = small_config();
  config.shape.projection = 1;
  config.shape.layer_norm = true;
  config.shape.zoneout_h = 0.25;
  config.shape.zoneout_c = 0.5;
  config.vocabulary = Vocabulary({"a", "b", "c"}, {"X"}, {1, true, {}, true});
  const std::string text = config_text(config);
  const ModelConfig read = parse_config(text);
  EXPECT_EQ(read.shape.projection, 1);
  EXPECT_TRUE(read.shape.layer_norm);
  EXPECT_EQ(read.shape.zoneout_h, 0.25);
  EXPECT_EQ(read.shape.zoneout_c, 0.5);
  EXPECT_EQ(read.vocabulary.trained_words(), 2);
  EXPECT_TRUE(read.vocabulary.extras().tries_lower_case);
  EXPECT_TRUE(read.vocabulary.extras().lower_case_words);
  EXPECT_EQ(read.vocabulary.word_id("A"), Vocabulary::kFirstWord);

  std::string old = text;
  for (const char* line :
       {" \"projection\": 1,\n", " \"layer_norm\": true,\n", " \"zoneout\": 0.25,\n", " \"zoneout_c\": 0.5,\n",
        " \"trained_words\": 2,\n", " \"tries_lower_case\": true,\n", " \"lower_case_words\": true,\n"})
    old = replaced(old, line, "");
  const ModelConfig plain = parse_config(old);
  EXPECT_EQ(plain.shape.projection, 0);
  EXPECT_FALSE(plain.shape.layer_norm);
  EXPECT_EQ(plain.shape.zoneout_h, 0);
  EXPECT_EQ(plain.vocabulary.trained_words(), 3);
  EXPECT_EQ(plain.vocabulary.word_id("A"), Vocabulary::kUnknown);

  const auto error = [&](const std::string& what, const std::string& by) {
    return config_error(replaced(text, what, by));
  };
  EXPECT_EQ(error("\"projection\": 1", "\"projection\": 2"), "projection = 2 is not below hidden = 2");
  EXPECT_EQ(error("\"projection\": 1", "\"projection\": -1"), "\"projection\" is not a whole number from 1 to 1048576");
  EXPECT_EQ(error("\"cell\": \"lstm\"", "\"cell\": \"gru\""), "the cell gru has no projection");
  EXPECT_EQ(error("\"layer_norm\": true", "\"layer_norm\": 1"), "\"layer_norm\" is neither true nor false");
  EXPECT_EQ(error("\"zoneout\": 0.25", "\"zoneout\": 1.0"), "\"zoneout\" is not a number in [0, 1)");
  EXPECT_EQ(error("\"trained_words\": 2", "\"trained_words\": 4"),
            "\"trained_words\" is not a whole number from 0 to 3, the number of words");
  EXPECT_EQ(error("\"tries_lower_case\": true", "\"tries_lower_case\": 0"),
            "\"tries_lower_case\" is neither true nor false");
  EXPECT_EQ(error("\"lower_case_words\": true", "\"lower_case_words\": 0"),
            "\"lower_case_words\" is neither true nor false");
}

TEST(TaggerModel, CharactersAreKept) {
  ModelConfig config = small_config();
  config.shape.char_filters = 4;
  config.shape.char_embedding = 2;
  config.shape.char_widths = {3, 2};
  config.vocabulary = Vocabulary({"ab", "\xC3\xA4"}, {"X"}, {0, false, {"a", "\xC3\xA4"}});
  config.shape.words = config.vocabulary.word_rows();
  config.shape.tags = 1;
  config.shape.characters = config.vocabulary.character_rows();
  const TempFolder folder;
  const std::vector<float> parameters = counting(config.shape);
  save_model(folder / "m", config, parameters.data());
  const Model model(folder / "m");
  EXPECT_EQ(parameters_of(model), parameters);
  EXPECT_EQ(model.config().shape.char_widths, config.shape.char_widths);
  EXPECT_EQ(model.config().shape.char_filters, 4);
  EXPECT_EQ(model.config().shape.char_embedding, 2);
  EXPECT_EQ(model.config().shape.input(), config.shape.embedding + 8);
  std::vector<int64_t> rows;
  model.config().vocabulary.add_characters(
      "b\xC3\xA4"
      "a",
      &rows);
  EXPECT_EQ(rows, (std::vector<int64_t>{Vocabulary::kUnknownCharacter, 2, 1}));

  const std::string text = config_text(config);
  const auto error = [&](const std::string& what, const std::string& by) {
    return config_error(replaced(text, what, by));
  };
  EXPECT_EQ(error("\"char_filters\": 4", "\"char_filters\": 0"),
            "\"char_filters\" is not a whole number from 1 to 1048576");
  EXPECT_EQ(error("\"a\",\n", "\"ab\",\n"), "characters[0] = \"ab\" is not one character");
  EXPECT_EQ(error("\"a\",\n", "\"\xC3\xA4\",\n"), "characters[1] = \"\xC3\xA4\" is characters[0] already");
  EXPECT_EQ(error("  3,\n  2\n", "  3,\n  3\n"),
            "\"char_widths\" has 3, which is no width from 1 to 100 or there twice");
  EXPECT_EQ(error("  3,\n  2\n", "  3,\n  0\n"),
            "\"char_widths\" has 0, which is no width from 1 to 100 or there twice");
}

TEST(TaggerModel, ReplacesAnEarlierModelAndKeepsItOnFailure) {
  const TempFolder folder;
  ModelConfig config = small_config();
  std::vector<float> parameters = counting(config.shape);
  save_model(folder / "m", config, parameters.data());
  parameters[0] = 42;
  save_model(folder / "m/", config, parameters.data());
  EXPECT_EQ(parameters_of(Model(folder / "m"))[0], 42);
  EXPECT_EQ(folder.names(), std::vector<std::string>{"m"});
  fs::create_directory_symlink(folder / "m", folder / "link");
  parameters[0] = 43;
  save_model(folder / "link", config, parameters.data());
  EXPECT_EQ(parameters_of(Model(folder / "m"))[0], 43);
  EXPECT_TRUE(fs::is_symlink(folder / "link"));
}

TEST(TaggerModel, PendingFolderLeavesNothingBehind) {
  const TempFolder folder;
  {
    const PendingFolder pending(folder / "m");
    write_file(fs::path(pending.path()) / "half", "x");
    EXPECT_EQ(folder.names().size(), 1u);
  }
  EXPECT_TRUE(folder.names().empty());
  EXPECT_THROW(PendingFolder(folder / "absent/m"), Error);
}

TEST(TaggerModel, PlaceThatIsNoModel) {
  const TempFolder folder;
  fs::create_directory(folder / "full");
  write_file(folder / "full/thesis.txt", "x");
  write_file(folder / "file", "x");
  fs::create_directory(folder / "empty");
  EXPECT_THROW(check_model_place(folder / "full"), Error);
  EXPECT_THROW(check_model_place(folder / "file"), Error);
  check_model_place(folder / "empty");
  check_model_place(folder / "new");
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"empty", "file", "full"}));
}

// Tables and lists of words that are longer than a piece of what is read or written at a time.
TEST(TaggerModel, LongTablesAndLists) {
  const TempFolder folder;
  ModelConfig config = small_config();
  config.shape.embedding = 200'000;
  std::vector<float> parameters = counting(config.shape);
  save_model(folder / "m", config, parameters.data());
  EXPECT_EQ(parameters_of(Model(folder / "m")), parameters);
  parameters[parameters.size() - 2] = NAN;
  save_model(folder / "m", config, parameters.data());
  EXPECT_EQ(load_error(folder / "m"), (folder / "m/model.safetensors") +
                                          " is no model that can be used: element 1199998 of tensor embedding.weight "
                                          "is nan");

  WordList words;
  for (const int count : {0, 1, 2, 20'000}) {
    while (words.size() < static_cast<size_t>(count)) words.add(std::to_string(words.size()) + "\xC3\xA4\"\\");
    config.vocabulary = Vocabulary(words, {"X"});
    const std::string text = config_text(config);
    EXPECT_EQ(text, nlohmann::ordered_json::parse(text).dump(1) + '\n') << count;
    EXPECT_EQ(parse_config(text).vocabulary.words(), words) << count;
  }
}

TEST(TaggerModel, CutAndForeignFolders) {
  const TempFolder folder;
  const ModelConfig config = small_config();
  save_model(folder / "m", config, counting(config.shape).data());
  const std::string tensors = folder / "m/model.safetensors", json = folder / "m/config.json";
  const std::string tensor_bytes = read_file(tensors), json_bytes = read_file(json);

  EXPECT_EQ(load_error(""), "the folder of the model has no name");
  EXPECT_EQ(load_error(folder / "none"), "there is no model " + (folder / "none"));
  EXPECT_EQ(load_error(folder.path()), folder.path() + " is no model: it has no config.json");
  for (size_t size = 0; size < json_bytes.size() - 2; size += 7) {
    write_file(json, json_bytes.substr(0, size));
    const std::string begin = json + " is no config of a model: it is no JSON object";
    EXPECT_EQ(load_error(folder / "m").substr(0, begin.size()), begin) << size;
  }
  write_file(json, json_bytes);
  for (size_t size = 0; size < tensor_bytes.size(); size += 11) {
    write_file(tensors, tensor_bytes.substr(0, size));
    EXPECT_EQ(load_error(folder / "m").find(tensors + " is no safetensors file of a model: "), 0u) << size;
  }
  write_file(tensors, tensor_bytes);
  const std::string misfit = tensors + " does not fit its config.json: ";
  write_file(json, replaced(json_bytes, "\"hidden\": 2", "\"hidden\": 3"));
  EXPECT_EQ(load_error(folder / "m"), misfit + "tensor lstm.weight_ih_l0 is missing or of another shape");
  // Sizes that no memory could hold: compared with the file, never allocated.
  write_file(json, replaced(json_bytes, "\"hidden\": 2", "\"hidden\": 1048576"));
  EXPECT_EQ(load_error(folder / "m"), misfit + "tensor lstm.weight_ih_l0 is missing or of another shape");
  write_file(json, replaced(json_bytes, "\"layers\": 2", "\"layers\": 1"));
  EXPECT_EQ(load_error(folder / "m"), misfit + "it holds other tensors as well");
  fs::remove(tensors);
  EXPECT_EQ(load_error(folder / "m"), (folder / "m") + " is no model: it has no model.safetensors");
}

TEST(TaggerModel, WrongConfigs) {
  const std::string good = config_text(small_config());
  EXPECT_EQ(config_error(good), "no error");
  EXPECT_EQ(config_error("[]"), "it is no JSON object");
  EXPECT_EQ(config_error("{}"), "\"format\" is missing");
  EXPECT_EQ(config_error(replaced(good, "varlstm-tagger", "other")), "\"format\" is not \"varlstm-tagger\"");
  EXPECT_EQ(config_error(replaced(good, "\"version\": 1", "\"version\": 2")), "\"version\" is not 1");
  EXPECT_EQ(config_error(replaced(good, "\"xpos\"", "\"feats\"")), "\"column\" is neither \"upos\" nor \"xpos\"");
  EXPECT_EQ(config_error(replaced(good, "true", "1")), "\"bidirectional\" is neither true nor false");
  for (const char* bad : {"0", "-1", "1048577", "2.5", "\"2\"", "null", "18446744073709551615"})
    EXPECT_EQ(config_error(replaced(good, "\"hidden\": 2", std::string("\"hidden\": ") + bad)),
              "\"hidden\" is not a whole number from 1 to 1048576");
  EXPECT_EQ(config_error(replaced(good, "\"B\"", "7")), "words[1] = 7 is no text");
  EXPECT_EQ(config_error(replaced(good, "\"B\"", "[\"B\"]")), "words[1] = [\"B\"] is no text");
  EXPECT_EQ(config_error(replaced(good, "\"B\"", "{\"B\": []}")), "words[1] = {\"B\":[]} is no text");
  EXPECT_EQ(config_error(replaced(good, "\"words\": [", "\"words\": {}, \"others\": [")), "\"words\" is no list");
  EXPECT_EQ(config_error(replaced(good, "\"words\": [", "\"words\": [], \"words\": [")),
            "it has the key \"words\" twice");
  EXPECT_EQ(config_error(replaced(good, "\"VERB\"", "[null]")), "tags[1] = [null] is no text");
  EXPECT_EQ(config_error(replaced(good, "\"epoch\"", "\"hidden\"")), "it has the key \"hidden\" twice");
  EXPECT_EQ(config_error(good + "x"),
            "it goes on after the end of its JSON, at byte " + std::to_string(good.size() + 1));
  EXPECT_EQ(config_error("{\"a\":" + std::string(1'000'000, '[')), "it is nested deeper than 16 levels");
  EXPECT_EQ(config_error(replaced(good, "\"unknown_row\": 1", "\"unknown_row\": 0")), "\"unknown_row\" is not 1");
  EXPECT_EQ(config_error(replaced(good, "\"padding_row\": 0", "\"padding_row\": 1")), "\"padding_row\" is not 0");
  EXPECT_EQ(config_error(replaced(good, "\"first_word_row\": 2", "\"first_word_row\": 1")),
            "\"first_word_row\" is not 2");
  EXPECT_EQ(config_error(replaced(good, "\"words\"", "\"sword\"")), "\"words\" is missing");
}

// What would make predict write a file that is no CoNLL-U, or could never be found in one.
TEST(TaggerModel, TagsAndWordsThatCoNllUCannotHold) {
  const TempFolder folder;
  const ModelConfig config = small_config();
  save_model(folder / "m", config, counting(config.shape).data());
  const std::string json = folder / "m/config.json", good = read_file(json);
  const auto error_with = [&](const std::string& entry, const std::string& by) {
    write_file(json, replaced(good, entry, by));
    const std::string error = load_error(folder / "m"), begin = json + " is no config of a model: ";
    EXPECT_EQ(error.substr(0, begin.size()), begin);
    return error.substr(std::min(begin.size(), error.size()));
  };
  const auto tag = [&](const std::string& by) { return error_with("\"VERB\"", by); };
  const auto word = [&](const std::string& by) { return error_with("\"B\"", by); };
  EXPECT_EQ(tag("\"VE\\tRB\""), "tags[1] = \"VE\\tRB\" holds a tab (U+0009)");
  EXPECT_EQ(tag("\"VERB\\n\""), "tags[1] = \"VERB\\n\" holds a line feed (U+000A)");
  EXPECT_EQ(tag("\"\\rVERB\""), "tags[1] = \"\\rVERB\" holds a carriage return (U+000D)");
  EXPECT_EQ(tag("\"\""), "tags[1] = \"\" is empty");
  EXPECT_EQ(tag("\"_\""), "tags[1] = \"_\" is CoNLL-U's mark for no tag");
  EXPECT_EQ(tag("\"VE RB\""), "tags[1] = \"VE RB\" holds a space (U+0020)");
  EXPECT_EQ(tag("\"VERB\\u00a0\""), "tags[1] = \"VERB\\u00a0\" holds a no-break space (U+00A0)");
  EXPECT_EQ(tag("\"VERB\\u2028\""), "tags[1] = \"VERB\\u2028\" holds the character (U+2028)");
  EXPECT_EQ(tag("\"VERB\\u0085\""), "tags[1] = \"VERB\\u0085\" holds the character (U+0085)");
  EXPECT_EQ(tag("\"VERB\\u0000\""), "tags[1] = \"VERB\\u0000\" holds the character (U+0000)");
  EXPECT_EQ(tag("\"VERB\\u007f\""), "tags[1] = \"VERB\\u007f\" holds the character (U+007F)");
  EXPECT_EQ(tag("\"\\ufeffVERB\""), "tags[1] = \"\\ufeffVERB\" holds a byte order mark (U+FEFF)");
  EXPECT_EQ(tag("\"NOUN\\u200b\""), "tags[1] = \"NOUN\\u200b\" holds the character (U+200B)");
  EXPECT_EQ(tag("\"NO\\u202eUN\""), "tags[1] = \"NO\\u202eUN\" holds the character (U+202E)");
  EXPECT_EQ(tag("\"VERB\\ufe0f\""), "tags[1] = \"VERB\\ufe0f\" holds the character (U+FE0F)");
  EXPECT_EQ(tag("\"\\udb40\\udc41VERB\""), "tags[1] = \"\\udb40\\udc41VERB\" holds the character (U+E0041)");
  EXPECT_EQ(tag("\"NOUN\""), "tags[1] = \"NOUN\" is tags[0] already");
  EXPECT_EQ(word("\"B\\tb\""), "words[1] = \"B\\tb\" holds a tab (U+0009)");
  EXPECT_EQ(word("\"B\\nb\""), "words[1] = \"B\\nb\" holds a line feed (U+000A)");
  EXPECT_EQ(word("\"B\\rb\""), "words[1] = \"B\\rb\" holds a carriage return (U+000D)");
  EXPECT_EQ(word("\"\""), "words[1] = \"\" is empty");
  EXPECT_EQ(word("\"a\""), "words[1] = \"a\" is words[0] already");
  // Forms may hold spaces and joiners, and "_" is one.
  for (const char* form : {"\"a b\"", "\"_\"", "\"\\u00a0\"", "\"\\u0085\"", "\"\\u200c\"", "\"\\ufeffB\""}) {
    write_file(json, replaced(good, "\"B\"", form));
    EXPECT_EQ(load_error(folder / "m"), "no error") << form;
  }
}

TEST(TaggerModel, ParametersThatAreNotFiniteAreRefused) {
  const TempFolder folder;
  const ModelConfig config = small_config();
  for (const float bad : {NAN, INFINITY, -INFINITY}) {
    std::vector<float> parameters = counting(config.shape);
    parameters[parameters.size() - 2] = bad;
    save_model(folder / "m", config, parameters.data());
    const std::string begin =
        (folder / "m/model.safetensors") + " is no model that can be used: element 16 of tensor embedding.weight is ";
    EXPECT_EQ(load_error(folder / "m").substr(0, begin.size()), begin);
  }
}

TEST(TaggerModel, PlacesThatCannotBeTakenAreFoundBeforeTraining) {
  const TempFolder folder;
  const auto place_error = [](const std::string& place) -> std::string {
    try {
      check_model_place(place);
    } catch (const Error& error) {
      return error.what();
    }
    return "no error";
  };
  EXPECT_EQ(place_error(""), "the folder for the model has no name");
  fs::create_symlink(folder / "absent", folder / "dangling");
  fs::create_symlink(folder / "circle", folder / "circle");
  fs::create_directory(folder / "empty");
  fs::create_directory_symlink(folder / "empty", folder / "link");
  EXPECT_EQ(place_error(folder / "dangling"), (folder / "dangling") + " is a link to nothing");
  EXPECT_EQ(place_error(folder / "dangling/"), (folder / "dangling/") + " is a link to nothing");
  EXPECT_EQ(place_error(folder / "circle"), (folder / "circle") + " is a link to nothing");
  EXPECT_EQ(place_error(folder / "link"), "no error");
  EXPECT_EQ(place_error(folder / "empty//"), "no error");
  EXPECT_EQ(folder.names(), (std::vector<std::string>{"circle", "dangling", "empty", "link"}));
  if (is_mount_point("/proc")) {
    EXPECT_EQ(place_error("/proc"),
              "/proc is a mount point, which no model can take the place of: name a folder in it");
  }
  EXPECT_FALSE(is_mount_point(folder / "empty"));
  EXPECT_FALSE(is_mount_point(folder / "absent"));
}

TEST(TaggerVocabulary, OfDocuments) {
  using tagger_test::row;
  const Document one(row("1", "b", "Y") + row("2", "a", "X") + "\n" + row("1", "b", "X"), "f", Column::kUpos);
  const Document other(row("1", "a", "_") + row("2", "d", "Y"), "g", Column::kUpos);
  const Vocabulary vocabulary = Vocabulary::of({one, other});
  EXPECT_EQ(vocabulary.words(), (WordList{"b", "a", "d"}));
  EXPECT_EQ(vocabulary.tags(), (std::vector<std::string>{"X", "Y"}));
  EXPECT_EQ(vocabulary.word_id("b"), 2);
  EXPECT_EQ(vocabulary.word_id("c"), Vocabulary::kUnknown);
  EXPECT_EQ(vocabulary.tag_id("Y"), 1);
  EXPECT_EQ(vocabulary.tag_id("Z"), Vocabulary::kUnseenTag);
  EXPECT_THROW(Vocabulary({"a"}, {}), Error);
}

}  // namespace
}  // namespace tagger
