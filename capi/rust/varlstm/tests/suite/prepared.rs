//! Weights that are arranged once: the bits of the network that they were made from, and what is refused.
// SPDX-License-Identifier: Apache-2.0

use varlstm::{Batch, Cell, Context, DeviceBuffer, PreparedFor, Reserve, Rnn};
use varlstm::{RnnBackward, RnnForward, RnnStep, Status, Workspace};

use crate::support::{assert_error, context, unwritten, upload, upload_as};

const INPUT: usize = 3;
const HIDDEN: usize = 5;

fn numbers(count: usize) -> Vec<f64> {
    (0..count).map(|k| ((k * 37 % 101) as f64 - 50.0) / 100.0).collect()
}

/// y and the gradients of all parameters.
fn train(context: &Context, rnn: &Rnn<f32>, params: &DeviceBuffer<f32>) -> [Vec<f32>; 2] {
    let batch = Batch::from_lengths(context, &[4, 2, 1]).unwrap();
    let x = upload_as::<f32>(context, &numbers(7 * INPUT));
    let mut y = unwritten::<f32>(context, 7 * HIDDEN);
    let (mut workspace, mut reserve) = (Workspace::new(context), Reserve::new(context));
    rnn.forward(&batch, RnnForward::new(params, &x, &mut y), &mut workspace).unwrap();
    let inferred = y.to_vec().unwrap();
    rnn.forward_save(&batch, RnnForward::new(params, &x, &mut y), &mut reserve, &mut workspace).unwrap();
    assert_eq!(y.to_vec().unwrap(), inferred);
    let mut dparams = DeviceBuffer::<f32>::zeros(context, rnn.param_elements()).unwrap();
    let dy = upload_as::<f32>(context, &numbers(7 * HIDDEN));
    let args =
        RnnBackward { dy: Some(dy.view()), dparams: Some(dparams.view_mut()), ..RnnBackward::new(params, &x, &y) };
    rnn.backward(&batch, args, &reserve, &mut workspace).unwrap();
    [inferred, dparams.to_vec().unwrap()]
}

#[test]
fn prepared_networks_have_the_bits_of_their_own() {
    let context = context();
    for cell in [Cell::Lstm, Cell::Gru] {
        let rnn = Rnn::<f32>::builder(&context, INPUT, HIDDEN).cell(cell).build().unwrap();
        let params = upload_as::<f32>(&context, &numbers(rnn.param_elements()));
        let expected = train(&context, &rnn, &params);
        for calls in [PreparedFor::Inference, PreparedFor::Training] {
            let prepared = rnn.prepare(calls, &params).unwrap();
            assert_eq!(prepared.param_elements(), rnn.param_elements());
            assert_eq!(train(&context, &prepared, &params), expected, "{:?}, {:?}", cell, calls);
        }
    }
}

#[test]
fn a_prepared_network_outlives_its_own_and_makes_steps() {
    let context = context();
    let rnn = Rnn::<f32>::builder(&context, INPUT, HIDDEN).cell(Cell::Gru).build().unwrap();
    let params = upload_as::<f32>(&context, &numbers(rnn.param_elements()));
    let (x, slots) = (upload_as::<f32>(&context, &numbers(INPUT)), upload(&context, &[1_i64]));
    let mut workspace = Workspace::new(&context);
    let mut step = |rnn: &Rnn<f32>| {
        let mut h = DeviceBuffer::<f32>::zeros(&context, 2 * HIDDEN).unwrap();
        let mut y = unwritten::<f32>(&context, HIDDEN);
        rnn.step(RnnStep::new(&params, &x, &slots, &mut h, &mut y), &mut workspace).unwrap();
        [h.to_vec().unwrap(), y.to_vec().unwrap()]
    };
    let expected = step(&rnn);
    let prepared = rnn.prepare(PreparedFor::Inference, &params).unwrap();
    drop(rnn);
    assert_eq!(step(&prepared), expected);
}

#[test]
fn a_prepared_network_refuses_other_params() {
    let context = context();
    let rnn = Rnn::<f32>::builder(&context, INPUT, HIDDEN).build().unwrap();
    let params = upload_as::<f32>(&context, &numbers(rnn.param_elements()));
    let others = upload_as::<f32>(&context, &numbers(rnn.param_elements()));
    let prepared = rnn.prepare(PreparedFor::Inference, &params).unwrap();
    let batch = Batch::from_lengths(&context, &[2]).unwrap();
    let x = upload_as::<f32>(&context, &numbers(2 * INPUT));
    let mut y = unwritten::<f32>(&context, 2 * HIDDEN);
    let outcome = prepared.forward(&batch, RnnForward::new(&others, &x, &mut y), &mut Workspace::new(&context));
    assert_error(outcome, Status::InvalidArgument, &["params"]);
    let short = upload_as::<f32>(&context, &numbers(rnn.param_elements() - 1));
    assert_error(rnn.prepare(PreparedFor::Training, &short), Status::InvalidArgument, &["params has 199 elements"]);
}
