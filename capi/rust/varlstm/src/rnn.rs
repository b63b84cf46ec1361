//! The recurrent network: its options, its parameters, forward and backward.
// SPDX-License-Identifier: Apache-2.0

use std::ffi::CStr;
use std::marker::PhantomData;
use std::ptr::{self, NonNull};

use varlstm_sys as sys;

use crate::cell::Cell;
use crate::context::Context;
use crate::error::{check, Result};
use crate::view::dim;
use crate::Scalar;

/// How the recurrence runs on CUDA; no effect on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recurrence {
    /// The library chooses.
    Auto,
    /// A launch a step.
    Stepwise,
    /// One launch: weights stay in a thread-block cluster or a block.
    Cluster,
    /// One cooperative launch: weights stay in blocks that meet in L2.
    Grid,
}

impl Recurrence {
    fn code(self) -> i32 {
        match self {
            Recurrence::Auto => sys::VARLSTM_RECURRENCE_AUTO,
            Recurrence::Stepwise => sys::VARLSTM_RECURRENCE_STEPWISE,
            Recurrence::Cluster => sys::VARLSTM_RECURRENCE_CLUSTER,
            Recurrence::Grid => sys::VARLSTM_RECURRENCE_GRID,
        }
    }
}

/// What [`RnnBuilder::recurrent_dropout`] drops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecurrentDropout {
    /// Elements of weight_hh, the same in all of a call.
    Weights,
    /// Elements of h where weight_hh multiplies it, the same for each step of a sequence.
    State,
    /// Elements of an LSTM's g or a GRU's n, others in each row.
    Candidate,
}

impl RecurrentDropout {
    fn code(self) -> i32 {
        match self {
            RecurrentDropout::Weights => sys::VARLSTM_RECURRENT_DROPOUT_WEIGHTS,
            RecurrentDropout::State => sys::VARLSTM_RECURRENT_DROPOUT_STATE,
            RecurrentDropout::Candidate => sys::VARLSTM_RECURRENT_DROPOUT_CANDIDATE,
        }
    }
}

/// The order of the rows of x, y, dy and dx.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowOrder {
    /// Time-major: rows of step 0, then of step 1, ...; in each the longest sequence first.
    Packed,
    /// Sequence after sequence, in the caller's order.
    Ragged,
}

/// One parameter tensor of an [`Rnn`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// PyTorch's name: "weight_ih_l0", "bias_hh_l1_reverse" and so on.
    pub name: String,
    /// Its first element in the flat buffer.
    pub offset: usize,
    /// Rows of its shape.
    pub rows: usize,
    /// Columns of its shape; 1 for a bias.
    pub cols: usize,
}

/// Options of an [`Rnn`].
#[derive(Clone, Debug)]
pub struct RnnBuilder<T: Scalar> {
    context: Context,
    input_size: usize,
    hidden_size: usize,
    num_layers: usize,
    cell: Cell,
    bidirectional: bool,
    bias: bool,
    dropout: f64,
    recurrence: Recurrence,
    row_order: RowOrder,
    resets: bool,
    proj_size: usize,
    cell_clip: f64,
    projection_clip: f64,
    recurrent_dropout: f64,
    recurrent_dropout_kind: RecurrentDropout,
    zoneout_h: f64,
    zoneout_c: f64,
    cell_states: bool,
    layer_norm: bool,
    add_dparams: bool,
    dtype: PhantomData<T>,
}

impl<T: Scalar> RnnBuilder<T> {
    /// L, layers: 1 by default, at most 4096.
    pub fn num_layers(mut self, num_layers: usize) -> Self {
        self.num_layers = num_layers;
        self
    }

    /// The cell: [`Cell::Lstm`] by default.
    pub fn cell(mut self, cell: Cell) -> Self {
        self.cell = cell;
        self
    }

    /// Both directions: false by default. Outputs are `[forward | backward]`.
    pub fn bidirectional(mut self, bidirectional: bool) -> Self {
        self.bidirectional = bidirectional;
        self
    }

    /// Biases: true by default.
    pub fn bias(mut self, bias: bool) -> Self {
        self.bias = bias;
        self
    }

