//! A loss and its options: masked negative log-likelihood and cross-entropy.
// SPDX-License-Identifier: Apache-2.0

use std::os::raw::c_void;
use std::ptr::{self, NonNull};

use varlstm_sys as sys;

use crate::context::Context;
use crate::error::{check, Result};
use crate::view::{dim, read_or_null, View};
use crate::Scalar;

/// What becomes of the rows' losses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reduction {
    /// A loss for each row.
    None,
    /// Their sum, divided by the sum of the kept targets' weights.
    Mean,
    /// Their sum.
    Sum,
}

/// The mean if every target is ignored. The gradients are 0 for both values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EmptyMean {
    /// As in PyTorch.
    Nan,
    /// 0.
    Zero,
}

/// Options of a [`Loss`].
#[derive(Clone, Debug)]
pub struct LossBuilder {
    context: Context,
    classes: usize,
    ignore_index: i64,
    reduction: Reduction,
    empty_mean: EmptyMean,
    label_smoothing: f64,
}

impl LossBuilder {
    /// A target with this value is skipped: -100 by default.
    pub fn ignore_index(mut self, ignore_index: i64) -> Self {
        self.ignore_index = ignore_index;
        self
    }

    /// [`Reduction::Mean`] by default.
    pub fn reduction(mut self, reduction: Reduction) -> Self {
        self.reduction = reduction;
        self
    }

    /// [`EmptyMean::Nan`] by default.
    pub fn empty_mean(mut self, empty_mean: EmptyMean) -> Self {
        self.empty_mean = empty_mean;
        self
    }

    /// In `[0, 1]`: 0 by default.
    pub fn label_smoothing(mut self, label_smoothing: f64) -> Self {
        self.label_smoothing = label_smoothing;
        self
    }

    /// Creates the loss. Errors: no classes, an option's value.
    pub fn build(self) -> Result<Loss> {
        let mut handle = ptr::null_mut();
        let classes = dim("classes", self.classes)?;
        // SAFETY: the context is alive, `handle` is written.
        check(unsafe { sys::varlstm_loss_create(self.context.handle(), classes, &mut handle) })?;
        let loss = Loss {
            handle: NonNull::new(handle).expect("a loss that was created"),
            context: self.context.clone(),
            classes: self.classes,
            reduction: self.reduction,
        };
        let reduction = match self.reduction {
            Reduction::None => sys::VARLSTM_REDUCTION_NONE,
            Reduction::Mean => sys::VARLSTM_REDUCTION_MEAN,
            Reduction::Sum => sys::VARLSTM_REDUCTION_SUM,
        };
        let empty_mean = match self.empty_mean {
            EmptyMean::Nan => sys::VARLSTM_EMPTY_MEAN_NAN,
            EmptyMean::Zero => sys::VARLSTM_EMPTY_MEAN_ZERO,
        };
        for (key, value) in [
            (sys::VARLSTM_KEY_IGNORE_INDEX, self.ignore_index),
            (sys::VARLSTM_KEY_REDUCTION, i64::from(reduction)),
            (sys::VARLSTM_KEY_EMPTY_MEAN, i64::from(empty_mean)),
        ] {
            // SAFETY: the handle is alive, and nobody else has it yet.
            check(unsafe { sys::varlstm_loss_set_i64(handle, key, value) })?;
        }
        let key = sys::VARLSTM_KEY_LABEL_SMOOTHING;
        // SAFETY: likewise.
        check(unsafe { sys::varlstm_loss_set_f64(handle, key, self.label_smoothing) })?;
        Ok(loss)
    }
}

/// A loss over C classes, as PyTorch's F.nll_loss and F.cross_entropy.
#[derive(Debug)]
pub struct Loss {
    handle: NonNull<sys::varlstm_loss>,
    context: Context,
    classes: usize,
    reduction: Reduction,
}

// SAFETY: varlstm.h: a handle in use is immutable and may be shared between threads; options are set
// by LossBuilder before anybody else has it.
unsafe impl Send for Loss {}
unsafe impl Sync for Loss {}

impl Drop for Loss {
    fn drop(&mut self) {
        // SAFETY: the only owner; the context is alive.
        let status = unsafe { sys::varlstm_loss_destroy(self.handle.as_ptr()) };
        debug_assert_eq!(status, sys::VARLSTM_OK);
    }
}

impl Loss {
    /// A mean over the kept targets, unless options say otherwise.
    pub fn builder(context: &Context, classes: usize) -> LossBuilder {
        LossBuilder {
            context: context.clone(),
            classes,
            ignore_index: -100,
            reduction: Reduction::Mean,
            empty_mean: EmptyMean::Nan,
            label_smoothing: 0.0,
        }
    }

    /// C, classes.
    pub fn classes(&self) -> usize {
        self.classes
    }

    pub(crate) fn handle(&self) -> *const sys::varlstm_loss {
        self.handle.as_ptr()
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }

    pub(crate) fn read_class_weights<R: Scalar>(&self, class_weights: Option<View<'_, R>>) -> Result<*const c_void> {
        read_or_null(class_weights, &self.context, "class_weights", &[("classes", self.classes)])
    }

    /// The dimension of `out` and `dout`.
    pub(crate) fn out_dim(&self, rows: usize) -> (&'static str, usize) {
        match self.reduction {
            Reduction::None => ("rows", rows),
            _ => ("1", 1),
        }
    }

    pub(crate) fn scores_shape(&self, rows: usize) -> [(&'static str, usize); 2] {
        [("rows", rows), ("classes", self.classes)]
    }
}
