// Every function of varlstm.h that can fail, called with right arguments, and the wrong numbers that it must refuse.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <functional>
#include <ostream>
#include <string>
#include <vector>

#include "capi_call.h"
#include "capi_world.h"

namespace varlstm_test {

struct Entry {
  std::string label;  // the function, and what is special about this call of it
  std::function<Call(World&)> make;
};

inline void PrintTo(const Entry& entry, std::ostream* out) {
  *out << entry.label;
}

const std::vector<Entry>& catalogue();

// Destroys the handle that a create call has given; nothing for other calls.
void destroy_created(Call& call);

}  // namespace varlstm_test
