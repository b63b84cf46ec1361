// varlstm-bench's problem descriptors and distributions of lengths: what they mean, and errors that name the part.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <fstream>
#include <numeric>

#include "bench/lstm_driver/error.h"
#include "bench/lstm_driver/lengths.h"
#include "bench/lstm_driver/problem.h"
#include "bench/lstm_driver/work.h"
#include "cells/cells.h"

namespace varlstm::lstm_driver {
namespace {

template <class Call>
std::string error_of(const Call& call) {
  try {
    call();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}
std::string problem_error(const std::string& text) {
  return error_of([&] { parse_problem(text); });
}
std::string lengths_error(const std::string& text) {
  return error_of([&] { parse_lengths(text); });
}

// A file that goes with the test.
class TempFile {
 public:
  explicit TempFile(const std::string& text)
      : path_(testing::TempDir() + "bench_spec_test." + std::to_string(getpid())) {
    std::ofstream(path_) << text;
  }
  ~TempFile() { std::remove(path_.c_str()); }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

TEST(BenchProblem, ReadsEveryPartInAnyOrder) {
  EXPECT_EQ(to_string(parse_problem("l2b64i128h256d2")), "l2b64i128h256d2");
  EXPECT_EQ(to_string(parse_problem("d2h256i128b64l2")), "l2b64i128h256d2");
}

TEST(BenchProblem, AbsentPartsHaveDefaults) {
  EXPECT_EQ(to_string(parse_problem("b1")), "l1b1i128h128d1");
  EXPECT_EQ(to_string(parse_problem("h512")), "l1b16i512h512d1") << "inputs follow the hidden units";
  EXPECT_EQ(to_string(parse_problem("i7")), "l1b16i7h128d1");
}

TEST(BenchProblem, ErrorsNameThePart) {
  EXPECT_EQ(problem_error(""), "a problem is empty; one is, for example, l1b16i128h128d1");
  EXPECT_EQ(problem_error("b2q3"), "«b2q3»: «q» begins no part; there are l, b, i, h and d");
  EXPECT_EQ(problem_error("16h8"), "«16h8»: «1» begins no part; there are l, b, i, h and d");
  EXPECT_EQ(problem_error("b2h8b3"), "«b2h8b3»: part b is given twice");
  EXPECT_EQ(problem_error("bh8"), "«bh8»: part b (batch) has no number");
  EXPECT_EQ(problem_error("b2h"), "«b2h»: part h (hidden units) has no number");
  EXPECT_EQ(problem_error("h0"), "«h0»: part h (hidden units) = 0 is not from 1 to 1048576");
  EXPECT_EQ(problem_error("b-3"), "«b-3»: part b (batch) = -3 is not from 1 to 16777216");
  EXPECT_EQ(problem_error("d3"), "«d3»: part d (directions) = 3 is not from 1 to 2");
  EXPECT_EQ(problem_error("l99999999999999999999"),
            "«l99999999999999999999»: part l (layers) = 99999999999999999999 is not from 1 to 4096");
  EXPECT_EQ(problem_error("b2 h8"), "«b2 h8»: « » begins no part; there are l, b, i, h and d");
}

TEST(BenchProblem, BatchFile) {
  const TempFile file("# sizes\nb1h8  b2h8 # two\n\nl2\n");
  std::string all;
  for (const Problem& problem : read_problems(file.path())) all += to_string(problem) + " ";
  EXPECT_EQ(all, "l1b1i8h8d1 l1b2i8h8d1 l2b16i128h128d1 ");
  const TempFile bad("b1\nb1x\n");
  EXPECT_EQ(error_of([&] { read_problems(bad.path()); }),
            bad.path() + ":2: «b1x»: «x» begins no part; there are l, b, i, h and d");
  const TempFile empty("# nothing\n");
  EXPECT_EQ(error_of([&] { read_problems(empty.path()); }), "--batch = " + empty.path() + ": names no problem");
  EXPECT_EQ(error_of([] { read_problems("/nowhere"); }), "--batch = /nowhere: cannot be read");
}

TEST(BenchLengths, FixedUniformAndFile) {
  EXPECT_EQ(draw_lengths(parse_lengths("fixed:5"), 3, 1), (std::vector<int64_t>{5, 5, 5}));
  const std::vector<int64_t> uniform = draw_lengths(parse_lengths("uniform:2:6"), 1000, 1);
  for (int64_t length = 2; length <= 6; ++length)  // five standard deviations around 200
    EXPECT_NEAR(std::count(uniform.begin(), uniform.end(), length), 200, 5 * std::sqrt(160.0)) << length;
  EXPECT_EQ(*std::max_element(uniform.begin(), uniform.end()), 6);
  EXPECT_EQ(*std::min_element(uniform.begin(), uniform.end()), 2);
  const TempFile file("3 0\n7\n");
  EXPECT_EQ(draw_lengths(parse_lengths("file:" + file.path()), 5, 1), (std::vector<int64_t>{3, 0, 7, 3, 0}));
}

TEST(BenchLengths, SkewedOnesHaveTheirMedian) {
  for (const auto& [text, median] :
       {std::pair("lognormal", 32), std::pair("lognormal:20:0.5", 20), std::pair("ewt", 14)}) {
    std::vector<int64_t> lengths = draw_lengths(parse_lengths(text), 10001, 1);
    std::sort(lengths.begin(), lengths.end());
    EXPECT_NEAR(lengths[5000], median, 1) << text;
    EXPECT_GE(lengths.front(), 1) << text;
  }
  const std::vector<int64_t> ewt = draw_lengths(parse_lengths("ewt"), 10000, 1);
  EXPECT_LE(*std::max_element(ewt.begin(), ewt.end()), 159);
}

TEST(BenchLengths, DependOnTheSeedAlone) {
  const Lengths lengths = parse_lengths("lognormal");
  EXPECT_EQ(draw_lengths(lengths, 50, 7), draw_lengths(lengths, 50, 7));
  EXPECT_NE(draw_lengths(lengths, 50, 7), draw_lengths(lengths, 50, 8));
}

TEST(BenchLengths, ErrorsNameThePart) {
  EXPECT_EQ(lengths_error("gauss"), "--lens = gauss: «gauss» is none of fixed, uniform, lognormal, ewt and file");
  EXPECT_EQ(lengths_error("fixed"), "--lens = fixed: the form is fixed:T");
  EXPECT_EQ(lengths_error("fixed:x"), "--lens = fixed:x: T «x» is no number");
  EXPECT_EQ(lengths_error("fixed:1.5"), "--lens = fixed:1.5: T 1.5 is not whole");
  EXPECT_EQ(lengths_error("fixed:-1"), "--lens = fixed:-1: T -1 is not from 0 to 16777216");
  EXPECT_EQ(lengths_error("uniform:3"), "--lens = uniform:3: the form is uniform:A:B");
  EXPECT_EQ(lengths_error("uniform:9:3"), "--lens = uniform:9:3: B 3 is not from 9 to 16777216");
  EXPECT_EQ(lengths_error("lognormal:0"), "--lens = lognormal:0: median 0 is not from 1 to 16777216");
  EXPECT_EQ(lengths_error("lognormal:8:nan"), "--lens = lognormal:8:nan: sigma nan is not from 0 to 8");
  EXPECT_EQ(lengths_error("ewt:3"), "--lens = ewt:3: the form is ewt");
  EXPECT_EQ(lengths_error("file:/nowhere"), "--lens = file:/nowhere: cannot be read");
  const TempFile file("3 four\n");
  EXPECT_EQ(lengths_error("file:" + file.path()), "--lens = file:" + file.path() + ": length «four» is no number");
}

// One layer, one direction, by hand: 2 * 4 * H * (I + H) * N forward.
TEST(BenchWork, CountsTokensNotPadding) {
  Scenario scenario;
  scenario.problem = parse_problem("b2i3h5");
  scenario.lengths = {4, 1};
  EXPECT_EQ(scenario.tokens(), 5);
  EXPECT_EQ(scenario.padded_tokens(), 8);
  EXPECT_EQ(parameters_of(scenario), 4 * 5 * (3 + 5 + 2));
  EXPECT_EQ(flops_of(scenario), 8.0 * 5 * (3 + 5) * 5);
  EXPECT_EQ(bytes_of(scenario), 4.0 * (200 + 15 + 25));
  scenario.pass = Pass::kTrain;
  EXPECT_EQ(flops_of(scenario), 3 * 8.0 * 5 * (3 + 5) * 5);
  scenario.problem = parse_problem("l2d2b2i3h5");
  EXPECT_EQ(parameters_of(scenario), 2 * 4 * 5 * (3 + 5 + 2) + 2 * 4 * 5 * (10 + 5 + 2));
}

TEST(BenchWork, CountsTheGatesOfEveryCell) {
  ASSERT_EQ(std::size(kCells), std::size(varlstm_test::kCells));
  Scenario scenario;
  scenario.problem = parse_problem("b2i3h5");
  scenario.lengths = {4, 1};
  for (const Cell& cell : kCells) {
    const varlstm_test::TestedCell& tested = varlstm_test::tested_cell(cell.value);
    EXPECT_EQ(cell.has_c, tested.has_c) << cell.name;
    scenario.cell = cell;
    EXPECT_EQ(parameters_of(scenario), tested.gates * 5 * (3 + 5 + 2)) << cell.name;
    EXPECT_EQ(flops_of(scenario), 2.0 * static_cast<double>(tested.gates) * 5 * (3 + 5) * 5) << cell.name;
  }
}

}  // namespace
}  // namespace varlstm::lstm_driver
