//! Linear layer.
// SPDX-License-Identifier: Apache-2.0

use std::ptr;

use varlstm_sys as sys;

use crate::batch::Rows;
use crate::context::Context;
use crate::error::{check, Result};
use crate::memory::Workspace;
use crate::view::{dim, read_or_null, write_or_null, View, ViewMut};
use crate::Scalar;

/// The sizes of a linear layer's weight `[outputs, inputs]`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Linear {
    /// Columns of x.
    pub inputs: usize,
    /// Columns of y.
    pub outputs: usize,
}

/// Buffers of a linear layer's forward.
#[derive(Debug)]
pub struct LinearForward<'a, T: Scalar> {
    /// `[rows, inputs]`
    pub x: View<'a, T>,
    /// `[outputs, inputs]`
    pub weight: View<'a, T>,
    /// `[rows, outputs]`, written.
    pub y: ViewMut<'a, T>,
    /// `[outputs]`; zeros without it.
    pub bias: Option<View<'a, T>>,
}

impl<'a, T: Scalar> LinearForward<'a, T> {
    /// Without the optional ones.
    pub fn new(x: impl Into<View<'a, T>>, weight: impl Into<View<'a, T>>, y: impl Into<ViewMut<'a, T>>) -> Self {
        LinearForward { x: x.into(), weight: weight.into(), y: y.into(), bias: None }
    }
}

/// Buffers of a linear layer's backward.
#[derive(Debug)]
pub struct LinearBackward<'a, T: Scalar> {
    /// `[rows, outputs]`
    pub dy: View<'a, T>,
    /// `[rows, inputs]`; needed for `dweight`.
    pub x: Option<View<'a, T>>,
    /// `[outputs, inputs]`; needed for `dx`.
    pub weight: Option<View<'a, T>>,
    /// `[rows, inputs]`, written.
    pub dx: Option<ViewMut<'a, T>>,
    /// `[outputs, inputs]`, added to.
    pub dweight: Option<ViewMut<'a, T>>,
    /// `[outputs]`, added to.
    pub dbias: Option<ViewMut<'a, T>>,
}

impl<'a, T: Scalar> LinearBackward<'a, T> {
    /// Without the optional ones.
    pub fn new(dy: impl Into<View<'a, T>>) -> Self {
        LinearBackward { dy: dy.into(), x: None, weight: None, dx: None, dweight: None, dbias: None }
    }
}

impl Linear {
    /// y <- x weight^T + bias.
    pub fn forward<'a, T: Scalar>(
        &self,
        context: &Context,
        rows: impl Into<Rows<'a>>,
        args: LinearForward<'_, T>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let count = rows.into().count()?;
        let x = args.x.read(context, "x", &[("rows", count), ("inputs", self.inputs)])?;
        let weight = args.weight.read(context, "weight", &self.weight_shape())?;
        let bias = read_or_null(args.bias, context, "bias", &[("outputs", self.outputs)])?;
        let y = args.y.write(context, "y", &[("rows", count), ("outputs", self.outputs)])?;
        let sizes = self.sizes(count)?;
        let [rows, inputs, outputs] = sizes;
        let op = sys::VARLSTM_OP_LINEAR_FORWARD;
        let (work, bytes) = workspace.take_for(context, op, T::DTYPE, sizes)?;
        // SAFETY: the context is alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_linear_forward(
                context.handle(),
                T::DTYPE,
                rows,
                inputs,
                outputs,
                x,
                weight,
                bias,
                y,
                work,
                bytes,
                ptr::null_mut(),
            )
        })
    }

    /// dx <- dy weight; dweight += dy^T x; dbias += column sums of dy; of these those that are given.
    pub fn backward<'a, T: Scalar>(
        &self,
        context: &Context,
        rows: impl Into<Rows<'a>>,
        args: LinearBackward<'_, T>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let count = rows.into().count()?;
        let input_shape = [("rows", count), ("inputs", self.inputs)];
        let dy = args.dy.read(context, "dy", &[("rows", count), ("outputs", self.outputs)])?;
        let x = read_or_null(args.x, context, "x", &input_shape)?;
        let weight = read_or_null(args.weight, context, "weight", &self.weight_shape())?;
        let dx = write_or_null(args.dx, context, "dx", &input_shape)?;
        let dweight = write_or_null(args.dweight, context, "dweight", &self.weight_shape())?;
        let dbias = write_or_null(args.dbias, context, "dbias", &[("outputs", self.outputs)])?;
        let sizes = self.sizes(count)?;
        let [rows, inputs, outputs] = sizes;
        let op = sys::VARLSTM_OP_LINEAR_BACKWARD;
        let (work, bytes) = workspace.take_for(context, op, T::DTYPE, sizes)?;
        // SAFETY: the context is alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_linear_backward(
                context.handle(),
                T::DTYPE,
                rows,
                inputs,
                outputs,
                x,
                weight,
                dy,
                dx,
                dweight,
                dbias,
                work,
                bytes,
                ptr::null_mut(),
            )
        })
    }

    fn sizes(&self, rows: usize) -> Result<[i64; 3]> {
        Ok([dim("rows", rows)?, dim("inputs", self.inputs)?, dim("outputs", self.outputs)?])
    }

    fn weight_shape(&self) -> [(&'static str, usize); 2] {
        [("outputs", self.outputs), ("inputs", self.inputs)]
    }
}
