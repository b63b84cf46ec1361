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
    {RecurrencePolicy::kCluster, MathKind::kBf16, 32, 8, {278, 448, 9856}, {294, 568, 8832}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 64, 8, {278, 470, 19584}, {294, 672, 17536}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 128, 8, {357, 539, 9856}, {665, 418, 7808}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 128, 16, {357, 1054, 19712}, {402, 528, 11520}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 256, 8, {357, 636, 19584}, {402, 580, 17536}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 256, 16, {357, 1316, 39168}, {402, 1088, 35072}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 512, 8, {445, 752, 9856}, {665, 1097, 8832}},
    {RecurrencePolicy::kCluster, MathKind::kBf16, 512, 16, {445, 1097, 19712}, {665, 2194, 17664}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 32, 8, {278, 504, 10368}, {294, 770, 11392}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 64, 8, {278, 564, 20608}, {294, 964, 22656}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 128, 8, {357, 690, 10368}, {402, 510, 10368}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 128, 16, {357, 1380, 20736}, {402, 715, 16640}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 256, 8, {445, 744, 10368}, {402, 586, 11392}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 256, 16, {445, 1024, 20736}, {402, 1024, 22784}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 384, 8, {445, 922, 10880}, {402, 840, 7808}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 512, 8, {445, 1792, 10368}, {402, 1568, 11392}},
    {RecurrencePolicy::kCluster, MathKind::kTf32, 512, 16, {445, 2560, 20736}, {402, 2194, 22784}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 32, 8, {410, 1354, 10368}, {294, 1740, 11392}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 64, 8, {357, 1874, 10368}, {402, 2112, 11392}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 128, 8, {357, 3104, 10368}, {402, 4192, 11392}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 256, 8, {357, 6208, 10368}, {402, 6304, 11392}},
    {RecurrencePolicy::kCluster, MathKind::kF32, 256, 16, {357, 8320, 20736}, {402, 8512, 22784}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 64, 8, {864, 588, 6272}, {1142, 418, 8576}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 128, 8, {864, 669, 12416}, {1142, 462, 17024}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 256, 8, {864, 790, 14464}, {1142, 474, 25216}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 512, 8, {952, 858, 13440}, {1142, 567, 37248}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 512, 16, {952, 1128, 26880}, {1142, 780, 74496}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 1024, 8, {952, 881, 21632}, {1142, 785, 70016}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 1024, 16, {952, 1149, 43264}, {1406, 1168, 140032}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 2048, 8, {1084, 1920, 38016}, {1406, 1318, 135552}},
    {RecurrencePolicy::kGrid, MathKind::kBf16, 2048, 16, {1216, 2816, 76032}, {1406, 2200, 271104}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 64, 8, {864, 728, 7808}, {880, 464, 9856}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 128, 8, {864, 838, 9856}, {880, 553, 13952}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 256, 8, {952, 904, 13952}, {880, 588, 22144}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 512, 8, {952, 936, 22144}, {880, 720, 38528}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 512, 16, {952, 1197, 44288}, {880, 982, 77056}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 1024, 8, {952, 1034, 35712}, {880, 864, 68480}},
    {RecurrencePolicy::kGrid, MathKind::kTf32, 1024, 16, {1216, 1436, 71424}, {1142, 1280, 136960}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 64, 8, {864, 2004, 7808}, {880, 1040, 9856}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 128, 8, {864, 3044, 9856}, {880, 2064, 13952}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 256, 8, {864, 5124, 13952}, {880, 3088, 22144}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 512, 8, {1128, 9760, 22144}, {880, 5136, 38528}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 512, 16, {1654, 15308, 44288}, {880, 6176, 77056}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 1024, 8, {2736, 19510, 35712}, {880, 4616, 68480}},
    {RecurrencePolicy::kGrid, MathKind::kF32, 1024, 16, {4840, 30387, 71424}, {1142, 5551, 136960}},
};

}  // namespace varlstm::cuda
