//! Parameters from the layouts of other libraries.
// SPDX-License-Identifier: Apache-2.0

use std::ptr;

use varlstm_sys as sys;

use crate::error::{check, Result};
use crate::rnn::Rnn;
use crate::view::{dim, read_or_null, View, ViewMut};
use crate::Scalar;

/// Parameter layouts of one layer and direction; `in` is I for layer 0, D*H above, and G is
/// [`Cell::gates`](crate::Cell::gates). Each line ends with the gates of an LSTM and of a GRU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamFormat {
    /// w_ih `[GH, in]`, w_hh `[GH, H]`, b_ih `[GH]`, b_hh `[GH]`; i, f, g, o; r, z, n.
    PyTorch,
    /// kernel `[in, GH]`, recurrent_kernel `[H, GH]`, bias `[GH]`, no b_hh; i, f, c (= g), o; z, r, h.
    /// A GRU has `reset_after=True`, and the rows of its bias `[2, 3H]` are b_ih and b_hh.
    Keras,
    /// W `[GH, in]`, R `[GH, H]`, Wb `[GH]`, Rb `[GH]` of one direction; i, o, f, c (= g); z, r, h.
    Onnx,
    /// As PyTorch's.
    Cudnn,
    /// kernel `[in, GH]`, recurrent_kernel `[H, GH]`, bias `[GH]`, no b_hh; i, g, f, o; z, r, g.
    /// A GRU has recurrent_bias `[3H]` as b_hh. There is no plain network.
    Haste,
}

/// Which of a layer's directions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// From the first token to the last.
    Forward,
    /// From each sequence's own last token to the first.
    Backward,
}

/// The foreign tensors of one layer and direction. A bias that is missing counts as zero.
#[derive(Clone, Copy, Debug)]
pub struct ForeignParams<'a, T: Scalar> {
    /// GH * in elements.
    pub w_ih: View<'a, T>,
    /// GH * H elements.
    pub w_hh: View<'a, T>,
    /// `[GH]`; the only bias of Keras and haste, but for a GRU.
    pub b_ih: Option<View<'a, T>>,
    /// `[GH]`
    pub b_hh: Option<View<'a, T>>,
}

impl<T: Scalar> Rnn<T> {
    /// Writes one layer and direction of the flat buffer `params` from a foreign layout.
    pub fn import<'a>(
        &self,
        format: ParamFormat,
        layer: usize,
        direction: Direction,
        from: ForeignParams<'_, T>,
        params: impl Into<ViewMut<'a, T>>,
    ) -> Result<()> {
        let format = match format {
            ParamFormat::PyTorch => sys::VARLSTM_FORMAT_PYTORCH,
            ParamFormat::Keras => sys::VARLSTM_FORMAT_KERAS,
            ParamFormat::Onnx => sys::VARLSTM_FORMAT_ONNX,
            ParamFormat::Cudnn => sys::VARLSTM_FORMAT_CUDNN,
            ParamFormat::Haste => sys::VARLSTM_FORMAT_HASTE,
        };
        let inputs = if layer == 0 { self.input_size() } else { self.output_size() };
        let (gates, hidden) = (("gates", self.cell().gates()), ("hidden_size", self.hidden_size()));
        let context = self.context();
        let w_ih = from.w_ih.read(context, "w_ih", &[gates, hidden, ("input", inputs)])?;
        let of_h = (self.state_name(), self.state_size());
        let w_hh = from.w_hh.read(context, "w_hh", &[gates, hidden, of_h])?;
        let b_ih = read_or_null(from.b_ih, context, "b_ih", &[gates, hidden])?;
        let b_hh = read_or_null(from.b_hh, context, "b_hh", &[gates, hidden])?;
        let elements = [("elements", self.param_elements())];
        let params = params.into().write(context, "params", &elements)?;
        let layer = dim("layer", layer)?;
        // SAFETY: the handle is alive, buffers have the elements that varlstm.h asks for.
        check(unsafe {
            sys::varlstm_rnn_import(
                self.handle(),
                format,
                layer,
                i32::from(direction == Direction::Backward),
                w_ih,
                w_hh,
                b_ih,
                b_hh,
                params,
                ptr::null_mut(),
            )
        })
    }
}
