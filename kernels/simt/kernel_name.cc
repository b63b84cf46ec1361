// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/kernel_name.h"

#include <dlfcn.h>
#include <elf.h>
#include <link.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <map>
#include <vector>

namespace varlstm::simt {
namespace {

using Names = std::map<uintptr_t, std::string>;

std::vector<char> bytes_of(const char* path) {
  std::ifstream file(access(path, R_OK) == 0 ? path : "/proc/self/exe", std::ios::binary);
  return std::vector<char>(std::istreambuf_iterator<char>(file), {});
}

template <class T>
const T* at(const std::vector<char>& bytes, uint64_t offset) {
  return reinterpret_cast<const T*>(bytes.data() + offset);
}

// The names of functions by their addresses in the file.
Names functions_of(const char* path) {
  Names names;
  const std::vector<char> bytes = bytes_of(path);
  if (bytes.size() < sizeof(ElfW(Ehdr)) || memcmp(bytes.data(), ELFMAG, SELFMAG) != 0) return names;
  const auto* header = at<ElfW(Ehdr)>(bytes, 0);
  const auto* sections = at<ElfW(Shdr)>(bytes, header->e_shoff);
  for (int k = 0; k < header->e_shnum; ++k) {
    if (sections[k].sh_type != SHT_SYMTAB) continue;
    const auto* symbols = at<ElfW(Sym)>(bytes, sections[k].sh_offset);
    const char* texts = at<char>(bytes, sections[sections[k].sh_link].sh_offset);
    for (uint64_t n = 0; n < sections[k].sh_size / sizeof *symbols; ++n)
      if (ELF64_ST_TYPE(symbols[n].st_info) == STT_FUNC) names[symbols[n].st_value] = texts + symbols[n].st_name;
  }
  return names;
}

}  // namespace

std::string kernel_name(const void* kernel) {
  static std::map<std::string, Names> images;
  Dl_info info{};
  link_map* map = nullptr;
  if (dladdr1(kernel, &info, reinterpret_cast<void**>(&map), RTLD_DL_LINKMAP) == 0 || map == nullptr) return "";
  const auto image = images.find(info.dli_fname);
  const Names& names = image != images.end()
                           ? image->second
                           : images.emplace(info.dli_fname, functions_of(info.dli_fname)).first->second;
  const auto name = names.find(reinterpret_cast<uintptr_t>(kernel) - map->l_addr);
  return name == names.end() ? "" : name->second;
}

}  // namespace varlstm::simt
