//! Steps of the recurrent network: one token of each of several streams.
// SPDX-License-Identifier: Apache-2.0

use std::ptr;

use varlstm_sys as sys;

use crate::error::{check, Error, Result};
use crate::memory::Workspace;
use crate::rnn::Rnn;
use crate::view::{check_not_longer, dim, write_or_null, View, ViewMut};
use crate::Scalar;

/// Buffers of a step of B streams, whose states are in a table of S slots.
///
/// `RnnStep { c: Some((&mut c).into()), ..RnnStep::new(&params, &x, &slots, &mut h, &mut y) }`
#[derive(Debug)]
pub struct RnnStep<'a, T: Scalar> {
    /// The flat buffer of all parameters.
    pub params: View<'a, T>,
    /// `[B, I]`
    pub x: View<'a, T>,
    /// `[B]`: the slot of each stream; a slot may occur once. Their number is B.
    pub slots: View<'a, i64>,
    /// `[L, S, R]`, read and written at the slots of this step. Zero a slot where a stream begins.
    pub h: ViewMut<'a, T>,
    /// `[L, S, H]` likewise, in `f64` for `f64`, else in `f32`; `None` if the cell has no c.
    pub c: Option<ViewMut<'a, T::Loss>>,
    /// `[B, R]`, written. R is P with a projection, else H.
    pub y: ViewMut<'a, T>,
}

impl<'a, T: Scalar> RnnStep<'a, T> {
    /// Without c.
    pub fn new(
        params: impl Into<View<'a, T>>,
        x: impl Into<View<'a, T>>,
        slots: impl Into<View<'a, i64>>,
        h: impl Into<ViewMut<'a, T>>,
        y: impl Into<ViewMut<'a, T>>,
    ) -> Self {
        RnnStep { params: params.into(), x: x.into(), slots: slots.into(), h: h.into(), c: None, y: y.into() }
    }
}

impl<T: Scalar> Rnn<T> {
    /// One token of each stream, in place: T steps give what [`forward`](Rnn::forward) gives for the T tokens, bit for
    /// bit (on CUDA that of [`Recurrence::Stepwise`](crate::Recurrence::Stepwise)). The network has one direction. A bad
    /// slot is an error on the host; on CUDA it raises [`DeviceStatus::bad_slot`](crate::DeviceStatus::bad_slot).
    pub fn step(&self, args: RnnStep<'_, T>, workspace: &mut Workspace) -> Result<()> {
        let context = self.context();
        let of_h = (self.state_name(), self.state_size());
        let streams = ("streams", args.slots.len());
        let slots = ("table_slots", args.h.len() / (self.num_layers() * self.state_size()));
        let layers = ("num_layers", self.num_layers());
        let (table, c_table) = ([layers, slots, of_h], [layers, slots, ("hidden_size", self.hidden_size())]);
        check_not_longer("h", args.h.len(), &table)?;
        check_not_longer("c", args.c.as_ref().map_or(0, |c| c.len()), &c_table)?;
        if streams.1 > slots.1 {
            let text = format!("streams = {} is larger than table_slots = {}", streams.1, slots.1);
            return Err(Error::invalid(text));
        }
        let params = args.params.read(context, "params", &[("elements", self.param_elements())])?;
        let x = args.x.read(context, "x", &[streams, ("input_size", self.input_size())])?;
        let rows = args.slots.read(context, "slots", &[streams])?;
        let h = args.h.write(context, "h", &table)?;
        let c = write_or_null(args.c, context, "c", &c_table)?;
        let y = args.y.write(context, "y", &[streams, of_h])?;
        let (streams, slots) = (dim(streams.0, streams.1)?, dim(slots.0, slots.1)?);
        let mut bytes = 0;
        // SAFETY: the handle is alive, `bytes` is written.
        check(unsafe { sys::varlstm_rnn_step_size(self.handle(), streams, slots, &mut bytes) })?;
        let (work, work_bytes) = workspace.take(context, bytes)?;
        // SAFETY: the handle is alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_rnn_step(
                self.handle(),
                streams,
                params,
                x,
                rows.cast(),
                slots,
                h,
                c,
                y,
                work,
                work_bytes,
                ptr::null_mut(),
            )
        })
    }
}
