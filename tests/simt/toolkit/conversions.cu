// Conversions of the toolkit's headers for 16-bit floats; conversions_test.cc compares them with its own.
// SPDX-License-Identifier: Apache-2.0
#include <cuda_bf16.h>
#include <cuda_fp16.h>

// 8 words for each number: bits of binary16 rounded to nearest, towards 0, up and down, of bfloat16, of both of a pair,
// of an integer.
extern "C" __global__ void narrow(const float* in, unsigned* out, int count) {
  const int at = static_cast<int>(blockIdx.x * blockDim.x + threadIdx.x);
  if (at >= count) return;
  const float value = in[at], next = in[(at + 1) % count];
  unsigned* const words = out + at * 8;
  words[0] = __half_as_ushort(__float2half_rn(value));
  words[1] = __half_as_ushort(__float2half_rz(value));
  words[2] = __half_as_ushort(__float2half_ru(value));
  words[3] = __half_as_ushort(__float2half_rd(value));
  words[4] = __bfloat16_as_ushort(__float2bfloat16_rn(value));
  const __half2 pair = __floats2half2_rn(value, next);
  words[5] = __half_as_ushort(__low2half(pair)) | static_cast<unsigned>(__half_as_ushort(__high2half(pair))) << 16;
  const __nv_bfloat162 other = __floats2bfloat162_rn(value, next);
  words[6] = __bfloat16_as_ushort(__low2bfloat16(other)) |
             static_cast<unsigned>(__bfloat16_as_ushort(__high2bfloat16(other))) << 16;
  words[7] = __half_as_ushort(__int2half_rn(at * 37 - 9000));
}

// Every binary16 and bfloat16 as a float.
extern "C" __global__ void widen(float* from_half, float* from_bfloat16) {
  const auto bits = static_cast<unsigned short>(blockIdx.x * blockDim.x + threadIdx.x);
  from_half[bits] = __half2float(__ushort_as_half(bits));
  from_bfloat16[bits] = __bfloat162float(__ushort_as_bfloat16(bits));
}
