//! A network's memory without its numbers.
//!
//! Central type [`Outline`]: a map with shape and bytes but no values. The layers of a network, run
//! on outlines, allocate and free in [`Books`] exactly what they allocate and free on tensors, in
//! the same order, because it is the same code; [`backward`] does for outlines what candle does for
//! tensors. The books know the peak and who held it, and an outline knows how far it sees.

mod backward;
mod books;
mod place;

use std::rc::Rc;

use candle_core::{Result, bail};

use super::activation::Activation;
use super::convolution::{Convolution, Transposed};
use super::view::View;

pub use books::{Books, Kind};
pub use place::Place;

/// A map (N x C x H x W) or weight that holds no numbers; its bytes are in the books until the last
/// clone is gone.
#[derive(Clone)]
pub struct Outline(Rc<Node>);

/// What an outline was computed from, kept while a gradient may be asked for it.
enum Origin {
    /// Given: an input, a weight, or computed where no gradient is wanted.
    Given,
    Convolution(Convolution, Outline, Outline, Outline),
    Transposed(Transposed, Outline, Outline, Outline),
    Sum(Outline, Outline),
    Scaled(Outline),
    Rectified(Outline),
    Sigmoid(Outline),
    Gated(Outline, Outline),
    Halved(Outline),
    HalvedOverlapping(Outline),
    Resized(Outline),
    Stacked(Vec<Outline>),
    /// A loss: a number for each batch, with targets and weights of the map's size.
    Loss(Outline),
    /// A product of matrices.
    Product(Outline, Outline),
    /// The number whose gradient by the first is the second, which it holds.
    Pulled(Outline, #[expect(dead_code, reason = "held")] Outline),
}

struct Node {
    shape: Vec<usize>,
    /// A gradient is wanted.
    tracked: bool,
    origin: Origin,
    sight: Sight,
    /// Last, so that the origin is let go first, as candle does.
    entry: Rc<books::Entry>,
}

/// What a map sees of the image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Sight {
    /// Pixels of the image between two neighbours.
    step: usize,
    /// Pixels of the image, on every side, that a value depends on.
    reach: usize,
}

impl Sight {
    fn with(self, other: Self) -> Self {
        Self {
            step: self.step.max(other.step),
            reach: self.reach.max(other.reach),
        }
    }

    fn reaching(self, more: usize) -> Self {
        Self {
            reach: self.reach + more * self.step,
            ..self
        }
    }
}

impl Outline {
    /// The image's own tensor, N x 3 x H x W.
    pub fn input(books: &Books, shape: [usize; 4]) -> Self {
        Self::given(books, Kind::Input, "image", &shape, false)
    }

    /// A weight or bias; `trained` if its gradient is wanted. `name` is its tensor's.
    pub fn parameter(books: &Books, name: &str, shape: &[usize], trained: bool) -> Self {
        let layer = name.rsplit_once('.').map_or(name, |(layer, _)| layer);
        Self::given(books, Kind::Model, layer, shape, trained)
    }

    fn given(books: &Books, kind: Kind, label: &str, shape: &[usize], tracked: bool) -> Self {
        let bytes = shape.iter().product::<usize>() as u64 * books.place().number();
        Self(Rc::new(Node {
            shape: shape.to_vec(),
            tracked,
            origin: Origin::Given,
            sight: Sight { step: 1, reach: 0 },
            entry: Rc::new(books.take(kind, label, bytes)),
        }))
    }

    /// The map that an operation makes under the layer `label` names.
    fn made(label: &Self, shape: Vec<usize>, sight: Sight, args: &[&Self], origin: Origin) -> Self {
        let tracked = args.iter().any(|arg| arg.0.tracked);
        let entry = &label.0.entry;
        let bytes = shape.iter().product::<usize>() as u64 * entry.books().place().number();
        Self(Rc::new(Node {
            entry: Rc::new(entry.books().take(Kind::Activation, entry.label(), bytes)),
            shape,
            tracked,
            origin: if tracked { origin } else { Origin::Given },
            sight,
        }))
    }

