//! Every buffer of every call, on the host: exactly as long as its shape it does, an element shorter it is an error that
//! names it, and so is a state that is longer.
// SPDX-License-Identifier: Apache-2.0

use varlstm::{clip_grad_norm, convert, dropout_backward, dropout_forward, grad_norm};
use varlstm::{log_softmax_backward, log_softmax_forward, Adam, AdamState, Batch, Context, Direction, Embedding};
use varlstm::{ForeignParams, Layout, Linear, LinearBackward, LinearForward, LinearLoss, LinearLossGradients};
use varlstm::{LinearLossOutputs, Loss, LossForward, NllBackward, ParamFormat, Reduction, Reserve, Result};
use varlstm::{Rnn, RnnBackward, RnnForward, Sgd, Status, Workspace};

use crate::support::assert_error;

/// A buffer of `len` zeros.
fn zeros<T: Default + Clone>(len: usize) -> Vec<T> {
    vec![T::default(); len]
}

/// Runs `call` with the lengths of its buffers, then once for each with that one an element shorter.
fn check<const N: usize>(buffers: [(&str, usize); N], mut call: impl FnMut([usize; N]) -> Result<()>) {
    let lens = buffers.map(|(_, len)| len);
    call(lens).unwrap();
    for (k, (name, len)) in buffers.into_iter().enumerate() {
        let mut short = lens;
        short[k] -= 1;
        let text = format!("{} has {} elements, too few", name, len - 1);
        assert_error(call(short), Status::InvalidArgument, &[&text]);
    }
}

#[test]
fn of_the_recurrent_network() {
    let context = Context::host().unwrap();
    // N = 6 tokens of B = 3 sequences, I = 2, H = 4, L = 2, D = 2.
    let batch = Batch::from_lengths(&context, &[3, 1, 2]).unwrap();
    let rnn = Rnn::<f64>::builder(&context, 2, 4).num_layers(2).bidirectional(true).build().unwrap();
    let (params, x, y, state) = (rnn.param_elements(), 6 * 2, 6 * 8, 4 * 3 * 4);
    let (mut reserve, mut workspace) = (Reserve::new(&context), Workspace::new(&context));
    let buffers =
        [("params", params), ("x", x), ("y", y), ("h0", state), ("c0", state), ("h_n", state), ("c_n", state)];
    check(buffers, |[params, x, y, h0, c0, h_n, c_n]| {
        rnn.forward_save(
            &batch,
            RnnForward {
                h0: Some((&zeros(h0)).into()),
                c0: Some((&zeros(c0)).into()),
                h_n: Some((&mut zeros(h_n)).into()),
                c_n: Some((&mut zeros(c_n)).into()),
                ..RnnForward::new(&zeros(params), &zeros(x), &mut zeros(y))
            },
            &mut reserve,
            &mut workspace,
        )
    });
    let read = [("params", params), ("x", x), ("y", y), ("h0", state), ("c0", state), ("dy", y)];
    check(read, |[params, x, y, h0, c0, dy]| {
        rnn.backward(
            &batch,
            RnnBackward {
                h0: Some((&zeros(h0)).into()),
                c0: Some((&zeros(c0)).into()),
                dy: Some((&zeros(dy)).into()),
                ..RnnBackward::new(&zeros(params), &zeros(x), &zeros(y))
            },
            &reserve,
            &mut workspace,
        )
    });
    let gradients = [("dh_n", state), ("dc_n", state), ("dx", x), ("dh0", state), ("dc0", state), ("dparams", params)];
    check(gradients, |[dh_n, dc_n, dx, dh0, dc0, dparams]| {
        rnn.backward(
            &batch,
            RnnBackward {
                dh_n: Some((&zeros(dh_n)).into()),
                dc_n: Some((&zeros(dc_n)).into()),
                dx: Some((&mut zeros(dx)).into()),
                dh0: Some((&mut zeros(dh0)).into()),
                dc0: Some((&mut zeros(dc0)).into()),
                dparams: Some((&mut zeros(dparams)).into()),
                ..RnnBackward::new(&zeros(params), &zeros(x), &zeros(y))
            },
            &reserve,
            &mut workspace,
        )
    });
    for (layer, inputs) in [(0, 2), (1, 8)] {
        let tensors = [("w_ih", 16 * inputs), ("w_hh", 16 * 4), ("b_ih", 16), ("b_hh", 16), ("params", params)];
        check(tensors, |[w_ih, w_hh, b_ih, b_hh, params]| {
            let (w_ih, w_hh, b_ih, b_hh) = (zeros(w_ih), zeros(w_hh), zeros(b_ih), zeros(b_hh));
            let from = ForeignParams {
                w_ih: (&w_ih).into(),
                w_hh: (&w_hh).into(),
                b_ih: Some((&b_ih).into()),
                b_hh: Some((&b_hh).into()),
            };
            rnn.import(ParamFormat::PyTorch, layer, Direction::Backward, from, &mut zeros(params))
        });
    }
}

