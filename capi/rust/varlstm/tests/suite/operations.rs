//! Optimisers and clipping against PyTorch's numbers; dropout, conversion, losses' options.
// SPDX-License-Identifier: Apache-2.0

use varlstm::{clip_grad_norm, convert, dropout_backward, dropout_forward, grad_norm};
use varlstm::{Activation, ConvMax, ConvMaxBackward, ConvMaxForward};
use varlstm::{Adam, AdamState, Bf16, DeviceBuffer, EmptyMean, Loss, LossForward, Reduction};
use varlstm::{Embedding, Sgd, Workspace, F16};

use crate::golden;
use crate::support::{assert_close, assert_holds, context, unwritten, upload, upload_as, Number};

const DOUBLE: (f64, f64) = (1e-12, 1e-12);
const FLOAT: (f64, f64) = (1e-5, 1e-5);

fn optimisers_equal_pytorchs<T: Number>(tolerance: (f64, f64)) {
    let context = context();
    let (mut sgd_cases, mut adam_cases) = (0, 0);
    for case in golden::read("optimizers.txt") {
        let (lr, weight_decay) = (case.scalar("lr"), case.scalar("weight_decay"));
        let count = case.real("params").len();
        let mut params = upload_as::<T>(&context, case.real("params"));
        let mut velocity = DeviceBuffer::<T>::zeros(&context, count).unwrap();
        let mut state = AdamState::<T>::new(&context, count).unwrap();
        let momentum = case.scalar("momentum");
        let sgd = Sgd { lr, momentum, weight_decay, nesterov: case.ints("nesterov")[0] == 1 };
        let adam = Adam {
            beta1: case.real("betas")[0],
            beta2: case.real("betas")[1],
            eps: case.scalar("eps"),
            weight_decay,
            decoupled: case.name().starts_with("adamw"),
            ..Adam::new(lr)
        };
        let steps = case.real("grads").chunks(count).zip(case.real("trace").chunks(count));
        for (grads, expected) in steps {
            let grads = upload_as::<T>(&context, grads);
            if case.name().starts_with("sgd") {
                let velocity = if momentum > 0.0 { Some(velocity.view_mut()) } else { None };
                sgd.step(&context, &mut params, &grads, velocity).unwrap();
                sgd_cases += 1;
            } else {
                adam.step(&context, &mut params, &grads, &mut state).unwrap();
                adam_cases += 1;
            }
            assert_holds(case.name(), &params, expected, tolerance);
        }
    }
    assert!(sgd_cases > 0 && adam_cases > 0);
}

#[test]
fn optimisers_equal_pytorchs_in_double() {
    optimisers_equal_pytorchs::<f64>(DOUBLE);
}

#[test]
fn optimisers_equal_pytorchs_in_float() {
    optimisers_equal_pytorchs::<f32>(FLOAT);
}

#[test]
fn clipping_equals_pytorchs() {
    let context = context();
    let mut workspace = Workspace::new(&context);
    for case in golden::read("clipping.txt") {
        let mut grads = upload(&context, case.real("grads"));
        let mut norm = unwritten::<f64>(&context, 1);
        grad_norm(&context, &grads, &mut norm, &mut workspace).unwrap();
        assert_holds("norm", &norm, case.real("norm"), DOUBLE);
        assert_holds("grads", &grads, case.real("grads"), (0.0, 0.0));
        let max_norm = case.scalar("max_norm");
        clip_grad_norm(&context, max_norm, &mut grads, &mut norm, &mut workspace).unwrap();
        assert_holds("norm", &norm, case.real("norm"), DOUBLE);
        assert_holds("clipped", &grads, case.real("clipped"), DOUBLE);
    }
}

