// A model's folder: config.json and model.safetensors.
// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <limits>
#include <nlohmann/json.hpp>
#include <utility>

#include "error.h"
#include "file.h"
#include "json_text.h"
#include "safetensors.h"
#include "text.h"

namespace tagger {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kFormat = "varlstm-tagger";
constexpr int64_t kFormatVersion = 1;
constexpr const char* kConfigFile = "config.json";
constexpr const char* kTensorFile = "model.safetensors";
// Room for some fifty million words.
constexpr uint64_t kMaxConfigBytes = uint64_t{1} << 30;
// write_config has 28; others may add what they like to know.
constexpr size_t kMaxConfigKeys = 1000;
// What is written or read at a time.
constexpr size_t kWriteBytes = size_t{1} << 16;
constexpr int64_t kPieceElements = int64_t{1} << 20;

std::string in_folder(const std::string& folder, const char* file) {
  return (fs::path(folder) / file).string();
}

const json& field(const json& config, const char* name) {
  const auto found = config.find(name);
  if (found == config.end()) fail("\"{}\" is missing", name);
  return *found;
}

int64_t size_field(const json& config, const char* name, int64_t max) {
  const json& value = field(config, name);
  if (!value.is_number_unsigned() || value.get<uint64_t>() < 1 || value.get<uint64_t>() > static_cast<uint64_t>(max))
    fail("\"{}\" is not a whole number from 1 to {}", name, max);
  return value.get<int64_t>();
}

const std::string& text_entry(const json& entry, const char* list, size_t k) {
  if (!entry.is_string()) fail("{}[{}] = {} is no text", list, k, entry.dump().substr(0, 40));
  return entry.get_ref<const std::string&>();
}

std::vector<std::string> text_list(const json& config, const char* name) {
  const json& list = field(config, name);
  if (!list.is_array()) fail("\"{}\" is no list", name);
  std::vector<std::string> texts;
  texts.reserve(list.size());
  for (const json& entry : list) texts.push_back(text_entry(entry, name, texts.size()));
  return texts;
}

// Models of before there was a choice are LSTMs.
const CellKind* cell_field(const json& config) {
  if (!config.contains("cell")) return find_cell("lstm");
  const json& name = config["cell"];
  const CellKind* cell = name.is_string() ? find_cell(name.get<std::string>()) : nullptr;
  if (cell != nullptr) return cell;
  std::string known;
  for (const CellKind& kind : cell_kinds()) known += (known.empty() ? "" : ", ") + std::string(kind.name);
  fail("\"cell\" = {} is none of {}", name.dump().substr(0, 40), known);
}

double share_field(const json& config, const char* name) {
  if (!config.contains(name)) return 0;
  const json& value = config[name];
  if (!value.is_number() || !(value.get<double>() >= 0 && value.get<double>() < 1))
    fail("\"{}\" is not a number in [0, 1)", name);
  return value.get<double>();
}

// Models of before there were these options have none of them.
void read_cell_options(const json& config, NetworkShape* shape) {
  if (config.contains("projection") && config["projection"] != 0)
    shape->projection = size_field(config, "projection", kMaxUnits);
  if (config.contains("layer_norm")) {
    if (!config["layer_norm"].is_boolean()) fail("\"layer_norm\" is neither true nor false");
    shape->layer_norm = config["layer_norm"].get<bool>();
  }
  shape->zoneout_h = share_field(config, "zoneout");
  shape->zoneout_c = share_field(config, "zoneout_c");
  if (const std::string fault = cell_option_fault(*shape); !fault.empty()) fail("{}", fault);
}

// Rows of the embedding table that mean something else to whoever wrote the file.
void check_row(const json& config, const char* name, int64_t row) {
  if (config.contains(name) && config[name] != row) fail("\"{}\" is not {}", name, row);
}

// Models of before there were features of characters have none.
void read_characters(const json& config, NetworkShape* shape, Vocabulary::Extras* extras) {
  if (!config.contains("char_widths")) return;
  shape->char_filters = size_field(config, "char_filters", kMaxUnits);
  shape->char_embedding = size_field(config, "char_embedding", kMaxUnits);
  const json& widths = config["char_widths"];
  if (!widths.is_array() || widths.empty()) fail("\"char_widths\" is no list of widths");
  for (const json& width : widths) {
    const bool is_width = width.is_number_unsigned() && width.get<uint64_t>() >= 1 &&
                          width.get<uint64_t>() <= static_cast<uint64_t>(kMaxCharWidth);
    if (!is_width || std::count(widths.begin(), widths.end(), width) > 1)
      fail("\"char_widths\" has {}, which is no width from 1 to {} or there twice", width.dump().substr(0, 40),
           kMaxCharWidth);
    shape->char_widths.push_back(width.get<int64_t>());
  }
  check_row(config, "unknown_character_row", Vocabulary::kUnknownCharacter);
  check_row(config, "first_character_row", Vocabulary::kFirstCharacter);
  extras->characters = text_list(config, "characters");
  if (extras->characters.empty()) fail("the list of characters is empty");
}

// Models of before there were pretrained vectors were trained on all of their words, and looked them up as they are.
Vocabulary::Extras extras_field(const json& config, int64_t words) {
  Vocabulary::Extras extras;
  if (config.contains("trained_words")) {
    const json& trained = config["trained_words"];
    if (!trained.is_number_unsigned() || trained.get<uint64_t>() > static_cast<uint64_t>(words))
      fail("\"trained_words\" is not a whole number from 0 to {}, the number of words", words);
    extras.not_trained = words - trained.get<int64_t>();
  }
  if (config.contains("tries_lower_case")) {
    if (!config["tries_lower_case"].is_boolean()) fail("\"tries_lower_case\" is neither true nor false");
    extras.tries_lower_case = config["tries_lower_case"].get<bool>();
  }
  if (config.contains("lower_case_words")) {
    if (!config["lower_case_words"].is_boolean()) fail("\"lower_case_words\" is neither true nor false");
    extras.lower_case_words = config["lower_case_words"].get<bool>();
  }
  return extras;
}

// Such a model would give the same tag to every word without a word of warning.
void check_finite(const std::vector<float>& values, const std::string& tensor, int64_t first, const std::string& path) {
  const auto bad = std::find_if_not(values.begin(), values.end(), [](float x) { return std::isfinite(x); });
  if (bad != values.end())
    fail("{} is no model that can be used: element {} of tensor {} is {}", path, first + (bad - values.begin()), tensor,
         *bad);
}

bool same_parameter(const Parameter& expected, const TensorEntry* found) {
  return found && found->shape == expected.shape;
}

ModelConfig read_config(const std::string& folder) {
  std::error_code ignored;
  if (folder.empty()) fail("the folder of the model has no name");
  if (!fs::exists(folder, ignored)) fail("there is no model {}", folder);
  for (const char* file : {kConfigFile, kTensorFile})
    if (!fs::is_regular_file(in_folder(folder, file), ignored)) fail("{} is no model: it has no {}", folder, file);

  const InputFile file(in_folder(folder, kConfigFile));
  if (file.bytes() > kMaxConfigBytes)
    fail("{} is no config of a model: it has {} bytes, more than {}", file.path(), file.bytes(), kMaxConfigBytes);
  std::string text(file.bytes(), '\0');
  file.read(0, text.data(), text.size());
  try {
    return parse_config(text);
  } catch (const Error& error) {
    fail("{} is no config of a model: {}", file.path(), error.what());
  }
}

}  // namespace

