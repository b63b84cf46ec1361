// The two parts of `varlstm-tagger demo`. Each prints what it shows and returns whether it reached its aim.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "context.h"
#include "file.h"

namespace tagger {

// The tutorial's network on its three sentences, until the loss is under 0.01.
bool demo_tutorial(const Context& context, OutputFile* out);

// An LSTM on the embedded Reber grammar, until every symbol that it predicts on 1,000 unseen strings is legal.
bool demo_reber(const Context& context, OutputFile* out);

}  // namespace tagger
