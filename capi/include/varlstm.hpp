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
//   holds
//     fewer elements than the call needs is an Error that names the argument, before anything runs. More are allowed,
//     so that a buffer made for the bounds serves every batch. {} stands for NULL where varlstm.h allows NULL.
//   - A Workspace grows to the bytes that a call needs; a call into which it fits allocates nothing.
//   - `stream` comes last and is NULL unless given.
// get() of each object gives the handle for calls of varlstm.h itself; varlstm::check turns their status into an Error.
//
//   const std::vector<int64_t> lengths = {2, 4, 1};
//   varlstm::Context ctx;                                       // the host; VARLSTM_BACKEND_CUDA for a GPU
//   varlstm::Batch batch(ctx, lengths);
//   varlstm::Rnn<float> lstm(ctx, 3, 5);                        // 3 features, 5 hidden units
//   varlstm::Buffer<float> params(ctx, initial_values), x(ctx, ragged_rows), y(ctx, batch.rows() * 5);
//   varlstm::Workspace workspace(ctx);
//   lstm.set_i64(VARLSTM_KEY_ROWS, VARLSTM_ROWS_RAGGED);
//   lstm.forward(batch, {params, x}, {y}, workspace);
//   const std::vector<float> output = y.download();
#pragma once

#include "varlstm/batch.hpp"
#include "varlstm/core.hpp"
#include "varlstm/loss.hpp"
#include "varlstm/operations.hpp"
#include "varlstm/optimizer.hpp"
#include "varlstm/rnn.hpp"
