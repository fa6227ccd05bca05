//! Memory that a network will take, before it is run.
//!
//! Central function [`Work::footprint`]: runs the network's own layers on outlines
//! ([`super::outline`]) and reads the books. No weights are needed. What it counts is what an
//! allocator hands out; threads' stacks and the program itself are not in it.

use std::convert::Infallible;

use candle_core::Result;
use serde::Serialize;

use super::activation::Activation;
use super::adapter::pair_shapes;
use super::body::NetworkBody;
use super::checkpoint::{Differentiable as _, gradients};
use super::network::EdgeModel;
use super::outline::{Books, Kind, Outline, Place};
use super::stage::Staged;
use super::view::View;

/// Copies of a variable that AdamW holds at once while it moves it.
const ADAMW: u64 = 5;

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

/// What a step of training is made of beside its images.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Training {
    /// Crops of the step; those beyond [`Work::batch`] follow in further micro-batches, their gradients added up.
    pub crops: usize,
    /// Rank of the low-rank changes that are trained; `None` where all weights are.
    pub rank: Option<usize>,
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
    /// What AdamW remembers: two numbers for each trained value.
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
    /// The memory it takes in main memory; training is of all weights, on one micro-batch.
    ///
    /// # Errors
    /// A size that the network does not take.
    pub fn footprint(&self) -> Result<Footprint> {
        self.footprint_at(Place::Host)
    }

    /// The same at any place.
    ///
    /// # Errors
    /// As [`Work::footprint`].
    pub fn footprint_at(&self, place: Place) -> Result<Footprint> {
        if self.purpose != Purpose::Inference {
            let how = Training {
                crops: self.batch,
                rank: None,
            };
            return self.step_at(place, how);
        }
        let books = Books::at(place);
        let body = outlines(self.model, &books, false);
        let x = Outline::input(&books, [self.batch, 3, self.height, self.width]);
        drop(body.pass(&x, View::whole(self.height, self.width))?);
        Ok(read(&books))
    }

    /// The memory of a step of training, [`EdgeTrainer::step`](crate::train::EdgeTrainer::step), on micro-batches of at
    /// most this size.
    ///
    /// # Errors
    /// As [`Work::footprint`].
    pub fn step(&self, how: Training) -> Result<Footprint> {
        self.step_at(Place::Host, how)
    }

    /// The same at any place. In 16 bits variables, their sums and AdamW have 32 all the same.
    ///
    /// # Errors
    /// As [`Work::footprint`].
    pub fn step_at(&self, place: Place, how: Training) -> Result<Footprint> {
        let books = Books::at(place);
        let (learner, body) = Learner::new(self.model, &books, how.rank)?;
        let float = |of: &Outline| of.values() * size_of::<f32>() as u64;
        let trained: u64 = learner.variables.iter().map(float).sum();
        let rounded: u64 = learner.variables.iter().map(Outline::bytes).sum();
        // beside what they are rounded to
        let variables = match rounded < trained {
            true => trained,
            false => 0,
        };
        let variables = books.take(Kind::Model, "variables", variables);
        let remembered = books.take(Kind::Optimiser, "AdamW", 2 * trained);
        let mut total: Option<Vec<Option<Outline>>> = None;
        // the third and later ones find what the second found, and are no larger
        let first = self.batch.min(how.crops);
        let second = self.batch.min(how.crops - first);
        for batch in [first, second].into_iter().filter(|batch| *batch > 0) {
            let part = Self { batch, ..*self };
            let own = part.gradient(&books, &body, &learner.variables)?;
            total = Some(match total {
                None => own,
                Some(sum) => added(sum, own)?,
            });
        }
        drop(body);
        for variable in &learner.variables {
            books.pass("AdamW", ADAMW * float(variable));
        }
        drop((total, remembered, variables));
        Ok(read(&books))
    }

    /// Gradients by the variables from one micro-batch.
    fn gradient(
        &self,
        books: &Books,
        body: &NetworkBody<Outline>,
        variables: &[Outline],
    ) -> Result<Vec<Option<Outline>>> {
        let x = Outline::input(books, [self.batch, 3, self.height, self.width]);
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
        let view = View::whole(self.height, self.width);
        let (mut found, ()) = gradients(body, &x, view, checkpointed, loss)?;
        let own = variables.iter().map(|of| Outline::taken(&mut found, of));
        let own = own.collect();
        drop(targets);
        Ok(own)
    }
}

/// Sums of gradients, made one after the other; each pair is let go once its sum is there.
fn added(sum: Vec<Option<Outline>>, more: Vec<Option<Outline>>) -> Result<Vec<Option<Outline>>> {
    let pairs = sum.into_iter().zip(more);
    pairs
        .map(|(a, b)| a.zip(b).map(|(a, b)| a.plus(&b)).transpose())
        .collect()
}

/// Weights and variables of a network that is trained; they are in the books as long as this lives.
struct Learner {
    variables: Vec<Outline>,
    #[expect(
        dead_code,
        reason = "held: the weights that low-rank changes leave as they are"
    )]
    fixed: Vec<Outline>,
}

impl Learner {
    /// The variables, and the network made of them.
    fn new(
        model: EdgeModel,
        books: &Books,
        rank: Option<usize>,
    ) -> Result<(Self, NetworkBody<Outline>)> {
        let (mut variables, mut fixed) = (Vec::new(), Vec::new());
        let body = NetworkBody::new(model, |name, shape, role| {
            let weight = Outline::parameter(books, name, shape, rank.is_none());
            let Some(rank) = rank else {
                variables.push(weight.clone());
                return Ok(weight);
            };
            fixed.push(weight.clone());
            let Some(pair) = pair_shapes(shape, role, rank) else {
                return Ok(weight);
            };
            let [down, up] = pair.map(|shape| Outline::parameter(books, name, &shape, true));
            variables.extend([down.clone(), up.clone()]);
            weight.merged(&down, &up)
        })?;
        Ok((Self { variables, fixed }, body))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_card_takes_more_than_the_host_and_half_of_that_in_16_bits() {
        for model in EdgeModel::ALL {
            let work = Work {
                model,
                purpose: Purpose::Inference,
                batch: 2,
                height: 96,
                width: 128,
            };
            let card = |number| work.footprint_at(Place::Card { number }).unwrap();
            let (float, half) = (card(4), card(2));
            assert_eq!(float.peak, 2 * half.peak, "{model}");
            assert!(float.peak > work.footprint().unwrap().peak, "{model}");
            // 16 bits halve the maps of a step, not what is summed
            let work = Work {
                purpose: Purpose::Training,
                ..work
            };
            let how = Training {
                crops: 2,
                rank: Some(4),
            };
            let step = |number| work.step_at(Place::Card { number }, how).unwrap();
            let (float, half) = (step(4), step(2));
            assert_eq!(float.optimiser, half.optimiser, "{model}");
            assert!(
                half.peak < float.peak && 2 * half.peak > float.peak,
                "{model}"
            );
        }
    }
}
