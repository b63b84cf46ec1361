// What bench/model.py models of a step of an LSTM in each tile, for an H200. Not measured on a GPU: bench/model.py
// --clocks writes this file from counts of the kernels, and bench/model_test.py compares it with them.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "kernels/selection/resident_tiles.h"

namespace varlstm::cuda {

// What L2 gives a block in a clock, and all blocks together.
constexpr int64_t kL2BytesOfBlock = 64, kL2BytesOfAll = 3100;

// Of a policy, math, H and number of slots: forward and backward.
constexpr TileStep kTileSteps[] = {
    {RecurrencePolicy::kCluster, MathKind::kBf16, 32, 8, {147, 312, 9856}, {162, 480, 7808}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 64, 8, {147, 340, 19584}, {162, 586, 15488}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 128, 8, {357, 398, 9856}, {372, 355, 7808}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 128, 16, {357, 767, 19712}, {372, 439, 15616}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 256, 8, {357, 501, 19584}, {372, 495, 15488}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 256, 16, {357, 1088, 39168}, {372, 1088, 30976}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 512, 8, {445, 586, 9856}, {372, 1097, 7808}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 512, 16, {445, 1097, 19712}, {372, 2194, 15616}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 32, 8, {147, 445, 10368}, {425, 768, 10368}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 64, 8, {147, 511, 20608}, {425, 953, 20608}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 128, 8, {357, 614, 10368}, {372, 483, 10368}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 128, 16, {357, 1214, 20736}, {635, 704, 20736}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 256, 8, {445, 668, 10368}, {372, 526, 10368}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 256, 16, {445, 1024, 20736}, {635, 1024, 20736}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 384, 8, {445, 864, 7808}, {372, 840, 7808}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 512, 8, {445, 1792, 10368}, {372, 1568, 10368}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 512, 16, {445, 2560, 20736}, {635, 2194, 20736}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 32, 8, {147, 1270, 10368}, {425, 1706, 10368}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 64, 8, {357, 1801, 10368}, {635, 2112, 10368}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 128, 8, {357, 3104, 10368}, {372, 4192, 10368}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 256, 8, {357, 6208, 10368}, {372, 6304, 10368}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 256, 16, {357, 8320, 20736}, {635, 8512, 20736}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 64, 8, {864, 441, 6528}, {880, 362, 8064}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 128, 8, {864, 500, 12928}, {880, 407, 16000}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 256, 8, {864, 626, 14976}, {880, 446, 24192}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 384, 8, {952, 604, 11648}, {880, 508, 31104}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 384, 16, {952, 801, 23296}, {880, 614, 57088}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 512, 8, {952, 675, 13696}, {880, 530, 39296}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 512, 16, {952, 938, 27392}, {880, 732, 73472}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 640, 8, {952, 612, 15744}, {880, 586, 47488}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 640, 16, {952, 768, 31488}, {1142, 860, 89856}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 768, 8, {952, 638, 17792}, {880, 610, 55680}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 768, 16, {952, 835, 35584}, {1142, 957, 106240}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 896, 8, {952, 689, 19840}, {880, 675, 63872}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 896, 16, {952, 928, 39680}, {1142, 1056, 122624}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 1024, 8, {952, 708, 21888}, {880, 720, 72064}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 1024, 16, {952, 1024, 43776}, {1142, 1168, 139008}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 2048, 8, {952, 1920, 38272}, {1142, 1238, 137600}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 2048, 16, {1216, 2816, 76544}, {1142, 2192, 270080}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 64, 8, {864, 614, 8320}, {1142, 437, 9344}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 128, 8, {864, 733, 10368}, {1011, 506, 16000}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 256, 8, {952, 788, 14464}, {880, 554, 24192}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 384, 8, {952, 759, 18560}, {880, 608, 32384}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 384, 16, {952, 942, 37120}, {880, 760, 59648}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 512, 8, {952, 818, 22656}, {1011, 666, 40576}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 512, 16, {952, 1098, 45312}, {1011, 934, 76032}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 640, 8, {952, 899, 26752}, {880, 748, 48768}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 640, 16, {1216, 1472, 53504}, {1142, 1144, 92416}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 768, 8, {952, 1216, 30848}, {880, 823, 56960}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 768, 16, {1216, 1920, 61696}, {1142, 1336, 108800}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 896, 8, {952, 1568, 34944}, {880, 1104, 65152}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 896, 16, {1216, 2496, 69888}, {1142, 1760, 125184}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 1024, 8, {952, 914, 35968}, {880, 804, 72064}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 1024, 16, {1216, 1370, 71936}, {1142, 1240, 139008}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 64, 8, {864, 1872, 8320}, {1142, 1072, 9344}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 128, 8, {864, 2913, 10368}, {880, 2128, 16000}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 256, 8, {864, 4988, 14464}, {880, 3152, 24192}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 384, 8, {1128, 7508, 18560}, {880, 4176, 32384}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 384, 16, {1390, 11746, 37120}, {1011, 5280, 59648}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 512, 8, {1128, 9690, 22656}, {1011, 5200, 40576}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 512, 16, {1654, 15140, 45312}, {1142, 6304, 76032}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 640, 8, {1390, 11942, 26752}, {1011, 6224, 48768}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 768, 8, {2210, 14596, 27776}, {1011, 3656, 55680}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 768, 16, {3788, 22858, 55552}, {1142, 4240, 106240}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 896, 8, {2472, 16906, 31872}, {1142, 4168, 63872}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 896, 16, {4314, 26384, 63744}, {1142, 4907, 122624}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 1024, 8, {2736, 19405, 35968}, {1142, 4680, 72064}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 1024, 16, {4840, 29898, 71936}, {1142, 5562, 139008}},
};

// Of wide teams and an H, of one team of a block. Only the bytes that its copies bring for a product, `copied`,
// lengthen its chain; all share what L2 gives. Backward is in the order of stepwise, and of policy grid if it has one.
struct WideFigures {
  int32_t chain, work, copied, bytes;
};
struct WideStep {
  int hidden;
  bool narrow;  // 16 bits, otherwise TF32
  WideFigures forward, backward, backward_of_grid;
};
constexpr WideStep kWideSteps[] = {
    {256, true, {2640, 768, 8192, 47104}, {3439, 878, 16384, 55296}, {}},
    {512, true, {2684, 1536, 16384, 55296}, {3777, 1536, 32768, 71680}, {4404, 1755, 32768, 71680}},
    {768, true, {2726, 2304, 24576, 63488}, {4006, 2304, 49152, 88064}, {4404, 2304, 49152, 88064}},
    {1024, true, {2770, 3072, 32768, 71680}, {4234, 3072, 65536, 104448}, {4404, 3072, 131072, 169984}},
    {256, false, {2270, 1280, 16384, 38912}, {}, {}},
    {1024, false, {2646, 5120, 65536, 88064}, {}, {}},
};

// Of wide teams whose weights are streamed, and an H. In each step a block copies `weights` bytes, of which the ring
// holds `ahead` before the step's values are there. A slot adds to the chain, `copied` bytes of values, and `bytes`
// with those of its cells.
struct StreamedFigures {
  int32_t chain, chain_of_slot, work, weights, ahead, copied, bytes;
};
struct StreamedStep {
  int hidden;
  bool narrow;  // 16 bits, otherwise TF32
  StreamedFigures forward, backward;
};
constexpr StreamedStep kStreamedSteps[] = {
    {256, false, {3116, 0, 1792, 32768, 49152, 256, 960}, {2552, 14, 1920, 49152, 40960, 1024, 1920}},
    {1024, false, {}, {3064, 14, 7680, 196608, 49152, 2048, 2944}},
    {2048, false, {3116, 0, 15360, 393216, 49152, 2048, 2752}, {2552, 14, 15360, 393216, 40960, 8192, 9088}},
    {2048, true, {2598, 0, 7168, 131072, 49152, 1024, 1664}, {4550, 14, 7168, 131072, 16384, 4096, 4704}},
};

// Of a launch for each step in TF32, and an H: of one sequence, what each further one adds to it, and of each sequence
// of a wide batch.
struct StepwiseFigures {
  int32_t step, more, rank;
};
struct StepwiseStep {
  int hidden;
  StepwiseFigures forward, backward;
};
constexpr StepwiseStep kStepwiseSteps[] = {
    {256, {4648, 0, 29}, {7652, 0, 64}},
    {2048, {24563, 238, 519}, {39684, 410, 536}},
};

}  // namespace varlstm::cuda
