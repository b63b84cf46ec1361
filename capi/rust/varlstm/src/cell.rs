//! The cells of a recurrent network.
// SPDX-License-Identifier: Apache-2.0

use varlstm_sys as sys;

/// The cell of an [`Rnn`](crate::Rnn); `varlstm.h` has the equations.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// As PyTorch's `nn.LSTM`. It has a cell state c beside h.
    Lstm,
    /// As PyTorch's `nn.GRU`: reset after the product.
    Gru,
    /// As PyTorch's `nn.RNN` with tanh.
    RnnTanh,
    /// As PyTorch's `nn.RNN` with relu.
    RnnRelu,
    /// A GRU with the reset before the product: ONNX's with `linear_before_reset=0`, Keras' with `reset_after=False`.
    GruResetBefore,
}

impl Cell {
    /// G: the weights of one layer and direction have G * H rows.
    pub fn gates(self) -> usize {
        match self {
            Cell::Lstm => 4,
            Cell::Gru | Cell::GruResetBefore => 3,
            Cell::RnnTanh | Cell::RnnRelu => 1,
        }
    }

    /// Whether the cell has a state c. If not, c0, c_n, dc_n and dc0 stay `None`.
    pub fn has_c(self) -> bool {
        self == Cell::Lstm
    }

    pub(crate) fn code(self) -> i32 {
        match self {
            Cell::Lstm => sys::VARLSTM_CELL_LSTM,
            Cell::Gru => sys::VARLSTM_CELL_GRU,
            Cell::RnnTanh => sys::VARLSTM_CELL_RNN_TANH,
            Cell::RnnRelu => sys::VARLSTM_CELL_RNN_RELU,
            Cell::GruResetBefore => sys::VARLSTM_CELL_GRU_RESET_BEFORE,
        }
    }
}
