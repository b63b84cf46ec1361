//! The crate's tests, one module a subject. VARLSTM_TEST_BACKEND=host|cuda picks the back end.
// SPDX-License-Identifier: Apache-2.0

mod cells;
mod errors;
mod golden;
mod lengths;
mod lstm;
mod operations;
mod ownership;
mod packing;
mod prepared;
mod resets;
mod steps;
mod support;
mod tutorial;
