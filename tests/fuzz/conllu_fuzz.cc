// libFuzzer target: the CoNLL-U reader on any bytes. What it accepts must come out again byte for byte.
// SPDX-License-Identifier: Apache-2.0
#include "conllu.h"

#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "error.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string text(reinterpret_cast<const char*>(data), size);
  for (tagger::Column column : {tagger::Column::kUpos, tagger::Column::kXpos}) {
    try {
      const tagger::Document document(text, "fuzz", column);
      std::vector<std::string_view> tags;
      for (int64_t w = 0; w < document.words(); ++w) tags.push_back(document.tag(w));
      if (document.with_tags(tags) != text || document.start(document.sentences()) != document.words()) abort();
      document.require_tags();
    } catch (const tagger::Error&) {
    }
  }
  return 0;
}
