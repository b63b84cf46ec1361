//! Optimisers over one flat buffer of parameters and its gradients, and the gradients' norm.
// SPDX-License-Identifier: Apache-2.0

use std::ptr;

use varlstm_sys as sys;

use crate::context::Context;
use crate::error::{check, Result};
use crate::memory::{DeviceBuffer, Workspace};
use crate::view::{dim, write_or_null, View, ViewMut};
use crate::Real;

/// Stochastic gradient descent, as torch.optim.SGD without dampening.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sgd {
    /// Learning rate.
    pub lr: f64,
    /// 0 for none.
    pub momentum: f64,
    /// 0 for none.
    pub weight_decay: f64,
    /// Nesterov's momentum; needs momentum > 0.
    pub nesterov: bool,
}

impl Sgd {
    /// Without momentum and weight decay.
    pub fn new(lr: f64) -> Sgd {
        Sgd { lr, momentum: 0.0, weight_decay: 0.0, nesterov: false }
    }

    /// A step of all elements of params. `velocity`, of as many and zero before the first step, is
    /// needed with momentum.
    pub fn step<'a, T: Real>(
        &self,
        context: &Context,
        params: impl Into<ViewMut<'a, T>>,
        grads: impl Into<View<'a, T>>,
        velocity: Option<ViewMut<'a, T>>,
    ) -> Result<()> {
        let params = params.into();
        let shape = [("count", params.len())];
        let params = params.write(context, "params", &shape)?;
        let grads = grads.into().read(context, "grads", &shape)?;
        let velocity = write_or_null(velocity, context, "velocity", &shape)?;
        let count = dim("count", shape[0].1)?;
        // SAFETY: the context is alive, all buffers have `count` elements.
        check(unsafe {
            sys::varlstm_sgd_step(
                context.handle(),
                T::DTYPE,
                count,
                self.lr,
                self.momentum,
                self.weight_decay,
                i32::from(self.nesterov),
                params,
                grads,
                velocity,
                ptr::null_mut(),
            )
        })
    }
}

/// Adam, or AdamW if `decoupled`, as torch.optim.Adam and AdamW.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Adam {
    /// Learning rate.
    pub lr: f64,
    /// Decay of the first moment.
    pub beta1: f64,
    /// Decay of the second moment.
    pub beta2: f64,
    /// Added to the root of the second moment.
    pub eps: f64,
    /// 0 for none.
    pub weight_decay: f64,
    /// AdamW's weight decay.
    pub decoupled: bool,
}

/// What Adam keeps between steps.
#[derive(Debug)]
pub struct AdamState<T: Real> {
    m: DeviceBuffer<T>,
    v: DeviceBuffer<T>,
    step: DeviceBuffer<i64>,
}

impl<T: Real> AdamState<T> {
    /// Before the first step, for `count` parameters.
    pub fn new(context: &Context, count: usize) -> Result<AdamState<T>> {
        Ok(AdamState {
            m: DeviceBuffer::zeros(context, count)?,
            v: DeviceBuffer::zeros(context, count)?,
            step: DeviceBuffer::zeros(context, 1)?,
        })
    }
}

impl Adam {
    /// PyTorch's defaults: betas 0.9 and 0.999, eps 1e-8, no weight decay.
    pub fn new(lr: f64) -> Adam {
        Adam { lr, beta1: 0.9, beta2: 0.999, eps: 1e-8, weight_decay: 0.0, decoupled: false }
    }

    /// A step of all elements of params.
    pub fn step<'a, T: Real>(
        &self,
        context: &Context,
        params: impl Into<ViewMut<'a, T>>,
        grads: impl Into<View<'a, T>>,
        state: &mut AdamState<T>,
    ) -> Result<()> {
        let params = params.into();
        let shape = [("count", params.len())];
        let params = params.write(context, "params", &shape)?;
        let grads = grads.into().read(context, "grads", &shape)?;
        let m = state.m.view_mut().write(context, "state", &shape)?;
        let v = state.v.view_mut().write(context, "state", &shape)?;
        let step = state.step.view_mut().write(context, "state", &[("1", 1)])?;
        let count = dim("count", shape[0].1)?;
        // SAFETY: the context is alive, all buffers have `count` elements, `step` has one.
        check(unsafe {
            sys::varlstm_adam_step(
                context.handle(),
                T::DTYPE,
                count,
                self.lr,
                self.beta1,
                self.beta2,
                self.eps,
                self.weight_decay,
                i32::from(self.decoupled),
                params,
                grads,
                m,
                v,
                step.cast(),
                ptr::null_mut(),
            )
        })
    }
}

/// norm `[1]` <- Euclidean norm of all elements of grads, summed in double in a fixed order.
pub fn grad_norm<'a, T: Real>(
    context: &Context,
    grads: impl Into<View<'a, T>>,
    norm: impl Into<ViewMut<'a, f64>>,
    workspace: &mut Workspace,
) -> Result<()> {
    let grads = grads.into();
    let shape = [("count", grads.len())];
    let grads = grads.read(context, "grads", &shape)?;
    let norm = norm.into().write(context, "norm", &[("1", 1)])?;
    let count = dim("count", shape[0].1)?;
    let op = sys::VARLSTM_OP_GRAD_NORM;
    let (work, bytes) = workspace.take_for(context, op, T::DTYPE, [count, 0, 0])?;
    // SAFETY: the context is alive, grads has `count` elements, norm has one.
    check(unsafe {
        sys::varlstm_grad_norm(context.handle(), T::DTYPE, count, grads, norm.cast(), work, bytes, ptr::null_mut())
    })
}

/// The same, and then grads *= min(1, max_norm / (norm + 1e-6)), as torch's clip_grad_norm_. `norm`
/// is that before clipping.
pub fn clip_grad_norm<'a, T: Real>(
    context: &Context,
    max_norm: f64,
    grads: impl Into<ViewMut<'a, T>>,
    norm: impl Into<ViewMut<'a, f64>>,
    workspace: &mut Workspace,
) -> Result<()> {
    let grads = grads.into();
    let shape = [("count", grads.len())];
    let grads = grads.write(context, "grads", &shape)?;
    let norm = norm.into().write(context, "norm", &[("1", 1)])?;
    let count = dim("count", shape[0].1)?;
    let op = sys::VARLSTM_OP_GRAD_NORM;
    let (work, bytes) = workspace.take_for(context, op, T::DTYPE, [count, 0, 0])?;
    // SAFETY: the context is alive, grads has `count` elements, norm has one.
    check(unsafe {
        sys::varlstm_clip_grad_norm(
            context.handle(),
            T::DTYPE,
            count,
            max_norm,
            grads,
            norm.cast(),
            work,
            bytes,
            ptr::null_mut(),
        )
    })
}
