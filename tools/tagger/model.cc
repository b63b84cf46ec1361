// A model's folder: config.json and model.safetensors.
// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <filesystem>
#include <nlohmann/json.hpp>
#include <utility>

#include "error.h"
#include "file.h"
#include "safetensors.h"

namespace tagger {
namespace {

using nlohmann::json;
namespace fs = std::filesystem;

constexpr const char* kFormat = "varlstm-tagger";
constexpr int64_t kFormatVersion = 1;
constexpr const char* kConfigFile = "config.json";
constexpr const char* kTensorFile = "model.safetensors";

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

std::vector<std::string> text_list(const json& config, const char* name) {
  const json& list = field(config, name);
  if (!list.is_array()) fail("\"{}\" is no list", name);
  std::vector<std::string> texts;
  texts.reserve(list.size());
  for (const json& entry : list) {
    if (!entry.is_string()) fail("\"{}\" holds something that is no text", name);
    texts.push_back(entry.get<std::string>());
  }
  return texts;
}

bool same_parameter(const Parameter& expected, const TensorEntry* found) {
  return found && found->shape == expected.shape;
}

}  // namespace

std::string write_config(const ModelConfig& config) {
  nlohmann::ordered_json out;
  out["format"] = kFormat;
  out["version"] = kFormatVersion;
  out["column"] = config.column == Column::kUpos ? "upos" : "xpos";
  out["embedding"] = config.shape.embedding;
  out["hidden"] = config.shape.hidden;
  out["layers"] = config.shape.layers;
  out["bidirectional"] = config.shape.bidirectional;
  out["epoch"] = config.epoch;
  out["dev_accuracy"] = config.dev_accuracy;
  out["padding_row"] = Vocabulary::kPadding;
  out["unknown_row"] = Vocabulary::kUnknown;
  out["first_word_row"] = Vocabulary::kFirstWord;
  out["tags"] = config.vocabulary.tags();
  out["words"] = config.vocabulary.words();
  return out.dump(1) + '\n';
}

ModelConfig parse_config(std::string_view text) {
  const json config = json::parse(text, nullptr, /*allow_exceptions=*/false);
  if (!config.is_object()) fail("it is no JSON object");
  if (field(config, "format") != kFormat) fail("\"format\" is not \"{}\"", kFormat);
  if (field(config, "version") != kFormatVersion) fail("\"version\" is not {}", kFormatVersion);
  const json& column = field(config, "column");
  if (column != "upos" && column != "xpos") fail("\"column\" is neither \"upos\" nor \"xpos\"");
  const json& bidirectional = field(config, "bidirectional");
  if (!bidirectional.is_boolean()) fail("\"bidirectional\" is neither true nor false");

  NetworkShape shape;
  shape.embedding = size_field(config, "embedding", kMaxUnits);
  shape.hidden = size_field(config, "hidden", kMaxUnits);
  shape.layers = size_field(config, "layers", kMaxLayers);
  shape.bidirectional = bidirectional.get<bool>();
  Vocabulary vocabulary(text_list(config, "words"), text_list(config, "tags"));
  shape.words = vocabulary.word_rows();
  shape.tags = vocabulary.tag_count();

  ModelConfig result{column == "upos" ? Column::kUpos : Column::kXpos, shape, std::move(vocabulary), 0, 0};
  if (config.contains("epoch") && config["epoch"].is_number_integer()) result.epoch = config["epoch"].get<int64_t>();
  if (config.contains("dev_accuracy") && config["dev_accuracy"].is_number())
    result.dev_accuracy = config["dev_accuracy"].get<double>();
  return result;
}

Model load_model(const std::string& folder) {
  std::error_code ignored;
  if (!fs::exists(folder, ignored)) fail("there is no model {}", folder);
  for (const char* file : {kConfigFile, kTensorFile})
    if (!fs::is_regular_file(in_folder(folder, file), ignored)) fail("{} is no model: it has no {}", folder, file);

  const std::string config_path = in_folder(folder, kConfigFile);
  const InputFile config_file(config_path);
  std::string text(config_file.bytes(), '\0');
  config_file.read(0, text.data(), text.size());
  Model model = [&] {
    try {
      return Model{parse_config(text), {}};
    } catch (const Error& error) {
      fail("{} is no config of a model: {}", config_path, error.what());
    }
  }();

  const SafetensorsReader reader(in_folder(folder, kTensorFile));
  const std::vector<Parameter> parameters = parameter_list(model.config.shape);
  for (const Parameter& parameter : parameters)
    if (!same_parameter(parameter, reader.find(parameter.name)))
      fail("{} does not fit its {}: tensor {} is missing or of another shape", in_folder(folder, kTensorFile),
           kConfigFile, parameter.name);
  if (reader.tensors().size() != parameters.size())
    fail("{} does not fit its {}: it holds other tensors as well", in_folder(folder, kTensorFile), kConfigFile);
  // Here the file is known to hold every element.
  model.parameters.resize(static_cast<size_t>(parameter_count(model.config.shape)));
  for (const Parameter& parameter : parameters)
    reader.read(*reader.find(parameter.name), model.parameters.data() + parameter.offset);
  return model;
}

void save_model(const std::string& folder, const ModelConfig& config, const float* parameters) {
  PendingFolder pending(folder);
  std::vector<TensorData> tensors;
  for (const Parameter& parameter : parameter_list(config.shape))
    tensors.push_back({parameter.name, parameter.shape, parameters + parameter.offset});
  write_safetensors(in_folder(pending.path(), kTensorFile), tensors);
  OutputFile config_file(in_folder(pending.path(), kConfigFile));
  config_file.write(write_config(config));
  config_file.close();
  pending.publish();
}

void check_model_place(const std::string& folder) {
  std::error_code ignored;
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
