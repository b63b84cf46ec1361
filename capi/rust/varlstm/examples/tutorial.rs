//! A part-of-speech tagger for three sentences of different lengths, trained to the end on the host:
//! embedding, LSTM, and a linear layer with its cross-entropy in one. Nothing is padded.
// SPDX-License-Identifier: Apache-2.0

use varlstm::{clip_grad_norm, Adam, AdamState, Batch, Context, Embedding, Layout, Linear};
use varlstm::{LinearForward, LinearLoss, LinearLossGradients, LinearLossOutputs, Loss, Reserve};
use varlstm::{Result, Rnn, RnnBackward, RnnForward, View, Workspace};

const WORDS: [&str; 10] = ["<pad>", "is", "it", "too", "late", "now", "say", "sorry", "ooh", "yeah"];
const TAGS: [&str; 6] = ["<pad>", "VB", "PRP", "RB", "JJ", "NNP"];
const LENGTHS: [i64; 3] = [7, 2, 2];
const IDS: [i64; 11] = [1, 2, 3, 4, 5, 6, 7, 8, 8, 7, 9]; // sentence after sentence
const TARGETS: [i64; 11] = [1, 2, 3, 3, 3, 1, 4, 5, 5, 4, 5];

const EMBEDDING: Embedding = Embedding { vocabulary: WORDS.len(), features: 3, padding_idx: Some(0) };
const HIDDEN: usize = 20;
const LINEAR: Linear = Linear { inputs: HIDDEN, outputs: TAGS.len() };
const STEPS: usize = 100;

/// All parameters, or their gradients, are in one flat buffer: the table, the LSTM's, the linear
/// layer's weight and bias.
struct Sizes {
    table: usize,
    rnn: usize,
    weight: usize,
    all: usize,
}

impl Sizes {
    fn new(rnn: &Rnn<f32>) -> Sizes {
        let (table, weight) = (EMBEDDING.vocabulary * EMBEDDING.features, HIDDEN * TAGS.len());
        let rnn = rnn.param_elements();
        Sizes { table, rnn, weight, all: table + rnn + weight + TAGS.len() }
    }
}

/// `count` numbers in [-0.5, 0.5), from Marsaglia's xorshift.
fn random(count: usize) -> Vec<f32> {
    let mut state = 2463534242u32;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        (state >> 8) as f32 / (1u32 << 24) as f32 - 0.5
    };
    (0..count).map(|_| next()).collect()
}

struct Tagger {
    context: Context,
    batch: Batch,
    rnn: Rnn<f32>,
    loss: Loss,
    sizes: Sizes,
    ids: [i64; 11],     // packed
    targets: [i64; 11], // packed
    params: Vec<f32>,
    grads: Vec<f32>,
    x: [f32; 11 * 3],
    y: [f32; 11 * HIDDEN],
    workspace: Workspace,
    reserve: Reserve,
}

impl Tagger {
    fn new() -> Result<Tagger> {
        let context = Context::host()?;
        let batch = Batch::from_lengths(&context, &LENGTHS)?;
        let (mut ids, mut targets) = ([0; 11], [0; 11]);
        batch.pack(Layout::Ragged, 1, &IDS, &mut ids)?;
        batch.pack(Layout::Ragged, 1, &TARGETS, &mut targets)?;
        let rnn = Rnn::builder(&context, EMBEDDING.features, HIDDEN).build()?;
        let sizes = Sizes::new(&rnn);
        Ok(Tagger {
            loss: Loss::builder(&context, TAGS.len()).ignore_index(0).build()?,
            params: random(sizes.all),
            grads: vec![0.0; sizes.all],
            x: [0.0; 11 * 3],
            y: [0.0; 11 * HIDDEN],
            workspace: Workspace::new(&context),
            reserve: Reserve::new(&context),
            context,
            batch,
            rnn,
            sizes,
            ids,
            targets,
        })
    }

