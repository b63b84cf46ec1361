//! Forward and backward of the recurrent network.
// SPDX-License-Identifier: Apache-2.0

use std::os::raw::c_void;
use std::ptr;

use varlstm_sys as sys;

use crate::batch::Batch;
use crate::context::Context;
use crate::error::{check, Result};
use crate::memory::{Reserve, Workspace};
use crate::rnn::Rnn;
use crate::view::{check_not_longer, read_or_null, write_or_null, View, ViewMut};
use crate::{Element, Scalar};

/// Buffers and dropout of a forward. Those of c stay `None` if the cell has no c. R is P with a projection, else H. Rows are in the order of [`RowOrder`](crate::RowOrder).
///
/// `RnnForward { h_n: Some((&mut h_n).into()), ..RnnForward::new(&params, &x, &mut y) }`
#[derive(Debug)]
pub struct RnnForward<'a, T: Scalar> {
    /// The flat buffer of all parameters.
    pub params: View<'a, T>,
    /// `[N, I]`
    pub x: View<'a, T>,
    /// `[N, D*R]`, written.
    pub y: ViewMut<'a, T>,
    /// `[L*D, B, R]` in the caller's order of sequences; zeros without it.
    pub h0: Option<View<'a, T>>,
    /// `[L*D, B, H]` likewise.
    pub c0: Option<View<'a, T>>,
    /// `[L*D, B, R]`, written. A sequence of length 0 has h_n = h0.
    pub h_n: Option<ViewMut<'a, T>>,
    /// `[L*D, B, H]`, written. A sequence of length 0 has c_n = c0.
    pub c_n: Option<ViewMut<'a, T>>,
    /// `[N, D*H]`, written: c of every token of the last layer, with
    /// [`cell_states`](crate::RnnBuilder::cell_states).
    pub c: Option<ViewMut<'a, T>>,
    /// Seed of the masks between layers; 0 (default) switches dropout off for this call.
    pub dropout_seed: u64,
}

impl<'a, T: Scalar> RnnForward<'a, T> {
    /// Without the optional ones.
    pub fn new(params: impl Into<View<'a, T>>, x: impl Into<View<'a, T>>, y: impl Into<ViewMut<'a, T>>) -> Self {
        RnnForward {
            params: params.into(),
            x: x.into(),
            y: y.into(),
            h0: None,
            c0: None,
            h_n: None,
            c_n: None,
            c: None,
            dropout_seed: 0,
        }
    }
}

/// Buffers of a backward: params, x, h0, c0 and y as in the forward before it. Those of c stay `None`
/// if the cell has no c.
#[derive(Debug)]
pub struct RnnBackward<'a, T: Scalar> {
    /// The flat buffer of all parameters.
    pub params: View<'a, T>,
    /// `[N, I]`
    pub x: View<'a, T>,
    /// `[N, D*R]`
    pub y: View<'a, T>,
    /// `[L*D, B, R]`
    pub h0: Option<View<'a, T>>,
    /// `[L*D, B, H]`
    pub c0: Option<View<'a, T>>,
    /// `[N, D*R]`; zeros without it.
    pub dy: Option<View<'a, T>>,
    /// `[L*D, B, R]`; zeros without it.
    pub dh_n: Option<View<'a, T>>,
    /// `[L*D, B, H]`; zeros without it.
    pub dc_n: Option<View<'a, T>>,
    /// `[N, D*H]`, of c of every token, with [`cell_states`](crate::RnnBuilder::cell_states); zeros without it.
    pub dc: Option<View<'a, T>>,
    /// `[N, I]`, written.
    pub dx: Option<ViewMut<'a, T>>,
    /// `[L*D, B, R]`, written.
    pub dh0: Option<ViewMut<'a, T>>,
    /// `[L*D, B, H]`, written.
    pub dc0: Option<ViewMut<'a, T>>,
    /// The flat buffer of all gradients, added to; only written with
    /// [`add_dparams(false)`](crate::RnnBuilder::add_dparams).
    pub dparams: Option<ViewMut<'a, T>>,
}

impl<'a, T: Scalar> RnnBackward<'a, T> {
    /// Without the optional ones.
    pub fn new(params: impl Into<View<'a, T>>, x: impl Into<View<'a, T>>, y: impl Into<View<'a, T>>) -> Self {
        RnnBackward {
            params: params.into(),
            x: x.into(),
            y: y.into(),
            h0: None,
            c0: None,
            dy: None,
            dh_n: None,
            dc_n: None,
            dc: None,
            dx: None,
            dh0: None,
            dc0: None,
            dparams: None,
        }
    }
}

