// libFuzzer target: a model's two texts on any bytes, the config and the header of safetensors. The first byte chooses.
// What a config says must survive being written and read again.
// SPDX-License-Identifier: Apache-2.0
#include "model.h"

#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "error.h"
#include "safetensors.h"

namespace {

void read_config(std::string_view text) {
  const tagger::ModelConfig config = tagger::parse_config(text);
  const tagger::ModelConfig again = tagger::parse_config(tagger::write_config(config));
  if (again.vocabulary.words() != config.vocabulary.words() || again.vocabulary.tags() != config.vocabulary.tags() ||
      tagger::parameter_count(again.shape) != tagger::parameter_count(config.shape))
    abort();
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
