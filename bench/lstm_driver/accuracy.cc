// Correctness and repeatability: see accuracy.h.
// SPDX-License-Identifier: Apache-2.0
#include "bench/lstm_driver/accuracy.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>

#include "bench/lstm_driver/network_run.h"

namespace varlstm::lstm_driver {
namespace {

// Distance of 1 to the next value.
constexpr double kEpsDouble = 0x1p-52, kEpsFloat = 0x1p-23, kEpsTf32 = 0x1p-10, kEpsBf16 = 0x1p-7, kEpsF16 = 0x1p-10;
constexpr int64_t kMemory = 16;  // steps after which a rounding is forgotten
constexpr int64_t kGates = 16;   // roundings of a step that are no products
// Below it F16 stores multiples of 2^-24 and keeps no relative error.
constexpr double kSmallestF16 = 0x1p-24;

double stored_eps(int32_t dtype, Math math) {
  if (dtype == VARLSTM_DTYPE_BF16) return kEpsBf16;
  if (dtype == VARLSTM_DTYPE_F16) return kEpsF16;
  return dtype == VARLSTM_DTYPE_F32 && math == Math::kTf32 ? kEpsTf32 : 0.0;
}

struct Difference {
  double error = 0, largest = 0;
  int64_t at = 0;
};

Difference largest_difference(const std::vector<double>& actual, const std::vector<double>& expected) {
  Difference difference;
  for (size_t k = 0; k < expected.size(); ++k) {
    const double error = std::fabs(actual[k] - expected[k]);
    difference.largest = std::max(difference.largest, std::fabs(expected[k]));
    if (error <= difference.error) continue;
    difference.error = error;  // a NaN gets here, and stays
    difference.at = static_cast<int64_t>(k);
    if (std::isnan(error)) break;
  }
  return difference;
}

double smallest_of(int32_t dtype, int64_t roundings) {
  return dtype == VARLSTM_DTYPE_F16 ? kSmallestF16 * std::sqrt(static_cast<double>(roundings)) : 0.0;
}

Verdict judge(const std::string& tensor, const Difference& difference, Math math, const Scenario& scenario) {
  const double scale = std::max(difference.largest, std::numeric_limits<double>::min());
  Verdict verdict;
  verdict.tensor = tensor;
  verdict.error = difference.error / scale;
  verdict.allowed = tolerance_of(scenario, math, tensor) +
                    smallest_of(scenario.dtype, 2 * scenario.steps() * scenario.problem.hidden) / scale;
  verdict.passed = verdict.error <= verdict.allowed;  // false for a NaN
  if (!verdict.passed)
    verdict.text = fmt::format("{}[{}] differs by {:.2e} of the largest element, allowed {:.2e}", tensor, difference.at,
                               verdict.error, verdict.allowed);
  return verdict;
}

}  // namespace

double tolerance_of(const Scenario& scenario, Math math, const std::string& tensor) {
  const Problem& problem = scenario.problem;
  const bool gradient = tensor[0] == 'd', initial = tensor == "dh0" || tensor == "dc0";
  const int64_t longest = std::max<int64_t>(scenario.steps(), 1);
  const int64_t steps = initial ? longest : std::min(longest, kMemory);
  const double chain = static_cast<double>(problem.layers * steps) * (gradient ? 2 : 1);
  const double terms = static_cast<double>(std::max(problem.input, problem.outputs()) + problem.hidden + 2 + kGates);
  const double sums = chain * terms + (tensor == "dparams" ? static_cast<double>(scenario.tokens()) : 0.0);
  const double eps = scenario.dtype == VARLSTM_DTYPE_F64 ? kEpsDouble : kEpsFloat;
  return 2.0 * (eps * std::sqrt(sums) + stored_eps(scenario.dtype, math) * std::sqrt(chain));
}

bool may_cross_kink(const Scenario& scenario, Math math) {
  constexpr double kExpected = 0.25;
  const auto units = static_cast<double>(scenario.tokens() * scenario.problem.layers * scenario.problem.outputs());
  return scenario.cell.kinks && units * tolerance_of(scenario, math, "y") > kExpected;
}

Verdict check_correctness(const Options& options, const Scenario& scenario, const Context& ctx, const Context& host) {
  Scenario packed = scenario;
  packed.layout = Layout::kPacked;
  NetworkRun tested({ctx, host, scenario.dtype, scenario.dtype}, scenario, States::kRandom);
  NetworkRun reference({host, host, VARLSTM_DTYPE_F64, scenario.dtype}, packed, States::kRandom);
  for (NetworkRun* run : {&tested, &reference}) {
    run->prepare(nullptr);
    run->step(nullptr);
  }
  std::map<std::string, Difference> differences;
  const auto outputs = tested.outputs(), expected = reference.outputs();
  for (size_t k = 0; k < outputs.size(); ++k)
    differences[outputs[k].name] = largest_difference(tested.read(outputs[k]), reference.read(expected[k]));
  if (differences.count("dc0") != 0)  // one chain computes both
    differences["dh0"].largest = differences["dc0"].largest =
        std::max(differences["dh0"].largest, differences["dc0"].largest);
  Verdict worst;
  worst.passed = true;
  const bool skips_gradients = scenario.pass != Pass::kForward && may_cross_kink(scenario, options.math);
  for (const auto& [name, difference] : differences) {
    if (skips_gradients && name[0] == 'd') continue;
    const Verdict verdict = judge(name, difference, options.math, scenario);
    if (worst.tensor.empty() || !(verdict.error / verdict.allowed <= worst.error / worst.allowed)) worst = verdict;
    if (!worst.passed) break;
  }
  if (skips_gradients)
    worst.remark =
        fmt::format("gradients are not compared: rounding may carry a unit across the kink of {}", scenario.cell.name);
  return worst;
}

Verdict check_bitwise(const Options& options, const Scenario& scenario, const Context& ctx, const Context& host) {
  NetworkRun run({ctx, host, scenario.dtype, scenario.dtype}, scenario, States::kRandom);
  run.prepare(nullptr);
  Verdict verdict;
  std::vector<std::vector<char>> first;
  for (int64_t rerun = 0; rerun <= options.reruns; ++rerun) {
    run.step(nullptr);
    size_t k = 0;
    for (const NetworkRun::Output& output : run.outputs()) {
      std::vector<char> bytes = output.memory->download();
      if (rerun == 0) {
        first.push_back(std::move(bytes));
      } else if (bytes != first[k]) {
        const auto at = std::mismatch(bytes.begin(), bytes.end(), first[k].begin()).first - bytes.begin();
        verdict.tensor = output.name;
        verdict.text = fmt::format("{}[{}] differs in rerun {}", output.name, at / bytes_of(scenario.dtype), rerun);
        return verdict;
      }
      ++k;
    }
  }
  verdict.passed = true;
  return verdict;
}

}  // namespace varlstm::lstm_driver
