// The embedded Reber grammar (Hochreiter & Schmidhuber 1997, section 5.1): B, then T or P, then a string of the Reber
// grammar, then the same T or P again, then E. Only who remembers the second symbol can know the second to last.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "random.h"

namespace tagger {

constexpr char kReberSymbols[] = "BTPSXVE";
constexpr int64_t kReberSymbolCount = 7;

struct ReberString {
  std::string symbols;
  // For each symbol but the last: which symbols may follow, bit k for kReberSymbols[k].
  std::vector<uint32_t> legal_next;
};

ReberString embedded_reber_string(Random* random);

// Place of a symbol in kReberSymbols.
int64_t reber_symbol(char symbol);

// Whether the grammar makes this string: told from its symbols alone.
bool is_embedded_reber(const std::string& symbols);

}  // namespace tagger
