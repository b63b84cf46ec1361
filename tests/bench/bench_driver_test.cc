// varlstm-bench --lstm as users run it: correctness and repeatability on each back end of this build, the JSON file,
// failed cases, bad arguments.
// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "support/context.h"
#include "tagger/tagger_support.h"

namespace {

using nlohmann::json;
using tagger_test::Outcome;
using tagger_test::read_file;
using tagger_test::run_shell;
using tagger_test::TempFolder;
using tagger_test::write_file;

// Beside this program, wherever both are moved to.
const std::string kProgram = std::filesystem::read_symlink("/proc/self/exe").replace_filename("varlstm-bench").string();
const std::string kBackend = varlstm_test::test_backend() == VARLSTM_BACKEND_CUDA ? "cuda" : "host";

Outcome bench(const std::string& arguments) {
  return run_shell(kProgram + " --lstm --backend=" + kBackend + " " + arguments);
}

void expect_bad_argument(const std::string& arguments, const std::string& text) {
  const Outcome outcome = run_shell(kProgram + " --lstm " + arguments);
  EXPECT_EQ(outcome.status, 2) << arguments;
  EXPECT_EQ(outcome.err, "varlstm-bench: " + text + "\n");
  EXPECT_EQ(outcome.out, "");
}

// Results of modes c and b, all passed.
json checked(const std::string& arguments) {
  const TempFolder folder;
  const Outcome outcome =
      bench("--mode=cb --reruns=1 --lens=uniform:0:4 --seed=3 " + arguments + " --json=" + (folder / "results.json"));
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  const json report = json::parse(read_file(folder / "results.json"));
  EXPECT_EQ(report["about"]["backend"], kBackend);
  EXPECT_EQ(report["about"]["library"], varlstm_build_info());
  for (const json& result : report["results"]) {
    EXPECT_TRUE(result["passed"]) << result;
    EXPECT_TRUE(result["correct"]["passed"]);
    EXPECT_TRUE(result["bitwise"]["passed"]);
    EXPECT_LE(result["correct"]["error"], result["correct"]["allowed"]);
    EXPECT_GT(result["correct"]["allowed"], 0);
    EXPECT_LT(result["correct"]["allowed"], 0.2) << "a tolerance that lets a wrong result through";
    EXPECT_GT(result["tokens"], 0);
    EXPECT_FALSE(result.contains("performance"));
  }
  return report["results"];
}

TEST(BenchDriver, HelpHasBothHalves) {
  const Outcome outcome = run_shell(kProgram + " --help");
  EXPECT_EQ(outcome.status, 0) << outcome.err;
  EXPECT_NE(outcome.out.find("varlstm-bench --lstm --help"), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("--benchmark_filter"), std::string::npos) << outcome.out;
}

TEST(BenchDriver, EveryPassAndLayoutIsCorrectAndRepeats) {
  const json results = checked("--dir=fwd,bwd,train --layout=packed,ragged,batch_first,time_major l2b3i2h3d2");
  ASSERT_EQ(results.size(), 3u * 4);
  EXPECT_EQ(results[0]["problem"], "l2b3i2h3d2");
  EXPECT_EQ(results[11]["dir"], "train");
  EXPECT_EQ(results[11]["layout"], "time_major");
}

TEST(BenchDriver, EveryDtypeIsCorrectAndRepeats) {
  const json results = checked("--dir=train --dtype=f32,f64,bf16,f16 b3i2h3 b8h1");
  ASSERT_EQ(results.size(), 2u * 4);
  EXPECT_EQ(results[3]["dtype"], "f16");
}

TEST(BenchDriver, EveryCellIsCorrectAndRepeats) {
  const json results = checked("--cell=lstm,gru,rnn_tanh,rnn_relu --dir=fwd,train l2b3i2h3d2");
  ASSERT_EQ(results.size(), 4u * 2);
  EXPECT_FALSE(results[0].contains("cell")) << "without a cell it is an LSTM";
  EXPECT_EQ(results[2]["cell"], "gru");
  EXPECT_EQ(results[4]["cell"], "rnn_tanh");
  EXPECT_EQ(results[7]["cell"], "rnn_relu");
  EXPECT_NE(results[7]["repro"].get<std::string>().find(" --cell=rnn_relu "), std::string::npos) << results[7];
  for (const json& result : results) EXPECT_FALSE(result["correct"].contains("remark")) << result;
}

TEST(BenchDriver, SaysWhereAKinkLeavesGradientsOut) {
  const Outcome outcome = bench("--cell=rnn_relu,rnn_tanh --dir=train --dtype=bf16 --lens=fixed:3 b3i2h3");
  EXPECT_EQ(outcome.status, 0) << outcome.out << outcome.err;
  const std::string remark = "gradients are not compared: rounding may carry a unit across the kink of ";
  EXPECT_NE(outcome.out.find(remark + "rnn_relu\n"), std::string::npos) << outcome.out;
  EXPECT_EQ(outcome.out.find(remark + "rnn_tanh"), std::string::npos) << outcome.out;
}

// On the host in f32 the double reference is different code: some rounding must show.
TEST(BenchDriver, ComparesWithAnotherPrecision) {
  const TempFolder folder;
  const std::string file = folder / "results.json";
  ASSERT_EQ(bench("--lens=fixed:3 --json=" + file + " b2h8").status, 0);
  const json report = json::parse(read_file(file));
  EXPECT_GT(report["results"][0]["correct"]["error"], 0);
}

TEST(BenchDriver, TimesAndCounts) {
  const TempFolder folder;
  const std::string file = folder / "results.json", lengths = folder / "lengths", problems = folder / "problems";
  write_file(lengths, "3 1\n");
  write_file(problems, "b2i2h3 # tiny\n");
  const Outcome outcome =
      bench("--mode=p --seconds=0.01 --threads=1 --dir=train --cache=warm,cold --lens=file:" + lengths +
            " --batch=" + problems + " --json=" + file);
  ASSERT_EQ(outcome.status, 0) << outcome.err;
  const json report = json::parse(read_file(file));
  EXPECT_GT(report["about"]["copy_gb_per_s"], 0);
  EXPECT_GT(report["about"]["gemm_tflop_per_s"]["f32"], 0);
  ASSERT_EQ(report["results"].size(), 2u);
  for (const json& result : report["results"]) {
    const json& times = result["performance"];
    const double seconds = 1e-3 * times["ms"].get<double>();
    EXPECT_GT(seconds, 0);
    EXPECT_LE(times["least_ms"], times["ms"]);
    EXPECT_NEAR(times["us_per_step"].get<double>(), 1e6 * seconds / 3, 1e-6 * 1e6 * seconds);
    EXPECT_NEAR(times["tokens_per_s"].get<double>(), 4 / seconds, 1e-6 * 4 / seconds);
    EXPECT_NEAR(times["padded_tokens_per_s"].get<double>(), 6 / seconds, 1e-6 * 6 / seconds);
    EXPECT_NEAR(times["of_ceiling"].get<double>(), times["floor_ms"].get<double>() * 1e-3 / seconds, 1e-6);
  }
  EXPECT_EQ(report["results"][0]["cache"], "warm");
  EXPECT_EQ(report["results"][1]["cache"], "cold");
}

// A call that fails ends its case, with the line that runs it again, and not the others.
TEST(BenchDriver, AFailedCaseHasAReproLine) {
  if (!varlstm_test::emulated()) GTEST_SKIP() << "calls fail on request in the emulated runtime alone";
  const Outcome outcome =
      run_shell("VARLSTM_EMULATOR_FAIL=60 " + kProgram + " --lstm --backend=cuda --lens=fixed:2 --dtype=f32,f64 b1h2");
  EXPECT_EQ(outcome.status, 1) << outcome.out;
  EXPECT_NE(outcome.out.find("FAILED: VARLSTM_ERROR_BACKEND: "), std::string::npos) << outcome.out;
  EXPECT_NE(outcome.out.find("repro: varlstm-bench --lstm --mode=c --backend=cuda --dir=fwd --dtype=f32 --lens=fixed:2 "
                             "--layout=packed --seed=1 l1b1i2h2d1"),
            std::string::npos)
      << outcome.out;
  EXPECT_NE(outcome.out.find("2 cases, 1 failed"), std::string::npos) << outcome.out;
}

TEST(BenchDriver, BadArgumentsAreNamed) {
  expect_bad_argument("", "no problem is given, such as l1b16i128h128d1");
  expect_bad_argument("b2x", "«b2x»: «x» begins no part; there are l, b, i, h and d");
  expect_bad_argument("--cell=peephole b1",
                      "--cell = peephole is none of lstm, gru, rnn_tanh, rnn_relu, gru_reset_before");
  expect_bad_argument("--dir=sideways b1", "--dir = sideways is none of fwd, bwd, train");
  expect_bad_argument("--dtype=f32,f8 b1", "--dtype = f8 is none of f32, f64, bf16, f16");
  expect_bad_argument("--layout=loose b1", "--layout = loose is none of packed, ragged, batch_first, time_major");
  expect_bad_argument("--cache=hot b1", "--cache = hot is none of warm, cold");
  expect_bad_argument("--backend=tpu b1", "--backend = tpu is none of host, cuda");
  expect_bad_argument("--math=f8 b1", "--math = f8 is none of f32, tf32");
  expect_bad_argument("--policy=fast b1", "--policy = fast is none of auto, stepwise, cluster, grid");
  expect_bad_argument("--layers=mixed b1", "--layers = mixed is none of together, apart");
  expect_bad_argument("--mode=cx b1", "--mode = cx is not made of c, b and p");
  expect_bad_argument("--lens=gauss b1", "--lens = gauss: «gauss» is none of fixed, uniform, lognormal, ewt and file");
  expect_bad_argument("--threads=-1 b1", "--threads = -1 is not from 0 to 1024");
  expect_bad_argument("--reruns=0 b1", "--reruns = 0 is not positive");
  expect_bad_argument("--seconds=0 b1", "--seconds = 0 is not above 0 and at most 3600");
  expect_bad_argument("--graph b1", "--graph needs --backend=cuda");
  expect_bad_argument("--peer=cudnn b1", "--peer = cudnn needs --backend=cuda");
  expect_bad_argument("--peer=torch b1", "--peer = torch is not cudnn");
  expect_bad_argument("--batch=/nowhere", "--batch = /nowhere: cannot be read");
  expect_bad_argument("--json=/nowhere/x b1", "--json = /nowhere/x: cannot be written");
  const std::string unknown = "The following argument was not expected: --wrong (see varlstm-bench --lstm --help)";
  expect_bad_argument("--wrong b1", unknown);
  expect_bad_argument("--wrong", unknown);
  expect_bad_argument("--wrong --mode", unknown);
}

TEST(BenchDriver, WithoutItsFlagGoogleBenchmarkAnswers) {
  const Outcome outcome = run_shell(kProgram + " --benchmark_list_tests --benchmark_filter=lstm/forward/H:100");
  EXPECT_EQ(outcome.status, 0);
  EXPECT_NE(outcome.out.find("lstm/forward/H:100"), std::string::npos) << outcome.out;
}

}  // namespace
