//! The tutorial's tagger, three sentences trained for 50 steps, against PyTorch's numbers.
// SPDX-License-Identifier: Apache-2.0

use varlstm::{log_softmax_backward, log_softmax_forward};
use varlstm::{Batch, Context, DeviceBuffer, Embedding, Layout, Linear, LinearBackward, LinearForward};
use varlstm::{LinearLoss, LinearLossGradients, LinearLossOutputs, Loss, LossForward, NllBackward};
use varlstm::{Reserve, Rnn, RnnBackward, RnnForward, Sgd, Workspace};

use crate::golden::{self, Case};
use crate::support::{assert_holds, context, unwritten, upload};

const TOLERANCE: (f64, f64) = (1e-6, 1e-12); // as in tests/README.md
const EMBEDDING: Embedding = Embedding { vocabulary: 10, features: 3, padding_idx: Some(0) };
const LINEAR: Linear = Linear { inputs: 20, outputs: 6 };

/// How the last layer and its loss are computed.
#[derive(Clone, Copy, Debug)]
enum Last {
    CrossEntropy,
    NllOfLogSoftmax,
    LinearCrossEntropy,
}

/// The parameters, or their gradients.
struct Params {
    table: DeviceBuffer<f64>,
    rnn: DeviceBuffer<f64>,
    weight: DeviceBuffer<f64>,
    bias: DeviceBuffer<f64>,
}

impl Params {
    fn of(context: &Context, case: &Case, prefix: &str) -> Params {
        let item = |name: &str| upload(context, case.real(&format!("{}{}", prefix, name)));
        Params {
            table: item("embedding.weight"),
            rnn: upload(context, &lstm_tensors(case, prefix)),
            weight: item("linear.weight"),
            bias: item("linear.bias"),
        }
    }

    fn zeros_like(context: &Context, other: &Params) -> Params {
        let zeros = |like: &DeviceBuffer<f64>| DeviceBuffer::zeros(context, like.len()).unwrap();
        Params {
            table: zeros(&other.table),
            rnn: zeros(&other.rnn),
            weight: zeros(&other.weight),
            bias: zeros(&other.bias),
        }
    }

    fn assert_close(&self, case: &Case, prefix: &str) {
        let item = |name: &str| case.real(&format!("{}{}", prefix, name));
        assert_holds("table", &self.table, item("embedding.weight"), TOLERANCE);
        assert_holds("rnn", &self.rnn, &lstm_tensors(case, prefix), TOLERANCE);
        assert_holds("weight", &self.weight, item("linear.weight"), TOLERANCE);
        assert_holds("bias", &self.bias, item("linear.bias"), TOLERANCE);
    }
}

fn lstm_tensors(case: &Case, prefix: &str) -> Vec<f64> {
    let names = ["weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0"];
    names.iter().flat_map(|name| case.real(&format!("{}lstm.{}", prefix, name)).to_vec()).collect()
}

struct Tagger {
    context: Context,
    batch: Batch,
    rnn: Rnn<f64>,
    loss: Loss,
    ids: DeviceBuffer<i64>,
    targets: DeviceBuffer<i64>,
    h0: DeviceBuffer<f64>,
    c0: DeviceBuffer<f64>,
    workspace: Workspace,
    reserve: Reserve,
}

impl Tagger {
    fn new(case: &Case) -> Tagger {
        let context = context();
        let batch = Batch::from_lengths(&context, case.ints("lengths")).unwrap();
        let pack = |padded: &[i64]| {
            let mut packed = DeviceBuffer::zeros(&context, batch.tokens().unwrap()).unwrap();
            let padded = upload(&context, padded);
            batch.pack(Layout::BatchFirst(7), 1, &padded, &mut packed).unwrap();
            packed
        };
        Tagger {
            ids: pack(case.ints("x")),
            targets: pack(case.ints("y")),
            rnn: Rnn::builder(&context, 3, 20).build().unwrap(),
            loss: Loss::builder(&context, 6).ignore_index(0).build().unwrap(),
            h0: upload(&context, case.real("h0")),
            c0: upload(&context, case.real("c0")),
            workspace: Workspace::new(&context),
            reserve: Reserve::new(&context),
            batch,
            context,
        }
    }

    /// Forward and backward; the gradients are added to `d`.
    fn run(&mut self, params: &Params, d: &mut Params, last: Last) -> f64 {
        let tokens = self.batch.tokens().unwrap();
        let mut x = unwritten(&self.context, tokens * 3);
        let mut dx = unwritten(&self.context, tokens * 3);
        let mut y = unwritten(&self.context, tokens * 20);
        let mut dy = unwritten(&self.context, tokens * 20);
        EMBEDDING.forward(&self.context, &self.batch, &params.table, &self.ids, &mut x).unwrap();
        let forward = RnnForward {
            h0: Some(self.h0.view()),
            c0: Some(self.c0.view()),
            ..RnnForward::new(&params.rnn, &x, &mut y)
        };
        self.rnn.forward_save(&self.batch, forward, &mut self.reserve, &mut self.workspace).unwrap();
        let loss = match last {
            Last::LinearCrossEntropy => self.linear_cross_entropy(params, &y, &mut dy, d),
            _ => self.linear_and_loss(params, &y, &mut dy, d, last),
        };
        let backward = RnnBackward {
            h0: Some(self.h0.view()),
            c0: Some(self.c0.view()),
            dy: Some(dy.view()),
            dx: Some(dx.view_mut()),
            dparams: Some(d.rnn.view_mut()),
            ..RnnBackward::new(&params.rnn, &x, &y)
        };
        self.rnn.backward(&self.batch, backward, &self.reserve, &mut self.workspace).unwrap();
        let (ids, work) = (&self.ids, &mut self.workspace);
        EMBEDDING.backward(&self.context, &self.batch, ids, &dx, &mut d.table, work).unwrap();
        loss
    }

