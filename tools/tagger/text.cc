// Forms, tags and their characters.
// SPDX-License-Identifier: Apache-2.0
#include "text.h"

#include <fmt/format.h>
#include <locale.h>
#include <wctype.h>

#include <algorithm>

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

void append_character(uint32_t c, std::string* text) {
  const auto byte = [&](uint32_t bits) { text->push_back(static_cast<char>(bits)); };
  if (c < 0x80) return byte(c);
  if (c < 0x800) return byte(0xC0 | c >> 6), byte(0x80 | (c & 0x3F));
  if (c < 0x10000) return byte(0xE0 | c >> 12), byte(0x80 | (c >> 6 & 0x3F)), byte(0x80 | (c & 0x3F));
  byte(0xF0 | c >> 18), byte(0x80 | (c >> 12 & 0x3F)), byte(0x80 | (c >> 6 & 0x3F)), byte(0x80 | (c & 0x3F));
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

// Unicode's property Default_Ignorable_Code_Point: byte order marks, zero-width spaces and joiners, marks of direction,
// variation selectors, fillers, tags.
bool is_ignorable(uint32_t c) {
  constexpr uint32_t kRanges[][2] = {
      {0xAD, 0xAD},     {0x34F, 0x34F},   {0x61C, 0x61C},     {0x115F, 0x1160},   {0x17B4, 0x17B5},   {0x180B, 0x180F},
      {0x200B, 0x200F}, {0x202A, 0x202E}, {0x2060, 0x206F},   {0x3164, 0x3164},   {0xFE00, 0xFE0F},   {0xFEFF, 0xFEFF},
      {0xFFA0, 0xFFA0}, {0xFFF0, 0xFFF8}, {0x1BCA0, 0x1BCA3}, {0x1D173, 0x1D17A}, {0xE0000, 0xE0FFF},
  };
  for (const auto& [first, last] : kRanges)
    if (c >= first && c <= last) return true;
  return false;
}

// As JSON escapes it: beyond the first plane in two halves.
std::string escaped(uint32_t c) {
  if (c < 0x10000) return fmt::format("\\u{:04x}", c);
  return fmt::format("\\u{:04x}\\u{:04x}", 0xD800 + ((c - 0x10000) >> 10), 0xDC00 + (c & 0x3FF));
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
    } else if (is_control(character) || is_ignorable(character) || (is_white_space(character) && character != ' ')) {
      shown += escaped(character);
    } else if (utf8) {
      shown += before.substr(0, before.size() - value.size());
    } else {
      shown += static_cast<char>(character);
    }
  }
  return shown + (value.empty() ? "\"" : "...\"");
}

std::vector<std::string_view> characters_in(std::string_view text) {
  std::vector<std::string_view> characters;
  while (!text.empty()) {
    const std::string_view before = text;
    take_character(&text);
    characters.push_back(before.substr(0, before.size() - text.size()));
  }
  return characters;
}

std::string lower_case(std::string_view text) {
  if (std::all_of(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) < 0x80; })) {
    std::string lower(text);
    for (char& c : lower) c = c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    return lower;
  }
  if (!is_utf8(text)) return std::string(text);
  // The C library's tables; without the locale only ASCII has cases.
  static const locale_t unicode = newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr);
  std::string lower;
  while (!text.empty()) {
    const uint32_t c = take_character(&text);
    const bool ascii = c < 0x80;
    append_character(ascii || unicode == nullptr ? (c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c)
                                                 : static_cast<uint32_t>(towlower_l(static_cast<wint_t>(c), unicode)),
                     &lower);
  }
  return lower;
}

std::optional<uint32_t> looks_empty(std::string_view text) {
  const bool seen_at_once = !text.empty() && text[0] > ' ' && text[0] < 0x7F;
  if (text.empty() || seen_at_once || !is_utf8(text)) return std::nullopt;
  std::string_view rest = text;
  while (!rest.empty()) {
    const uint32_t character = take_character(&rest);
    if (!is_white_space(character) && !is_ignorable(character)) return std::nullopt;
  }
  return take_character(&text);
}

std::string form_fault(std::string_view form) {
  return character_fault(form, [](uint32_t c) { return c < 0x20; });
}

std::string tag_fault(std::string_view tag) {
  if (tag == "_") return "is CoNLL-U's mark for no tag";
  return character_fault(tag, [](uint32_t c) { return is_control(c) || is_white_space(c) || is_ignorable(c); });
}

}  // namespace tagger