    /// A map of the same shape made of this one alone.
    fn alike(&self, origin: Origin) -> Self {
        Self::made(self, self.0.shape.clone(), self.0.sight, &[self], origin)
    }

    /// One of the same shape that came from nowhere and holds this entry.
    fn standing(&self, tracked: bool, entry: Rc<books::Entry>) -> Self {
        Self(Rc::new(Node {
            shape: self.0.shape.clone(),
            tracked,
            origin: Origin::Given,
            sight: self.0.sight,
            entry,
        }))
    }

    fn dims(&self) -> Result<[usize; 4]> {
        match self.0.shape[..] {
            [n, c, h, w] => Ok([n, c, h, w]),
            _ => bail!("expected four dimensions, got {:?}", self.0.shape),
        }
    }

    /// The class-balanced loss of these logits; its targets and weights are in the books.
    pub fn loss(&self) -> Self {
        let loss = Self::made(
            self,
            vec![1],
            self.0.sight,
            &[self],
            Origin::Loss(self.clone()),
        );
        // what the loss holds of its own, target and weight of every logit, lives as long as it
        loss.0.entry.enlarge(2 * self.bytes());
        loss
    }

    /// This weight with the low-rank change of two factors, as [`merged`](crate::edge::adapter::merged) makes it.
    ///
    /// # Errors
    /// None: the shape is the weight's own.
    pub fn merged(&self, down: &Self, up: &Self) -> Result<Self> {
        let origin = Origin::Product(up.clone(), down.clone());
        let shape = self.0.shape.clone();
        let product = Self::made(self, shape, self.0.sight, &[down, up], origin);
        self.plus(&product.scaled(1.0)?)
    }

    /// Bytes of its values.
    pub fn bytes(&self) -> u64 {
        self.values() * self.books().place().number()
    }

    /// How many values it has.
    pub fn values(&self) -> u64 {
        self.0.shape.iter().product::<usize>() as u64
    }

    /// Pixels of the image on every side that a value depends on: half the receptive field.
    pub fn reach(&self) -> usize {
        self.0.sight.reach
    }

    fn books(&self) -> &Books {
        self.0.entry.books()
    }
}

impl Activation for Outline {
    fn size(&self) -> Result<(usize, usize)> {
        self.dims().map(|[_, _, height, width]| (height, width))
    }

    fn convolve(&self, how: Convolution, weight: &Self, bias: &Self) -> Result<Self> {
        let shape = how.output(&self.0.shape, &weight.0.shape)?;
        let side = weight.dims()?[2];
        let sight = self.0.sight.reaching(how.dilation * (side / 2));
        let sight = Sight {
            step: sight.step * how.stride,
            ..sight
        };
        let origin = Origin::Convolution(how, self.clone(), weight.clone(), bias.clone());
        let made = Self::made(weight, shape.to_vec(), sight, &[self, weight, bias], origin);
        let (x, of) = (&self.0.shape, &weight.0.shape);
        let (scratch, beside) = match made.books().place() {
            Place::Host => (how.working_memory(x, of)?, 0),
            Place::Card { number } => how.memory_on_card(x, of, number)?,
        };
        if made.0.tracked {
            // what bias and ReLU were given stays for their gradients
            made.0.entry.enlarge(beside);
            made.books().pass(made.0.entry.label(), scratch);
        } else {
            made.books().pass(made.0.entry.label(), scratch.max(beside));
        }
        Ok(made)
    }

