//! Negative log-likelihood of log-probabilities, and cross-entropy of logits.
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

/// Buffers of an [`Loss::nll_forward`] (scores are log-probabilities) or a
/// [`Loss::cross_entropy_forward`] (scores are logits).
#[derive(Debug)]
pub struct LossForward<'a, T: Scalar> {
    /// `[rows, C]` log-probabilities or logits.
    pub scores: View<'a, T>,
    /// `[rows]` classes.
    pub targets: View<'a, i64>,
    /// `[rows]` with [`Reduction::None`](crate::Reduction::None), else `[1]`; written.
    pub out: ViewMut<'a, T::Loss>,
    /// `[C]`; ones without it.
    pub class_weights: Option<View<'a, T::Loss>>,
    /// `[1]`, written: the sum of the kept targets' weights.
    pub weight_sum: Option<ViewMut<'a, T::Loss>>,
}

impl<'a, T: Scalar> LossForward<'a, T> {
    /// Without the optional ones.
    pub fn new(
        scores: impl Into<View<'a, T>>,
        targets: impl Into<View<'a, i64>>,
        out: impl Into<ViewMut<'a, T::Loss>>,
    ) -> Self {
        LossForward {
            scores: scores.into(),
            targets: targets.into(),
            out: out.into(),
            class_weights: None,
            weight_sum: None,
        }
    }
}

/// Buffers of an [`Loss::nll_backward`].
#[derive(Debug)]
pub struct NllBackward<'a, T: Scalar> {
    /// `[rows]` classes.
    pub targets: View<'a, i64>,
    /// `[rows, C]`, written.
    pub dlog_probs: ViewMut<'a, T>,
    /// `[C]` as in forward.
    pub class_weights: Option<View<'a, T::Loss>>,
    /// Shaped as `out`; ones without it.
    pub dout: Option<View<'a, T::Loss>>,
}

impl<'a, T: Scalar> NllBackward<'a, T> {
    /// Without the optional ones.
    pub fn new(targets: impl Into<View<'a, i64>>, dlog_probs: impl Into<ViewMut<'a, T>>) -> Self {
        NllBackward { targets: targets.into(), dlog_probs: dlog_probs.into(), class_weights: None, dout: None }
    }
}

impl Loss {
    /// The negative log-likelihood of log-probabilities.
    pub fn nll_forward<'a, T: Scalar>(
        &self,
        rows: impl Into<Rows<'a>>,
        args: LossForward<'_, T>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let rows = rows.into();
        let raw = self.raw_forward(rows, args, sys::VARLSTM_OP_NLL, workspace)?;
        // SAFETY: handles are alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_nll_forward(
                self.handle(),
                rows.batch(),
                T::DTYPE,
                raw.rows,
                raw.scores,
                raw.targets,
                raw.class_weights,
                raw.out,
                raw.weight_sum,
                raw.work.0,
                raw.work.1,
                ptr::null_mut(),
            )
        })
    }

    /// The gradient of the log-probabilities.
    pub fn nll_backward<'a, T: Scalar>(
        &self,
        rows: impl Into<Rows<'a>>,
        args: NllBackward<'_, T>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let rows = rows.into();
        let count = rows.count()?;
        let context = self.context();
        let targets = args.targets.read(context, "targets", &[("rows", count)])?;
        let weights = self.read_class_weights(args.class_weights)?;
        let dout = read_or_null(args.dout, context, "dout", &[self.out_dim(count)])?;
        let dlog_probs = args.dlog_probs.write(context, "dlog_probs", &self.scores_shape(count))?;
        let (count, classes) = (dim("rows", count)?, dim("classes", self.classes())?);
        let op = sys::VARLSTM_OP_NLL;
        let (work, bytes) = workspace.take_for(context, op, T::DTYPE, [count, classes, 0])?;
        // SAFETY: handles are alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_nll_backward(
                self.handle(),
                rows.batch(),
                T::DTYPE,
                count,
                targets.cast(),
                weights,
                dout,
                dlog_probs,
                work,
                bytes,
                ptr::null_mut(),
            )
        })
    }

    /// Log-softmax and negative log-likelihood in one pass over the logits. `dlogits` `[rows, C]` gets
    /// the gradient for an incoming gradient of 1.
    pub fn cross_entropy_forward<'a, T: Scalar>(
        &self,
        rows: impl Into<Rows<'a>>,
        args: LossForward<'_, T>,
        dlogits: Option<ViewMut<'a, T>>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let rows = rows.into();
        let shape = self.scores_shape(rows.count()?);
        let dlogits = write_or_null(dlogits, self.context(), "dlogits", &shape)?;
        let raw = self.raw_forward(rows, args, sys::VARLSTM_OP_CROSS_ENTROPY, workspace)?;
        // SAFETY: handles are alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_cross_entropy_forward(
                self.handle(),
                rows.batch(),
                T::DTYPE,
                raw.rows,
                raw.scores,
                raw.targets,
                raw.class_weights,
                raw.out,
                raw.weight_sum,
                dlogits,
                raw.work.0,
                raw.work.1,
                ptr::null_mut(),
            )
        })
    }

    /// dlogits `[rows, C]` <- dlogits from forward times dout, shaped as `out`.
    pub fn cross_entropy_backward<'a, T: Scalar>(
        &self,
        rows: impl Into<Rows<'a>>,
        dout: impl Into<View<'a, T::Loss>>,
        dlogits: impl Into<ViewMut<'a, T>>,
    ) -> Result<()> {
        let count = rows.into().count()?;
        let dout = dout.into().read(self.context(), "dout", &[self.out_dim(count)])?;
        let shape = self.scores_shape(count);
        let dlogits = dlogits.into().write(self.context(), "dlogits", &shape)?;
        let count = dim("rows", count)?;
        // SAFETY: the handle is alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_cross_entropy_backward(self.handle(), T::DTYPE, count, dout, dlogits, ptr::null_mut())
        })
    }

    fn raw_forward<T: Scalar>(
        &self,
        rows: Rows<'_>,
        args: LossForward<'_, T>,
        op: i32,
        workspace: &mut Workspace,
    ) -> Result<RawForward> {
        let count = rows.count()?;
        let context = self.context();
        let (rows, classes) = (dim("rows", count)?, dim("classes", self.classes())?);
        Ok(RawForward {
            rows,
            scores: args.scores.read(context, "scores", &self.scores_shape(count))?,
            targets: args.targets.read(context, "targets", &[("rows", count)])?.cast(),
            class_weights: self.read_class_weights(args.class_weights)?,
            out: args.out.write(context, "out", &[self.out_dim(count)])?,
            weight_sum: write_or_null(args.weight_sum, context, "weight_sum", &[("1", 1)])?,
            work: workspace.take_for(context, op, T::DTYPE, [rows, classes, 0])?,
        })
    }
}

/// A [`LossForward`] after its checks.
struct RawForward {
    rows: i64,
    scores: *const c_void,
    targets: *const i64,
    class_weights: *const c_void,
    out: *mut c_void,
    weight_sum: *mut c_void,
    work: (*mut c_void, i64),
}
