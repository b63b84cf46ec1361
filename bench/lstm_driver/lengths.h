// Where a batch's lengths come from:
//   fixed:T                    every sequence T long
//   uniform:A:B                A to B, each as likely
//   lognormal[:MEDIAN[:SIGMA]] rounded, at least 1; 32 and 0.8 where not given
//   ewt                        sentences of English web text
//   file:F                     the numbers in file F, over and over where the batch is larger
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace varlstm::lstm_driver {

struct Lengths {
  enum Kind { kFixed, kUniform, kLogNormal, kEwt, kFile };

  std::string text;  // as it was given
  Kind kind = kFixed;
  double first = 0, second = 0;    // T; A and B; median and sigma
  std::vector<int64_t> from_file;  // of kFile
};

// Error names the part that is wrong.
Lengths parse_lengths(const std::string& text);

// [batch], the same for the same seed. bench/peers/problems.py draws the same ones.
std::vector<int64_t> draw_lengths(const Lengths& lengths, int64_t batch, uint64_t seed);

}  // namespace varlstm::lstm_driver
