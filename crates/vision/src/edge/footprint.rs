//! Memory that a network will take, before it is run.
//!
//! Central function [`Work::footprint`]: runs the network's own layers on outlines
//! ([`super::outline`]) and reads the books. No weights are needed. What it counts is what an
//! allocator hands out; threads' stacks and the program itself are not in it.

use std::convert::Infallible;

use candle_core::Result;
use serde::Serialize;

use super::activation::Activation;
use super::body::NetworkBody;
use super::checkpoint::gradients;
use super::network::EdgeModel;
use super::outline::{Books, Kind, Outline};
use super::stage::Staged;
use super::view::View;

/// What a network is run for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Purpose {
    /// Logits of images.
    Inference,
    /// A step of training: forward, loss of all sides, gradients, AdamW.
    Training,
    /// The same with gradient checkpointing.
    CheckpointedTraining,
}

/// Something that a network is going to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Work {
    /// The network.
    pub model: EdgeModel,
    /// What for.
    pub purpose: Purpose,
    /// Images at once.
    pub batch: usize,
    /// Rows of each, as the network reads it.
    pub height: usize,
    /// Columns of each.
    pub width: usize,
}

/// Bytes at the moment at which most are held, by what they are for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Footprint {
    /// Weights and biases.
    pub model: u64,
    /// What AdamW remembers: two numbers for each weight.
    pub optimiser: u64,
    /// Gradients of maps and of weights.
    pub gradients: u64,
    /// The images as the network reads them, and in training their targets and weights.
    pub input: u64,
    /// Maps that layers made.
    pub activations: u64,
    /// Working memory inside one operation.
    pub scratch: u64,
    /// The sum of the above.
    pub peak: u64,
    /// Activations and gradients by layer, largest first.
    pub layers: Vec<(String, u64)>,
}

impl Footprint {
    /// The peak without the model, which is there before the work begins.
    pub fn beside_model(&self) -> u64 {
        self.peak - self.model - self.optimiser
    }
}

impl Work {
    /// The memory it takes.
    ///
    /// # Errors
    /// A size that the network does not take.
    pub fn footprint(&self) -> Result<Footprint> {
        let books = Books::default();
        let training = self.purpose != Purpose::Inference;
        let body = outlines(self.model, &books, training);
        let remembered = training.then(|| books.take(Kind::Optimiser, "AdamW", 2 * books.peak()));
        let shape = [self.batch, 3, self.height, self.width];
        let x = Outline::input(&books, shape);
        let view = View::whole(self.height, self.width);
        if training {
            // one number each for target and weight of every pixel
            let targets = books.take(Kind::Input, "targets", 2 * x.bytes() / 3);
            let checkpointed = self.purpose == Purpose::CheckpointedTraining;
            let loss = |sides: Vec<Outline>, fused: Outline| {
                let mut all = fused.loss();
                for side in &sides {
                    all = all.plus(&side.loss())?;
                }
                Ok((all, ()))
            };
            drop(gradients(&body, &x, view, checkpointed, loss)?);
            drop(targets);
        } else {
            drop(body.pass(&x, view)?);
        }
        drop((x, remembered));
        Ok(read(&books))
    }
}

impl EdgeModel {
    /// Pixels of the image on every side that a logit depends on, at most.
    ///
    /// # Errors
    /// None for a network whose layers fit together.
    pub fn reach(self) -> Result<usize> {
        const SIDE: usize = 64;
        let books = Books::default();
        let x = Outline::input(&books, [1, 3, SIDE, SIDE]);
        let (_, fused) = outlines(self, &books, false).pass(&x, View::whole(SIDE, SIDE))?;
        Ok(fused.reach())
    }
}

/// The layers of a network over outlines whose weights are in `books`.
fn outlines(model: EdgeModel, books: &Books, trained: bool) -> NetworkBody<Outline> {
    let Ok(body) = NetworkBody::new(model, |name, shape, _| {
        Ok::<_, Infallible>(Outline::parameter(books, name, shape, trained))
    });
    body
}

fn read(books: &Books) -> Footprint {
    let mut found = Footprint {
        peak: books.peak(),
        ..Footprint::default()
    };
    let mut layers = std::collections::BTreeMap::new();
    for (kind, label, bytes) in books.at_peak() {
        *match kind {
            Kind::Model => &mut found.model,
            Kind::Optimiser => &mut found.optimiser,
            Kind::Input => &mut found.input,
            Kind::Activation => &mut found.activations,
            Kind::Gradient => &mut found.gradients,
            Kind::Scratch => &mut found.scratch,
        } += bytes;
        if matches!(kind, Kind::Activation | Kind::Gradient) {
            *layers.entry(label).or_insert(0) += bytes;
        }
    }
    found.layers = layers.into_iter().collect();
    found
        .layers
        .sort_by_key(|(_, bytes)| std::cmp::Reverse(*bytes));
    found
}
