//! Bad input: an error with a status and a text that names the argument and the value.
// SPDX-License-Identifier: Apache-2.0

use varlstm::{
    Backend, Batch, Context, DeviceBuffer, Direction, Embedding, ForeignParams, Layout, Linear, LinearForward,
    ParamFormat,
};
use varlstm::{Loss, Reserve, Rnn, RnnBackward, RnnForward, Sgd, Status, Workspace};

use crate::support::{assert_error, context, on_cuda, upload};

use Status::{BufferTooSmall, InvalidArgument, Unsupported};

#[test]
fn lengths_out_of_range() {
    let context = context();
    let mut batch = Batch::new(&context, 2, 40, 50).unwrap();
    batch.set_lengths(&[3, 4]).unwrap();
    let too_long = batch.set_lengths(&[1, 41]);
    assert_error(too_long, InvalidArgument, &["lengths[1] = 41", "max_len = 40"]);
    assert_error(batch.set_lengths(&[-1]), InvalidArgument, &["lengths[0] = -1"]);
    assert_error(batch.set_lengths(&[1, 1, 1]), InvalidArgument, &["count = 3", "max_batch = 2"]);
    let too_many = batch.set_lengths(&[40, 40]);
    assert_error(too_many, InvalidArgument, &["lengths[1] = 40", "max_tokens = 50"]);
    assert_eq!(batch.tokens().unwrap(), 7, "the batch stays as it was");
    let growing = batch.set_batch_sizes(&[1, 2], None);
    assert_error(growing, InvalidArgument, &["batch_sizes[1] = 2", "batch_sizes[0] = 1"]);
    let short = batch.set_batch_sizes(&[2, 1], Some(&[0]));
    assert_error(short, InvalidArgument, &["sorted_indices has 1 elements", "batch_sizes[0] = 2"]);
    let twice = batch.set_batch_sizes(&[2, 1], Some(&[0, 0]));
    assert_error(twice, InvalidArgument, &["sorted_indices[1] = 0"]);
    let negative = Batch::from_lengths(&context, &[2, -3]);
    assert_error(negative, InvalidArgument, &["lengths[1] = -3"]);
}

#[test]
fn foreign_parameters_that_do_not_fit() {
    let context = context();
    let rnn = Rnn::<f32>::builder(&context, 3, 2).build().unwrap();
    let mut params = DeviceBuffer::<f32>::zeros(&context, rnn.param_elements()).unwrap();
    let (w_ih, w_hh) = (upload(&context, &[0.0; 24]), upload(&context, &[0.0; 16]));
    let bias = upload(&context, &[0.0; 8]);
    let both = ForeignParams { w_ih: w_ih.view(), w_hh: w_hh.view(), b_ih: Some(bias.view()), b_hh: Some(bias.view()) };
    let mut import = |format, layer, direction, from| rnn.import(format, layer, direction, from, &mut params);
    let result = import(ParamFormat::Keras, 0, Direction::Forward, both);
    assert_error(result, InvalidArgument, &["b_hh", "one bias"]);
    let result = import(ParamFormat::PyTorch, 0, Direction::Backward, both);
    assert_error(result, InvalidArgument, &["direction = 1"]);
    let result = import(ParamFormat::PyTorch, 1, Direction::Forward, both);
    assert_error(result, InvalidArgument, &["layer = 1"]);
    let short = ForeignParams { w_hh: bias.view(), ..both };
    let result = import(ParamFormat::PyTorch, 0, Direction::Forward, short);
    assert_error(result, InvalidArgument, &["w_hh has 8 elements", "hidden_size = 2"]);
    import(ParamFormat::PyTorch, 0, Direction::Forward, both).unwrap();
}

