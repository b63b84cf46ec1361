// Reads PTX as nvcc writes it.
// SPDX-License-Identifier: Apache-2.0

#include <set>

#include "kernels/simt/ptx/kernel_parser.h"
#include "kernels/simt/ptx/program.h"
#include "kernels/simt/ptx/statements.h"
#include "kernels/simt/ptx/variables.h"

namespace varlstm::simt::ptx {
namespace {

using Iterator = std::vector<Statement>::const_iterator;

// Returns the place after the brace that closes the body which begins at `first`.
Iterator end_of_body(Iterator first, Iterator end) {
  int depth = 0;
  for (Iterator at = first; at != end; ++at) {
    if (at->kind == Statement::Kind::kOpen) ++depth;
    if (at->kind == Statement::Kind::kClose && --depth == 0) return at + 1;
    if (at->kind == Statement::Kind::kHead) return at;
  }
  return end;
}

bool declares_function(const Statement& statement) {
  return statement.text.find(".func") != std::string::npos || statement.text.find(".entry") != std::string::npos;
}

}  // namespace

const Handlers& handlers() {
  static const Handlers all = [] {
    Handlers made;
    add_arithmetic(made);
    add_async(made);
    add_atomics(made);
    add_barriers(made);
    add_bits(made);
    add_comparisons(made);
    add_control(made);
    add_conversions(made);
    add_functions(made);
    add_matrices(made);
    add_mbarriers(made);
    add_memory(made);
    add_warp(made);
    add_wgmma(made);
    return made;
  }();
  return all;
}

std::vector<Program> parse(const std::string& file, const std::string& text, const std::string& begin) {
  static std::set<std::string> names;  // of files: sites point to them
  const char* kept = names.insert(file).first->c_str();
  const std::vector<Statement> statements = statements_of(text);
  std::vector<Program> programs;
  Variables variables;
  for (Iterator at = statements.begin(); at != statements.end();) {
    KernelParser parser(kept, &variables);
    if (at->kind == Statement::Kind::kHead) {
      const Iterator end = end_of_body(at + 1, statements.end());
      if (at->text.find(".entry") != std::string::npos) {
        parser.head(*at);
        if (starts_with(parser.name(), begin)) {
          for (Iterator one = at + 1; one != end; ++one) parser.take(*one);
          programs.push_back(parser.finish());
        }
      }
      at = end;
      continue;
    }
    if (at->kind == Statement::Kind::kStatement && !declares_function(*at))
      if (const std::string error = variables.declare(*at); !error.empty()) parser.fail_at(at->line, error);
    ++at;
  }
  return programs;
}

}  // namespace varlstm::simt::ptx
