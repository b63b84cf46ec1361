// What a thread knows to have happened, in addition to the barriers that all threads of a scope pass together: through
// releases and acquires, mbarriers, named barriers and barriers of a part of a warp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <memory>
#include <vector>

namespace varlstm::simt {

// The scopes whose barriers order accesses; and the single thread, whose time advances at each release.
enum Scope : unsigned { kWarp, kBlock, kCluster, kGrid, kScopes, kThread = kScopes };

// For a unit of a scope, given by its key: the accesses of the unit's threads before this epoch have happened.
struct Epoch {
  uint64_t key;
  uint32_t epoch;
};
using Epochs = std::vector<Epoch>;  // keys ascending, each once
using Knowledge = std::shared_ptr<const Epochs>;

inline uint64_t epoch_key(unsigned scope, uint64_t unit) {
  return uint64_t{scope} << 56 | unit;
}

// Returns the epoch of that key, or 0 if nothing is known.
uint32_t epoch_of(const Epochs& epochs, uint64_t key);
void learn(Epochs& epochs, uint64_t key, uint32_t epoch);
void learn(Epochs& epochs, const Epochs& more);
Knowledge join(const Knowledge& a, const Knowledge& b);

}  // namespace varlstm::simt