#[test]
fn dropout_keeps_the_same_elements_back_and_forth() {
    let context = context();
    let ones = upload(&context, &[1.0f64; 1000]);
    let (mut y, mut dx) = (unwritten(&context, 1000), unwritten(&context, 1000));
    dropout_forward(&context, 0.25, 7, &ones, &mut y).unwrap();
    dropout_backward(&context, 0.25, 7, &ones, &mut dx).unwrap();
    let y = y.to_vec().unwrap();
    assert_eq!(y, dx.to_vec().unwrap());
    assert!(y.iter().all(|&value| value == 0.0 || value == 1.0 / 0.75));
    let dropped = y.iter().filter(|&&value| value == 0.0).count();
    assert!((181..=319).contains(&dropped), "{} of 1000, 5 standard deviations off", dropped);
}

#[test]
fn conversion_rounds_to_16_bits() {
    let context = context();
    let values = upload(&context, &[1.0f32, -2.5, 1.0 + 1.0 / 256.0, 65504.0]);
    let mut bf16 = DeviceBuffer::<Bf16>::zeros(&context, 4).unwrap();
    convert(&context, &values, &mut bf16).unwrap();
    let bits = [0x3f80, 0xc020, 0x3f80, 0x4780].map(Bf16); // 1 + 1/256 is a tie: to even
    assert_eq!(bf16.to_vec().unwrap(), bits);
    let mut f16 = DeviceBuffer::<F16>::zeros(&context, 4).unwrap();
    convert(&context, &values, &mut f16).unwrap();
    assert_eq!(f16.to_vec().unwrap(), [0x3c00, 0xc100, 0x3c04, 0x7bff].map(F16));
    let mut back = DeviceBuffer::<f64>::zeros(&context, 4).unwrap();
    convert(&context, &f16, &mut back).unwrap();
    assert_eq!(back.to_vec().unwrap(), [1.0, -2.5, 1.0 + 1.0 / 256.0, 65504.0]);
}

#[test]
fn losses_follow_their_options() {
    let context = context();
    let mut workspace = Workspace::new(&context);
    let scores = upload(&context, &[0.5f64.ln(), 0.5f64.ln(), 0.25f64.ln(), 0.75f64.ln()]);
    let targets = upload(&context, &[0, 1]);
    let weights = upload(&context, &[2.0f64, 3.0]);
    let (first, second) = (2.0 * -0.5f64.ln(), 3.0 * -0.75f64.ln());
    for (reduction, expected) in [
        (Reduction::None, vec![first, second]),
        (Reduction::Sum, vec![first + second]),
        (Reduction::Mean, vec![(first + second) / 5.0]),
    ] {
        let loss = Loss::builder(&context, 2).reduction(reduction).build().unwrap();
        let (mut out, mut sum) = (unwritten(&context, expected.len()), unwritten(&context, 1));
        let forward = LossForward {
            class_weights: Some(weights.view()),
            weight_sum: Some(sum.view_mut()),
            ..LossForward::new(&scores, &targets, &mut out)
        };
        loss.nll_forward(2, forward, &mut workspace).unwrap();
        assert_holds("out", &out, &expected, DOUBLE);
        assert_holds("weight_sum", &sum, &[5.0], DOUBLE);
    }
    let ignored = upload(&context, &[-100, -100]);
    for (empty_mean, is_nan) in [(EmptyMean::Nan, true), (EmptyMean::Zero, false)] {
        let loss = Loss::builder(&context, 2).empty_mean(empty_mean).build().unwrap();
        let mut out = upload(&context, &[7.0f64]);
        let forward = LossForward::new(&scores, &ignored, &mut out);
        loss.cross_entropy_forward(2, forward, None, &mut workspace).unwrap();
        let mean = out.to_vec().unwrap()[0];
        assert!(if is_nan { mean.is_nan() } else { mean == 0.0 }, "{:?}: {}", empty_mean, mean);
    }
}

#[test]
fn smoothed_cross_entropy_equals_its_definition() {
    let context = context();
    let loss = Loss::builder(&context, 2).label_smoothing(0.2).build().unwrap();
    let logits = upload(&context, &[0.25f64.ln(), 0.75f64.ln()]);
    let mut out = unwritten::<f64>(&context, 1);
    let targets = upload(&context, &[1]);
    let forward = LossForward::new(&logits, &targets, &mut out);
    loss.cross_entropy_forward(1, forward, None, &mut Workspace::new(&context)).unwrap();
    let expected = -0.9 * 0.75f64.ln() - 0.1 * 0.25f64.ln();
    assert_close("out", &out.to_vec().unwrap(), &[expected], DOUBLE);
}

