// What a thread knows to have happened beyond the barriers that all threads of a scope pass together: through releases
// and acquires, mbarriers, named barriers and barriers of a part of a warp.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>

#include <map>
#include <memory>

namespace varlstm::simt {

// Scopes whose barriers order accesses, and the single thread, whose time advances at each release.
enum Scope : unsigned { kWarp, kBlock, kCluster, kGrid, kScopes, kThread = kScopes };

// Unit of a scope -> the accesses of its threads before this epoch of that scope have happened.
using Epochs = std::map<uint64_t, uint32_t>;
using Knowledge = std::shared_ptr<const Epochs>;

inline uint64_t epoch_key(unsigned scope, uint64_t unit) {
  return uint64_t{scope} << 56 | unit;
}

void learn(Epochs& epochs, uint64_t key, uint32_t epoch);
void learn(Epochs& epochs, const Epochs& more);
Knowledge join(const Knowledge& a, const Knowledge& b);

}  // namespace varlstm::simt
