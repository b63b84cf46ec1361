//! Recurrent networks over sequences of different lengths: the safe layer over libvarlstm.
//!
//! A mini-batch goes from token ids to the masked loss and back: [`Embedding`], [`Batch::pack`],
//! [`Rnn`], [`Linear`], [`Loss`], [`Sgd`] or [`Adam`]. No padded position is computed, length 0 is
//! legal. Shapes use the letters of `varlstm.h`:
//!
//! | letter | meaning | letter | meaning |
//! | --- | --- | --- | --- |
//! | B | sequences in the batch | N | packed rows, the sum of the lengths |
//! | T | steps, the longest length | I, H | input features, hidden units |
//! | L, D | layers, directions (1 or 2) | V, C | vocabulary, classes |
//!
//! # Example
//!
//! A training step of an LSTM and a last layer over sequences of 2, 4 and 0 tokens:
//!
//! ```
//! use varlstm::*;
//!
//! # fn main() -> Result<()> {
//! let context = Context::host()?;
//! let batch = Batch::from_lengths(&context, &[2, 4, 0])?;
//! let lstm = Rnn::<f32>::builder(&context, 1, 2).build()?; // 1 feature, 2 hidden units
//! let loss = Loss::builder(&context, 3).build()?; // 3 classes
//! let linear = Linear { inputs: 2, outputs: 3 };
//! let (mut reserve, mut workspace) = (Reserve::new(&context), Workspace::new(&context));
//!
//! // Parameters and their gradients.
//! let mut params: Vec<f32> = (0..lstm.param_elements()).map(|k| 0.1 * (k % 7) as f32 - 0.3).collect();
//! let weight = [0.5, -0.5, 0.25, 0.0, -0.25, 1.0];
//! let (mut dparams, mut dweight) = (vec![0.0; params.len()], [0.0; 6]);
//!
//! // One feature and one target a token, sequence after sequence; packed, longest sequence first.
//! let (mut x, mut targets) = ([0.0; 6], [0; 6]);
//! batch.pack(Layout::Ragged, 1, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], &mut x)?;
//! batch.pack(Layout::Ragged, 1, &[0, 1, 2, 0, 1, 2], &mut targets)?;
//!
//! let (mut y, mut h_n) = ([0.0; 6 * 2], [0.0; 3 * 2]);
//! let forward =
//!     RnnForward { h_n: Some((&mut h_n).into()), ..RnnForward::new(&params, &x, &mut y) };
//! lstm.forward_save(&batch, forward, &mut reserve, &mut workspace)?;
//! let (mut logits, mut dlogits, mut out) = ([0.0; 6 * 3], [0.0; 6 * 3], [0.0]);
//! let forward = LinearForward::new(&y, &weight, &mut logits);
//! linear.forward(&context, &batch, forward, &mut workspace)?;
//! let forward = LossForward::new(&logits, &targets, &mut out);
//! let gradient = Some((&mut dlogits).into());
//! loss.cross_entropy_forward(&batch, forward, gradient, &mut workspace)?;
//!
//! let mut dy = [0.0; 6 * 2];
//! let backward = LinearBackward {
//!     x: Some((&y).into()),
//!     weight: Some((&weight).into()),
//!     dx: Some((&mut dy).into()),
//!     dweight: Some((&mut dweight).into()),
//!     ..LinearBackward::new(&dlogits)
//! };
//! linear.backward(&context, &batch, backward, &mut workspace)?;
//! let backward = RnnBackward {
//!     dy: Some((&dy).into()),
//!     dparams: Some((&mut dparams).into()),
//!     ..RnnBackward::new(&params, &x, &y)
//! };
//! lstm.backward(&batch, backward, &reserve, &mut workspace)?;
//! Sgd::new(0.1).step(&context, &mut params, &dparams, None)?;
//!
//! assert!((out[0] - 3f32.ln()).abs() < 0.5); // near that of a guess
//! assert_eq!(h_n[4..], [0.0, 0.0]); // the sequence without tokens keeps h0
//! # Ok(())
//! # }
//! ```
//!
//! `examples/tutorial.rs` trains a whole tagger.
//!
//! # Memory
//!
//! Calls read a [`View`] and write a [`ViewMut`]. Slices, `Vec`s and arrays turn into both on the
//! host. On CUDA only [`DeviceBuffer`]s do; a slice is an error there that names the argument:
//!
//! ```no_run
//! # use varlstm::*;
//! # fn main() -> Result<()> {
//! let context = Context::cuda(0)?;
//! let x = DeviceBuffer::from_slice(&context, &[3.0f64, 4.0])?;
//! let mut norm = DeviceBuffer::zeros(&context, 1)?;
//! grad_norm(&context, &x, &mut norm, &mut Workspace::new(&context))?;
//! assert_eq!(norm.to_vec()?, [5.0]);
//! # Ok(())
//! # }
//! ```
//!
//! Sizes are checked before a call: a buffer may be longer than its shape but not shorter. A state
//! (h0, c0, h_n, c_n, their gradients) must have the exact size, because its strides depend on the
//! batch's own B. Gradients of parameters are added to the buffer, gradients of data overwrite it.
//! A buffer that is written is borrowed exclusively during the call:
//!
//! ```compile_fail,E0502
//! # use varlstm::*;
//! # fn main() -> Result<()> {
//! # let context = Context::host()?;
//! let mut x = [1.0f32, 2.0];
//! dropout_forward(&context, 0.5, 1, &x, &mut x)?;
//! # Ok(())
//! # }
//! ```
//!
//! What is borrowed from a batch may not be used after its lengths change:
//!
//! ```compile_fail,E0502
//! # use varlstm::*;
//! # fn main() -> Result<()> {
//! # let context = Context::host()?;
//! let mut batch = Batch::from_lengths(&context, &[2, 1])?;
//! let order = batch.array(BatchArray::SortedIndices)?;
//! batch.set_lengths(&[1, 2])?;
//! context.read(order)?;
//! # Ok(())
//! # }
//! ```
//!
//! A dtype is a type: what is computed in `f32` takes no `f64`.
//!
//! ```compile_fail,E0277
//! # use varlstm::*;
//! # fn main() -> Result<()> {
//! # let context = Context::host()?;
//! let mut params = [1.0f32, 2.0];
//! Sgd::new(0.1).step::<f32>(&context, &mut params, &[1.0f64, 2.0], None)?;
//! # Ok(())
//! # }
//! ```
//!
//! # Threads
//!
//! Every type is `Send` and `Sync`. What is made from a context keeps it alive. On CUDA all work is
//! ordered on the default stream, whichever thread it comes from.
//!
//! # The library
//!
//! `varlstm-sys` finds it in the folder `VARLSTM_LIB_DIR`, else by pkg-config, else in the source
//! tree's `build/lib`. The program finds it as any shared library: in the system's folders, or by
//! `LD_LIBRARY_PATH`.
// SPDX-License-Identifier: Apache-2.0
#![deny(missing_docs)]

