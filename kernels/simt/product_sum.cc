// SPDX-License-Identifier: Apache-2.0
#include "kernels/simt/product_sum.h"

#include <math.h>
#include <string.h>

#include <algorithm>

#include "kernels/simt/thread.h"

namespace varlstm::simt {
namespace {

int exponent_of(float value, int smallest) {
  return std::max(ilogbf(value), smallest);
}

float truncated(double exact) {
  const float nearest = static_cast<float>(exact);
  const bool away = isfinite(nearest) && fabs(static_cast<double>(nearest)) > fabs(exact);
  return away ? nextafterf(nearest, 0.0f) : nearest;
}

// A sum of finite numbers as tensor cores compute it, in the form that Fasi, Higham, Mikaitis and Pranesh found
// («Numerical behavior of NVIDIA tensor cores», 2021). All addends are aligned to the largest exponent; the exponent of
// a product is the sum of those of its factors. Addends lose all bits below a certain number of fraction bits, and are
// then added exactly; the sum is truncated. NVIDIA does not document this. The number of bits, and that a whole product
// is one sum, are assumptions about an H100 and were not compared with one.
class AlignedSum {
 public:
  void add(double addend, int exponent) {
    if (addend == 0) return;
    addends_[count_++] = addend;
    largest_ = std::max(largest_, exponent);
  }
  float result() const {
    double sum = 0;
    for (int k = 0; k < count_; ++k)
      sum += ldexp(trunc(ldexp(addends_[k], kFraction - largest_)), largest_ - kFraction);
    return truncated(sum);
  }

 private:
  static constexpr int kFraction = 25;
  double addends_[kMostProducts + 1];  // the products, and what they are added to
  int count_ = 0;
  int largest_ = 4 * kSmallestExponent;
};

}  // namespace

float sum_of_products(const float* a, const float* b, int stride_b, int depth, float c, int smallest) {
  const MmaRounding rounding = launch_state().options.rounding;
  if (rounding == MmaRounding::kSequential) {
    float sequential = c;
    for (int k = 0; k < depth; ++k) sequential = fmaf(a[k], b[k * stride_b], sequential);
    return sequential;
  }
  double exact = c;
  for (int k = 0; k < depth; ++k) exact += static_cast<double>(a[k]) * static_cast<double>(b[k * stride_b]);
  if (rounding == MmaRounding::kExact || !isfinite(exact)) return static_cast<float>(exact);
  AlignedSum sum;
  sum.add(c, exponent_of(c, kSmallestExponent));
  for (int k = 0; k < depth; ++k)
    sum.add(static_cast<double>(a[k]) * static_cast<double>(b[k * stride_b]),
            exponent_of(a[k], smallest) + exponent_of(b[k * stride_b], smallest));
  return sum.result();
}

float widen_tf32(uint32_t word) {
  word &= ~0x1fffu;
  float value;
  memcpy(&value, &word, sizeof value);
  return value;
}

}  // namespace varlstm::simt
