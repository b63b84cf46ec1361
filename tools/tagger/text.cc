// Forms, tags and their characters.
// SPDX-License-Identifier: Apache-2.0
#include "text.h"

#include <fmt/format.h>

#include "utf8.h"

namespace tagger {
namespace {

// Removes the first character from a text that is UTF-8 and not empty.
uint32_t take_character(std::string_view* text) {
  const auto byte = [&](size_t k) { return static_cast<uint32_t>(static_cast<unsigned char>((*text)[k])); };
  const uint32_t lead = byte(0);
  const size_t length = lead < 0x80 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  uint32_t character = length == 1 ? lead : lead & (0x7Fu >> length);
  for (size_t k = 1; k < length; ++k) character = character << 6 | (byte(k) & 0x3F);
  text->remove_prefix(length);
  return character;
}

// C0, DEL and C1.
bool is_control(uint32_t c) {
  return c < 0x20 || (c >= 0x7F && c < 0xA0);
}

// Unicode's property White_Space.
bool is_white_space(uint32_t c) {
  return (c >= 0x09 && c <= 0x0D) || c == 0x20 || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

bool is_zero_width(uint32_t c) {
  return c == 0xAD || c == 0x180E || (c >= 0x200B && c <= 0x200F) || c == 0x2060 || c == 0xFEFF;
}

// The first character that `wrong` holds of, as a fault.
template <typename Wrong>
std::string character_fault(std::string_view text, Wrong wrong) {
  if (text.empty()) return "is empty";
  if (!is_utf8(text)) return "is not UTF-8";
  while (!text.empty()) {
    const uint32_t character = take_character(&text);
    if (wrong(character)) return "holds " + character_name(character);
  }
  return "";
}

}  // namespace

std::string character_name(uint32_t character) {
  const char* name = character == 0x09     ? "a tab"
                     : character == 0x0A   ? "a line feed"
                     : character == 0x0D   ? "a carriage return"
                     : character == 0x20   ? "a space"
                     : character == 0xA0   ? "a no-break space"
                     : character == 0xFEFF ? "a byte order mark"
                                           : "the character";
  return fmt::format("{} (U+{:04X})", name, character);
}

std::string in_quotes(std::string_view value) {
  constexpr size_t kShown = 40;
  const bool utf8 = is_utf8(value);
  std::string shown = "\"";
  while (!value.empty() && shown.size() <= kShown) {
    uint32_t character = '?';
    const std::string_view before = value;
    if (utf8) {
      character = take_character(&value);
    } else {
      // A byte at a time: those beyond ASCII belong to no character.
      const unsigned char byte = static_cast<unsigned char>(value[0]);
      if (byte < 0x80) character = byte;
      value.remove_prefix(1);
    }
    if (character == '"' || character == '\\') {
      shown += '\\';
      shown += static_cast<char>(character);
    } else if (character == '\t' || character == '\n' || character == '\r') {
      shown += character == '\t' ? "\\t" : character == '\n' ? "\\n" : "\\r";
    } else if (is_control(character) || is_zero_width(character) || (is_white_space(character) && character != ' ')) {
      shown += fmt::format("\\u{:04x}", character);
    } else if (utf8) {
      shown += before.substr(0, before.size() - value.size());
    } else {
      shown += static_cast<char>(character);
    }
  }
  return shown + (value.empty() ? "\"" : "...\"");
}

std::optional<uint32_t> looks_empty(std::string_view text) {
  const bool seen_at_once = !text.empty() && text[0] > ' ' && text[0] < 0x7F;
  if (text.empty() || seen_at_once || !is_utf8(text)) return std::nullopt;
  std::string_view rest = text;
  while (!rest.empty()) {
    const uint32_t character = take_character(&rest);
    if (!is_white_space(character) && !is_zero_width(character)) return std::nullopt;
  }
  return take_character(&text);
}

std::string form_fault(std::string_view form) {
  return character_fault(form, [](uint32_t c) { return c < 0x20; });
}

std::string tag_fault(std::string_view tag) {
  if (tag == "_") return "is CoNLL-U's mark for no tag";
  return character_fault(tag, [](uint32_t c) { return is_control(c) || is_white_space(c); });
}

}  // namespace tagger
