// varlstm-tagger: tags the words of sentences, through libvarlstm's C ABI.
// SPDX-License-Identifier: Apache-2.0
#include <csignal>
#include <cstdio>
#include <exception>
#include <new>
#include <string>
#include <varlstm.hpp>

#include "commands.h"

namespace {

int run(int argc, char** argv) {
  tagger::Options options;
  if (!tagger::parse_command_line(argc, argv, &options)) return tagger::kSuccess;
  switch (options.command) {
    case tagger::Options::kTrain:
      return tagger::run_train(options);
    case tagger::Options::kEval:
      return tagger::run_eval(options);
    case tagger::Options::kPredict:
      return tagger::run_predict(options);
    case tagger::Options::kDemo:
      return tagger::run_demo(options);
  }
  return tagger::kBadInput;
}

// An error is one line, whatever the text of a file, its name or a library says.
int report(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7F) c = c == '\n' || c == '\r' ? ' ' : '?';
  std::fprintf(stderr, "varlstm-tagger: %s\n", text.c_str());
  return tagger::kBadInput;
}

}  // namespace

int main(int argc, char** argv) {
  // A file that would outgrow its limit is an error to report, not the end of the program; so is a reader of standard
  // output that has gone.
  std::signal(SIGXFSZ, SIG_IGN);
  std::signal(SIGPIPE, SIG_IGN);
  try {
    return run(argc, argv);
  } catch (const std::bad_alloc&) {
    return report("not enough memory");
  } catch (const varlstm::Error& error) {
    return report(std::string(error.status_name()) + ": " + error.what());
  } catch (const std::exception& error) {
    return report(error.what());
  }
}
