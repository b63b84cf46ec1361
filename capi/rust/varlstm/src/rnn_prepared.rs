//! Networks whose weights are arranged once for many calls.
// SPDX-License-Identifier: Apache-2.0

use std::ops::Deref;
use std::ptr;

use varlstm_sys as sys;

use crate::error::{check, Result};
use crate::memory::Workspace;
use crate::rnn::Rnn;
use crate::view::View;
use crate::Scalar;

/// The calls for which weights are arranged. A prepared network has all calls; the others arrange theirs as always.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PreparedFor {
    /// [`forward`](Rnn::forward) and [`step`](Rnn::step).
    Inference,
    /// [`forward_save`](Rnn::forward_save) and [`backward`](Rnn::backward) too.
    Training,
}

/// An [`Rnn`] whose weights are arranged for the processor, with the same calls and the same bits. Its calls take the
/// params that it was prepared with and no others. They stay borrowed, so that nobody changes them before it is dropped.
#[derive(Debug)]
pub struct PreparedRnn<'a, T: Scalar> {
    rnn: Rnn<T>, // is dropped before what it reads
    _memory: Workspace,
    _params: View<'a, T>,
}

impl<T: Scalar> Deref for PreparedRnn<'_, T> {
    type Target = Rnn<T>;

    fn deref(&self) -> &Rnn<T> {
        &self.rnn
    }
}

impl<T: Scalar> Rnn<T> {
    /// Arranges the weights once, which each call of the host does anew otherwise: for a call of one token that takes
    /// longer than the rest.
    pub fn prepare<'a>(&self, calls: PreparedFor, params: impl Into<View<'a, T>>) -> Result<PreparedRnn<'a, T>> {
        let (context, params) = (self.context(), params.into());
        let mode = match calls {
            PreparedFor::Inference => sys::VARLSTM_MODE_INFER,
            PreparedFor::Training => sys::VARLSTM_MODE_SAVE,
        };
        let data = params.read(context, "params", &[("elements", self.param_elements())])?;
        let mut bytes = 0;
        // SAFETY: the handle is alive, `bytes` is written.
        check(unsafe { sys::varlstm_rnn_prepared_size(self.handle(), mode, &mut bytes) })?;
        let mut memory = Workspace::new(context);
        let (prepared, prepared_bytes) = memory.take(context, bytes)?;
        let (stream, mut handle) = (ptr::null_mut(), ptr::null_mut());
        // SAFETY: the handle is alive, both buffers are as large as varlstm.h asks for, and live as long as what is made.
        check(unsafe {
            sys::varlstm_rnn_prepare(self.handle(), mode, data, prepared, prepared_bytes, stream, &mut handle)
        })?;
        // SAFETY: the handle was made just now, with the options of this network.
        Ok(PreparedRnn { rnn: unsafe { self.with_handle(handle) }, _memory: memory, _params: params })
    }
}
