//! Convolution over the rows of each word, and the maximum over the word's positions.
// SPDX-License-Identifier: Apache-2.0

use std::ffi::c_void;
use std::ptr;

use varlstm_sys as sys;

use crate::context::Context;
use crate::error::{check, Result};
use crate::memory::Workspace;
use crate::view::{dim, read_or_null, write_or_null, View, ViewMut};
use crate::Scalar;

/// What is applied to the maxima of a [`ConvMax`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Activation {
    /// Nothing.
    None,
    /// The hyperbolic tangent.
    Tanh,
    /// max(x, 0)
    Relu,
}

/// The sizes of a convolution with maximum, whose weight is `[filters, inputs, width]` as in
/// torch.nn.Conv1d. A character CNN is one over the embedded characters of each word.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ConvMax {
    /// Columns of x, at least 1.
    pub inputs: usize,
    /// Columns of y, at least 1.
    pub filters: usize,
    /// Rows of a window, at least 1; it may be larger than a word.
    pub width: usize,
    /// Applied to the maxima.
    pub activation: Activation,
}

/// Buffers of a convolution's forward, of the context's memory.
#[derive(Debug)]
pub struct ConvMaxForward<'a, T: Scalar> {
    /// `[words + 1]`, not decreasing, in 0 to `rows`: word w has the rows `offsets[w]` to
    /// `offsets[w + 1] - 1` of x.
    pub offsets: View<'a, i64>,
    /// `[rows, inputs]`
    pub x: View<'a, T>,
    /// `[filters, inputs, width]`
    pub weight: View<'a, T>,
    /// `[words, filters]`, written.
    pub y: ViewMut<'a, T>,
    /// `[filters]`; zeros without it.
    pub bias: Option<View<'a, T>>,
    /// `[words, filters]`, written: the rows of the maxima, for backward.
    pub argmax: Option<ViewMut<'a, i64>>,
}

impl<'a, T: Scalar> ConvMaxForward<'a, T> {
    /// Without the optional ones.
    pub fn new(
        offsets: impl Into<View<'a, i64>>,
        x: impl Into<View<'a, T>>,
        weight: impl Into<View<'a, T>>,
        y: impl Into<ViewMut<'a, T>>,
    ) -> Self {
        let (offsets, x, weight, y) = (offsets.into(), x.into(), weight.into(), y.into());
        ConvMaxForward { offsets, x, weight, y, bias: None, argmax: None }
    }
}

/// Buffers of a convolution's backward, of the context's memory. Gradients that are None are not computed.
#[derive(Debug)]
pub struct ConvMaxBackward<'a, T: Scalar> {
    /// `[words + 1]`, as in forward.
    pub offsets: View<'a, i64>,
    /// `[words, filters]`, from forward.
    pub y: View<'a, T>,
    /// `[words, filters]`
    pub dy: View<'a, T>,
    /// `[words, filters]`, from forward.
    pub argmax: View<'a, i64>,
    /// `[rows, inputs]`; needed for `dweight`.
    pub x: Option<View<'a, T>>,
    /// `[filters, inputs, width]`; needed for `dx`.
    pub weight: Option<View<'a, T>>,
    /// `[rows, inputs]`, written.
    pub dx: Option<ViewMut<'a, T>>,
    /// `[filters, inputs, width]`, added to.
    pub dweight: Option<ViewMut<'a, T>>,
    /// `[filters]`, added to.
    pub dbias: Option<ViewMut<'a, T>>,
}

impl<'a, T: Scalar> ConvMaxBackward<'a, T> {
    /// Without the optional ones.
    pub fn new(
        offsets: impl Into<View<'a, i64>>,
        y: impl Into<View<'a, T>>,
        dy: impl Into<View<'a, T>>,
        argmax: impl Into<View<'a, i64>>,
    ) -> Self {
        let (offsets, y, dy, argmax) = (offsets.into(), y.into(), dy.into(), argmax.into());
        let (x, weight, dx, dweight, dbias) = (None, None, None, None, None);
        ConvMaxBackward { offsets, y, dy, argmax, x, weight, dx, dweight, dbias }
    }
}

/// The sizes as the library takes them, and the workspace.
struct Raw {
    sizes: [i64; 5],
    activation: i32,
    work: (*mut c_void, i64),
}