    /// Probability in [0, 1) of zeroing an output of every layer but the last: 0 by default.
    pub fn dropout(mut self, dropout: f64) -> Self {
        self.dropout = dropout;
        self
    }

    /// How the recurrence runs on CUDA: [`Recurrence::Auto`] by default.
    pub fn recurrence(mut self, recurrence: Recurrence) -> Self {
        self.recurrence = recurrence;
        self
    }

    /// The order of rows: [`RowOrder::Packed`] by default.
    pub fn row_order(mut self, row_order: RowOrder) -> Self {
        self.row_order = row_order;
        self
    }

    /// Whether batches may have [resets](crate::Batch::set_resets), for which workspaces are larger: false
    /// by default.
    pub fn resets(mut self, resets: bool) -> Self {
        self.resets = resets;
        self
    }

    /// P: an LSTM projects h to this number of features, which is smaller than H. 0 by default: it does not.
    pub fn proj_size(mut self, proj_size: usize) -> Self {
        self.proj_size = proj_size;
        self
    }

    /// x: an LSTM's c stays in [-x, x]. 0 by default: it is not clipped.
    pub fn cell_clip(mut self, cell_clip: f64) -> Self {
        self.cell_clip = cell_clip;
        self
    }

    /// The same of a projected h.
    pub fn projection_clip(mut self, projection_clip: f64) -> Self {
        self.projection_clip = projection_clip;
        self
    }

    /// Probability in [0, 1) of dropping elements in the recurrence, in calls with a seed: 0 by default.
    pub fn recurrent_dropout(mut self, recurrent_dropout: f64, kind: RecurrentDropout) -> Self {
        self.recurrent_dropout = recurrent_dropout;
        self.recurrent_dropout_kind = kind;
        self
    }

    /// Probability in [0, 1) with which an element of h keeps its value before a step: 0 by default. In calls without
    /// a seed, h becomes p * before + (1 - p) * after.
    pub fn zoneout_h(mut self, zoneout_h: f64) -> Self {
        self.zoneout_h = zoneout_h;
        self
    }

    /// The same of an LSTM's c.
    pub fn zoneout_c(mut self, zoneout_c: f64) -> Self {
        self.zoneout_c = zoneout_c;
        self
    }

    /// Whether calls give c of every token of an LSTM's last layer and take its gradient, for which workspaces are larger:
    /// false by default. Stepwise on CUDA.
    pub fn cell_states(mut self, cell_states: bool) -> Self {
        self.cell_states = cell_states;
        self
    }

    /// Whether an LSTM or a GRU is layer-normalised, which adds norm_ih, norm_hh and of an LSTM norm_c and norm_c_bias
    /// to the [parameters](Rnn::parameters): false by default. Not on CUDA yet.
    pub fn layer_norm(mut self, layer_norm: bool) -> Self {
        self.layer_norm = layer_norm;
        self
    }

    /// Whether backward adds to [`dparams`](crate::RnnBackward::dparams): true by default. If not, it writes them,
    /// whatever was there.
    pub fn add_dparams(mut self, add_dparams: bool) -> Self {
        self.add_dparams = add_dparams;
        self
    }

    /// Creates the network. Errors: a size that is not positive, an option's value.
    pub fn build(self) -> Result<Rnn<T>> {
        let mut handle = ptr::null_mut();
        let (input, hidden) = (dim("input_size", self.input_size)?, dim("hidden_size", self.hidden_size)?);
        let layers = dim("num_layers", self.num_layers)?;
        // SAFETY: the context is alive, `handle` is written.
        check(unsafe {
            sys::varlstm_rnn_create(self.context.handle(), self.cell.code(), input, hidden, layers, &mut handle)
        })?;
        let mut rnn = Rnn {
            handle: NonNull::new(handle).expect("an rnn that was created"),
            context: self.context.clone(),
            input_size: self.input_size,
            hidden_size: self.hidden_size,
            num_layers: self.num_layers,
            proj_size: self.proj_size,
            cell: self.cell,
            directions: 1 + usize::from(self.bidirectional),
            param_elements: 0,
            dtype: PhantomData,
        };
        self.set_options(handle)?;
        let mut elements = 0;
        // SAFETY: the handle is alive, `elements` is written. This freezes the options.
        check(unsafe { sys::varlstm_rnn_param_count(handle, ptr::null_mut(), &mut elements) })?;
        rnn.param_elements = elements as usize;
        Ok(rnn)
    }

