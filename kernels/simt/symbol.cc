// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/symbol.h"

#include <dlfcn.h>
#include <limits.h>
#include <link.h>
#include <stdio.h>
#include <unistd.h>

#include <map>
#include <vector>

namespace varlstm::simt {
namespace {

struct Range {
  uintptr_t begin;
  uintptr_t end;
  bool executable;
};

int collect(dl_phdr_info* info, size_t, void* out) {
  for (int i = 0; i < info->dlpi_phnum; ++i) {
    const auto& header = info->dlpi_phdr[i];
    if (header.p_type != PT_LOAD) continue;
    const uintptr_t begin = info->dlpi_addr + header.p_vaddr;
    static_cast<std::vector<Range>*>(out)->push_back({begin, begin + header.p_memsz, (header.p_flags & PF_X) != 0});
  }
  return 0;
}

std::vector<Range> image_ranges() {
  std::vector<Range> ranges;
  dl_iterate_phdr(collect, &ranges);
  return ranges;
}

bool lies_in(const std::vector<Range>& ranges, uintptr_t address) {
  for (const Range& range : ranges)
    if (address >= range.begin && address < range.end) return true;
  return false;
}

// Returns what addr2line says about an address in an image, or "".
std::string ask_addr2line(const std::string& image, uintptr_t offset) {
  char command[PATH_MAX + 64];
  snprintf(command, sizeof command, "addr2line -s -e '%s' 0x%lx 2>/dev/null", image.c_str(),
           static_cast<unsigned long>(offset));
  FILE* pipe = popen(command, "r");
  if (pipe == nullptr) return "";
  char line[512] = "";
  if (fgets(line, sizeof line, pipe) == nullptr) line[0] = 0;
  pclose(pipe);
  std::string text = line;
  text = text.substr(0, text.find_first_of(" \n"));
  return text.empty() || text[0] == '?' ? "" : text;
}

std::string look_up(uintptr_t pc) {
  Dl_info info{};
  if (dladdr(reinterpret_cast<void*>(pc), &info) == 0 || info.dli_fname == nullptr) return "(somewhere)";
  const uintptr_t offset = pc - reinterpret_cast<uintptr_t>(info.dli_fbase);
  char path[PATH_MAX] = "";
  std::string image = info.dli_fname;
  if (access(info.dli_fname, R_OK) != 0) {
    const ssize_t length = readlink("/proc/self/exe", path, sizeof path - 1);
    if (length > 0) image = std::string(path, static_cast<size_t>(length));
  }
  const std::string line = ask_addr2line(image, offset);
  if (!line.empty()) return "(" + line + ")";
  char text[64];
  snprintf(text, sizeof text, "+0x%lx)", static_cast<unsigned long>(offset));
  return "(" + image + text;
}

}  // namespace

std::string symbol_of(uintptr_t pc) {
  static std::map<uintptr_t, std::string> seen;
  std::string& text = seen[pc];
  if (text.empty()) text = look_up(pc - 1);
  return text;
}

std::string symbol_of_low_bits(uint32_t pc) {
  constexpr uintptr_t kLow = (uintptr_t{1} << 30) - 1;
  for (const Range& range : image_ranges()) {
    if (!range.executable) continue;
    uintptr_t candidate = (range.begin & ~kLow) | pc;
    if (candidate < range.begin) candidate += kLow + 1;
    if (candidate < range.end) return symbol_of(candidate);
  }
  return "(somewhere)";
}

bool in_image(const void* address) {
  static std::vector<Range> ranges = image_ranges();
  const auto at = reinterpret_cast<uintptr_t>(address);
  if (lies_in(ranges, at)) return true;
  ranges = image_ranges();  // a library may have been loaded since
  return lies_in(ranges, at);
}

}  // namespace varlstm::simt