mod batch;
mod cell;
mod context;
mod conv_max;
mod element;
mod elementwise;
mod embedding;
mod error;
mod linear;
mod linear_cross_entropy;
mod loss;
mod loss_run;
mod memory;
mod optimizer;
mod packing;
mod resets;
mod rnn;
mod rnn_import;
mod rnn_prepared;
mod rnn_run;
mod rnn_step;
mod view;

pub use batch::{Batch, BatchArray, Rows};
pub use cell::Cell;
pub use context::{build_info, device_count, version};
pub use context::{Backend, Context, ContextBuilder, DeviceStatus, Math};
pub use conv_max::{Activation, ConvMax, ConvMaxBackward, ConvMaxForward};
pub use element::{Bf16, Element, Real, Scalar, F16};
pub use elementwise::{convert, dropout_backward, dropout_forward};
pub use elementwise::{log_softmax_backward, log_softmax_forward};
pub use embedding::Embedding;
pub use error::{Error, Result, Status};
pub use linear::{Linear, LinearBackward, LinearForward};
pub use linear_cross_entropy::{LinearLoss, LinearLossGradients, LinearLossOutputs};
pub use loss::{EmptyMean, Loss, LossBuilder, Reduction};
pub use loss_run::{LossForward, NllBackward};
pub use memory::{DeviceBuffer, Reserve, Workspace};
pub use optimizer::{clip_grad_norm, grad_norm, Adam, AdamState, Sgd};
pub use packing::Layout;
pub use rnn::{Parameter, Recurrence, RecurrentDropout, Rnn, RnnBuilder, RowOrder};
pub use rnn_import::{Direction, ForeignParams, ParamFormat};
pub use rnn_prepared::{PreparedFor, PreparedRnn};
pub use rnn_run::{RnnBackward, RnnForward};
pub use rnn_step::RnnStep;
pub use view::{View, ViewMut};

// The guide's programs, as doc tests.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
pub struct Guide;
#[cfg(doctest)]
#[doc = include_str!("../../../CELLS.md")]
pub struct GuideToCells;
#[cfg(doctest)]
#[doc = include_str!("../../../RESETS.md")]
pub struct GuideToResets;
