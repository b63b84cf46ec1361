// varlstm.hpp - varlstm.h for C++17 and later: handles that destroy themselves, views with sizes, exceptions, and the
// dtype as a template argument. Header only; it calls nothing but the functions of varlstm.h.
// SPDX-License-Identifier: Apache-2.0
//
// varlstm.h stays the documentation: what a function does and which shape each buffer has stands there. A function here
// has the name and the order of arguments of the one there, with these differences:
//   - A status other than OK is thrown as a varlstm::Error, with the library's text.
//   - The dtype is the template argument: float, double, Bf16, F16 (and int64_t for pack and unpack). Rnn<T> and
//   Loss<T>
//     have it in their type, functions are called as varlstm::linear_forward<float>(...).
//   - Pointers are views: Span<const float> takes a Buffer, std::vector, std::array, std::span or C array. One that
//     holds fewer elements than the call needs is an Error that names the argument, before anything runs. More are
//     allowed, so that a buffer made for the bounds serves every batch; but not in a state (h0, c0, h_n, c_n and their
//     gradients), which has its batch's own B inside. {} stands for NULL where varlstm.h allows NULL.
//   - A Workspace grows to the bytes that a call needs; a call into which it fits allocates nothing.
//   - `stream` comes last and is NULL unless given.
// get() of each object gives the handle for calls of varlstm.h itself; varlstm::check turns their status into an Error.
//
// EXAMPLE
// The program of varlstm.h: an LSTM over three sequences of lengths 2, 4 and 1, features 3, hidden size 5.
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
#include "varlstm/core.hpp"
#include "varlstm/loss.hpp"
#include "varlstm/operations.hpp"
#include "varlstm/optimizer.hpp"
#include "varlstm/rnn.hpp"
