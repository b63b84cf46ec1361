//! The LSTM against PyTorch's numbers: the golden case that every binding computes.
// SPDX-License-Identifier: Apache-2.0

use varlstm::{Backend, Batch, Cell, Context, DeviceBuffer, Direction, ForeignParams, Layout, ParamFormat};
use varlstm::{Recurrence, RecurrentDropout, Reserve, Rnn, RnnBackward, RnnForward, RowOrder, Status, Workspace};

use crate::golden::{self, Case};
use crate::support::{assert_close, assert_error, assert_holds, context, unwritten, upload, upload_as, Number};

// As in tests/README.md.
pub const DOUBLE: (f64, f64) = (1e-12, 1e-12);
pub const FLOAT: (f64, f64) = (2e-5, 2e-5);

fn lstm<T: Number>(context: &Context, case: &Case) -> Rnn<T> {
    network(context, case, Cell::Lstm)
}

/// The golden case's network of that cell.
pub fn network<T: Number>(context: &Context, case: &Case, cell: Cell) -> Rnn<T> {
    let shape = case.ints("shape");
    let builder = Rnn::builder(context, shape[0] as usize, shape[1] as usize).cell(cell);
    let builder = builder.num_layers(shape[2] as usize).bidirectional(shape[3] == 1);
    let builder = builder.proj_size(shape.get(5).map_or(0, |size| *size as usize));
    builder.bias(shape[4] == 1).build().unwrap()
}

/// The flat buffer of the case's tensors, each at its offset; `prefix` "d" for gradients.
pub fn flat<T: Number>(rnn: &Rnn<T>, case: &Case, prefix: &str) -> Vec<f64> {
    let mut flat = vec![f64::NAN; rnn.param_elements()];
    for parameter in rnn.parameters().unwrap() {
        let tensor = case.real(&format!("{}{}", prefix, parameter.name));
        assert_eq!(tensor.len(), parameter.rows * parameter.cols, "{}", parameter.name);
        flat[parameter.offset..][..tensor.len()].copy_from_slice(tensor);
    }
    assert!(flat.iter().all(|value| !value.is_nan()), "the tensors leave a gap");
    flat
}

