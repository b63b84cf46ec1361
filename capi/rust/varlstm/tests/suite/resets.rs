//! Resets inside sequences: the bits of the pieces in every layout, and what is refused.
// SPDX-License-Identifier: Apache-2.0

use varlstm::{Batch, Cell, Context, Layout, Rnn, RnnForward, RowOrder, Status, Workspace};

use crate::support::{assert_error, context, unwritten, upload, upload_as, Number};

const LENGTHS: [i64; 4] = [3, 5, 0, 2];
const PIECES: [i64; 7] = [2, 1, 1, 1, 3, 0, 2];
// Of the tokens of LENGTHS; they cut these into PIECES, with one more at the first token of the last sequence.
const RESETS: [bool; 10] = [false, false, true, false, true, true, false, false, true, false];

/// The flags in a padded layout, with true at the padding.
fn padded(layout: Layout) -> Vec<bool> {
    let (count, place): (usize, Box<dyn Fn(usize, usize) -> usize>) = match layout {
        Layout::BatchFirst(steps) => (steps * 4, Box::new(move |b, t| b * steps + t)),
        Layout::TimeMajor(steps) => (steps * 4, Box::new(|b, t| t * 4 + b)),
        Layout::Ragged => return RESETS.to_vec(),
    };
    let mut flags = vec![true; count];
    let mut row = 0;
    for (b, &length) in LENGTHS.iter().enumerate() {
        for t in 0..length as usize {
            flags[place(b, t)] = RESETS[row];
            row += 1;
        }
    }
    flags
}

fn cuts<T: Number>(cell: Cell) {
    let context = context();
    let options = || Rnn::<T>::builder(&context, 2, 5).num_layers(2).bidirectional(true).cell(cell);
    let rnn = options().row_order(RowOrder::Ragged).resets(true).build().unwrap();
    let numbers = |count| (0..count).map(|k| ((k * 37 % 101) as f64 - 50.0) / 100.0).collect::<Vec<_>>();
    let params = upload_as::<T>(&context, &numbers(rnn.param_elements()));
    let x = upload_as::<T>(&context, &numbers(10 * 2));
    let mut workspace = Workspace::new(&context);
    let mut output = |batch: &Batch| {
        let mut y = unwritten::<T>(&context, 10 * 10);
        rnn.forward(batch, RnnForward::new(&params, &x, &mut y), &mut workspace).unwrap();
        y.to_vec().unwrap()
    };
    let expected = output(&Batch::from_lengths(&context, &PIECES).unwrap());
    let mut batch = Batch::from_lengths(&context, &LENGTHS).unwrap();
    let without = output(&batch);
    assert_ne!(expected, without);
    for layout in [Layout::Ragged, Layout::BatchFirst(6), Layout::TimeMajor(5)] {
        let flags = padded(layout);
        batch.set_resets(layout, &flags).unwrap();
        assert_eq!(output(&batch), expected);
        batch.clear_resets().unwrap();
        assert_eq!(output(&batch), without);
        let bytes: Vec<u8> = flags.into_iter().map(u8::from).collect();
        batch.set_resets_in_backend(layout, &upload(&context, &bytes)).unwrap();
        assert_eq!(output(&batch), expected);
    }
    batch.set_lengths(&LENGTHS).unwrap();
    assert_eq!(output(&batch), without);
}

#[test]
fn resets_cut_sequences_in_float() {
    for cell in [Cell::Lstm, Cell::Gru, Cell::RnnTanh, Cell::RnnRelu, Cell::GruResetBefore] {
        cuts::<f32>(cell);
    }
}

#[test]
fn resets_cut_sequences_in_double() {
    for cell in [Cell::Lstm, Cell::Gru] {
        cuts::<f64>(cell);
    }
}

#[test]
fn another_value_is_reported() {
    let context = context();
    let mut batch = Batch::from_lengths(&context, &[3]).unwrap();
    batch.set_resets_in_backend(Layout::Ragged, &upload(&context, &[0u8, 1, 7])).unwrap();
    let status = context.device_status(true).unwrap();
    assert!(status.bad_reset());
    assert_eq!(status.first_index(), Some(2));
}

#[test]
fn resets_have_their_layouts_size() {
    let context = Context::host().unwrap();
    let mut batch = Batch::from_lengths(&context, &LENGTHS).unwrap();
    for (layout, count, part) in [
        (Layout::Ragged, 9, "count = 9 is not the number of rows, 10"),
        (Layout::BatchFirst(5), 19, "count = 19 is not batch = 4 times padded_len = 5"),
        (Layout::TimeMajor(4), 16, "padded_len = 4 is smaller than the longest length, 5"),
        (Layout::BatchFirst(usize::MAX), 0, "padded_len = 18446744073709551615 is too large"),
    ] {
        assert_error(batch.set_resets(layout, &vec![false; count]), Status::InvalidArgument, &[part]);
    }
}

#[test]
fn resets_need_the_option() {
    let context = context();
    let rnn = Rnn::<f32>::builder(&context, 2, 5).build().unwrap();
    let mut batch = Batch::from_lengths(&context, &[2]).unwrap();
    batch.set_resets(Layout::Ragged, &[false, true]).unwrap();
    let params = upload_as::<f32>(&context, &vec![0.0; rnn.param_elements()]);
    let (x, mut y) = (upload_as::<f32>(&context, &[0.0; 4]), unwritten::<f32>(&context, 10));
    let result = rnn.forward(&batch, RnnForward::new(&params, &x, &mut y), &mut Workspace::new(&context));
    assert_error(result, Status::InvalidArgument, &["has resets, but VARLSTM_KEY_RESETS of the rnn is 0"]);
}