// [L*D, B, H] with the B of its own batch: what is longer belongs to another batch.
#[test]
fn of_a_state_are_exact() {
    let context = Context::host().unwrap();
    // B = 3, H = 4, L = 2, D = 1.
    let batch = Batch::from_lengths(&context, &[3, 1, 2]).unwrap();
    let rnn = Rnn::<f32>::builder(&context, 2, 4).num_layers(2).build().unwrap();
    let (params, x, mut y) = (zeros(rnn.param_elements()), zeros(6 * 2), zeros(6 * 4));
    let (mut reserve, mut workspace) = (Reserve::new(&context), Workspace::new(&context));
    let names = ["h0", "c0", "h_n", "c_n", "dh0", "dc0", "dh_n", "dc_n"];
    for longer in [None].into_iter().chain(names.map(Some)) {
        let state = |name| zeros(if longer == Some(name) { 25 } else { 24 });
        let result = rnn
            .forward_save(
                &batch,
                RnnForward {
                    h0: Some((&state("h0")).into()),
                    c0: Some((&state("c0")).into()),
                    h_n: Some((&mut state("h_n")).into()),
                    c_n: Some((&mut state("c_n")).into()),
                    ..RnnForward::new(&params, &x, &mut y)
                },
                &mut reserve,
                &mut workspace,
            )
            .and_then(|()| {
                rnn.backward(
                    &batch,
                    RnnBackward {
                        h0: Some((&state("h0")).into()),
                        c0: Some((&state("c0")).into()),
                        dh_n: Some((&state("dh_n")).into()),
                        dc_n: Some((&state("dc_n")).into()),
                        dh0: Some((&mut state("dh0")).into()),
                        dc0: Some((&mut state("dc0")).into()),
                        ..RnnBackward::new(&params, &x, &y)
                    },
                    &reserve,
                    &mut workspace,
                )
            });
        match longer {
            None => result.unwrap(),
            Some(name) => {
                let text = format!("{} has 25 elements, too many for the 24 of [num_layers * directions = 2", name);
                assert_error(result, Status::InvalidArgument, &[&text]);
            }
        }
    }
}

#[test]
fn of_pack_and_unpack() {
    let context = Context::host().unwrap();
    let batch = Batch::from_lengths(&context, &[3, 1, 2]).unwrap();
    for (layout, outside) in [(Layout::BatchFirst(5), 30), (Layout::TimeMajor(4), 24), (Layout::Ragged, 12)] {
        check([("src", outside), ("packed", 12)], |[src, packed]| {
            batch.pack(layout, 2, &zeros::<i64>(src), &mut zeros(packed))
        });
        check([("packed", 12), ("dst", outside)], |[packed, dst]| {
            batch.unpack(layout, 2, 0.0, &zeros::<f32>(packed), &mut zeros(dst))
        });
        check([("dpacked", 12), ("dsrc", outside)], |[dpacked, dsrc]| {
            batch.pack_backward(layout, 2, &zeros::<f64>(dpacked), &mut zeros(dsrc))
        });
        check([("ddst", outside), ("dpacked", 12)], |[ddst, dpacked]| {
            batch.unpack_backward(layout, 2, &zeros::<f64>(ddst), &mut zeros(dpacked))
        });
    }
}