void write_config(const ModelConfig& config, const std::function<void(std::string_view)>& write) {
  nlohmann::ordered_json out;
  out["format"] = kFormat;
  out["version"] = kFormatVersion;
  out["column"] = config.column == Column::kUpos ? "upos" : "xpos";
  out["cell"] = config.shape.cell->name;
  out["embedding"] = config.shape.embedding;
  out["hidden"] = config.shape.hidden;
  out["layers"] = config.shape.layers;
  out["projection"] = config.shape.projection;
  out["layer_norm"] = config.shape.layer_norm;
  out["zoneout"] = config.shape.zoneout_h;
  out["zoneout_c"] = config.shape.zoneout_c;
  if (!config.shape.char_widths.empty()) {
    out["char_filters"] = config.shape.char_filters;
    out["char_embedding"] = config.shape.char_embedding;
    out["char_widths"] = config.shape.char_widths;
    out["unknown_character_row"] = Vocabulary::kUnknownCharacter;
    out["first_character_row"] = Vocabulary::kFirstCharacter;
    out["characters"] = config.vocabulary.extras().characters;
  }
  out["bidirectional"] = config.shape.bidirectional;
  out["epoch"] = config.epoch;
  out["dev_accuracy"] = config.dev_accuracy;
  out["padding_row"] = Vocabulary::kPadding;
  out["unknown_row"] = Vocabulary::kUnknown;
  out["first_word_row"] = Vocabulary::kFirstWord;
  out["trained_words"] = config.vocabulary.trained_words();
  out["tries_lower_case"] = config.vocabulary.extras().tries_lower_case;
  out["lower_case_words"] = config.vocabulary.extras().lower_case_words;
  out["tags"] = config.vocabulary.tags();
  out["words"] = json::array();
  std::string text = out.dump(1);
  const std::string_view end = "]\n}";
  text.resize(text.size() - end.size());
  // The words as dump would have written them, without a tree of them all.
  const WordList& words = config.vocabulary.words();
  for (size_t k = 0; k < words.size(); ++k) {
    text += (k == 0 ? "\n  " : ",\n  ") + json(words[k]).dump();
    if (text.size() < kWriteBytes) continue;
    write(text);
    text.clear();
  }
  text += words.empty() ? "" : "\n ";
  write(text.append(end) += '\n');
}