fn equals_pytorch<T: Number>(tolerance: (f64, f64)) {
    let context = context();
    let cases = golden::read("bindings.txt").into_iter().chain(golden::read("projected_lstm.txt"));
    for case in cases.filter(|case| case.has("h0")) {
        let rnn = lstm::<T>(&context, &case);
        let batch = Batch::from_lengths(&context, case.ints("lengths")).unwrap();
        let buffer = |item: &str| upload_as::<T>(&context, case.real(item));
        let like = |item: &str| unwritten::<T>(&context, case.real(item).len());
        let (params, x, h0, c0) =
            (upload_as::<T>(&context, &flat(&rnn, &case, "")), buffer("x"), buffer("h0"), buffer("c0"));
        let (mut y, mut h_n, mut c_n) = (like("y"), like("h_n"), like("c_n"));
        let (mut reserve, mut workspace) = (Reserve::new(&context), Workspace::new(&context));
        let forward = RnnForward {
            h0: Some(h0.view()),
            c0: Some(c0.view()),
            h_n: Some(h_n.view_mut()),
            c_n: Some(c_n.view_mut()),
            ..RnnForward::new(&params, &x, &mut y)
        };
        rnn.forward_save(&batch, forward, &mut reserve, &mut workspace).unwrap();
        assert_holds("y", &y, case.real("y"), tolerance);
        assert_holds("h_n", &h_n, case.real("h_n"), tolerance);
        assert_holds("c_n", &c_n, case.real("c_n"), tolerance);

        let mut inferred = like("y");
        let forward =
            RnnForward { h0: Some(h0.view()), c0: Some(c0.view()), ..RnnForward::new(&params, &x, &mut inferred) };
        rnn.forward(&batch, forward, &mut workspace).unwrap();
        assert_eq!(inferred.to_vec().unwrap(), y.to_vec().unwrap(), "saved or not");

        let (dy, dh_n, dc_n) = (buffer("dy"), buffer("dh_n"), buffer("dc_n"));
        let (mut dx, mut dh0, mut dc0) = (like("dx"), like("dh0"), like("dc0"));
        let mut dparams = DeviceBuffer::<T>::zeros(&context, rnn.param_elements()).unwrap();
        let once = flat(&rnn, &case, "d");
        for passes in 1..=2 {
            let backward = RnnBackward {
                h0: Some(h0.view()),
                c0: Some(c0.view()),
                dy: Some(dy.view()),
                dh_n: Some(dh_n.view()),
                dc_n: Some(dc_n.view()),
                dx: Some(dx.view_mut()),
                dh0: Some(dh0.view_mut()),
                dc0: Some(dc0.view_mut()),
                dparams: Some(dparams.view_mut()),
                ..RnnBackward::new(&params, &x, &y)
            };
            rnn.backward(&batch, backward, &reserve, &mut workspace).unwrap();
            assert_holds("dx", &dx, case.real("dx"), tolerance);
            assert_holds("dh0", &dh0, case.real("dh0"), tolerance);
            assert_holds("dc0", &dc0, case.real("dc0"), tolerance);
            let sum: Vec<f64> = once.iter().map(|gradient| gradient * f64::from(passes)).collect();
            assert_holds("dparams", &dparams, &sum, tolerance);
        }
        assert!(context.device_status(false).unwrap().is_ok());
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

/// Slices are memory of the host back end.
#[test]
fn slices_do_on_the_host() {
    let context = Context::host().unwrap();
    for case in golden::read("bindings.txt") {
        let rnn = lstm::<f64>(&context, &case);
        let batch = Batch::from_lengths(&context, case.ints("lengths")).unwrap();
        let params = flat(&rnn, &case, "");
        let mut y = vec![f64::NAN; case.real("y").len()];
        let forward = RnnForward {
            h0: Some(case.real("h0").into()),
            c0: Some(case.real("c0").into()),
            ..RnnForward::new(&params, case.real("x"), &mut y)
        };
        rnn.forward(&batch, forward, &mut Workspace::new(&context)).unwrap();
        assert_close("y", &y, case.real("y"), DOUBLE);
    }
}

/// Its tensors follow the others, and other cells do not have it.
#[test]
fn layer_normalisation_has_tensors_of_its_own() {
    let context = Context::host().unwrap();
    let build = |cell| Rnn::<f32>::builder(&context, 2, 3).cell(cell).layer_norm(true).build();
    assert_error(build(Cell::RnnTanh), Status::InvalidArgument, &["value = 1", "VARLSTM_KEY_LAYER_NORM"]);
    for (cell, rows, rest) in [(Cell::Lstm, 12, &["norm_c_l0", "norm_c_bias_l0"][..]), (Cell::Gru, 9, &[])] {
        let rnn = build(cell).unwrap();
        let tensors = rnn.parameters().unwrap();
        let names: Vec<&str> = tensors.iter().skip(4).map(|p| p.name.as_str()).collect();
        assert_eq!(names, [&["norm_ih_l0", "norm_hh_l0"], rest].concat());
        assert_eq!((tensors[4].rows, tensors[4].cols), (rows, 1));
        let batch = Batch::from_lengths(&context, &[2]).unwrap();
        let (params, x, mut y) = (vec![0.5; rnn.param_elements()], [1.0, 2.0, 3.0, 4.0], [f32::NAN; 6]);
        rnn.forward(&batch, RnnForward::new(&params, &x, &mut y), &mut Workspace::new(&context)).unwrap();
        assert!(y.iter().all(|value| value.is_finite()));
    }
}

/// P is smaller than H, and only an LSTM has one; states of another width are refused by name.
#[test]
fn a_projection_has_its_own_sizes() {
    let context = Context::host().unwrap();
    let build = |cell, size| Rnn::<f32>::builder(&context, 2, 3).cell(cell).proj_size(size).build();
    for size in [3, 4] {
        assert_error(build(Cell::Lstm, size), Status::InvalidArgument, &["value = ", "hidden_size = 3"]);
    }
    assert_error(build(Cell::Gru, 1), Status::InvalidArgument, &["value = 1", "VARLSTM_KEY_PROJ_SIZE"]);
    assert_eq!(build(Cell::Gru, 0).unwrap().proj_size(), 0);
    let rnn = build(Cell::Lstm, 1).unwrap();
    assert_eq!((rnn.proj_size(), rnn.state_size(), rnn.output_size()), (1, 1, 1));
    let names: Vec<String> = rnn.parameters().unwrap().into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0", "weight_hr_l0"]);

    let batch = Batch::from_lengths(&context, &[2]).unwrap();
    let (params, x, h, c) = (vec![0.0; rnn.param_elements()], [0.0; 4], [0.0; 1], [0.0; 3]);
    let (mut y, mut workspace) = ([0.0; 2], Workspace::new(&context));
    let mut run = |h0: &[f32], c0: &[f32]| {
        let states = RnnForward { h0: Some(h0.into()), c0: Some(c0.into()), ..RnnForward::new(&params, &x, &mut y) };
        rnn.forward(&batch, states, &mut workspace)
    };
    run(&h, &c).unwrap();
    assert_error(run(&c, &c), Status::InvalidArgument, &["h0 has 3 elements", "proj_size = 1"]);
    assert_error(run(&h, &h), Status::InvalidArgument, &["c0 has 1 elements", "hidden_size = 3"]);
}

/// An option outside its range, or of another cell, is refused; recurrent dropout acts in calls with a seed.
#[test]
fn options_of_the_cell() {
    let context = Context::host().unwrap();
    let lstm = || Rnn::<f32>::builder(&context, 2, 3);
    let all = lstm().proj_size(2).cell_clip(2.0).projection_clip(1.0).zoneout_h(0.5).zoneout_c(0.25);
    all.recurrent_dropout(0.5, RecurrentDropout::Candidate).build().unwrap();
    for wrong in
        [lstm().zoneout_h(1.0), lstm().zoneout_c(-0.5), lstm().cell_clip(f64::NAN), lstm().projection_clip(1.0)]
    {
        assert_error(wrong.build(), Status::InvalidArgument, &["value = "]);
    }
    let gru = lstm().cell(Cell::Gru).cell_clip(1.0).build();
    assert_error(gru, Status::InvalidArgument, &["VARLSTM_CELL_GRU has no VARLSTM_KEY_CELL_CLIP"]);

    let dropped = lstm().recurrent_dropout(0.5, RecurrentDropout::Weights).build().unwrap();
    let batch = Batch::from_lengths(&context, &[4]).unwrap();
    let params: Vec<f32> = (0..dropped.param_elements()).map(|k| (k % 7) as f32 * 0.2 - 0.5).collect();
    let mut run = |rnn: &Rnn<f32>, dropout_seed| {
        let mut y = [0.0; 12];
        let forward = RnnForward { dropout_seed, ..RnnForward::new(&params, &[0.5; 8], &mut y) };
        rnn.forward(&batch, forward, &mut Workspace::new(&context)).unwrap();
        y
    };
    let plain = run(&lstm().build().unwrap(), 7);
    assert_eq!(run(&dropped, 0), plain);
    assert_ne!(run(&dropped, 7), plain);
}

/// c of every token: its rows at the last tokens are c_n, its gradient reaches the input, and it needs its option.
#[test]
fn c_of_every_token() {
    let context = context();
    let build = |cell_states| Rnn::<f64>::builder(&context, 2, 3).proj_size(2).cell_states(cell_states).build();
    let (rnn, plain) = (build(true).unwrap(), build(false).unwrap());
    let batch = Batch::from_lengths(&context, &[2, 1]).unwrap();
    let params: Vec<f64> = (0..rnn.param_elements()).map(|k| (k % 7) as f64 * 0.2 - 0.5).collect();
    let (params, x) = (upload(&context, &params), upload(&context, &[0.5, -1.0, 2.0, 0.25, 1.5, -0.75]));
    let like = |len| unwritten::<f64>(&context, len);
    let (mut y, mut c_n, mut c) = (like(6), like(6), like(9));
    let (mut reserve, mut workspace) = (Reserve::new(&context), Workspace::new(&context));
    let forward =
        RnnForward { c_n: Some(c_n.view_mut()), c: Some(c.view_mut()), ..RnnForward::new(&params, &x, &mut y) };
    rnn.forward_save(&batch, forward, &mut reserve, &mut workspace).unwrap();
    // Rows of step 0, of both sequences, then the second token of the first one.
    let (c_n, c) = (c_n.to_vec().unwrap(), c.to_vec().unwrap());
    assert_eq!(c[6..], c_n[..3]);
    assert_eq!(c[3..6], c_n[3..]);
    let dc = upload(&context, &[1.0; 9]);
    let mut gradient = |dc| {
        let mut dx = like(6);
        let backward = RnnBackward { dc, dx: Some(dx.view_mut()), ..RnnBackward::new(&params, &x, &y) };
        rnn.backward(&batch, backward, &reserve, &mut workspace).map(|()| dx.to_vec().unwrap())
    };
    assert_eq!(gradient(None).unwrap(), [0.0; 6]);
    assert!(gradient(Some(dc.view())).unwrap().iter().all(|&value| value != 0.0));
    let short = upload(&context, &[1.0; 8]);
    assert_error(gradient(Some(short.view())), Status::InvalidArgument, &["dc has 8 elements", "hidden_size = 3"]);

    let (mut y, mut c) = (like(6), like(9));
    let forward = RnnForward { c: Some(c.view_mut()), ..RnnForward::new(&params, &x, &mut y) };
    let refused = plain.forward(&batch, forward, &mut workspace);
    assert_error(refused, Status::InvalidArgument, &["c = ", "VARLSTM_KEY_CELL_STATES"]);
    let gru = Rnn::<f64>::builder(&context, 2, 3).cell(Cell::Gru).cell_states(true).build();
    assert_error(gru, Status::InvalidArgument, &["value = 1", "VARLSTM_KEY_CELL_STATES"]);
}

/// Gradients of the parameters are added to what is there, or written over it.
#[test]
fn gradients_of_parameters_are_added_or_written() {
    let context = context();
    let batch = Batch::from_lengths(&context, &[2, 1]).unwrap();
    let run = |add_dparams, start: f64| {
        let rnn = Rnn::<f64>::builder(&context, 2, 3).add_dparams(add_dparams).build().unwrap();
        let count = rnn.param_elements();
        let params: Vec<f64> = (0..count).map(|k| (k % 7) as f64 * 0.25 - 0.5).collect();
        let (params, x) = (upload(&context, &params), upload(&context, &[0.5, -1.0, 2.0, 0.25, 1.5, -0.75]));
        let (mut y, dy) = (unwritten::<f64>(&context, 9), upload(&context, &[1.0; 9]));
        let mut dparams = upload(&context, &vec![start; count]);
        let (mut reserve, mut workspace) = (Reserve::new(&context), Workspace::new(&context));
        rnn.forward_save(&batch, RnnForward::new(&params, &x, &mut y), &mut reserve, &mut workspace).unwrap();
        let backward =
            RnnBackward { dy: Some(dy.view()), dparams: Some(dparams.view_mut()), ..RnnBackward::new(&params, &x, &y) };
        rnn.backward(&batch, backward, &reserve, &mut workspace).unwrap();
        dparams.to_vec().unwrap()
    };
    let expected = run(true, 0.0);
    assert!(expected.iter().any(|&value| value != 0.0));
    assert_eq!(run(false, f64::NAN), expected);
    for (added, written) in run(true, 1.0).iter().zip(&expected) {
        assert!((added - 1.0 - written).abs() < 1e-13);
    }
}

/// PyTorch's names, in the order of the flat buffer.
#[test]
fn parameters_have_pytorchs_names() {
    let rnn = Rnn::<f32>::builder(&context(), 2, 3).num_layers(2).bias(false).build().unwrap();
    let names: Vec<String> = rnn.parameters().unwrap().into_iter().map(|p| p.name).collect();
    assert_eq!(names, ["weight_ih_l0", "weight_hh_l0", "weight_ih_l1", "weight_hh_l1"]);
    assert_eq!(rnn.param_elements(), 12 * 2 + 3 * 12 * 3);
}

/// Keras' layout of the same LSTM, which one bias serves: transposed weights, the sum of the biases.
#[test]
fn parameters_are_imported_from_keras() {
    let context = context();
    let (inputs, hidden) = (2, 3);
    let rnn = Rnn::<f64>::builder(&context, inputs, hidden).bidirectional(true).build().unwrap();
    let kernel: Vec<f64> = (0..inputs as u32 * 12).map(f64::from).collect(); // [in, 4H]
    let recurrent: Vec<f64> = (0..hidden as u32 * 12).map(|k| 100.0 + f64::from(k)).collect(); // [H, 4H]
    let bias: Vec<f64> = (0..12).map(|k| 1000.0 + f64::from(k)).collect();
    let transposed = |from: &[f64]| -> Vec<f64> {
        let rows = from.len() / 12;
        (0..from.len()).map(|k| from[k % rows * 12 + k / rows]).collect()
    };
    let mut params = unwritten::<f64>(&context, rnn.param_elements());
    let buffers = (upload(&context, &kernel), upload(&context, &recurrent), upload(&context, &bias));
    let from =
        ForeignParams { w_ih: buffers.0.view(), w_hh: buffers.1.view(), b_ih: Some(buffers.2.view()), b_hh: None };
    rnn.import(ParamFormat::Keras, 0, Direction::Backward, from, &mut params).unwrap();
    let params = params.to_vec().unwrap();
    for parameter in rnn.parameters().unwrap() {
        let tensor = &params[parameter.offset..][..parameter.rows * parameter.cols];
        match parameter.name.as_str() {
            "weight_ih_l0_reverse" => assert_eq!(tensor, transposed(&kernel)),
            "weight_hh_l0_reverse" => assert_eq!(tensor, transposed(&recurrent)),
            "bias_ih_l0_reverse" => assert_eq!(tensor, bias),
            "bias_hh_l0_reverse" => assert_eq!(tensor, [0.0; 12]),
            name => assert!(tensor.iter().all(|value| value.is_nan()), "{} was written", name),
        }
    }
}

/// y of an LSTM of these options over the golden case's lengths and x, which lies in the rows' order.
fn run(context: &Context, rnn: &Rnn<f32>, batch: &Batch, x: &DeviceBuffer<f32>, dropout_seed: u64) -> Vec<f32> {
    let params: Vec<f32> = (0..rnn.param_elements()).map(|k| 0.1 * (k % 13) as f32 - 0.6).collect();
    let params = upload(context, &params);
    let mut y = unwritten::<f32>(context, batch.rows().unwrap() * rnn.output_size());
    let forward = RnnForward { dropout_seed, ..RnnForward::new(&params, x, &mut y) };
    rnn.forward(batch, forward, &mut Workspace::new(context)).unwrap();
    y.to_vec().unwrap()
}

#[test]
fn ragged_rows_give_the_bits_of_packed_ones() {
    let context = context();
    let batch = Batch::from_lengths(&context, &[1, 3, 2]).unwrap();
    let ragged_x = upload(&context, &(0..12).map(|k| 0.25 * k as f32 - 1.0).collect::<Vec<f32>>());
    let mut packed_x = unwritten::<f32>(&context, 12);
    batch.pack(Layout::Ragged, 2, &ragged_x, &mut packed_x).unwrap();
    let builder = Rnn::<f32>::builder(&context, 2, 3).bidirectional(true);
    let packed_y = upload(&context, &run(&context, &builder.clone().build().unwrap(), &batch, &packed_x, 0));
    let mut unpacked = unwritten::<f32>(&context, 6 * 6);
    batch.unpack(Layout::Ragged, 6, 0.0, &packed_y, &mut unpacked).unwrap();
    let ragged = builder.row_order(RowOrder::Ragged).build().unwrap();
    let ragged_y = run(&context, &ragged, &batch, &ragged_x, 0);
    assert_eq!(ragged_y, unpacked.to_vec().unwrap());
    assert_ne!(ragged_y, packed_y.to_vec().unwrap());
}

#[test]
fn dropout_follows_its_seed() {
    let context = context();
    let batch = Batch::from_lengths(&context, &[4, 5]).unwrap();
    let x = upload(&context, &[0.5f32; 18]);
    let builder = Rnn::<f32>::builder(&context, 2, 8).num_layers(2);
    let plain = run(&context, &builder.clone().build().unwrap(), &batch, &x, 0);
    let dropping = builder.dropout(0.5).build().unwrap();
    assert_eq!(run(&context, &dropping, &batch, &x, 0), plain, "seed 0 drops nothing");
    let seven = run(&context, &dropping, &batch, &x, 7);
    assert_eq!(run(&context, &dropping, &batch, &x, 7), seven);
    assert!(seven != plain && seven != run(&context, &dropping, &batch, &x, 8));
}

#[test]
fn the_recurrence_runs_as_it_is_told() {
    let context = context();
    let batch = Batch::from_lengths(&context, &[4, 1, 5]).unwrap();
    let x = upload(&context, &[0.5f32; 20]);
    let y = |recurrence| {
        let rnn = Rnn::<f32>::builder(&context, 2, 3).recurrence(recurrence).build().unwrap();
        (rnn.recurrence_used().unwrap(), run(&context, &rnn, &batch, &x, 0))
    };
    let (used, stepwise) = y(Recurrence::Stepwise);
    let on_cuda = context.backend() == Backend::Cuda;
    assert_eq!(used, if on_cuda { Recurrence::Stepwise } else { Recurrence::Auto });
    for recurrence in [Recurrence::Cluster, Recurrence::Grid, Recurrence::Auto] {
        let (used, outputs) = y(recurrence);
        assert_eq!(outputs, stepwise, "{:?}", used);
        // What a device cannot do is done stepwise.
        let possible = [recurrence, Recurrence::Stepwise];
        match (on_cuda, recurrence) {
            (false, _) => assert_eq!(used, Recurrence::Auto),
            (true, Recurrence::Auto) => assert_ne!(used, Recurrence::Auto),
            (true, _) => assert!(possible.contains(&used), "{:?} ran as {:?}", recurrence, used),
        }
    }
}
