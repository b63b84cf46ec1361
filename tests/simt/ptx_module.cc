// SPDX-License-Identifier: Apache-2.0
#include "tests/simt/ptx_module.h"

#include <stdio.h>
#include <stdlib.h>

#include <fstream>
#include <memory>
#include <sstream>

#include "kernels/simt/kernel_override.h"
#include "kernels/simt/launch.h"
#include "kernels/simt/runtime_call.h"

namespace varlstm::test {
namespace {

const simt::ptx::Program* launched = nullptr;  // one launch at a time

std::function<void()> run_launched(const simt::KernelCall& call) {
  const void* const* arguments = call.arguments;
  std::shared_ptr<void> grid_words;
  if (call.shape->cooperative) {
    constexpr size_t kBytes = 256;
    grid_words.reset(simt::device_allocate(kBytes), simt::device_free);
    memset(grid_words.get(), 0, kBytes);
  }
  auto reached = std::make_shared<std::vector<unsigned char>>(launched->instructions.size());
  return [arguments, grid_words, reached] {
    simt::ptx::run_thread(*launched, arguments, grid_words.get(), reached->data());
  };
}

void never_called(const void*) {
  abort();
}

}  // namespace

PtxModule PtxModule::of_file(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  PtxModule made(path, text.str());
  if (made.programs_.empty()) {
    fprintf(stderr, "%s has no kernel\n", path.c_str());
    abort();
  }
  return made;
}

std::string PtxModule::run_with(const std::string& kernel, const Place& place, const Argument* arguments,
                                size_t count) const {
  launched = nullptr;
  for (const simt::ptx::Program& program : programs_)
    if (program.name == kernel) launched = &program;
  if (launched == nullptr) return "no kernel " + kernel;
  if (launched->parameters != count) return kernel + " has another number of parameters";
  LaunchShape shape;
  shape.grid = dim3(place.blocks);
  shape.block = dim3(place.threads);
  shape.cluster = launched->cluster > 1 ? launched->cluster : place.cluster;
  shape.shared_bytes = launched->shared_bytes + place.dynamic_shared_bytes;
  shape.cooperative = place.cooperative;
  if (simt::check_shape(shape) != cudaSuccess) return "the shape is refused";
  std::vector<const void*> addresses;
  const std::vector<size_t> bytes(count, sizeof(Argument));
  for (size_t k = 0; k < count; ++k) addresses.push_back(arguments + k);
  const simt::KernelCall call = {launched,
                                 kernel.c_str(),
                                 &shape,
                                 addresses.data(),
                                 bytes.data(),
                                 static_cast<unsigned>(count),
                                 simt::current_device()};
  simt::set_kernel_override(run_launched);
  const cudaError_t error = simt::run_kernel(call, never_called, arguments, count * sizeof(Argument));
  simt::set_kernel_override(nullptr);
  return error == cudaSuccess ? "" : simt::last_report();
}

std::vector<simt::Options> every_schedule(bool strict) {
  std::vector<simt::Options> all;
  for (const simt::Schedule schedule :
       {simt::Schedule::kFifo, simt::Schedule::kLifo, simt::Schedule::kRandom, simt::Schedule::kPct}) {
    simt::Options options;
    options.schedule = schedule;
    options.strict = strict;
    all.push_back(options);
  }
  return all;
}

std::string name_of(simt::Schedule schedule) {
  static const char* const names[] = {"fifo", "lifo", "random", "pct"};
  return names[static_cast<int>(schedule)];
}

}  // namespace varlstm::test