#[test]
fn options_out_of_range() {
    let context = context();
    let builder = |input, hidden| Rnn::<f32>::builder(&context, input, hidden);
    assert_error(builder(0, 5).build(), InvalidArgument, &["input_size = 0"]);
    assert_error(builder(3, 0).build(), InvalidArgument, &["hidden_size = 0"]);
    assert_error(builder(3, 5).num_layers(5000).build(), InvalidArgument, &["5000"]);
    assert_error(builder(3, 5).dropout(1.0).build(), InvalidArgument, &["1"]);
    assert_error(builder(usize::MAX, 5).build(), InvalidArgument, &["input_size", "too large"]);
    assert_error(Loss::builder(&context, 0).build(), InvalidArgument, &["classes = 0"]);
    let smoothing = Loss::builder(&context, 2).label_smoothing(1.5).build();
    assert_error(smoothing, InvalidArgument, &["1.5"]);
    let threads = Context::builder(Backend::Host).threads(5000).build();
    assert_error(threads, InvalidArgument, &["5000"]);
    let device = Context::builder(Backend::Host).device(1).build();
    assert_error(device, InvalidArgument, &["device = 1"]);
    let padding = Embedding { vocabulary: 4, features: 1, padding_idx: Some(4) };
    let (ids, dy) = (upload(&context, &[0]), upload(&context, &[0.0f32]));
    let mut dtable = upload(&context, &[0.0f32; 4]);
    let work = &mut Workspace::new(&context);
    let result = padding.backward(&context, 1, &ids, &dy, &mut dtable, work);
    assert_error(result, InvalidArgument, &["padding_idx = 4"]);
}

/// An LSTM of 3 features and 5 units over two sequences of 2 and 1 tokens, with its buffers.
struct World {
    context: Context,
    batch: Batch,
    rnn: Rnn<f32>,
    params: DeviceBuffer<f32>,
    x: DeviceBuffer<f32>,
    y: DeviceBuffer<f32>,
    workspace: Workspace,
    reserve: Reserve,
}

impl World {
    fn new() -> World {
        let context = context();
        let rnn = Rnn::<f32>::builder(&context, 3, 5).build().unwrap();
        World {
            batch: Batch::from_lengths(&context, &[2, 1]).unwrap(),
            params: DeviceBuffer::zeros(&context, rnn.param_elements()).unwrap(),
            x: DeviceBuffer::zeros(&context, 3 * 3).unwrap(),
            y: DeviceBuffer::zeros(&context, 3 * 5).unwrap(),
            workspace: Workspace::new(&context),
            reserve: Reserve::new(&context),
            rnn,
            context,
        }
    }
}

#[test]
fn a_reserve_that_no_forward_filled() {
    let mut w = World::new();
    let backward = RnnBackward::new(&w.params, &w.x, &w.y);
    let result = w.rnn.backward(&w.batch, backward, &w.reserve, &mut w.workspace);
    assert_error(result, BufferTooSmall, &["reserve_bytes = 0"]);
    let forward = RnnForward::new(&w.params, &w.x, &mut w.y);
    w.rnn.forward_save(&w.batch, forward, &mut w.reserve, &mut w.workspace).unwrap();

    // Other lengths than those of the forward: the host says so, on CUDA the device.
    w.batch.set_lengths(&[1, 2]).unwrap();
    let backward = RnnBackward::new(&w.params, &w.x, &w.y);
    let result = w.rnn.backward(&w.batch, backward, &w.reserve, &mut w.workspace);
    if on_cuda() {
        result.unwrap();
        assert!(w.context.device_status(false).unwrap().bad_reserve());
    } else {
        assert_error(result, InvalidArgument, &["reserve", "was not written"]);
    }
}

