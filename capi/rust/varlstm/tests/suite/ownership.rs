//! Who keeps whom alive, in whatever order values are dropped, and what threads may share.
// SPDX-License-Identifier: Apache-2.0

use std::thread;

use varlstm::{build_info, version, AdamState, Backend, Batch, Context, DeviceBuffer, Error, Loss, Math, Reserve};
use varlstm::{Rnn, RnnForward, View, ViewMut, Workspace};

use crate::support::{context, upload};

#[test]
fn every_type_may_be_sent_and_shared() {
    fn send_and_sync<T: Send + Sync>() {}
    send_and_sync::<Context>();
    send_and_sync::<Batch>();
    send_and_sync::<Rnn<f32>>();
    send_and_sync::<Loss>();
    send_and_sync::<DeviceBuffer<f64>>();
    send_and_sync::<Workspace>();
    send_and_sync::<Reserve>();
    send_and_sync::<AdamState<f32>>();
    send_and_sync::<View<'static, f32>>();
    send_and_sync::<ViewMut<'static, f32>>();
    send_and_sync::<Error>();
}

/// A context that is dropped first stays until the last value made from it is gone, and what was
/// made from it still works.
#[test]
fn values_outlive_the_context_they_were_made_from() {
    let context = context();
    let rnn = Rnn::<f32>::builder(&context, 1, 2).build().unwrap();
    let mut batch = Batch::new(&context, 2, 3, 5).unwrap();
    let loss = Loss::builder(&context, 3).build().unwrap();
    let params = DeviceBuffer::<f32>::zeros(&context, rnn.param_elements()).unwrap();
    let x = upload(&context, &[1.0f32; 5]);
    let mut y = upload(&context, &[7.0f32; 10]);
    let mut workspace = Workspace::new(&context);
    drop(context);
    drop(loss);
    batch.set_lengths(&[3, 2]).unwrap();
    rnn.forward(&batch, RnnForward::new(&params, &x, &mut y), &mut workspace).unwrap();
    drop(batch);
    drop(workspace);
    drop(rnn);
    drop(params);
    drop(x);
    assert_eq!(y.to_vec().unwrap(), [0.0; 10], "parameters of zero give h = 0");
}

#[test]
fn threads_share_a_network_and_a_batch() {
    let context = context();
    let rnn = Rnn::<f32>::builder(&context, 1, 2).build().unwrap();
    let batch = Batch::from_lengths(&context, &[3, 0, 2]).unwrap();
    let weights: Vec<f32> = (0..rnn.param_elements()).map(|k| 0.1 * (k % 9) as f32 - 0.4).collect();
    let params = upload(&context, &weights);
    let x = upload(&context, &[0.5f32, -1.0, 2.0, 0.0, 1.0]);
    let run = || {
        let mut y = DeviceBuffer::<f32>::zeros(&context, 10).unwrap();
        let forward = RnnForward::new(&params, &x, &mut y);
        rnn.forward(&batch, forward, &mut Workspace::new(&context)).unwrap();
        y.to_vec().unwrap()
    };
    let alone = run();
    assert!(alone.iter().any(|&value| value != 0.0));
    thread::scope(|scope| {
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(run)).collect();
        for thread in threads {
            assert_eq!(thread.join().unwrap(), alone);
        }
    });
}

#[test]
fn a_workspace_grows_and_then_stays() {
    let context = context();
    let rnn = Rnn::<f32>::builder(&context, 1, 4).build().unwrap();
    let params = DeviceBuffer::<f32>::zeros(&context, rnn.param_elements()).unwrap();
    let mut workspace = Workspace::new(&context);
    let mut run = |lengths: &[i64]| {
        let batch = Batch::from_lengths(&context, lengths).unwrap();
        let tokens = batch.tokens().unwrap();
        let x = DeviceBuffer::<f32>::zeros(&context, tokens).unwrap();
        let mut y = DeviceBuffer::<f32>::zeros(&context, 4 * tokens).unwrap();
        rnn.forward(&batch, RnnForward::new(&params, &x, &mut y), &mut workspace).unwrap();
        workspace.bytes()
    };
    let small = run(&[1]);
    let large = run(&[50; 20]);
    assert!(large > small);
    assert_eq!(run(&[1]), large);
}

#[test]
fn views_are_split() {
    let mut values = [1.0f32, 2.0, 3.0];
    let (first, rest) = View::from(&values).split_at(1);
    assert_eq!((first.len(), rest.len()), (1, 2));
    let host = Context::host().unwrap();
    assert_eq!(host.read(rest).unwrap(), [2.0, 3.0]);
    let (first, rest) = ViewMut::from(&mut values).split_at(3);
    assert_eq!((first.len(), rest.is_empty()), (3, true));
    let panicked = std::panic::catch_unwind(|| View::from(&[1.0f32]).split_at(2));
    assert!(panicked.is_err());
}

#[test]
fn a_context_keeps_its_options() {
    let host = Context::builder(Backend::Host).threads(3).batch_invariant(false).math(Math::Tf32).build().unwrap();
    assert_eq!((host.backend(), host.device(), host.threads().unwrap()), (Backend::Host, 0, 3));
    assert_eq!((host.batch_invariant().unwrap(), host.math().unwrap()), (false, Math::Tf32));
    let plain = Context::host().unwrap();
    assert_eq!((plain.threads().unwrap(), plain.batch_invariant().unwrap()), (0, true));
    assert_eq!(plain.math().unwrap(), Math::F32);
}

#[test]
fn the_library_is_of_this_version() {
    assert_eq!(version() / 100, 1, "0.1");
    assert!(build_info().contains("0.1."), "{}", build_info());
}
