// libFuzzer target: the CoNLL-U reader on any bytes. What it accepts must come out again byte for byte, and be read
// again with other tags.
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
      const std::vector<std::string_view> others(tags.size(), "T");
      const tagger::Document again(document.with_tags(others), "fuzz", column);
      if (again.words() != document.words() || again.sentences() != document.sentences()) abort();
      for (int64_t w = 0; w < again.words(); ++w)
        if (again.tag(w) != "T" || again.form(w) != document.form(w) || again.line(w) != document.line(w)) abort();
      again.check_tags();
      document.check_tags();
    } catch (const tagger::Error&) {
    }
  }
  return 0;
}
