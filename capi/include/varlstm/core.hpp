// Part of varlstm.hpp: errors, views, contexts, and memory of the back end.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../varlstm.h"

namespace varlstm {

// An error of the library. what() is its text, which names the argument and the value; status() is a varlstm_status.
class Error : public std::runtime_error {
 public:
  Error(int32_t status, const std::string& text) : std::runtime_error(text), status_(status) {}
  int32_t status() const { return status_; }
  const char* status_name() const { return varlstm_status_name(status_); }

 private:
  int32_t status_;
};

// Throws the library's last error unless `status` is VARLSTM_OK.
inline void check(int32_t status) {
  if (status != VARLSTM_OK) throw Error(status, varlstm_last_error());
}

inline int32_t version() {
  return varlstm_version();
}
inline const char* build_info() {
  return varlstm_build_info();
}
inline int32_t device_count(int32_t backend) {
  int32_t count = 0;
  check(varlstm_device_count(backend, &count));
  return count;
}

// Storage of the 16-bit dtypes. varlstm::convert converts them from float and back.
struct Bf16 {
  uint16_t bits;
};
struct F16 {
  uint16_t bits;
};

// The varlstm_dtype of an element type.
template <class T>
constexpr int32_t dtype_of() {
  constexpr int32_t dtype = std::is_same_v<T, float>     ? VARLSTM_DTYPE_F32
                            : std::is_same_v<T, double>  ? VARLSTM_DTYPE_F64
                            : std::is_same_v<T, Bf16>    ? VARLSTM_DTYPE_BF16
                            : std::is_same_v<T, F16>     ? VARLSTM_DTYPE_F16
                            : std::is_same_v<T, int64_t> ? VARLSTM_DTYPE_I64
                                                         : -1;
  static_assert(dtype >= 0, "T is not a dtype of varlstm: float, double, Bf16, F16 or int64_t");
  return dtype;
}

// A view of `size` elements in host memory or in the back end's memory, which it does not own. {} is the empty view.
template <class T>
class Span {
 public:
  constexpr Span() = default;
  constexpr Span(T* data, int64_t size) : data_(size > 0 ? data : nullptr), size_(size) {}
  template <class U, size_t N, class = std::enable_if_t<std::is_convertible_v<U (*)[], T (*)[]>>>
  constexpr Span(U (&array)[N]) : Span(array, static_cast<int64_t>(N)) {}
  // From any object that has data() and size() of such elements.
  template <class C, class U = std::remove_pointer_t<decltype(std::declval<C&>().data())>,
            class = decltype(std::declval<C&>().size()),
            class = std::enable_if_t<std::is_convertible_v<U (*)[], T (*)[]>>>
  constexpr Span(C&& container) : Span(container.data(), static_cast<int64_t>(container.size())) {}

  constexpr T* data() const { return data_; }
  constexpr int64_t size() const { return size_; }
  constexpr bool empty() const { return size_ == 0; }

  // Elements first ... first + count - 1.
  Span subspan(int64_t first, int64_t count) const {
    if (first < 0 || count < 0 || first > size_ || count > size_ - first) {
      throw Error(VARLSTM_ERROR_INVALID_ARGUMENT, "first = " + std::to_string(first) +
                                                      " with count = " + std::to_string(count) +
                                                      " lies outside the span's size = " + std::to_string(size_));
    }
    return Span(data_ + first, count);
  }

 private:
  T* data_ = nullptr;
  int64_t size_ = 0;
};

namespace detail {

struct Size {
  const char* name;
  int64_t value;
};

// The product of the sizes; INT64_MAX if it is larger; -1 if a size is negative, which the library itself reports.
inline int64_t product_of(std::initializer_list<Size> sizes) {
  int64_t product = 1;
  for (const Size& size : sizes) {
    if (size.value < 0) return -1;
    product = size.value > 0 && product > INT64_MAX / size.value ? INT64_MAX : product * size.value;
  }
  return product;
}

[[noreturn]] inline void refuse(const char* name, int64_t elements, const std::string& wanted,
                                std::initializer_list<Size> sizes) {
  std::string product;
  for (const Size& size : sizes) {
    product += std::string(product.empty() ? "" : " times ") + size.name + " = " + std::to_string(size.value);
  }
  throw Error(VARLSTM_ERROR_INVALID_ARGUMENT,
              std::string(name) + " has " + std::to_string(elements) + " elements, " + wanted + product);
}

// Throws if `span` has fewer elements than the product of the sizes.
template <class T>
void need(const char* name, Span<T> span, std::initializer_list<Size> sizes) {
  if (span.size() < product_of(sizes)) refuse(name, span.size(), "fewer than ", sizes);
}

// The same for an argument that may be {}.
template <class T>
void need_or_empty(const char* name, Span<T> span, std::initializer_list<Size> sizes) {
  if (!span.empty()) need(name, span, sizes);
}

// Throws if `span` is not empty and has fewer or more elements, because the size is a stride.
template <class T>
void need_exactly_or_empty(const char* name, Span<T> span, std::initializer_list<Size> sizes) {
  const int64_t needed = product_of(sizes);
  if (span.empty() || needed < 0 || span.size() == needed) return;
  refuse(name, span.size(), "not the " + std::to_string(needed) + " of ", sizes);
}

// Destroys a handle and then releases its context, so that a context lives as long as anything made from it.
template <class H, int32_t (*destroy)(H*)>
struct Destroy {
  std::shared_ptr<varlstm_ctx> ctx;
  void operator()(H* handle) const { destroy(handle); }
};
template <class H, int32_t (*destroy)(H*)>
using Handle = std::unique_ptr<H, Destroy<H, destroy>>;

}  // namespace detail

struct DeviceStatus {
  int64_t bits;         // 0 or a sum of varlstm_device_status_bit
  int64_t first_index;  // the smallest bad index of the lowest bit set; -1 if no bit is set
};

// A back end on a device. Copies share one context, which is destroyed together with the last object that was made from
// it.
class Context {
 public:
  explicit Context(int32_t backend = VARLSTM_BACKEND_HOST, int32_t device = 0) {
    varlstm_ctx* ctx = nullptr;
    check(varlstm_ctx_create(backend, device, &ctx));
    ctx_.reset(ctx, varlstm_ctx_destroy);
  }

