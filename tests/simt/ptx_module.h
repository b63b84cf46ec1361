// Kernels of any PTX, launched by their name.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <stdint.h>
#include <string.h>

#include <array>
#include <string>
#include <vector>

#include "kernels/simt/memory.h"
#include "kernels/simt/options.h"
#include "kernels/simt/ptx/program.h"

namespace varlstm::test {

// Where a kernel is launched. A cluster that the kernel itself asks for need not be named, nor static shared memory.
struct Place {
  unsigned blocks = 1;
  unsigned threads = 32;
  unsigned cluster = 1;
  size_t dynamic_shared_bytes = 0;
  bool cooperative = false;
};

class PtxModule {
 public:
  explicit PtxModule(const std::string& text) : programs_(simt::ptx::parse("test.ptx", text)) {}
  // Of a file, of which it must hold at least one kernel.
  static PtxModule of_file(const std::string& path);

  // What the launch of a kernel reports, with these arguments; empty where nothing is wrong.
  template <class... A>
  std::string run(const std::string& kernel, const Place& place, A... arguments) const {
    constexpr size_t kCount = sizeof...(A);
    std::array<Argument, kCount + 1> values;
    size_t next = 0;
    (values[next++].hold(arguments), ...);
    return run_with(kernel, place, values.data(), kCount);
  }

 private:
  struct alignas(16) Argument {
    unsigned char bytes[16];
    template <class T>
    void hold(const T& value) {
      static_assert(sizeof value <= sizeof bytes, "an argument of a test has at most 16 bytes");
      memcpy(bytes, &value, sizeof value);
    }
  };
  PtxModule(const std::string& file, const std::string& text) : programs_(simt::ptx::parse(file, text)) {}
  std::string run_with(const std::string& kernel, const Place& place, const Argument* arguments, size_t count) const;

  std::vector<simt::ptx::Program> programs_;
};

// Device memory with these values.
template <class T>
class DeviceVector {
 public:
  explicit DeviceVector(const std::vector<T>& values)
      : size_(values.size()), data_(static_cast<T*>(simt::device_allocate(values.size() * sizeof(T)))) {
    memcpy(data_, values.data(), size_ * sizeof(T));
  }
  explicit DeviceVector(size_t size) : DeviceVector(std::vector<T>(size)) {}
  ~DeviceVector() { simt::device_free(data_); }
  DeviceVector(const DeviceVector&) = delete;
  DeviceVector& operator=(const DeviceVector&) = delete;

  T* data() const { return data_; }
  std::vector<T> values() const { return std::vector<T>(data_, data_ + size_); }

 private:
  size_t size_;
  T* data_;
};

// Options of every schedule; what a GPU permits is permitted unless `strict`.
std::vector<simt::Options> every_schedule(bool strict);
std::string name_of(simt::Schedule schedule);

// Sets options while it lives.
class OptionsGuard {
 public:
  explicit OptionsGuard(const simt::Options& options) : before_(simt::options()) { simt::set_options(options); }
  ~OptionsGuard() { simt::set_options(before_); }
  OptionsGuard(const OptionsGuard&) = delete;
  OptionsGuard& operator=(const OptionsGuard&) = delete;

 private:
  simt::Options before_;
};

}  // namespace varlstm::test
