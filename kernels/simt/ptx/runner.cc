// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/ptx/runner.h"

#include <alloca.h>
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <fstream>
#include <memory>
#include <mutex>
#include <sstream>

#include "kernels/simt/coordinates.h"
#include "kernels/simt/kernel_name.h"
#include "kernels/simt/memory.h"
#include "kernels/simt/ptx/program.h"
#include "kernels/simt/ptx/statements.h"
#include "kernels/simt/thread.h"

namespace varlstm::simt::ptx {
namespace {

constexpr const char* kOurKernels = "_ZN7varlstm";  // other kernels in its files are CUB's

struct Kernel {
  std::string file;
  Program program;                          // empty until the file is parsed
  std::vector<unsigned char> reached = {};  // by instruction
};

using Kernels = std::map<std::string, Kernel>;
Kernels& kernels();

std::string text_of(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

// Adds the kernels of a file by their names alone.
void add_file(const std::string& path, Kernels* kernels) {
  const std::string text = text_of(path), entry = ".entry ";
  for (size_t at = text.find(entry); at != std::string::npos; at = text.find(entry, at)) {
    at += entry.size();
    size_t end = at;
    while (end < text.size() && is_word(text[end])) ++end;
    const std::string name = text.substr(at, end - at);
    if (starts_with(name, kOurKernels)) (*kernels)[name].file = path;
  }
}

// Parses a kernel's file when its first kernel is launched: all files of the folder would take seconds.
void parse_file_of(const Kernel& kernel) {
  static std::mutex mutex;  // threads launch at the same time
  const std::lock_guard<std::mutex> lock(mutex);
  if (!kernel.program.instructions.empty()) return;
  for (Program& program : parse(kernel.file, text_of(kernel.file), kOurKernels)) {
    Kernel& one = kernels().at(program.name);
    one.reached.resize(program.instructions.size());
    one.program = std::move(program);
  }
}

// Writes for each kernel how many instructions it has, 0 if its file was not parsed, and the ranges that were reached:
// 0-17 19-19.
void write_coverage() {
  const char* path = getenv("VARLSTM_EMULATOR_PTX_COVERAGE");
  const int file = path == nullptr ? -1 : open(path, O_WRONLY | O_APPEND | O_CREAT, 0666);
  if (file < 0) return;
  std::string lines;
  for (const auto& [name, kernel] : kernels()) {
    lines += name + " " + std::to_string(kernel.reached.size());
    for (size_t begin = 0; begin < kernel.reached.size(); ++begin) {
      if (kernel.reached[begin] == 0) continue;
      size_t end = begin;
      while (end + 1 < kernel.reached.size() && kernel.reached[end + 1] != 0) ++end;
      lines += " " + std::to_string(begin) + "-" + std::to_string(end);
      begin = end;
    }
    lines += "\n";
  }
  // In one write, because other processes append as well.
  if (write(file, lines.data(), lines.size()) != static_cast<ssize_t>(lines.size())) perror(path);
  close(file);
}

Kernels read_folder() {
  Kernels made;
  const char* folder = getenv("VARLSTM_EMULATOR_PTX");
  DIR* directory = opendir(folder);
  while (const dirent* entry = directory == nullptr ? nullptr : readdir(directory)) {
    const std::string file = entry->d_name;
    if (file.size() > 4 && file.substr(file.size() - 4) == ".ptx") add_file(std::string(folder) + "/" + file, &made);
  }
  if (directory != nullptr) closedir(directory);
  if (made.empty()) {
    fprintf(stderr, "VARLSTM_EMULATOR_PTX = %s has no kernel in a file *.ptx\n", folder);
    abort();
  }
  atexit(write_coverage);
  return made;
}

Kernels& kernels() {
  static Kernels* const all = new Kernels(read_folder());  // outlives the functions that run at exit
  return *all;
}

// What the runtime passes to a cooperative launch: the words of the grid's barrier, which are 0 at first.
using GridWords = std::shared_ptr<void>;
GridWords make_grid_words(int device) {
  constexpr size_t kBytes = 256;
  GridWords words(device_allocate(kBytes, device), device_free);
  if (words == nullptr) {
    fprintf(stderr, "no device memory for the barrier of a grid\n");
    abort();
  }
  memset(words.get(), 0, kBytes);
  return words;
}

std::function<void()> run_ptx(const KernelCall& call) {
  const std::string name = kernel_name(call.kernel);
  const auto found = kernels().find(name);
  if (found != kernels().end()) parse_file_of(found->second);
  if (found == kernels().end() || found->second.program.parameters != call.argument_count) {
    fprintf(stderr, "the PTX has no kernel %s (%s) of %u parameters\n", name.c_str(), call.name, call.argument_count);
    abort();
  }
  Kernel& kernel = found->second;
  if (kernel.program.shared_bytes != 0) {
    fprintf(stderr, "the kernel %s has %zu bytes of static shared memory, which its launch here does not count\n",
            name.c_str(), kernel.program.shared_bytes);
    abort();
  }
  const void* const* arguments = call.arguments;
  GridWords grid_words;
  if (call.shape->cooperative && !kernel.program.grid_words.empty()) grid_words = make_grid_words(call.device);
  return [&kernel, arguments, grid_words] {
    run_thread(kernel.program, arguments, grid_words.get(), kernel.reached.data());
  };
}

}  // namespace

void run_thread(const Program& program, const void* const* arguments, const void* grid_words, unsigned char* reached) {
  std::vector<uint64_t> registers = program.registers;
  void* const local = alloca(program.local_bytes);  // on the stack, like all memory of an emulated thread
  for (const auto& [slot, special] : program.specials) registers[slot] = special();
  for (const auto& [slot, parameter] : program.parameter_addresses)
    registers[slot] = reinterpret_cast<uint64_t>(arguments[parameter]);
  for (const uint32_t slot : program.local_addresses) registers[slot] = reinterpret_cast<uint64_t>(local);
  const uint32_t shared_begin = shared_address(shared_bytes_begin(), {"", 0});
  for (const auto& [slot, offset] : program.shared_addresses) registers[slot] = shared_begin + offset;
  for (const uint32_t slot : program.dynamic_shared_sizes)
    registers[slot] = launch_state().shape->shared_bytes - program.shared_bytes;
  for (const auto& [slot, shift] : program.grid_words)
    registers[slot] = reinterpret_cast<uint64_t>(grid_words) >> shift & 0xffffffffu;
  Frame frame{registers.data(), 0};
  while (frame.next < program.instructions.size()) {
    reached[frame.next] = 1;
    ++counters().instructions;
    const Instruction& instruction = program.instructions[frame.next++];
    if (instruction.predicate >= 0 &&
        (registers[static_cast<size_t>(instruction.predicate)] != 0) == instruction.negated)
      continue;
    current_thread->place = instruction.site;
    instruction.run(frame, instruction);
  }
}

KernelOverride override_of_environment() {
  return getenv("VARLSTM_EMULATOR_PTX") == nullptr ? nullptr : run_ptx;
}

}  // namespace varlstm::simt::ptx
