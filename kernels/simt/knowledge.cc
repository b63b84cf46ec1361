// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/knowledge.h"

#include <algorithm>

namespace varlstm::simt {
namespace {

bool comes_before(const Epoch& a, const Epoch& b) {
  return a.key < b.key;
}

// Returns whether `epochs` already holds all of `more`.
bool holds(const Epochs& epochs, const Epochs& more) {
  auto at = epochs.begin();
  for (const Epoch& one : more) {
    while (at != epochs.end() && at->key < one.key) ++at;
    if (at == epochs.end() || at->key != one.key || at->epoch < one.epoch) return false;
  }
  return true;
}

}  // namespace

uint32_t epoch_of(const Epochs& epochs, uint64_t key) {
  const auto at = std::lower_bound(epochs.begin(), epochs.end(), Epoch{key, 0}, comes_before);
  return at != epochs.end() && at->key == key ? at->epoch : 0;
}

void learn(Epochs& epochs, uint64_t key, uint32_t epoch) {
  const auto at = std::lower_bound(epochs.begin(), epochs.end(), Epoch{key, 0}, comes_before);
  if (at == epochs.end() || at->key != key) {
    epochs.insert(at, {key, epoch});
  } else {
    at->epoch = std::max(at->epoch, epoch);
  }
}

void learn(Epochs& epochs, const Epochs& more) {
  if (holds(epochs, more)) return;
  Epochs both;
  both.reserve(epochs.size() + more.size());
  auto at = epochs.begin();
  for (const Epoch& one : more) {
    while (at != epochs.end() && at->key < one.key) both.push_back(*at++);
    const bool common = at != epochs.end() && at->key == one.key;
    both.push_back({one.key, common ? std::max(one.epoch, at->epoch) : one.epoch});
    if (common) ++at;
  }
  both.insert(both.end(), at, epochs.end());
  epochs = std::move(both);
}

Knowledge join(const Knowledge& a, const Knowledge& b) {
  if (a == b || b == nullptr) return a;
  if (a == nullptr || holds(*b, *a)) return b;
  if (holds(*a, *b)) return a;
  auto both = std::make_shared<Epochs>(*a);
  learn(*both, *b);
  return both;
}

}  // namespace varlstm::simt
