// libFuzzer target: a model's two texts on any bytes, the config and the header of safetensors. The first byte chooses.
// What a config says must survive being written and read again, and its words and tags must make a file of CoNLL-U.
// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "error.h"
#include "safetensors.h"
#include "tagger_model_support.h"

namespace {

void read_config(std::string_view text) {
  const tagger::ModelConfig config = tagger::parse_config(text);
  const tagger::ModelConfig again = tagger::parse_config(tagger_test::config_text(config));
  if (again.vocabulary.words() != config.vocabulary.words() || again.vocabulary.tags() != config.vocabulary.tags() ||
      tagger::parameter_count(again.shape) != tagger::parameter_count(config.shape))
    abort();

  const tagger::WordList& words = config.vocabulary.words();
  const std::vector<std::string>& tags = config.vocabulary.tags();
  std::string rows;
  for (size_t k = 0; k < std::max(words.size(), tags.size()); ++k) {
    const std::string form(k < words.size() ? words[k] : "form"), tag = tags[k % tags.size()];
    rows += "1\t" + form + "\t_\t" + tag + '\t' + tag + "\t_\t_\t_\t_\t_\n\n";
  }
  const tagger::Document document(rows, "fuzz", config.column);
  document.check_tags();
  if (document.tagged_words() != document.words()) abort();
  for (size_t k = 0; k < words.size(); ++k)
    if (document.form(static_cast<int64_t>(k)) != words[k]) abort();
  for (size_t k = 0; k < tags.size(); ++k)
    if (document.tag(static_cast<int64_t>(k)) != tags[k]) abort();
}

// Accepted tensors fill the data exactly.
void read_header(std::string_view text, uint64_t data_bytes) {
  uint64_t sum = 0;
  for (const tagger::TensorEntry& tensor : tagger::parse_safetensors_header(text, data_bytes)) {
    if (tensor.end > data_bytes) abort();
    sum += tensor.end - tensor.begin;
  }
  if (sum != data_bytes) abort();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size == 0) return 0;
  const std::string_view text(reinterpret_cast<const char*>(data) + 1, size - 1);
  try {
    if (data[0] == '{') {
      read_config(std::string_view(reinterpret_cast<const char*>(data), size));
    } else {
      read_header(text, data[0]);
    }
  } catch (const tagger::Error&) {
  }
  return 0;
}
