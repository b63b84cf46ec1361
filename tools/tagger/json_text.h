// JSON from files that may be damaged or made to do harm: parsed in one pass whose memory the text's length bounds.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace tagger {

// Error unless `text` is one JSON object without a key that stands twice, without deep nesting, and without a list of
// more than `max_list` entries. `subject` begins the errors: "the header".
nlohmann::json parse_json_object(std::string_view text, const std::string& subject, size_t max_list);

}  // namespace tagger
