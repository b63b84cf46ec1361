// JSON from files that may be damaged or made to do harm: parsed in one pass whose memory the text's length bounds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <functional>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace tagger {

struct JsonLimits {
  size_t list;    // entries of a list
  size_t object;  // keys of an object
};

// The entries of one list of the outermost object, which are handed on and not kept: as JSON values they take many
// times their text. The list stands in the object without them.
struct JsonEntries {
  std::string_view list;
  std::function<void(const nlohmann::json& entry)> take;
};

// Error unless `text` is one JSON object within the limits, without a key that stands twice and without deep nesting.
// `subject` begins the errors: "the header".
nlohmann::json parse_json_object(std::string_view text, const std::string& subject, const JsonLimits& limits,
                                 const JsonEntries& entries = {});

}  // namespace tagger