#[test]
fn of_embedding_and_linear() {
    let context = Context::host().unwrap();
    let work = &mut Workspace::new(&context);
    let batch = Batch::from_lengths(&context, &[2, 0, 1]).unwrap();
    let embedding = Embedding { vocabulary: 5, features: 2, padding_idx: None };
    check([("table", 10), ("ids", 3), ("y", 6)], |[table, ids, y]| {
        embedding.forward(&context, &batch, &zeros::<f64>(table), &zeros(ids), &mut zeros(y))
    });
    check([("ids", 3), ("dy", 6), ("dtable", 10)], |[ids, dy, dtable]| {
        embedding.backward(&context, &batch, &zeros(ids), &zeros::<f64>(dy), &mut zeros(dtable), work)
    });
    let linear = Linear { inputs: 2, outputs: 4 };
    check([("x", 6), ("weight", 8), ("y", 12), ("bias", 4)], |[x, weight, y, bias]| {
        let bias: Vec<f64> = zeros(bias);
        linear.forward(
            &context,
            3,
            LinearForward {
                bias: Some((&bias).into()),
                ..LinearForward::new(&zeros(x), &zeros(weight), &mut zeros(y))
            },
            work,
        )
    });
    let buffers = [("dy", 12), ("x", 6), ("weight", 8), ("dx", 6), ("dweight", 8), ("dbias", 4)];
    check(buffers, |[dy, x, weight, dx, dweight, dbias]| {
        linear.backward(
            &context,
            &batch,
            LinearBackward {
                x: Some((&zeros(x)).into()),
                weight: Some((&zeros(weight)).into()),
                dx: Some((&mut zeros(dx)).into()),
                dweight: Some((&mut zeros(dweight)).into()),
                dbias: Some((&mut zeros(dbias)).into()),
                ..LinearBackward::<f64>::new(&zeros(dy))
            },
            work,
        )
    });
}

