// varlstm-tagger demo
// SPDX-License-Identifier: Apache-2.0
#include "commands.h"
#include "demo.h"

namespace tagger {

int run_demo(const Options& options) {
  // Networks this small gain nothing from a second core, and lose much where another program wants it.
  const Context context = make_context(backend_of(options), options.threads == 0 ? 1 : options.threads);
  OutputFile out = OutputFile::standard_output();
  const bool tutorial = demo_tutorial(context, &out);
  out.write("\n");
  const bool reber = demo_reber(context, &out);
  out.close();
  return tutorial && reber ? kSuccess : kAimMissed;
}

}  // namespace tagger
