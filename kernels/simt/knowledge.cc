// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/knowledge.h"

#include <algorithm>

namespace varlstm::simt {

void learn(Epochs& epochs, uint64_t key, uint32_t epoch) {
  uint32_t& known = epochs[key];
  known = std::max(known, epoch);
}

void learn(Epochs& epochs, const Epochs& more) {
  for (const auto& [key, epoch] : more) learn(epochs, key, epoch);
}

Knowledge join(const Knowledge& a, const Knowledge& b) {
  if (a == b || b == nullptr) return a;
  if (a == nullptr) return b;
  auto both = std::make_shared<Epochs>(*a);
  learn(*both, *b);
  return both;
}

}  // namespace varlstm::simt
