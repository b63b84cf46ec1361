// What forms and tags may hold, characters that are not seen, and how values from files stand in errors.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tagger {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // U+FEFF

// "a tab (U+0009)": a character as an error names it.
std::string character_name(uint32_t character);

// The value in quotes as JSON has it, cut after some 40 bytes; what could disturb a terminal or is not seen is escaped.
std::string in_quotes(std::string_view value);

// The characters of a text that is UTF-8.
std::vector<std::string_view> characters_in(std::string_view text);

// The text in lower case, character by character (Unicode's simple mapping); what is not UTF-8 stays as it is.
std::string lower_case(std::string_view text);

// The first character of a text that holds only such as are not seen (white space of any kind, ignorable ones);
// nothing for the empty text and for one with something to see.
std::optional<uint32_t> looks_empty(std::string_view text);

// Why CoNLL-U could not hold `form` in its column FORM, or be read back from there: "is empty", "holds a tab (U+0009)".
// Empty where it could.
std::string form_fault(std::string_view form);
// The same for UPOS and XPOS, where "_" means that there is no tag, and no white space is allowed nor anything else
// that is not seen: two tags that look the same would be two classes.
std::string tag_fault(std::string_view tag);

}  // namespace tagger