/// lengths.rs has every buffer of every call.
#[test]
fn texts_name_the_dimensions() {
    let mut w = World::new();
    let short = upload(&w.context, &[0.0f32; 8]);
    let forward = RnnForward::new(&w.params, &short, &mut w.y);
    let text = "x has 8 elements, too few for [tokens = 3, input_size = 3]";
    assert_error(w.rnn.forward(&w.batch, forward, &mut w.workspace), InvalidArgument, &[text]);
    let result = w.batch.pack(Layout::TimeMajor(4), 2, &short, &mut w.y);
    let text = "src has 8 elements, too few for [batch = 2, padded_len = 4, features = 2]";
    assert_error(result, InvalidArgument, &[text]);
    let result = w.batch.pack(Layout::TimeMajor(1), 1, &short, &mut w.y);
    assert_error(result, InvalidArgument, &["padded_len = 1"]);
    let huge = Linear { inputs: usize::MAX, outputs: 2 };
    let result = huge.forward(&w.context, 3, LinearForward::new(&short, &short, &mut w.y), &mut w.workspace);
    assert_error(result, InvalidArgument, &["x has 8 elements"]);
    let momentum = Sgd { momentum: 0.9, ..Sgd::new(0.1) };
    assert_error(momentum.step(&w.context, &mut w.y, &w.params, None), InvalidArgument, &["velocity"]);
    assert_error(w.y.write(&[1.0]), InvalidArgument, &["values has 1 elements", "has 15"]);
    assert_error(w.y.read(&mut [0.0; 16]), InvalidArgument, &["to has 16 elements", "has 15"]);
    assert_error(DeviceBuffer::<f64>::zeros(&w.context, usize::MAX), InvalidArgument, &["len = "]);
    assert_eq!(w.workspace.bytes(), 0, "no call came so far");
}

#[test]
fn handles_of_another_context() {
    let mut w = World::new();
    let other = context();
    let foreign = Batch::from_lengths(&other, &[2, 1]).unwrap();
    let forward = RnnForward::new(&w.params, &w.x, &mut w.y);
    let result = w.rnn.forward(&foreign, forward, &mut w.workspace);
    assert_error(result, InvalidArgument, &["batch"]);
    let embedding = Embedding { vocabulary: 1, features: 1, padding_idx: None };
    let ids = upload(&w.context, &[0, 0, 0]);
    let result = embedding.forward(&w.context, &foreign, &w.params, &ids, &mut w.y);
    assert_error(result, InvalidArgument, &["batch"]);
}

#[test]
fn memory_of_another_back_end() {
    if !on_cuda() {
        if varlstm::device_count(Backend::Cuda).unwrap() == 0 {
            assert_error(Context::cuda(0), Unsupported, &[]);
        }
        return;
    }
    let mut w = World::new();
    let slice = [0.0f32; 9];
    let forward = RnnForward::new(&w.params, &slice, &mut w.y);
    let result = w.rnn.forward(&w.batch, forward, &mut w.workspace);
    assert_error(result, InvalidArgument, &["x is memory of the host", "on CUDA device 0"]);
    let mut y = vec![0.0f32; 15];
    let forward = RnnForward::new(&w.params, &w.x, &mut y);
    let result = w.rnn.forward(&w.batch, forward, &mut w.workspace);
    assert_error(result, InvalidArgument, &["y is memory of the host", "on CUDA device 0"]);
    let host = Context::host().unwrap();
    let mut norm = [0.0];
    let result = varlstm::grad_norm(&host, &w.x, &mut norm, &mut Workspace::new(&host));
    assert_error(result, InvalidArgument, &["grads is memory of CUDA device 0", "on the host"]);
    let result = varlstm::grad_norm(&host, &slice, &mut norm, &mut w.workspace);
    assert_error(result, InvalidArgument, &["workspace"]);
    assert_error(host.read(&w.x), InvalidArgument, &["memory of CUDA device 0"]);
    let forward = RnnForward::new(&w.params, &w.x, &mut w.y);
    let result = w.rnn.forward_save(&w.batch, forward, &mut Reserve::new(&host), &mut w.workspace);
    assert_error(result, InvalidArgument, &["reserve"]);
}

#[test]
fn an_error_shows_its_text_and_its_status() {
    let error = Context::builder(Backend::Host).device(1).build().unwrap_err();
    let text = error.to_string();
    assert!(text.contains("device = 1") && text.ends_with("(InvalidArgument)"), "{}", text);
    let boxed: Box<dyn std::error::Error + Send + Sync> = Box::new(error);
    assert_eq!(boxed.to_string(), text);
}