    fn set_options(&self, handle: *mut sys::varlstm_rnn) -> Result<()> {
        let row_order = match self.row_order {
            RowOrder::Packed => sys::VARLSTM_ROWS_PACKED,
            RowOrder::Ragged => sys::VARLSTM_ROWS_RAGGED,
        };
        for (key, value) in [
            (sys::VARLSTM_KEY_DTYPE, T::DTYPE),
            (sys::VARLSTM_KEY_BIDIRECTIONAL, i32::from(self.bidirectional)),
            (sys::VARLSTM_KEY_BIAS, i32::from(self.bias)),
            (sys::VARLSTM_KEY_RECURRENCE, self.recurrence.code()),
            (sys::VARLSTM_KEY_ROWS, row_order),
            (sys::VARLSTM_KEY_RESETS, i32::from(self.resets)),
            (sys::VARLSTM_KEY_CELL_STATES, i32::from(self.cell_states)),
            (sys::VARLSTM_KEY_LAYER_NORM, i32::from(self.layer_norm)),
            (sys::VARLSTM_KEY_ADD_DPARAMS, i32::from(self.add_dparams)),
            (sys::VARLSTM_KEY_RECURRENT_DROPOUT_KIND, self.recurrent_dropout_kind.code()),
        ] {
            // SAFETY: the handle is alive, and nobody else has it yet.
            check(unsafe { sys::varlstm_rnn_set_i64(handle, key, i64::from(value)) })?;
        }
        let proj_size = dim("proj_size", self.proj_size)?;
        // SAFETY: likewise.
        check(unsafe { sys::varlstm_rnn_set_i64(handle, sys::VARLSTM_KEY_PROJ_SIZE, proj_size) })?;
        for (key, value) in [
            (sys::VARLSTM_KEY_DROPOUT, self.dropout),
            (sys::VARLSTM_KEY_CELL_CLIP, self.cell_clip),
            (sys::VARLSTM_KEY_PROJECTION_CLIP, self.projection_clip),
            (sys::VARLSTM_KEY_RECURRENT_DROPOUT, self.recurrent_dropout),
            (sys::VARLSTM_KEY_ZONEOUT_H, self.zoneout_h),
            (sys::VARLSTM_KEY_ZONEOUT_C, self.zoneout_c),
        ] {
            // SAFETY: likewise.
            check(unsafe { sys::varlstm_rnn_set_f64(handle, key, value) })?;
        }
        Ok(())
    }
}

/// A recurrent network of one dtype. It holds no parameters: the caller keeps them in one flat buffer.
#[derive(Debug)]
pub struct Rnn<T: Scalar> {
    handle: NonNull<sys::varlstm_rnn>,
    context: Context,
    input_size: usize,
    hidden_size: usize,
    num_layers: usize,
    proj_size: usize,
    cell: Cell,
    directions: usize,
    param_elements: usize,
    dtype: PhantomData<T>,
}

// SAFETY: varlstm.h: a handle in use is immutable and may be shared between threads; options are set
// by RnnBuilder before anybody else has it.
unsafe impl<T: Scalar> Send for Rnn<T> {}
unsafe impl<T: Scalar> Sync for Rnn<T> {}

impl<T: Scalar> Drop for Rnn<T> {
    fn drop(&mut self) {
        // SAFETY: the only owner; the context is alive.
        let status = unsafe { sys::varlstm_rnn_destroy(self.handle.as_ptr()) };
        debug_assert_eq!(status, sys::VARLSTM_OK);
    }
}

impl<T: Scalar> Rnn<T> {
    /// An LSTM of one layer, one direction and with biases, unless options say otherwise.
    pub fn builder(context: &Context, input_size: usize, hidden_size: usize) -> RnnBuilder<T> {
        RnnBuilder {
            context: context.clone(),
            input_size,
            hidden_size,
            num_layers: 1,
            cell: Cell::Lstm,
            bidirectional: false,
            bias: true,
            dropout: 0.0,
            recurrence: Recurrence::Auto,
            row_order: RowOrder::Packed,
            resets: false,
            proj_size: 0,
            cell_clip: 0.0,
            projection_clip: 0.0,
            recurrent_dropout: 0.0,
            recurrent_dropout_kind: RecurrentDropout::Weights,
            zoneout_h: 0.0,
            zoneout_c: 0.0,
            cell_states: false,
            layer_norm: false,
            add_dparams: true,
            dtype: PhantomData,
        }
    }

