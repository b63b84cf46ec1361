// The part of cuDNN's C API (version 8.0 and later) that runs a recurrent network, opened at run time: nothing here
// needs cuDNN to build. cudnn_api_check.cc holds every value against cudnn.h where there is one.
// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstddef>
#include <cstdint>

namespace varlstm::lstm_driver::cudnn {

// Values of cudnn.h's enums.
enum DataType { kFloat = 0, kDouble = 1, kHalf = 2, kBfloat16 = 9 };
enum MathType { kDefaultMath = 0, kTensorOpMath = 1, kFmaMath = 3 };
enum Algorithm { kStandard = 0, kPersistStatic = 1, kPersistDynamic = 2, kPersistStaticSmallH = 3 };
enum RnnMode { kRnnRelu = 0, kRnnTanh = 1, kLstm = 2, kGru = 3 };
enum DataLayout { kSeqMajorUnpacked = 0, kSeqMajorPacked = 1 };
constexpr int kSuccess = 0, kDoubleBias = 2, kLinearInput = 0, kUnidirectional = 0, kBidirectional = 1;
constexpr int kInference = 0, kTraining = 1, kAddGradients = 0;
constexpr uint32_t kPaddedIo = 1;

// Handles and descriptors are pointers to structs that cuDNN alone knows.
using Handle = void*;
using Descriptor = void*;

struct Api {
  size_t (*version)();
  const char* (*error_string)(int status);
  int (*create)(Handle*);
  int (*destroy)(Handle);
  int (*set_stream)(Handle, void* stream);
  int (*create_tensor)(Descriptor*);
  int (*destroy_tensor)(Descriptor);
  int (*set_tensor)(Descriptor, int data_type, int dims, const int* dim, const int* stride);
  int (*create_dropout)(Descriptor*);
  int (*destroy_dropout)(Descriptor);
  int (*set_dropout)(Descriptor, Handle, float dropout, void* states, size_t bytes, unsigned long long seed);
  int (*create_rnn)(Descriptor*);
  int (*destroy_rnn)(Descriptor);
  int (*set_rnn)(Descriptor, int algorithm, int cell, int bias, int direction, int input_mode, int data_type,
                 int math_precision, int math_type, int32_t input, int32_t hidden, int32_t projection, int32_t layers,
                 Descriptor dropout, uint32_t flags);
  int (*build_dynamic)(Handle, Descriptor rnn, int batch);
  int (*create_data)(Descriptor*);
  int (*destroy_data)(Descriptor);
  int (*set_data)(Descriptor, int data_type, int layout, int max_length, int batch, int features, const int* lengths,
                  void* padding_fill);
  int (*weight_bytes)(Handle, Descriptor rnn, size_t* bytes);
  int (*space_bytes)(Handle, Descriptor rnn, int mode, Descriptor x, size_t* workspace, size_t* reserve);
  int (*forward)(Handle, Descriptor rnn, int mode, const int32_t* device_lengths, Descriptor x_desc, const void* x,
                 Descriptor y_desc, void* y, Descriptor h_desc, const void* hx, void* hy, Descriptor c_desc,
                 const void* cx, void* cy, size_t weight_bytes, const void* weights, size_t workspace_bytes,
                 void* workspace, size_t reserve_bytes, void* reserve);
  int (*backward_data)(Handle, Descriptor rnn, const int32_t* device_lengths, Descriptor y_desc, const void* y,
                       const void* dy, Descriptor x_desc, void* dx, Descriptor h_desc, const void* hx, const void* dhy,
                       void* dhx, Descriptor c_desc, const void* cx, const void* dcy, void* dcx, size_t weight_bytes,
                       const void* weights, size_t workspace_bytes, void* workspace, size_t reserve_bytes,
                       void* reserve);
  int (*backward_weights)(Handle, Descriptor rnn, int add, const int32_t* device_lengths, Descriptor x_desc,
                          const void* x, Descriptor h_desc, const void* hx, Descriptor y_desc, const void* y,
                          size_t weight_bytes, void* dweights, size_t workspace_bytes, void* workspace,
                          size_t reserve_bytes, void* reserve);
};

// libcudnn.so.9, .8 or .so, as the loader finds them; it stays open. Error where there is none.
const Api& api();

}  // namespace varlstm::lstm_driver::cudnn