    fn enlarged(&self, how: Transposed, weight: &Self, bias: &Self) -> Result<Self> {
        let shape = how.output(&self.0.shape, &weight.0.shape)?;
        let side = weight.dims()?[2];
        let sight = self.0.sight.reaching(side.div_ceil(2 * how.stride));
        let sight = Sight {
            step: (sight.step / how.stride).max(1),
            ..sight
        };
        let origin = Origin::Transposed(how, self.clone(), weight.clone(), bias.clone());
        let args = [self, weight, bias];
        let made = Self::made(weight, shape.to_vec(), sight, &args, origin);
        let scratch = how.working_memory(&self.0.shape, &weight.0.shape)?;
        made.books().pass(made.0.entry.label(), scratch);
        Ok(made)
    }

    fn plus(&self, other: &Self) -> Result<Self> {
        if self.0.shape != other.0.shape {
            bail!("cannot add {:?} to {:?}", other.0.shape, self.0.shape);
        }
        let sight = self.0.sight.with(other.0.sight);
        let origin = Origin::Sum(self.clone(), other.clone());
        Ok(Self::made(
            self,
            self.0.shape.clone(),
            sight,
            &[self, other],
            origin,
        ))
    }

    fn scaled(&self, _factor: f64) -> Result<Self> {
        Ok(self.alike(Origin::Scaled(self.clone())))
    }

    fn rectified(&self) -> Result<Self> {
        Ok(self.alike(Origin::Rectified(self.clone())))
    }

    fn sigmoid(&self) -> Result<Self> {
        Ok(self.alike(Origin::Sigmoid(self.clone())))
    }

    fn gated(&self, gate: &Self) -> Result<Self> {
        let sight = self.0.sight.with(gate.0.sight);
        let origin = Origin::Gated(self.clone(), gate.clone());
        Ok(Self::made(
            self,
            self.0.shape.clone(),
            sight,
            &[self, gate],
            origin,
        ))
    }

    fn halved(&self) -> Result<Self> {
        let [n, c, h, w] = self.dims()?;
        if h < 2 || w < 2 {
            bail!("cannot halve {h} x {w}");
        }
        let sight = self.0.sight.reaching(1);
        let sight = Sight {
            step: sight.step * 2,
            ..sight
        };
        let origin = Origin::Halved(self.clone());
        Ok(Self::made(
            self,
            vec![n, c, h / 2, w / 2],
            sight,
            &[self],
            origin,
        ))
    }

    fn halved_overlapping(&self) -> Result<Self> {
        let [n, c, h, w] = self.dims()?;
        let sight = self.0.sight.reaching(1);
        let sight = Sight {
            step: sight.step * 2,
            ..sight
        };
        let shape = vec![n, c, h.div_ceil(2), w.div_ceil(2)];
        let origin = Origin::HalvedOverlapping(self.clone());
        Ok(Self::made(self, shape, sight, &[self], origin))
    }

    fn resized(&self, from: View, to: View, (height, width): (usize, usize)) -> Result<Self> {
        let [n, c, h, w] = self.dims()?;
        if from == to && (h, w) == (height, width) {
            return Ok(self.clone());
        }
        // a value mixes two neighbours, at most a step and a half away where the ratio is not whole
        let sight = self.0.sight.reaching(2);
        let sight = Sight {
            step: (sight.step * from.height / to.height.max(1)).max(1),
            ..sight
        };
        let origin = Origin::Resized(self.clone());
        Ok(Self::made(
            self,
            vec![n, c, height, width],
            sight,
            &[self],
            origin,
        ))
    }

    fn stacked(maps: &[Self]) -> Result<Self> {
        let Some(first) = maps.first() else {
            bail!("nothing to stack");
        };
        let [n, _, h, w] = first.dims()?;
        let mut channels = 0;
        for map in maps {
            channels += map.dims()?[1];
        }
        let sight = maps
            .iter()
            .fold(first.0.sight, |all, map| all.with(map.0.sight));
        let args: Vec<&Self> = maps.iter().collect();
        let origin = Origin::Stacked(maps.to_vec());
        Ok(Self::made(
            first,
            vec![n, channels, h, w],
            sight,
            &args,
            origin,
        ))
    }
}
