//! Steps of streams: the bits of a forward, and what is refused.
// SPDX-License-Identifier: Apache-2.0

use varlstm::{Batch, Cell, Context, DeviceBuffer, Recurrence, Rnn, RnnForward, RnnStep, Status, Workspace};

use crate::support::{assert_error, context, on_cuda, unwritten, upload, upload_as, Number};

const STREAMS: usize = 3;
const STEPS: usize = 4;
const SLOTS: usize = 6;

fn numbers(count: usize) -> Vec<f64> {
    (0..count).map(|k| ((k * 37 % 101) as f64 - 50.0) / 100.0).collect()
}

fn equals_forward<T: Number>(cell: Cell) {
    let context = context();
    let rnn =
        Rnn::<T>::builder(&context, 2, 5).num_layers(2).cell(cell).recurrence(Recurrence::Stepwise).build().unwrap();
    let params = upload_as::<T>(&context, &numbers(rnn.param_elements()));
    let tokens = numbers(STEPS * STREAMS * 2);
    let mut workspace = Workspace::new(&context);
    let (mut y, mut h_n) = (unwritten::<T>(&context, STEPS * STREAMS * 5), unwritten::<T>(&context, 2 * STREAMS * 5));
    let x = upload_as::<T>(&context, &tokens);
    let forward = RnnForward { h_n: Some(h_n.view_mut()), ..RnnForward::new(&params, &x, &mut y) };
    rnn.forward(&Batch::from_lengths(&context, &[STEPS as i64; STREAMS]).unwrap(), forward, &mut workspace).unwrap();

    let slots = [5, 0, 2];
    let on_device = upload(&context, &slots);
    let mut h = upload_as::<T>(&context, &[0.0; 2 * SLOTS * 5]);
    let mut c = DeviceBuffer::<T::Loss>::zeros(&context, 2 * SLOTS * 5).unwrap();
    for (step, expected) in y.to_vec().unwrap().chunks(STREAMS * 5).enumerate() {
        let x = upload_as::<T>(&context, &tokens[step * STREAMS * 2..(step + 1) * STREAMS * 2]);
        let mut out = unwritten::<T>(&context, STREAMS * 5);
        let args = RnnStep {
            c: if cell.has_c() { Some(c.view_mut()) } else { None },
            ..RnnStep::new(&params, &x, &on_device, &mut h, &mut out)
        };
        rnn.step(args, &mut workspace).unwrap();
        assert_eq!(out.to_vec().unwrap(), expected);
    }
    let (table, last) = (h.to_vec().unwrap(), h_n.to_vec().unwrap());
    for layer in 0..2 {
        for (stream, &slot) in slots.iter().enumerate() {
            let row = (layer * SLOTS + slot as usize) * 5;
            assert_eq!(table[row..row + 5], last[(layer * STREAMS + stream) * 5..][..5]);
        }
        assert_eq!(table[(layer * SLOTS + 1) * 5..][..5], [T::of(0.0); 5], "a slot of no stream");
    }
}

#[test]
fn steps_equal_a_forward_in_float() {
    for cell in [Cell::Lstm, Cell::Gru, Cell::RnnTanh, Cell::RnnRelu, Cell::GruResetBefore] {
        equals_forward::<f32>(cell);
    }
}

#[test]
fn steps_equal_a_forward_in_double() {
    for cell in [Cell::Lstm, Cell::Gru] {
        equals_forward::<f64>(cell);
    }
}

#[test]
fn a_slot_may_occur_once() {
    let context = context();
    let rnn = Rnn::<f32>::builder(&context, 2, 5).cell(Cell::Gru).build().unwrap();
    let params = upload_as::<f32>(&context, &numbers(rnn.param_elements()));
    let (x, slots) = (upload_as::<f32>(&context, &[0.5; 4]), upload(&context, &[1i64, 1]));
    let (mut h, mut y) = (upload_as::<f32>(&context, &[0.0; 10]), unwritten::<f32>(&context, 10));
    let result = rnn.step(RnnStep::new(&params, &x, &slots, &mut h, &mut y), &mut Workspace::new(&context));
    if on_cuda() {
        result.unwrap();
        let status = context.device_status(true).unwrap();
        assert!(status.bad_slot());
        assert_eq!(status.first_index(), Some(1));
        assert_eq!(y.to_vec().unwrap()[5..], [0.0; 5]);
    } else {
        assert_error(result, Status::InvalidArgument, &["slots[1] = 1 occurs twice: it is slots[0] as well"]);
    }
}

#[test]
fn buffers_of_a_step_have_their_sizes() {
    let context = Context::host().unwrap();
    let rnn = Rnn::<f32>::builder(&context, 2, 5).build().unwrap();
    let (params, slots) = (vec![0.0; rnn.param_elements()], [1i64, 0]);
    let mut workspace = Workspace::new(&context);
    let mut step = |x: &[f32], h: &mut [f32], c: &mut [f32], y: &mut [f32]| {
        let args = RnnStep { c: Some(c.into()), ..RnnStep::new(&params, x, &slots, h, y) };
        rnn.step(args, &mut workspace)
    };
    step(&[0.0; 4], &mut [0.0; 15], &mut [0.0; 15], &mut [0.0; 10]).unwrap();
    for (result, part) in [
        (step(&[0.0; 3], &mut [0.0; 15], &mut [0.0; 15], &mut [0.0; 10]), "x has 3 elements, too few"),
        (step(&[0.0; 4], &mut [0.0; 16], &mut [0.0; 15], &mut [0.0; 10]), "h has 16 elements, too many for the 15"),
        (step(&[0.0; 4], &mut [0.0; 15], &mut [0.0; 14], &mut [0.0; 10]), "c has 14 elements, too few"),
        (step(&[0.0; 4], &mut [0.0; 15], &mut [0.0; 20], &mut [0.0; 10]), "c has 20 elements, too many for the 15"),
        (step(&[0.0; 4], &mut [0.0; 15], &mut [0.0; 15], &mut [0.0; 9]), "y has 9 elements, too few"),
        (step(&[0.0; 4], &mut [0.0; 5], &mut [0.0; 5], &mut [0.0; 10]), "streams = 2 is larger than table_slots = 1"),
    ] {
        assert_error(result, Status::InvalidArgument, &[part]);
    }
    let both = Rnn::<f32>::builder(&context, 2, 5).bidirectional(true).build().unwrap();
    let (params, mut h, mut y) = (vec![0.0; both.param_elements()], [0.0; 10], [0.0; 10]);
    let result = both.step(RnnStep::new(&params, &[0.0; 4], &slots, &mut h, &mut y), &mut Workspace::new(&context));
    assert_error(result, Status::InvalidArgument, &["VARLSTM_KEY_BIDIRECTIONAL"]);
}
