// JSON from files that may be damaged or made to do harm: parsed in one pass whose memory the text's length bounds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace tagger {

struct JsonLimits {
  size_t list;    // entries of a list
  size_t object;  // keys of an object
};

// Error unless `text` is one JSON object within the limits, without a key that stands twice and without deep nesting.
// `subject` begins the errors: "the header".
nlohmann::json parse_json_object(std::string_view text, const std::string& subject, const JsonLimits& limits);

}  // namespace tagger