impl ConvMax {
    /// y <- the activation of the maxima over each word's own positions, for `words` words whose
    /// rows are among the `rows` rows of x; either may be 0. The workspace grows to the size that
    /// is needed. Errors: a size, a view that is too short or an offset that is wrong, by its name
    /// and value; on CUDA a wrong offset raises a bit of [`Context::device_status`] instead.
    pub fn forward<T: Scalar>(
        &self,
        context: &Context,
        words: usize,
        rows: usize,
        args: ConvMaxForward<'_, T>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let outputs = [("words", words), ("filters", self.filters)];
        let offsets = args.offsets.read(context, "offsets", &[("words + 1", words.saturating_add(1))])?;
        let x = args.x.read(context, "x", &[("rows", rows), ("inputs", self.inputs)])?;
        let weight = args.weight.read(context, "weight", &self.weight_shape())?;
        let bias = read_or_null(args.bias, context, "bias", &[("filters", self.filters)])?;
        let y = args.y.write(context, "y", &outputs)?;
        let argmax = write_or_null(args.argmax, context, "argmax", &outputs)?;
        let raw = self.raw(context, T::DTYPE, words, rows, workspace, false)?;
        let [words, rows, inputs, filters, width] = raw.sizes;
        // SAFETY: the context is alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_conv_max_forward(
                context.handle(),
                T::DTYPE,
                words,
                rows,
                inputs,
                filters,
                width,
                raw.activation,
                offsets.cast(),
                x,
                weight,
                bias,
                y,
                filters,
                argmax.cast(),
                raw.work.0,
                raw.work.1,
                ptr::null_mut(),
            )
        })
    }

    /// The gradients of forward; of these those that are given. `words`, `rows`, the workspace and
    /// the errors are as in forward; `dweight` without `x`, or `dx` without `weight`, is one too.
    pub fn backward<T: Scalar>(
        &self,
        context: &Context,
        words: usize,
        rows: usize,
        args: ConvMaxBackward<'_, T>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let outputs = [("words", words), ("filters", self.filters)];
        let inputs = [("rows", rows), ("inputs", self.inputs)];
        let offsets = args.offsets.read(context, "offsets", &[("words + 1", words.saturating_add(1))])?;
        let y = args.y.read(context, "y", &outputs)?;
        let dy = args.dy.read(context, "dy", &outputs)?;
        let argmax = args.argmax.read(context, "argmax", &outputs)?;
        let x = read_or_null(args.x, context, "x", &inputs)?;
        let weight = read_or_null(args.weight, context, "weight", &self.weight_shape())?;
        let dx = write_or_null(args.dx, context, "dx", &inputs)?;
        let dweight = write_or_null(args.dweight, context, "dweight", &self.weight_shape())?;
        let dbias = write_or_null(args.dbias, context, "dbias", &[("filters", self.filters)])?;
        let raw = self.raw(context, T::DTYPE, words, rows, workspace, true)?;
        let [words, rows, inputs, filters, width] = raw.sizes;
        // SAFETY: the context is alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_conv_max_backward(
                context.handle(),
                T::DTYPE,
                words,
                rows,
                inputs,
                filters,
                width,
                raw.activation,
                offsets.cast(),
                x,
                weight,
                y,
                dy,
                filters,
                argmax.cast(),
                dx,
                dweight,
                dbias,
                raw.work.0,
                raw.work.1,
                ptr::null_mut(),
            )
        })
    }

    fn raw(
        &self,
        context: &Context,
        dtype: i32,
        words: usize,
        rows: usize,
        workspace: &mut Workspace,
        is_backward: bool,
    ) -> Result<Raw> {
        let sizes = [
            dim("words", words)?,
            dim("rows", rows)?,
            dim("inputs", self.inputs)?,
            dim("filters", self.filters)?,
            dim("width", self.width)?,
        ];
        let activation = match self.activation {
            Activation::None => sys::VARLSTM_ACTIVATION_NONE,
            Activation::Tanh => sys::VARLSTM_ACTIVATION_TANH,
            Activation::Relu => sys::VARLSTM_ACTIVATION_RELU,
        };
        let (mut forward, mut backward) = (0, 0);
        // SAFETY: the context is alive, the byte counts are written.
        check(unsafe {
            sys::varlstm_conv_max_size(
                context.handle(),
                dtype,
                sizes[0],
                sizes[1],
                sizes[2],
                sizes[3],
                sizes[4],
                &mut forward,
                &mut backward,
            )
        })?;
        let work = workspace.take(context, if is_backward { backward } else { forward })?;
        Ok(Raw { sizes, activation, work })
    }

    fn weight_shape(&self) -> [(&'static str, usize); 3] {
        [("filters", self.filters), ("inputs", self.inputs), ("width", self.width)]
    }
}
