// The parts of a mnemonic that say in which space and in what order memory is accessed.
// SPDX-License-Identifier: Apache-2.0
#include <set>
#include <sstream>

#include "kernels/simt/ptx/program.h"

namespace varlstm::simt::ptx {
namespace {

const std::map<std::string, Space> kSpaces = {{"global", Space::kGeneric},     {"shared", Space::kShared},
                                              {"shared::cta", Space::kShared}, {"shared::cluster", Space::kCluster},
                                              {"local", Space::kPrivate},      {"param", Space::kPrivate},
                                              {"const", Space::kGeneric}};
const std::map<std::string, Order> kOrders = {{"relaxed", Order::kRelaxed},
                                              {"acquire", Order::kAcquire},
                                              {"release", Order::kRelease},
                                              {"acq_rel", Order::kAcquireRelease}};
const std::map<std::string, Scope> kScopes = {{"cta", kBlock}, {"cluster", kCluster}, {"gpu", kGrid}, {"sys", kGrid}};
// The hints of loads and stores, which change no value.
const std::set<std::string> kHints = {"weak",
                                      "nc",
                                      "ca",
                                      "cg",
                                      "cs",
                                      "cv",
                                      "lu",
                                      "wb",
                                      "wt",
                                      "v2",
                                      "v4",
                                      "L1::no_allocate",
                                      "L1::evict_normal",
                                      "L1::evict_unchanged",
                                      "L1::evict_first",
                                      "L1::evict_last",
                                      "L2::64B",
                                      "L2::128B",
                                      "L2::256B"};

bool reaches_memory(const std::string& name) {
  static const std::set<std::string> names = {"ld", "st", "atom", "red", "cp", "mbarrier", "ldmatrix"};
  return names.count(name) != 0;
}

}  // namespace

std::vector<std::string> split(const std::string& text, char separator) {
  std::vector<std::string> parts;
  std::istringstream in(text);
  std::string part;
  while (std::getline(in, part, separator)) {
    const size_t begin = part.find_first_not_of(" \t");
    parts.push_back(begin == std::string::npos ? "" : part.substr(begin, part.find_last_not_of(" \t") + 1 - begin));
  }
  return parts;
}

std::string without_modifiers(const std::string& mnemonic, Instruction* made) {
  const std::vector<std::string> parts = split(mnemonic, '.');
  if (!reaches_memory(parts[0])) return mnemonic;
  const bool plain = (parts[0] == "ld" || parts[0] == "st") && (parts.size() < 2 || parts[1] != "async");
  bool has_space = false;
  std::string rest = parts[0];
  for (size_t k = 1; k < parts.size(); ++k) {
    const std::string& part = parts[k];
    if (const auto space = kSpaces.find(part); space != kSpaces.end() && !has_space) {
      made->space = space->second;
      has_space = true;
    } else if (const auto order = kOrders.find(part); order != kOrders.end()) {
      made->order = order->second;
    } else if (plain && part == "volatile") {
      made->order = Order::kRelaxed;  // .relaxed.sys
    } else if (const auto scope = kScopes.find(part); scope != kScopes.end()) {
      made->scope = scope->second;
    } else if (!(plain && kHints.count(part) != 0)) {
      rest += "." + part;
    }
  }
  return rest;
}

}  // namespace varlstm::simt::ptx
