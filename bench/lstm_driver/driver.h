// The driver for recurrent problems, in the manner of oneDNN's benchdnn.
// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace varlstm::lstm_driver {

// Exit status: 0, 1 if a case failed, 2 for bad arguments.
int run(int argc, char** argv);

}  // namespace varlstm::lstm_driver
