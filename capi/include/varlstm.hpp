// varlstm.hpp - varlstm.h for C++17 and later: handles that destroy themselves, views with sizes, exceptions, and the
// dtype as a template argument. Header only; it calls nothing but the functions of varlstm.h.
// SPDX-License-Identifier: Apache-2.0
//
// varlstm.h documents what each function does and which shape each buffer has. A function here has the same name and
// order of arguments as in varlstm.h, with these differences:
//   - A status other than OK is thrown as a varlstm::Error, with the library's text.
//   - The dtype is a template argument: float, double, Bf16, F16, and int64_t for pack and unpack. Rnn<T> and Loss<T>
//     have it in their type; functions are called as varlstm::linear_forward<float>(...).
//   - A pointer is a view: Span<const float> takes a Buffer, std::vector, std::array, std::span or C array. If a view
//     has fewer elements than the call needs, an Error that names the argument is thrown before anything runs. A view
//     may have more elements, so that a buffer made for the bounds serves every batch. But a state (h0, c0, h_n, c_n
//     and their gradients) must have the exact size, because its strides depend on the batch's own B. {} means NULL if
//     varlstm.h allows NULL.
//   - A Workspace grows to the bytes that a call needs. A call for which it is large enough allocates nothing.
//   - `stream` is the last argument and defaults to NULL.
// get() of each object returns the handle for calls of varlstm.h itself; varlstm::check turns their status into an
// Error.
//
// EXAMPLE
// It prints what the program of varlstm.h prints, but from padded sequences: an LSTM over three sequences of lengths
// 2, 4 and 1, with 3 features and 5 hidden units.
//
//   #include <cstdio>
//   #include <varlstm.hpp>
//
//   int main() {
//     const std::vector<int64_t> lengths = {2, 4, 1};
//     varlstm::Context ctx;  // the host; VARLSTM_BACKEND_CUDA for a GPU
//     varlstm::Batch batch(ctx, lengths);
//     varlstm::Rnn<float> rnn(ctx, 3, 5);
//     std::vector<float> values, sequences;
//     for (int k = 0; k < rnn.param_elements(); ++k) values.push_back(0.01f * (k % 7 - 3));
//     for (int k = 0; k < 3 * 4 * 3; ++k) sequences.push_back(0.1f * k);
//
//     const varlstm::Buffer<float> params(ctx, values), padded(ctx, sequences);
//     varlstm::Buffer<float> x(ctx, batch.rows() * 3), y(ctx, batch.rows() * 5), output(ctx, 3 * 4 * 5);
//     varlstm::Workspace workspace(ctx);
//     varlstm::pack<float>(batch, varlstm::batch_first(4), 3, padded, x);
//     rnn.forward(batch, {params, x}, {y}, workspace);
//     varlstm::unpack<float>(batch, varlstm::batch_first(4), 5, 0.0, y, output);
//     const std::vector<float> h = output.download();
//     for (int b = 0; b < 3; ++b) std::printf("h of sequence %d, step 0, unit 0: %f\n", b, h[b * 4 * 5]);
//   }
//
// END OF EXAMPLE
#pragma once

#include "varlstm/batch.hpp"
#include "varlstm/conv_max.hpp"
#include "varlstm/core.hpp"
#include "varlstm/loss.hpp"
#include "varlstm/operations.hpp"
#include "varlstm/optimizer.hpp"
#include "varlstm/rnn.hpp"
#include "varlstm/rows.hpp"
