// libFuzzer target: any bytes as a file of word vectors. Rows have a token and finite values; the same bytes compressed
// by gzip give the same rows and the same error.
// SPDX-License-Identifier: Apache-2.0
#include <sys/mman.h>
#include <unistd.h>
#include <zlib.h>

#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "error.h"
#include "vector_file.h"

namespace {

// What a file in memory gives: its rows as text, and the error without the file's name.
std::string outcome_of(int descriptor) {
  const std::string path = "/proc/self/fd/" + std::to_string(descriptor);
  std::string outcome;
  try {
    tagger::VectorFile file(path);
    while (file.next()) {
      if (file.token().empty() || file.features() < 1) abort();
      outcome += file.token();
      for (int64_t k = 0; k < file.features(); ++k) {
        if (!std::isfinite(file.values()[k])) abort();
        outcome.append(reinterpret_cast<const char*>(file.values() + k), sizeof(float));
      }
    }
  } catch (const tagger::Error& error) {
    const std::string text = error.what();
    if (text.rfind(path, 0) != 0) abort();
    outcome += text.substr(path.size());
  }
  return outcome;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const int plain = memfd_create("plain", 0), packed = memfd_create("packed", 0);
  if (plain < 0 || packed < 0 || ::write(plain, data, size) != static_cast<ssize_t>(size)) abort();
  const gzFile file = gzdopen(::dup(packed), "wb1");
  if (file == nullptr || gzwrite(file, data, static_cast<unsigned>(size)) != static_cast<int>(size)) abort();
  if (gzclose(file) != Z_OK) abort();
  const std::string outcome = outcome_of(plain);
  const bool is_packed_itself = size > 1 && data[0] == 0x1F && data[1] == 0x8B;
  if (!is_packed_itself && outcome != outcome_of(packed)) abort();
  ::close(plain);
  ::close(packed);
  return 0;
}