  explicit Context(std::shared_ptr<varlstm_ctx> ctx) : ctx_(std::move(ctx)) {}

  varlstm_ctx* get() const { return ctx_.get(); }
  const std::shared_ptr<varlstm_ctx>& share() const { return ctx_; }

  void set_i64(int32_t key, int64_t value) const { check(varlstm_ctx_set_i64(get(), key, value)); }
  int64_t get_i64(int32_t key) const {
    int64_t value = 0;
    check(varlstm_ctx_get_i64(get(), key, &value));
    return value;
  }
  // Waits for `stream`, then reads the status word; `reset` clears it afterwards.
  DeviceStatus device_status(bool reset, void* stream = nullptr) const {
    DeviceStatus status = {0, -1};
    check(varlstm_ctx_device_status(get(), reset ? 1 : 0, &status.bits, &status.first_index, stream));
    return status;
  }
  void sync(void* stream = nullptr) const { check(varlstm_sync(get(), stream)); }

 private:
  std::shared_ptr<varlstm_ctx> ctx_;
};

// dst <- all of src; `kind` is a varlstm_copy_kind. varlstm_copy says when `src` is read: do not change page-locked
// host memory before the stream is done.
template <class T>
void copy(const Context& ctx, Span<T> dst, Span<const T> src, int32_t kind, void* stream = nullptr) {
  detail::need("dst", dst, {{"src.size()", src.size()}});
  check(varlstm_copy(ctx.get(), dst.data(), src.data(), src.size() * int64_t{sizeof(T)}, kind, stream));
}

template <class T>
void zero(const Context& ctx, Span<T> values, void* stream = nullptr) {
  check(varlstm_zero(ctx.get(), values.data(), values.size() * int64_t{sizeof(T)}, stream));
}

// Owns `size` elements of the back end's memory. On the host data() may be read and written like any memory.
template <class T>
class Buffer {
 public:
  Buffer() = default;
  // The contents are undefined.
  Buffer(const Context& ctx, int64_t size) : size_(size) {
    if (size < 0 || size > INT64_MAX / int64_t{sizeof(T)}) {
      throw Error(VARLSTM_ERROR_INVALID_ARGUMENT,
                  "size = " + std::to_string(size) + (size < 0 ? " is negative" : " is more than fits in memory"));
    }
    void* memory = nullptr;
    check(varlstm_alloc(ctx.get(), size * int64_t{sizeof(T)}, &memory));
    memory_ = Memory(static_cast<T*>(memory), Free{ctx.share()});
  }
  // A copy of values that are in host memory.
  Buffer(const Context& ctx, Span<const T> values, void* stream = nullptr) : Buffer(ctx, values.size()) {
    upload(values, stream);
  }
  static Buffer zeros(const Context& ctx, int64_t size, void* stream = nullptr) {
    Buffer buffer(ctx, size);
    buffer.zero(stream);
    return buffer;
  }

  T* data() { return memory_.get(); }
  const T* data() const { return memory_.get(); }
  int64_t size() const { return memory_ ? size_ : 0; }
  int64_t bytes() const { return size() * int64_t{sizeof(T)}; }
  Span<T> span() { return *this; }
  Span<const T> span() const { return *this; }

  // Overwrites the first elements with values that are in host memory.
  void upload(Span<const T> values, void* stream = nullptr) {
    detail::need("buffer", span(), {{"values.size()", values.size()}});
    if (!values.empty()) copy<T>(context(), *this, values, VARLSTM_COPY_TO_BACKEND, stream);
  }
  // Waits for `stream` and returns all elements.
  std::vector<T> download(void* stream = nullptr) const {
    std::vector<T> values(static_cast<size_t>(size()));
    download(values, stream);
    return values;
  }
  // The same for the first elements: copies them to values in host memory.
  void download(Span<T> values, void* stream = nullptr) const {
    detail::need("buffer", span(), {{"values.size()", values.size()}});
    if (!values.empty()) copy<T>(context(), values, span().subspan(0, values.size()), VARLSTM_COPY_TO_HOST, stream);
  }
  void zero(void* stream = nullptr) {
    if (size() > 0) varlstm::zero<T>(context(), *this, stream);
  }

 private:
  struct Free {
    std::shared_ptr<varlstm_ctx> ctx;
    void operator()(T* memory) const { varlstm_free(ctx.get(), memory); }
  };
  using Memory = std::unique_ptr<T, Free>;
  Context context() const { return Context(memory_.get_deleter().ctx); }

  Memory memory_;
  int64_t size_ = 0;
};

// Scratch memory for the calls on one stream, or the "reserve", which holds what a forward saves for its backward. It
// grows to the largest size that a call needs. Growing loses the contents and, on CUDA, waits for the device.
class Workspace {
 public:
  explicit Workspace(const Context& ctx) : ctx_(ctx) {}

  void grow(int64_t bytes) {
    if (bytes <= memory_.size()) return;
    memory_ = Buffer<char>();
    memory_ = Buffer<char>(ctx_, bytes);
  }
  void* data() { return memory_.data(); }
  const void* data() const { return memory_.data(); }
  int64_t bytes() const { return memory_.size(); }

 private:
  Context ctx_;
  Buffer<char> memory_;
};

}  // namespace varlstm
