// The Reber grammar as a graph, walked at random.
// SPDX-License-Identifier: Apache-2.0
#include "reber.h"

#include <cstring>

namespace tagger {
namespace {

struct Edge {
  char symbol;
  int next;
};
constexpr int kStart = 0, kEnd = 7;

// Two edges leave every node; where there is only one, it stands twice.
constexpr Edge kGraph[kEnd][2] = {
    {{'B', 1}, {'B', 1}},        // 0
    {{'T', 2}, {'P', 3}},        // 1
    {{'S', 2}, {'X', 4}},        // 2
    {{'T', 3}, {'V', 5}},        // 3
    {{'X', 3}, {'S', 6}},        // 4
    {{'P', 4}, {'V', 6}},        // 5
    {{'E', kEnd}, {'E', kEnd}},  // 6
};

uint32_t bit(char symbol) {
  return 1u << reber_symbol(symbol);
}

}  // namespace

int64_t reber_symbol(char symbol) {
  return std::strchr(kReberSymbols, symbol) - kReberSymbols;
}

ReberString embedded_reber_string(Random* random) {
  ReberString result;
  uint32_t legal = 0;
  const auto add = [&](char symbol) {
    if (!result.symbols.empty()) result.legal_next.push_back(legal);
    result.symbols += symbol;
  };
  add('B');
  legal = bit('T') | bit('P');
  const char outer = random->below(2) == 0 ? 'T' : 'P';
  add(outer);
  for (int node = kStart; node != kEnd;) {
    legal = bit(kGraph[node][0].symbol) | bit(kGraph[node][1].symbol);
    const Edge& edge = kGraph[node][random->below(2)];
    add(edge.symbol);
    node = edge.next;
  }
  legal = bit(outer);
  add(outer);
  legal = bit('E');
  add('E');
  return result;
}

bool is_embedded_reber(const std::string& symbols) {
  const size_t size = symbols.size();
  if (size < 4 || symbols[0] != 'B' || symbols[size - 1] != 'E') return false;
  if ((symbols[1] != 'T' && symbols[1] != 'P') || symbols[size - 2] != symbols[1]) return false;
  int node = kStart;
  for (size_t k = 2; k < size - 2; ++k) {
    if (node == kEnd) return false;
    const Edge* edge = nullptr;
    for (const Edge& candidate : kGraph[node])
      if (candidate.symbol == symbols[k]) edge = &candidate;
    if (!edge) return false;
    node = edge->next;
  }
  return node == kEnd;
}

}  // namespace tagger
