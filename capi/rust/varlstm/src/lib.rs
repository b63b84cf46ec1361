//! The safe layer over libvarlstm: recurrent networks over sequences of different lengths.
// SPDX-License-Identifier: Apache-2.0
#![deny(missing_docs)]

mod batch;
mod context;
mod element;
mod elementwise;
mod embedding;
mod error;
mod linear;
mod linear_cross_entropy;
mod loss;
mod memory;
mod optimizer;
mod rnn;
mod rnn_run;
mod view;

pub use batch::{Batch, BatchArray, Layout, Rows};
pub use context::{build_info, device_count, version};
pub use context::{Backend, Context, ContextBuilder, DeviceStatus, Math};
pub use element::{Bf16, Element, Real, Scalar, F16};
pub use elementwise::{convert, dropout_backward, dropout_forward};
pub use elementwise::{log_softmax_backward, log_softmax_forward};
pub use embedding::Embedding;
pub use error::{Error, Result, Status};
pub use linear::{Linear, LinearBackward, LinearForward};
pub use linear_cross_entropy::{LinearLoss, LinearLossGradients, LinearLossOutputs};
pub use loss::{EmptyMean, Loss, LossBuilder, LossForward, NllBackward, Reduction};
pub use memory::{DeviceBuffer, Reserve, Workspace};
pub use optimizer::{clip_grad_norm, grad_norm, Adam, AdamState, Sgd};
pub use rnn::{Parameter, Recurrence, Rnn, RnnBuilder, RowOrder};
pub use rnn_run::{RnnBackward, RnnForward};
pub use view::{View, ViewMut};