ModelConfig parse_config(std::string_view text) {
  WordList words;
  const auto take_word = [&](const json& entry) {
    const std::string& word = text_entry(entry, "words", words.size());
    if (!words.add(word)) fail("words[{}] = {} is words[{}] already", words.size(), in_quotes(word), *words.find(word));
  };
  const json config =
      parse_json_object(text, "it", {std::numeric_limits<size_t>::max(), kMaxConfigKeys}, {"words", take_word});
  if (field(config, "format") != kFormat) fail("\"format\" is not \"{}\"", kFormat);
  if (field(config, "version") != kFormatVersion) fail("\"version\" is not {}", kFormatVersion);
  const json& column = field(config, "column");
  if (column != "upos" && column != "xpos") fail("\"column\" is neither \"upos\" nor \"xpos\"");
  const json& bidirectional = field(config, "bidirectional");
  if (!bidirectional.is_boolean()) fail("\"bidirectional\" is neither true nor false");

  check_row(config, "padding_row", Vocabulary::kPadding);
  check_row(config, "unknown_row", Vocabulary::kUnknown);
  check_row(config, "first_word_row", Vocabulary::kFirstWord);

  NetworkShape shape;
  shape.cell = cell_field(config);
  shape.embedding = size_field(config, "embedding", kMaxUnits);
  shape.hidden = size_field(config, "hidden", kMaxUnits);
  shape.layers = size_field(config, "layers", kMaxLayers);
  shape.bidirectional = bidirectional.get<bool>();
  read_cell_options(config, &shape);
  if (!field(config, "words").is_array()) fail("\"words\" is no list");
  Vocabulary::Extras extras = extras_field(config, static_cast<int64_t>(words.size()));
  read_characters(config, &shape, &extras);
  Vocabulary vocabulary(std::move(words), text_list(config, "tags"), extras);
  shape.words = vocabulary.word_rows();
  shape.tags = vocabulary.tag_count();
  shape.characters = vocabulary.character_rows();

  ModelConfig result{column == "upos" ? Column::kUpos : Column::kXpos, shape, std::move(vocabulary), 0, 0};
  if (config.contains("epoch") && config["epoch"].is_number_integer()) result.epoch = config["epoch"].get<int64_t>();
  if (config.contains("dev_accuracy") && config["dev_accuracy"].is_number())
    result.dev_accuracy = config["dev_accuracy"].get<double>();
  return result;
}

Model::Model(const std::string& folder) : config_(read_config(folder)), tensors_(in_folder(folder, kTensorFile)) {
  const std::vector<Parameter> parameters = parameter_list(config_.shape);
  if (tensors_.tensors().size() > parameters.size())
    fail("{} does not fit its {}: it holds other tensors as well", tensors_.path(), kConfigFile);
  for (const Parameter& parameter : parameters)
    if (!same_parameter(parameter, tensors_.find(parameter.name)))
      fail("{} does not fit its {}: tensor {} is missing or of another shape", tensors_.path(), kConfigFile,
           parameter.name);
}

void Model::read_parameters(const std::function<void(const std::vector<float>& values, int64_t first)>& take) const {
  std::vector<float> piece;
  for (const Parameter& parameter : parameter_list(config_.shape)) {
    for (int64_t first = 0; first < parameter.count; first += kPieceElements) {
      piece.resize(static_cast<size_t>(std::min(kPieceElements, parameter.count - first)));
      tensors_.read(*tensors_.find(parameter.name), first, piece.data(), static_cast<int64_t>(piece.size()));
      check_finite(piece, parameter.name, first, tensors_.path());
      take(piece, parameter.offset + first);
    }
  }
}

void save_model(const std::string& folder, const ModelConfig& config, const float* parameters,
                const std::vector<std::vector<float>>& more_rows) {
  PendingFolder pending(folder);
  std::vector<TensorData> tensors;
  for (const Parameter& parameter : parameter_list(config.shape))
    tensors.push_back({parameter.name, parameter.shape, {{parameters + parameter.offset, parameter.count}}});
  // The embedding table is the last parameter.
  for (const std::vector<float>& rows : more_rows) {
    const int64_t count = static_cast<int64_t>(rows.size());
    tensors.back().pieces.front().count -= count;
    tensors.back().pieces.push_back({rows.data(), count});
  }
  write_safetensors(in_folder(pending.path(), kTensorFile), tensors);
  OutputFile config_file(in_folder(pending.path(), kConfigFile));
  write_config(config, [&](std::string_view text) { config_file.write(text); });
  config_file.close();
  pending.publish();
}

void check_model_place(const std::string& folder) {
  std::error_code ignored;
  if (folder.empty()) fail("the folder for the model has no name");
  if (!fs::exists(folder, ignored) && fs::is_symlink(fs::symlink_status(without_slashes(folder), ignored)))
    fail("{} is a link to nothing", folder);
  if (is_mount_point(folder))
    fail("{} is a mount point, which no model can take the place of: name a folder in it", folder);
  if (fs::exists(folder, ignored)) {
    if (!fs::is_directory(folder, ignored)) fail("{} is there already and no folder", folder);
    for (const auto& entry : fs::directory_iterator(folder)) {
      const std::string name = entry.path().filename().string();
      if (name != kConfigFile && name != kTensorFile)
        fail("{} is there already and not a model: it holds {}", folder, name);
    }
  }
  const PendingFolder try_it(folder);
}

}  // namespace tagger