/// Shapes of an rnn's buffers for one batch.
struct Shapes {
    params: [(&'static str, usize); 1],
    input: [(&'static str, usize); 2],
    output: [(&'static str, usize); 2],
    units: [(&'static str, usize); 2],
    h: [(&'static str, usize); 3],
    c: [(&'static str, usize); 3],
}

// A state has the B of its own batch inside, so that a longer one belongs to another batch.
fn read_state<T: Element>(
    state: Option<View<'_, T>>,
    context: &Context,
    name: &str,
    shape: &[(&'static str, usize); 3],
) -> Result<*const c_void> {
    check_not_longer(name, state.map_or(0, |state| state.len()), shape)?;
    read_or_null(state, context, name, shape)
}

fn write_state<T: Element>(
    state: Option<ViewMut<'_, T>>,
    context: &Context,
    name: &str,
    shape: &[(&'static str, usize); 3],
) -> Result<*mut c_void> {
    check_not_longer(name, state.as_ref().map_or(0, |state| state.len()), shape)?;
    write_or_null(state, context, name, shape)
}

impl<T: Scalar> Rnn<T> {
    /// Forward over all layers and directions; nothing is saved.
    pub fn forward(&self, batch: &Batch, args: RnnForward<'_, T>, workspace: &mut Workspace) -> Result<()> {
        self.run_forward(batch, args, None, workspace)
    }

    /// Forward that saves in `reserve` what [`backward`](Rnn::backward) needs.
    pub fn forward_save(
        &self,
        batch: &Batch,
        args: RnnForward<'_, T>,
        reserve: &mut Reserve,
        workspace: &mut Workspace,
    ) -> Result<()> {
        self.run_forward(batch, args, Some(reserve), workspace)
    }

    fn run_forward(
        &self,
        batch: &Batch,
        args: RnnForward<'_, T>,
        reserve: Option<&mut Reserve>,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let context = self.context();
        let shapes = self.shapes(batch)?;
        let params = args.params.read(context, "params", &shapes.params)?;
        let x = args.x.read(context, "x", &shapes.input)?;
        let h0 = read_state(args.h0, context, "h0", &shapes.h)?;
        let c0 = read_state(args.c0, context, "c0", &shapes.c)?;
        let y = args.y.write(context, "y", &shapes.output)?;
        let h_n = write_state(args.h_n, context, "h_n", &shapes.h)?;
        let c_n = write_state(args.c_n, context, "c_n", &shapes.c)?;
        let c = write_or_null(args.c, context, "c", &shapes.units)?;
        let mode = match reserve {
            Some(_) => sys::VARLSTM_MODE_SAVE,
            None => sys::VARLSTM_MODE_INFER,
        };
        let (workspace_bytes, reserve_bytes) = self.sizes(batch, mode)?;
        let (work, work_bytes) = workspace.take(context, workspace_bytes)?;
        let (kept, kept_bytes) = match reserve {
            Some(reserve) => reserve.write(context, reserve_bytes)?,
            None => (ptr::null_mut(), 0),
        };
        // SAFETY: handles are alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_rnn_forward_with_c(
                self.handle(),
                batch.handle(),
                mode,
                args.dropout_seed,
                params,
                x,
                h0,
                c0,
                y,
                h_n,
                c_n,
                c,
                work,
                work_bytes,
                kept,
                kept_bytes,
                ptr::null_mut(),
            )
        })
    }

    /// Backward of the forward that filled `reserve`, with the same batch lengths; it may be called
    /// more than once.
    pub fn backward(
        &self,
        batch: &Batch,
        args: RnnBackward<'_, T>,
        reserve: &Reserve,
        workspace: &mut Workspace,
    ) -> Result<()> {
        let context = self.context();
        let shapes = self.shapes(batch)?;
        let params = args.params.read(context, "params", &shapes.params)?;
        let x = args.x.read(context, "x", &shapes.input)?;
        let h0 = read_state(args.h0, context, "h0", &shapes.h)?;
        let c0 = read_state(args.c0, context, "c0", &shapes.c)?;
        let y = args.y.read(context, "y", &shapes.output)?;
        let dy = read_or_null(args.dy, context, "dy", &shapes.output)?;
        let dh_n = read_state(args.dh_n, context, "dh_n", &shapes.h)?;
        let dc_n = read_state(args.dc_n, context, "dc_n", &shapes.c)?;
        let dc = read_or_null(args.dc, context, "dc", &shapes.units)?;
        let dx = write_or_null(args.dx, context, "dx", &shapes.input)?;
        let dh0 = write_state(args.dh0, context, "dh0", &shapes.h)?;
        let dc0 = write_state(args.dc0, context, "dc0", &shapes.c)?;
        let dparams = write_or_null(args.dparams, context, "dparams", &shapes.params)?;
        let (workspace_bytes, _) = self.sizes(batch, sys::VARLSTM_MODE_SAVE)?;
        let (work, work_bytes) = workspace.take(context, workspace_bytes)?;
        let (kept, kept_bytes) = reserve.read(context)?;
        // SAFETY: handles are alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_rnn_backward_with_c(
                self.handle(),
                batch.handle(),
                params,
                x,
                h0,
                c0,
                y,
                dy,
                dh_n,
                dc_n,
                dc,
                dx,
                dh0,
                dc0,
                dparams,
                work,
                work_bytes,
                kept,
                kept_bytes,
                ptr::null_mut(),
            )
        })
    }

    /// Bytes of workspace and reserve for the batch's bounds.
    fn sizes(&self, batch: &Batch, mode: i32) -> Result<(i64, i64)> {
        let (max_batch, max_len, max_tokens) = batch.bounds()?;
        let (mut workspace, mut reserve) = (0, 0);
        // SAFETY: the handle is alive, both outputs are written.
        check(unsafe {
            sys::varlstm_rnn_sizes(self.handle(), max_batch, max_len, max_tokens, mode, &mut workspace, &mut reserve)
        })?;
        Ok((workspace, reserve))
    }

    fn shapes(&self, batch: &Batch) -> Result<Shapes> {
        let rows = batch.rows()?;
        let states = self.num_layers() * self.directions();
        let of_y = match self.proj_size() {
            0 => "directions * hidden_size",
            _ => "directions * proj_size",
        };
        Ok(Shapes {
            params: [("elements", self.param_elements())],
            input: [("tokens", rows), ("input_size", self.input_size())],
            output: [("tokens", rows), (of_y, self.output_size())],
            units: [("tokens", rows), ("directions * hidden_size", self.directions() * self.hidden_size())],
            h: [
                ("num_layers * directions", states),
                ("batch", batch.sequences()?),
                (self.state_name(), self.state_size()),
            ],
            c: [
                ("num_layers * directions", states),
                ("batch", batch.sequences()?),
                ("hidden_size", self.hidden_size()),
            ],
        })
    }
}