#[test]
fn a_token_id_outside_the_vocabulary_is_reported() {
    let context = context();
    let embedding = Embedding { vocabulary: 2, features: 2, padding_idx: None };
    let table = upload(&context, &[1.0f32, 2.0, 3.0, 4.0]);
    let ids = upload(&context, &[1, 0, 2]);
    let mut y = unwritten::<f32>(&context, 6);
    embedding.forward(&context, 3, &table, &ids, &mut y).unwrap();
    assert_eq!(y.to_vec().unwrap(), [3.0, 4.0, 1.0, 2.0, 0.0, 0.0]);
    let status = context.device_status(true).unwrap();
    assert!(status.bad_token_id() && !status.bad_length() && !status.bad_label());
    assert_eq!(status.first_index(), Some(2));
}

#[test]
fn the_padding_row_of_an_embedding_gets_no_gradient() {
    let context = context();
    let mut workspace = Workspace::new(&context);
    let (ids, dy) = (upload(&context, &[0, 1, 1]), upload(&context, &[1.0f64, 2.0, 4.0]));
    for (padding_idx, expected) in [(None, [1.0, 6.0]), (Some(0), [0.0, 6.0]), (Some(1), [1.0, 0.0])] {
        let embedding = Embedding { vocabulary: 2, features: 1, padding_idx };
        let mut dtable = DeviceBuffer::zeros(&context, 2).unwrap();
        embedding.backward(&context, 3, &ids, &dy, &mut dtable, &mut workspace).unwrap();
        assert_eq!(dtable.to_vec().unwrap(), expected, "{:?}", padding_idx);
    }
}

#[test]
fn a_convolution_takes_the_maximum_of_each_word() {
    let context = context();
    let mut workspace = Workspace::new(&context);
    let conv = ConvMax { inputs: 1, filters: 2, width: 2, activation: Activation::Relu };
    // Words of 2, 0 and 1 rows; position p of a filter (a, b) is a x[p] + b x[p + 1].
    let offsets = DeviceBuffer::from_slice(&context, &[0_i64, 2, 2, 3]).unwrap();
    let (x, weight) = (upload(&context, &[1.0, 2.0, 5.0]), upload(&context, &[1.0, 10.0, -1.0, 0.0]));
    let mut y = unwritten::<f64>(&context, 6);
    let mut argmax = DeviceBuffer::<i64>::zeros(&context, 6).unwrap();
    let mut args = ConvMaxForward::new(&offsets, &x, &weight, &mut y);
    args.argmax = Some((&mut argmax).into());
    conv.forward(&context, 3, 3, args, &mut workspace).unwrap();
    assert_holds("y", &y, &[21.0, 0.0, 0.0, 0.0, 5.0, 0.0], (0.0, 0.0));
    assert_eq!(argmax.to_vec().unwrap(), [0, 0, -1, -1, 2, 2]);

    let (dy, mut dx) = (upload(&context, &[1.0; 6]), unwritten::<f64>(&context, 3));
    let (mut dweight, mut dbias) = (upload(&context, &[100.0; 4]), upload(&context, &[0.0; 2]));
    let mut args = ConvMaxBackward::new(&offsets, &y, &dy, &argmax);
    args.x = Some((&x).into());
    args.weight = Some((&weight).into());
    args.dx = Some((&mut dx).into());
    args.dweight = Some((&mut dweight).into());
    args.dbias = Some((&mut dbias).into());
    conv.backward(&context, 3, 3, args, &mut workspace).unwrap();
    assert_holds("dx", &dx, &[1.0, 10.0, 1.0], (0.0, 0.0));
    assert_holds("dweight", &dweight, &[106.0, 102.0, 100.0, 100.0], (0.0, 0.0));
    assert_holds("dbias", &dbias, &[2.0, 0.0], (0.0, 0.0));
}
