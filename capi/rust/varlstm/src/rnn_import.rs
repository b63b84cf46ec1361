//! Parameters from the layouts of other libraries.
// SPDX-License-Identifier: Apache-2.0

use std::ptr;

use varlstm_sys as sys;

use crate::error::{check, Result};
use crate::rnn::Rnn;
use crate::view::{dim, read_or_null, View, ViewMut};
use crate::Scalar;

/// Parameter layouts of one layer and direction; `in` is I for layer 0, D*H above.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ParamFormat {
    /// w_ih `[4H, in]`, w_hh `[4H, H]`, b_ih `[4H]`, b_hh `[4H]`; gates i, f, g, o.
    PyTorch,
    /// kernel `[in, 4H]`, recurrent_kernel `[H, 4H]`, bias `[4H]`, no b_hh; gates i, f, c (= g), o.
    Keras,
    /// W `[4H, in]`, R `[4H, H]`, Wb `[4H]`, Rb `[4H]` of one direction; gates i, o, f, c (= g).
    Onnx,
    /// As PyTorch's.
    Cudnn,
    /// kernel `[in, 4H]`, recurrent_kernel `[H, 4H]`, bias `[4H]`, no b_hh; gates i, g, f, o.
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
    /// 4H * in elements.
    pub w_ih: View<'a, T>,
    /// 4H * H elements.
    pub w_hh: View<'a, T>,
    /// `[4H]`; the only bias of Keras and haste.
    pub b_ih: Option<View<'a, T>>,
    /// `[4H]`
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
        let hidden = ("hidden_size", self.hidden_size());
        let context = self.context();
        let w_ih = from.w_ih.read(context, "w_ih", &[("4", 4), hidden, ("input", inputs)])?;
        let w_hh = from.w_hh.read(context, "w_hh", &[("4", 4), hidden, hidden])?;
        let b_ih = read_or_null(from.b_ih, context, "b_ih", &[("4", 4), hidden])?;
        let b_hh = read_or_null(from.b_hh, context, "b_hh", &[("4", 4), hidden])?;
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