    /// The loss of the parameters, and their gradients in `grads`.
    fn forward_and_backward(&mut self) -> Result<f32> {
        let sizes = &self.sizes;
        let (table, rest) = self.params.split_at(sizes.table);
        let (rnn_params, rest) = rest.split_at(sizes.rnn);
        let (weight, bias) = rest.split_at(sizes.weight);
        self.grads.fill(0.0);
        let (dtable, rest) = self.grads.split_at_mut(sizes.table);
        let (drnn, rest) = rest.split_at_mut(sizes.rnn);
        let (dweight, dbias) = rest.split_at_mut(sizes.weight);
        let (context, batch, work) = (&self.context, &self.batch, &mut self.workspace);
        let (mut out, mut lse) = ([0.0], [0.0; 11]);
        let (mut dx, mut dy) = ([0.0; 11 * 3], [0.0; 11 * HIDDEN]);

        EMBEDDING.forward(context, batch, table, &self.ids, &mut self.x)?;
        let forward = RnnForward::new(rnn_params, &self.x, &mut self.y);
        self.rnn.forward_save(batch, forward, &mut self.reserve, work)?;
        let inputs = LinearLoss { bias: Some(bias.into()), ..LinearLoss::new(HIDDEN, &self.y, weight, &self.targets) };
        let outputs = LinearLossOutputs { out: (&mut out).into(), weight_sum: None, lse: Some((&mut lse).into()) };
        self.loss.linear_cross_entropy_forward(batch, inputs, outputs, work)?;

        let gradients = LinearLossGradients {
            dout: None,
            dx: Some((&mut dy).into()),
            dweight: Some(dweight.into()),
            dbias: Some(dbias.into()),
        };
        self.loss.linear_cross_entropy_backward(batch, inputs, &lse, gradients, work)?;
        let backward = RnnBackward {
            dy: Some((&dy).into()),
            dx: Some((&mut dx).into()),
            dparams: Some(drnn.into()),
            ..RnnBackward::new(rnn_params, &self.x, &self.y)
        };
        self.rnn.backward(batch, backward, &self.reserve, work)?;
        EMBEDDING.backward(context, batch, &self.ids, &dx, dtable, work)?;
        Ok(out[0])
    }

    /// Trains, and returns the losses of all steps.
    fn train(&mut self) -> Result<Vec<f32>> {
        let adam = Adam::new(0.05);
        let mut state = AdamState::new(&self.context, self.sizes.all)?;
        let mut losses = Vec::new();
        let mut norm = [0.0];
        for _ in 0..STEPS {
            losses.push(self.forward_and_backward()?);
            clip_grad_norm(&self.context, 1.0, &mut self.grads, &mut norm, &mut self.workspace)?;
            adam.step(&self.context, &mut self.params, &self.grads, &mut state)?;
        }
        Ok(losses)
    }

    /// The most likely tag of each token, sentence after sentence.
    fn predict(&mut self) -> Result<Vec<usize>> {
        let (context, batch, work) = (&self.context, &self.batch, &mut self.workspace);
        let (table, rest) = View::from(&self.params).split_at(self.sizes.table);
        let (rnn_params, rest) = rest.split_at(self.sizes.rnn);
        let (weight, bias) = rest.split_at(self.sizes.weight);
        let (mut logits, mut ragged) = ([0.0; 11 * TAGS.len()], [0.0; 11 * TAGS.len()]);
        EMBEDDING.forward(context, batch, table, &self.ids, &mut self.x)?;
        self.rnn.forward(batch, RnnForward::new(rnn_params, &self.x, &mut self.y), work)?;
        let forward = LinearForward { bias: Some(bias), ..LinearForward::new(&self.y, weight, &mut logits) };
        LINEAR.forward(context, batch, forward, work)?;
        batch.unpack(Layout::Ragged, TAGS.len(), 0.0, &logits, &mut ragged)?;
        let best = |row: &[f32]| (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b]));
        Ok(ragged.chunks(TAGS.len()).map(|row| best(row).unwrap_or(0)).collect())
    }
}

fn main() -> Result<()> {
    let mut tagger = Tagger::new()?;
    let losses = tagger.train()?;
    println!("loss before training  {:.4}", losses[0]);
    println!("loss after {} steps  {:.4}", STEPS, losses[STEPS - 1]);
    let mut tokens = IDS.iter().zip(tagger.predict()?);
    for &length in &LENGTHS {
        let sentence: Vec<String> = (&mut tokens)
            .take(length as usize)
            .map(|(&id, tag)| format!("{}/{}", WORDS[id as usize], TAGS[tag]))
            .collect();
        println!("{}", sentence.join(" "));
    }
    Ok(())
}
