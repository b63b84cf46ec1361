// Well-formed UTF-8 (RFC 3629): what goes into a model's JSON must be.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string_view>

namespace tagger {

inline bool is_utf8(std::string_view text) {
  const auto byte = [&](size_t k) { return static_cast<unsigned char>(text[k]); };
  for (size_t k = 0; k < text.size();) {
    const unsigned lead = byte(k);
    const size_t length = lead < 0x80 ? 1 : lead < 0xC2 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : lead < 0xF5 ? 4 : 0;
    if (length == 0 || text.size() - k < length) return false;
    for (size_t j = 1; j < length; ++j)
      if ((byte(k + j) & 0xC0) != 0x80) return false;
    if (length >= 3) {
      // Overlong forms, surrogates, and what lies beyond U+10FFFF show in the second byte.
      const unsigned second = byte(k + 1);
      if ((lead == 0xE0 && second < 0xA0) || (lead == 0xED && second > 0x9F) || (lead == 0xF0 && second < 0x90) ||
          (lead == 0xF4 && second > 0x8F))
        return false;
    }
    k += length;
  }
  return true;
}

}  // namespace tagger
