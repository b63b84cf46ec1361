//! The GRU and the plain networks: PyTorch's numbers, the layouts of other libraries, and what a cell without c refuses.
// SPDX-License-Identifier: Apache-2.0

use varlstm::{Batch, Cell, Context, DeviceBuffer, Direction, ForeignParams, ParamFormat, Reserve, Rnn, RnnBackward};
use varlstm::{RnnForward, Status, Workspace};

use crate::golden;
use crate::lstm::{flat, network, DOUBLE, FLOAT};
use crate::support::{assert_error, assert_holds, context, unwritten, upload, upload_as, Number};

const FILES: [(&str, Cell); 4] = [
    ("gru.txt", Cell::Gru),
    ("rnn_tanh.txt", Cell::RnnTanh),
    ("rnn_relu.txt", Cell::RnnRelu),
    ("gru_reset_before.txt", Cell::GruResetBefore),
];

fn equals_pytorch<T: Number>(tolerance: (f64, f64)) {
    let context = context();
    for (file, cell) in FILES {
        for case in golden::read(file) {
            let rnn = network::<T>(&context, &case, cell);
            assert_eq!(rnn.cell(), cell);
            let batch = Batch::from_lengths(&context, case.ints("lengths")).unwrap();
            let buffer = |item: &str| upload_as::<T>(&context, case.real(item));
            let like = |item: &str| unwritten::<T>(&context, case.real(item).len());
            let (params, x) = (upload_as::<T>(&context, &flat(&rnn, &case, "")), buffer("x"));
            let h0 = if case.has("h0") { Some(buffer("h0")) } else { None };
            let (mut y, mut h_n) = (like("y"), like("h_n"));
            let (mut reserve, mut workspace) = (Reserve::new(&context), Workspace::new(&context));
            let forward = RnnForward {
                h0: h0.as_ref().map(|h0| h0.view()),
                h_n: Some(h_n.view_mut()),
                ..RnnForward::new(&params, &x, &mut y)
            };
            rnn.forward_save(&batch, forward, &mut reserve, &mut workspace).unwrap();
            assert_holds("y", &y, case.real("y"), tolerance);
            assert_holds("h_n", &h_n, case.real("h_n"), tolerance);

            let (dy, dh_n) = (buffer("dy"), buffer("dh_n"));
            let mut dx = like("dx");
            let mut dh0 = if case.has("h0") { Some(like("dh0")) } else { None };
            let mut dparams = DeviceBuffer::<T>::zeros(&context, rnn.param_elements()).unwrap();
            let backward = RnnBackward {
                h0: h0.as_ref().map(|h0| h0.view()),
                dy: Some(dy.view()),
                dh_n: Some(dh_n.view()),
                dx: Some(dx.view_mut()),
                dh0: dh0.as_mut().map(|dh0| dh0.view_mut()),
                dparams: Some(dparams.view_mut()),
                ..RnnBackward::new(&params, &x, &y)
            };
            rnn.backward(&batch, backward, &reserve, &mut workspace).unwrap();
            assert_holds("dx", &dx, case.real("dx"), tolerance);
            if let Some(dh0) = dh0 {
                assert_holds("dh0", &dh0, case.real("dh0"), tolerance);
            }
            assert_holds("dparams", &dparams, &flat(&rnn, &case, "d"), tolerance);
        }
    }
}

#[test]
fn outputs_and_every_gradient_equal_pytorchs_in_double() {
    equals_pytorch::<f64>(DOUBLE);
}

#[test]
fn outputs_and_every_gradient_equal_pytorchs_in_float() {
    equals_pytorch::<f32>(FLOAT);
}