    /// I, input features.
    pub fn input_size(&self) -> usize {
        self.input_size
    }

    /// H, hidden units.
    pub fn hidden_size(&self) -> usize {
        self.hidden_size
    }

    /// P, features of a projected h; 0 if it is not projected.
    pub fn proj_size(&self) -> usize {
        self.proj_size
    }

    /// R, features of h: P with a projection, else H.
    pub fn state_size(&self) -> usize {
        if self.proj_size > 0 {
            self.proj_size
        } else {
            self.hidden_size
        }
    }

    /// What errors call R.
    pub(crate) fn state_name(&self) -> &'static str {
        if self.proj_size > 0 {
            "proj_size"
        } else {
            "hidden_size"
        }
    }

    /// L, layers.
    pub fn num_layers(&self) -> usize {
        self.num_layers
    }

    /// The cell.
    pub fn cell(&self) -> Cell {
        self.cell
    }

    /// D, directions: 1 or 2.
    pub fn directions(&self) -> usize {
        self.directions
    }

    /// D*R, features of y.
    pub fn output_size(&self) -> usize {
        self.directions * self.state_size()
    }

    /// Elements of the flat buffer of all parameters.
    pub fn param_elements(&self) -> usize {
        self.param_elements
    }

    /// The parameter tensors, in their order in the flat buffer, which has no gaps:
    /// layer, direction, then weight_ih, weight_hh, bias_ih, bias_hh, weight_hr; gates i, f, g, o of an LSTM,
    /// r, z, n of a GRU.
    pub fn parameters(&self) -> Result<Vec<Parameter>> {
        let mut count = 0;
        // SAFETY: the handle is alive, `count` is written.
        check(unsafe { sys::varlstm_rnn_param_count(self.handle(), &mut count, ptr::null_mut()) })?;
        (0..count).map(|index| self.parameter(index)).collect()
    }

    /// How forward and backward run; [`Recurrence::Auto`] on the host. If the requested way cannot
    /// run on this device, it is [`Recurrence::Stepwise`].
    pub fn recurrence_used(&self) -> Result<Recurrence> {
        let mut value = 0;
        let key = sys::VARLSTM_KEY_RECURRENCE_USED;
        // SAFETY: the handle is alive, `value` is written.
        check(unsafe { sys::varlstm_rnn_get_i64(self.handle(), key, &mut value) })?;
        let all = [Recurrence::Stepwise, Recurrence::Cluster, Recurrence::Grid];
        let found = all.into_iter().find(|recurrence| i64::from(recurrence.code()) == value);
        Ok(found.unwrap_or(Recurrence::Auto))
    }

    fn parameter(&self, index: i64) -> Result<Parameter> {
        let (mut name, mut offset, mut rows, mut cols) = (ptr::null(), 0, 0, 0);
        // SAFETY: the handle is alive, all outputs are written; `name` lives as long as the handle.
        let name = unsafe {
            check(sys::varlstm_rnn_param_info(self.handle(), index, &mut name, &mut offset, &mut rows, &mut cols))?;
            CStr::from_ptr(name).to_string_lossy().into_owned()
        };
        Ok(Parameter { name, offset: offset as usize, rows: rows as usize, cols: cols as usize })
    }

    /// The network of another handle.
    ///
    /// # Safety
    /// The handle has the options of this network and no other owner.
    pub(crate) unsafe fn with_handle(&self, handle: *mut sys::varlstm_rnn) -> Self {
        let handle = NonNull::new(handle).expect("an rnn that was created");
        Rnn { handle, context: self.context.clone(), ..*self }
    }

    pub(crate) fn handle(&self) -> *const sys::varlstm_rnn {
        self.handle.as_ptr()
    }

    pub(crate) fn context(&self) -> &Context {
        &self.context
    }
}
