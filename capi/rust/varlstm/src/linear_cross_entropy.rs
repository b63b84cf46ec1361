//! Linear layer and cross-entropy in one: the logits of all rows are never stored.
// SPDX-License-Identifier: Apache-2.0

use std::os::raw::c_void;
use std::ptr;

use varlstm_sys as sys;

use crate::batch::Rows;
use crate::error::{check, Result};
use crate::loss::Loss;
use crate::memory::Workspace;
use crate::view::{dim, read_or_null, write_or_null, View, ViewMut};
use crate::Scalar;

/// What forward and backward read: the loss is that of the logits x weight^T + bias.
#[derive(Clone, Copy, Debug)]
pub struct LinearLoss<'a, T: Scalar> {
    /// Columns of x.
    pub inputs: usize,
    /// `[rows, inputs]`
    pub x: View<'a, T>,
    /// `[C, inputs]`
    pub weight: View<'a, T>,
    /// `[rows]` classes.
    pub targets: View<'a, i64>,
    /// `[C]`; zeros without it.
    pub bias: Option<View<'a, T>>,
    /// `[C]`; ones without it.
    pub class_weights: Option<View<'a, T::Loss>>,
}

impl<'a, T: Scalar> LinearLoss<'a, T> {
    /// Without the optional ones.
    pub fn new(
        inputs: usize,
        x: impl Into<View<'a, T>>,
        weight: impl Into<View<'a, T>>,
        targets: impl Into<View<'a, i64>>,
    ) -> Self {
        LinearLoss {
            inputs,
            x: x.into(),
            weight: weight.into(),
            targets: targets.into(),
            bias: None,
            class_weights: None,
        }
    }
}

/// What forward writes.
#[derive(Debug)]
pub struct LinearLossOutputs<'a, T: Scalar> {
    /// `[rows]` with [`Reduction::None`](crate::Reduction::None), else `[1]`.
    pub out: ViewMut<'a, T::Loss>,
    /// `[1]`: the sum of the kept targets' weights.
    pub weight_sum: Option<ViewMut<'a, T::Loss>>,
    /// `[rows]`, for backward: log(sum(exp(logits))), 0 for a row that is not kept.
    pub lse: Option<ViewMut<'a, T::Loss>>,
}

/// Incoming and outgoing gradients of backward; every one may be left out.
#[derive(Debug)]
pub struct LinearLossGradients<'a, T: Scalar> {
    /// Shaped as `out`; ones without it.
    pub dout: Option<View<'a, T::Loss>>,
    /// `[rows, inputs]`, written: 0 if the row is not kept.
    pub dx: Option<ViewMut<'a, T>>,
    /// `[C, inputs]`, added to.
    pub dweight: Option<ViewMut<'a, T>>,
    /// `[C]`, added to.
    pub dbias: Option<ViewMut<'a, T>>,
}

impl<T: Scalar> Default for LinearLossGradients<'_, T> {
    fn default() -> Self {
        LinearLossGradients { dout: None, dx: None, dweight: None, dbias: None }
    }
}

impl Loss {
    /// The loss. No gradient work is done here.
    pub fn linear_cross_entropy_forward<'a, T: Scalar>(
        &self,
        rows: impl Into<Rows<'a>>,
        inputs: LinearLoss<'_, T>,
        outputs: LinearLossOutputs<'_, T>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let rows = rows.into();
        let count = rows.count()?;
        let op = sys::VARLSTM_OP_LINEAR_CROSS_ENTROPY_FORWARD;
        let raw = self.raw_linear_loss(count, inputs, op, workspace)?;
        let context = self.context();
        let out = outputs.out.write(context, "out", &[self.out_dim(count)])?;
        let weight_sum = write_or_null(outputs.weight_sum, context, "weight_sum", &[("1", 1)])?;
        let lse = write_or_null(outputs.lse, context, "lse", &[("rows", count)])?;
        // SAFETY: handles are alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_linear_cross_entropy_forward(
                self.handle(),
                rows.batch(),
                T::DTYPE,
                raw.rows,
                raw.inputs,
                raw.x,
                raw.weight,
                raw.bias,
                raw.targets,
                raw.class_weights,
                out,
                weight_sum,
                lse,
                raw.work.0,
                raw.work.1,
                ptr::null_mut(),
            )
        })
    }

    /// The gradients; `inputs` as in forward, `lse` `[rows]` from it.
    pub fn linear_cross_entropy_backward<'a, T: Scalar>(
        &self,
        rows: impl Into<Rows<'a>>,
        inputs: LinearLoss<'_, T>,
        lse: impl Into<View<'a, T::Loss>>,
        gradients: LinearLossGradients<'_, T>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let rows = rows.into();
        let count = rows.count()?;
        let op = sys::VARLSTM_OP_LINEAR_CROSS_ENTROPY_BACKWARD;
        let raw = self.raw_linear_loss(count, inputs, op, workspace)?;
        let context = self.context();
        let (columns, classes) = (("inputs", inputs.inputs), ("classes", self.classes()));
        let lse = lse.into().read(context, "lse", &[("rows", count)])?;
        let dout = read_or_null(gradients.dout, context, "dout", &[self.out_dim(count)])?;
        let dx = write_or_null(gradients.dx, context, "dx", &[("rows", count), columns])?;
        let dweight = write_or_null(gradients.dweight, context, "dweight", &[classes, columns])?;
        let dbias = write_or_null(gradients.dbias, context, "dbias", &[classes])?;
        // SAFETY: handles are alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_linear_cross_entropy_backward(
                self.handle(),
                rows.batch(),
                T::DTYPE,
                raw.rows,
                raw.inputs,
                raw.x,
                raw.weight,
                raw.bias,
                raw.targets,
                raw.class_weights,
                lse,
                dout,
                dx,
                dweight,
                dbias,
                raw.work.0,
                raw.work.1,
                ptr::null_mut(),
            )
        })
    }

    fn raw_linear_loss<T: Scalar>(
        &self,
        rows: usize,
        inputs: LinearLoss<'_, T>,
        op: i32,
        workspace: &mut Workspace,
    ) -> Result<RawLinearLoss> {
        let context = self.context();
        let (columns, classes) = (("inputs", inputs.inputs), ("classes", self.classes()));
        let sizes = [dim("rows", rows)?, dim("inputs", inputs.inputs)?, dim("classes", self.classes())?];
        Ok(RawLinearLoss {
            rows: sizes[0],
            inputs: sizes[1],
            x: inputs.x.read(context, "x", &[("rows", rows), columns])?,
            weight: inputs.weight.read(context, "weight", &[classes, columns])?,
            bias: read_or_null(inputs.bias, context, "bias", &[classes])?,
            targets: inputs.targets.read(context, "targets", &[("rows", rows)])?.cast(),
            class_weights: self.read_class_weights(inputs.class_weights)?,
            work: workspace.take_for(context, op, T::DTYPE, sizes)?,
        })
    }
}

/// A [`LinearLoss`] after its checks.
struct RawLinearLoss {
    rows: i64,
    inputs: i64,
    x: *const c_void,
    weight: *const c_void,
    bias: *const c_void,
    targets: *const i64,
    class_weights: *const c_void,
    work: (*mut c_void, i64),
}