#[test]
fn of_losses() {
    let context = Context::host().unwrap();
    let work = &mut Workspace::new(&context);
    for (reduction, out) in [(Reduction::None, 3), (Reduction::Mean, 1), (Reduction::Sum, 1)] {
        let loss = Loss::builder(&context, 4).reduction(reduction).build().unwrap();
        let forward = [("scores", 12), ("targets", 3), ("out", out), ("class_weights", 4), ("weight_sum", 1)];
        check(forward, |[scores, targets, out, class_weights, weight_sum]| {
            loss.nll_forward(
                3,
                LossForward::<f64> {
                    class_weights: Some((&zeros(class_weights)).into()),
                    weight_sum: Some((&mut zeros(weight_sum)).into()),
                    ..LossForward::new(&zeros(scores), &zeros(targets), &mut zeros(out))
                },
                work,
            )
        });
        let backward = [("targets", 3), ("dlog_probs", 12), ("class_weights", 4), ("dout", out)];
        check(backward, |[targets, dlog_probs, class_weights, dout]| {
            loss.nll_backward(
                3,
                NllBackward::<f64> {
                    class_weights: Some((&zeros(class_weights)).into()),
                    dout: Some((&zeros(dout)).into()),
                    ..NllBackward::new(&zeros(targets), &mut zeros(dlog_probs))
                },
                work,
            )
        });
        check([("scores", 12), ("out", out), ("dlogits", 12)], |[scores, out, dlogits]| {
            let mut dlogits = zeros(dlogits);
            loss.cross_entropy_forward(
                3,
                LossForward::<f64>::new(&zeros(scores), &zeros(3), &mut zeros(out)),
                Some((&mut dlogits).into()),
                work,
            )
        });
        check([("dout", out), ("dlogits", 12)], |[dout, dlogits]| {
            loss.cross_entropy_backward::<f64>(3, &zeros(dout), &mut zeros(dlogits))
        });
        let read =
            [("x", 6), ("weight", 8), ("targets", 3), ("bias", 4), ("class_weights", 4), ("lse", 3), ("dout", out)];
        let fused =
            |[x, weight, targets, bias, class_weights, lse, dout]: [usize; 7], outputs: [usize; 3], work: &mut _| {
                let (x, weight, targets, bias, class_weights) =
                    (zeros(x), zeros(weight), zeros(targets), zeros(bias), zeros(class_weights));
                let inputs = LinearLoss::<f64> {
                    bias: Some((&bias).into()),
                    class_weights: Some((&class_weights).into()),
                    ..LinearLoss::new(2, &x, &weight, &targets)
                };
                let [dx, dweight, dbias] = outputs;
                loss.linear_cross_entropy_backward(
                    3,
                    inputs,
                    &zeros(lse),
                    LinearLossGradients {
                        dout: Some((&zeros(dout)).into()),
                        dx: Some((&mut zeros(dx)).into()),
                        dweight: Some((&mut zeros(dweight)).into()),
                        dbias: Some((&mut zeros(dbias)).into()),
                    },
                    work,
                )
            };
        check(read, |lens| fused(lens, [6, 8, 4], work));
        check([("dx", 6), ("dweight", 8), ("dbias", 4)], |lens| fused([6, 8, 3, 4, 4, 3, out], lens, work));
        check([("x", 6), ("out", out), ("weight_sum", 1), ("lse", 3)], |[x, out, weight_sum, lse]| {
            let (x, weight, targets) = (zeros(x), zeros(8), zeros(3));
            let (mut out, mut weight_sum, mut lse) = (zeros(out), zeros(weight_sum), zeros(lse));
            let outputs = LinearLossOutputs::<f64> {
                out: (&mut out).into(),
                weight_sum: Some((&mut weight_sum).into()),
                lse: Some((&mut lse).into()),
            };
            loss.linear_cross_entropy_forward(3, LinearLoss::new(2, &x, &weight, &targets), outputs, work)
        });
    }
}

#[test]
fn of_operations_on_elements_and_optimisers() {
    let context = Context::host().unwrap();
    let work = &mut Workspace::new(&context);
    check([("x", 12), ("y", 12)], |[x, y]| log_softmax_forward(&context, 3, 4, &zeros::<f64>(x), &mut zeros(y)));
    check([("y", 12), ("dy", 12), ("dx", 12)], |[y, dy, dx]| {
        log_softmax_backward(&context, 3, 4, &zeros::<f64>(y), &zeros(dy), &mut zeros(dx))
    });
    // The first buffer says how many elements there are.
    check([("y", 5)], |[y]| dropout_forward(&context, 0.5, 1, &zeros::<f64>(5), &mut zeros(y)));
    check([("dx", 5)], |[dx]| dropout_backward(&context, 0.5, 1, &zeros::<f64>(5), &mut zeros(dx)));
    check([("dst", 5)], |[dst]| convert(&context, &zeros::<f64>(5), &mut zeros::<f32>(dst)));
    check([("norm", 1)], |[norm]| grad_norm(&context, &zeros::<f64>(5), &mut zeros(norm), work));
    check([("norm", 1)], |[norm]| clip_grad_norm(&context, 1.0, &mut zeros::<f64>(5), &mut zeros(norm), work));
    let sgd = Sgd { momentum: 0.9, ..Sgd::new(0.1) };
    check([("grads", 5), ("velocity", 5)], |[grads, velocity]| {
        sgd.step(&context, &mut zeros::<f64>(5), &zeros(grads), Some((&mut zeros(velocity)).into()))
    });
    check([("grads", 5), ("state", 5)], |[grads, state]| {
        let mut state = AdamState::new(&context, state)?;
        Adam::new(0.1).step(&context, &mut zeros::<f64>(5), &zeros(grads), &mut state)
    });
}
