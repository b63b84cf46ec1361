// exchange_bench of the emulated build: every mechanism once at small sizes, to see that what is given arrives.
// SPDX-License-Identifier: Apache-2.0
#include <stdio.h>

#include <stdexcept>

#include "bench/exchange/cases.h"
#include "bench/exchange/session.h"

namespace varlstm::bench {
namespace {

constexpr uint32_t kSteps = 7;  // each buffer and both parities of each mbarrier more than once
constexpr int64_t kChainLength = 5;

int check_all() {
  int failures = 0;
  printf("emulated: no times\n");
  for (const Exchange& exchange : small_exchanges()) {
    const std::string failure = run_exchange(exchange, kSteps, 0, 1).failure;
    printf("%-16s team=%u teams=%u units=%u: %s\n", name_of(exchange.mechanism), exchange.team, exchange.teams,
           exchange.units, failure.empty() ? "arrived" : failure.c_str());
    failures += failure.empty() ? 0 : 1;
  }
  for (const Piece piece : kPieces) {
    for (const uint32_t rounds : {kSteps, kSteps + 1}) {
      const std::string failure = run_piece(piece, rounds, 1).failure;
      printf("%-20s %s\n", name_of(piece), failure.empty() ? "all rounds" : failure.c_str());
      failures += failure.empty() ? 0 : 1;
    }
  }
  for (const unsigned columns : kProductColumns) {
    for (const bool waited : {false, true}) {
      const std::string failure = run_products({columns, waited}, 3, 1).failure;
      printf("wgmma N=%-12u %s\n", columns, failure.empty() ? "right" : failure.c_str());
      failures += failure.empty() ? 0 : 1;
    }
  }
  const std::string failure = check_chain(kChainLength, 3);
  printf("%-16s %s\n", "kernel chain", failure.empty() ? "in turn" : failure.c_str());
  return failures + (failure.empty() ? 0 : 1);
}

}  // namespace
}  // namespace varlstm::bench

int main() {
  try {
    return varlstm::bench::check_all() == 0 ? 0 : 1;
  } catch (const std::runtime_error& error) {
    fprintf(stderr, "exchange_bench: %s\n", error.what());
    return 1;
  }
}
