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
    {RecurrencePolicy::kCluster, MathKind::kBf16, 32, 8, {147, 312, 9856}, {162, 482, 8832}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 64, 8, {147, 340, 19584}, {162, 584, 17536}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 128, 8, {357, 398, 9856}, {372, 370, 7808}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 128, 16, {357, 767, 19712}, {372, 439, 11520}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 256, 8, {357, 501, 19584}, {372, 490, 17536}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 256, 16, {357, 1008, 39168}, {372, 1088, 35072}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 512, 8, {445, 586, 9856}, {372, 1097, 8832}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 512, 16, {445, 1097, 19712}, {372, 2194, 17664}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 32, 8, {147, 445, 10368}, {425, 760, 11392}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 64, 8, {147, 511, 20608}, {425, 954, 22656}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 128, 8, {357, 614, 10368}, {372, 483, 10368}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 128, 16, {357, 1214, 20736}, {635, 704, 16640}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 256, 8, {445, 668, 10368}, {372, 524, 11392}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 256, 16, {445, 1024, 20736}, {635, 1024, 22784}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 384, 8, {2023, 1290, 10880}, {372, 840, 7808}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 512, 8, {445, 1792, 10368}, {372, 1568, 11392}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 512, 16, {445, 2560, 20736}, {635, 2194, 22784}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 32, 8, {147, 1270, 10368}, {425, 1736, 11392}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 64, 8, {357, 1801, 10368}, {635, 2112, 11392}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 128, 8, {357, 3104, 10368}, {372, 4192, 11392}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 256, 8, {357, 6208, 10368}, {372, 6304, 11392}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 256, 16, {357, 8320, 20736}, {635, 8512, 22784}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 64, 8, {864, 441, 6272}, {880, 364, 8576}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 128, 8, {864, 500, 12416}, {880, 420, 17024}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 256, 8, {864, 626, 14464}, {880, 459, 25216}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 512, 8, {952, 675, 13440}, {880, 548, 37248}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 512, 16, {952, 938, 26880}, {880, 732, 74496}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 1024, 8, {952, 708, 21632}, {880, 737, 70016}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 1024, 16, {952, 1024, 43264}, {1142, 1168, 140032}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 2048, 8, {952, 1920, 38016}, {1142, 1298, 135552}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 2048, 16, {1216, 2816, 76032}, {1142, 2182, 271104}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 64, 8, {864, 614, 7808}, {1142, 442, 9856}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 128, 8, {864, 733, 9856}, {1142, 507, 13952}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 256, 8, {952, 788, 13952}, {1011, 558, 22144}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 512, 8, {952, 818, 22144}, {880, 662, 38528}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 512, 16, {952, 1098, 44288}, {1011, 934, 77056}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 1024, 8, {952, 914, 35712}, {880, 808, 68480}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 1024, 16, {1216, 1370, 71424}, {1142, 1240, 136960}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 64, 8, {864, 1872, 7808}, {880, 1040, 9856}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 128, 8, {864, 2913, 9856}, {880, 2064, 13952}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 256, 8, {864, 4988, 13952}, {880, 3088, 22144}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 512, 8, {1128, 9690, 22144}, {880, 5136, 38528}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 512, 16, {1654, 15140, 44288}, {1142, 6176, 77056}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 1024, 8, {2736, 19405, 35712}, {1142, 4616, 68480}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 1024, 16, {4840, 29898, 71424}, {1142, 5562, 136960}},
};

// Of forward by wide teams and an H: of one team of a block.
struct WideStep {
  int hidden;
  StepFigures forward;
};
constexpr WideStep kWideSteps[] = {
    {256, {2026, 768, 47104}},
    {512, {2026, 1536, 55296}},
    {768, {2026, 2304, 63488}},
    {1024, {2026, 3072, 71680}},
};

}  // namespace varlstm::cuda