/// The crate's own table of gates and of c is the library's.
#[test]
fn a_cell_has_the_librarys_gates_and_states() {
    let context = Context::host().unwrap();
    let batch = Batch::from_lengths(&context, &[2]).unwrap();
    for cell in [Cell::Lstm, Cell::Gru, Cell::RnnTanh, Cell::RnnRelu, Cell::GruResetBefore] {
        let rnn = Rnn::<f32>::builder(&context, 3, 5).cell(cell).build().unwrap();
        assert_eq!(rnn.parameters().unwrap()[0].rows, cell.gates() * 5);
        assert_eq!(rnn.param_elements(), cell.gates() * 5 * (3 + 5 + 2));
        let (params, x, state) = (vec![0.0; rnn.param_elements()], [0.0; 6], [0.0; 5]);
        let (mut y, mut c_n, mut dc0) = ([0.0; 10], [0.0; 5], [0.0; 5]);
        let (mut reserve, mut workspace) = (Reserve::new(&context), Workspace::new(&context));
        rnn.forward_save(&batch, RnnForward::new(&params, &x, &mut y), &mut reserve, &mut workspace).unwrap();
        let forward = RnnForward { c0: Some((&state).into()), ..RnnForward::new(&params, &x, &mut y) };
        let mut results = vec![("c0", rnn.forward(&batch, forward, &mut workspace))];
        let forward = RnnForward { c_n: Some((&mut c_n).into()), ..RnnForward::new(&params, &x, &mut y) };
        results.push(("c_n", rnn.forward(&batch, forward, &mut workspace)));
        let backward = RnnBackward { dc_n: Some((&state).into()), ..RnnBackward::new(&params, &x, &y) };
        results.push(("dc_n", rnn.backward(&batch, backward, &reserve, &mut workspace)));
        let backward = RnnBackward { dc0: Some((&mut dc0).into()), ..RnnBackward::new(&params, &x, &y) };
        results.push(("dc0", rnn.backward(&batch, backward, &reserve, &mut workspace)));
        for (name, result) in results {
            if cell.has_c() {
                result.unwrap();
            } else {
                let text = format!("{} = ", name);
                assert_error(result, Status::InvalidArgument, &[&text, "must be NULL", "has no cell state"]);
            }
        }
    }
}

/// Keras' bias [2, 3H] has a row for the input and one for the state; its gates are z, r, h.
#[test]
fn a_gru_is_imported_from_keras() {
    let context = context();
    let rnn = Rnn::<f64>::builder(&context, 2, 1).cell(Cell::Gru).build().unwrap();
    let (kernel, recurrent) = (upload(&context, &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), upload(&context, &[7.0, 8.0, 9.0]));
    let bias = (upload(&context, &[10.0, 11.0, 12.0]), upload(&context, &[13.0, 14.0, 15.0]));
    let from = ForeignParams {
        w_ih: kernel.view(),
        w_hh: recurrent.view(),
        b_ih: Some(bias.0.view()),
        b_hh: Some(bias.1.view()),
    };
    let mut params = unwritten::<f64>(&context, rnn.param_elements());
    rnn.import(ParamFormat::Keras, 0, Direction::Forward, from, &mut params).unwrap();
    let expected = [2.0, 5.0, 1.0, 4.0, 3.0, 6.0, 8.0, 7.0, 9.0, 11.0, 10.0, 12.0, 14.0, 13.0, 15.0];
    assert_eq!(params.to_vec().unwrap(), expected);
}

#[test]
fn imports_are_of_the_cells_size() {
    let context = Context::host().unwrap();
    let rnn = Rnn::<f32>::builder(&context, 2, 4).cell(Cell::Gru).build().unwrap();
    let (w_ih, w_hh, short) = ([0.0; 12 * 2], [0.0; 12 * 4], [0.0; 11]);
    let mut params = vec![0.0; rnn.param_elements()];
    let from = ForeignParams { w_ih: (&w_ih).into(), w_hh: (&w_hh).into(), b_ih: None, b_hh: None };
    rnn.import(ParamFormat::PyTorch, 0, Direction::Forward, from, &mut params).unwrap();
    let from = ForeignParams { b_hh: Some((&short).into()), ..from };
    let result = rnn.import(ParamFormat::PyTorch, 0, Direction::Forward, from, &mut params);
    assert_error(result, Status::InvalidArgument, &["b_hh has 11 elements, too few", "gates"]);
    let plain = Rnn::<f32>::builder(&context, 2, 4).cell(Cell::RnnRelu).build().unwrap();
    let from = ForeignParams { w_ih: (&w_ih).into(), w_hh: (&w_hh).into(), b_ih: None, b_hh: None };
    let result = plain.import(ParamFormat::Haste, 0, Direction::Forward, from, &mut params);
    assert_error(result, Status::Unsupported, &["a library without VARLSTM_CELL_RNN_RELU"]);
}