    fn linear_and_loss(
        &mut self,
        params: &Params,
        y: &DeviceBuffer<f64>,
        dy: &mut DeviceBuffer<f64>,
        d: &mut Params,
        last: Last,
    ) -> f64 {
        let (context, batch, work) = (&self.context, &self.batch, &mut self.workspace);
        let elements = batch.tokens().unwrap() * 6;
        let (mut logits, mut dlogits) = (unwritten(context, elements), unwritten(context, elements));
        let mut out = unwritten(context, 1);
        let forward =
            LinearForward { bias: Some(params.bias.view()), ..LinearForward::new(y, &params.weight, &mut logits) };
        LINEAR.forward(context, batch, forward, work).unwrap();
        if let Last::CrossEntropy = last {
            let forward = LossForward::new(&logits, &self.targets, &mut out);
            let gradient = Some(dlogits.view_mut());
            self.loss.cross_entropy_forward(batch, forward, gradient, work).unwrap();
            let one = upload(context, &[1.0]);
            self.loss.cross_entropy_backward(batch, &one, &mut dlogits).unwrap();
        } else {
            let mut log_probs = unwritten(context, elements);
            let mut dlog_probs = unwritten::<f64>(context, elements);
            log_softmax_forward(context, batch, 6, &logits, &mut log_probs).unwrap();
            let forward = LossForward::new(&log_probs, &self.targets, &mut out);
            self.loss.nll_forward(batch, forward, work).unwrap();
            let backward = NllBackward::new(&self.targets, &mut dlog_probs);
            self.loss.nll_backward(batch, backward, work).unwrap();
            log_softmax_backward(context, batch, 6, &log_probs, &dlog_probs, &mut dlogits).unwrap();
        }
        let backward = LinearBackward {
            x: Some(y.view()),
            weight: Some(params.weight.view()),
            dx: Some(dy.view_mut()),
            dweight: Some(d.weight.view_mut()),
            dbias: Some(d.bias.view_mut()),
            ..LinearBackward::new(&dlogits)
        };
        LINEAR.backward(context, batch, backward, work).unwrap();
        out.to_vec().unwrap()[0]
    }

    fn linear_cross_entropy(
        &mut self,
        params: &Params,
        y: &DeviceBuffer<f64>,
        dy: &mut DeviceBuffer<f64>,
        d: &mut Params,
    ) -> f64 {
        let (batch, work) = (&self.batch, &mut self.workspace);
        let mut out = unwritten(&self.context, 1);
        let mut lse = unwritten(&self.context, batch.tokens().unwrap());
        let inputs =
            LinearLoss { bias: Some(params.bias.view()), ..LinearLoss::new(20, y, &params.weight, &self.targets) };
        let outputs = LinearLossOutputs { out: out.view_mut(), weight_sum: None, lse: Some(lse.view_mut()) };
        self.loss.linear_cross_entropy_forward(batch, inputs, outputs, work).unwrap();
        let gradients = LinearLossGradients {
            dout: None,
            dx: Some(dy.view_mut()),
            dweight: Some(d.weight.view_mut()),
            dbias: Some(d.bias.view_mut()),
        };
        self.loss.linear_cross_entropy_backward(batch, inputs, &lse, gradients, work).unwrap();
        out.to_vec().unwrap()[0]
    }
}

fn assert_loss(step: usize, loss: f64, expected: f64) {
    assert!((loss - expected).abs() <= 1e-6 * expected, "step {}: {} not {}", step, loss, expected);
}

#[test]
fn loss_and_every_gradient_equal_pytorchs_each_way() {
    let case = &golden::read("tutorial.txt")[0];
    for last in [Last::CrossEntropy, Last::NllOfLogSoftmax, Last::LinearCrossEntropy] {
        println!("{:?}", last); // shown where it fails
        let mut tagger = Tagger::new(case);
        let params = Params::of(&tagger.context, case, "");
        let mut gradients = Params::zeros_like(&tagger.context, &params);
        let loss = tagger.run(&params, &mut gradients, last);
        assert_loss(0, loss, case.real("losses")[0]);
        gradients.assert_close(case, "d");
        assert!(tagger.context.device_status(false).unwrap().is_ok());
    }
}

#[test]
fn fifty_steps_of_sgd_equal_pytorchs() {
    let case = &golden::read("tutorial.txt")[0];
    let losses = case.real("losses");
    assert_eq!(losses.len(), 50);
    let mut tagger = Tagger::new(case);
    let context = tagger.context.clone();
    let sgd = Sgd::new(case.scalar("lr"));
    let mut params = Params::of(&context, case, "");
    for (step, &expected) in losses.iter().enumerate() {
        let mut d = Params::zeros_like(&context, &params);
        let loss = tagger.run(&params, &mut d, Last::CrossEntropy);
        assert_loss(step, loss, expected);
        sgd.step(&context, &mut params.table, &d.table, None).unwrap();
        sgd.step(&context, &mut params.rnn, &d.rnn, None).unwrap();
        sgd.step(&context, &mut params.weight, &d.weight, None).unwrap();
        sgd.step(&context, &mut params.bias, &d.bias, None).unwrap();
    }
    params.assert_close(case, "final_");
}
