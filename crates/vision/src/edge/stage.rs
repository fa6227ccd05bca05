//! A network in stages: what it computes, cut where gradient checkpointing may cut it.
//!
//! Central trait [`Staged`]. A stage takes what the stages before it left in a [`Passage`] and leaves what the later
//! ones need; run one after the other they are the network.

use candle_core::Result;

use super::activation::Activation;
use super::view::View;

/// What stages hand on.
#[derive(Clone)]
pub struct Passage<A> {
    /// Feature maps that later stages need; first of all the image.
    pub maps: Vec<A>,
    /// Logits so far, N x 1 x H x W: of the sides, and after the last stage the fused ones at the end.
    pub logits: Vec<A>,
    /// Where the image lies in the whole.
    pub view: View,
    /// Rows and columns of the image.
    pub size: (usize, usize),
}

/// A network in stages.
pub trait Staged<A: Activation> {
    /// How many.
    fn stages(&self) -> usize;

    /// Runs one of them, from 0.
    ///
    /// # Errors
    /// A size that the network does not take, or a failure of the device.
    fn stage(&self, index: usize, passage: Passage<A>) -> Result<Passage<A>>;

    /// Runs all of them on `x`, N x 3 x H x W: logits of the sides, and the fused ones.
    ///
    /// # Errors
    /// As [`Staged::stage`].
    fn pass(&self, x: &A, view: View) -> Result<(Vec<A>, A)> {
        let begin = Passage::new(x, view)?;
        let end =
            (0..self.stages()).try_fold(begin, |passage, index| self.stage(index, passage))?;
        Ok(end.sides_and_fused())
    }
}

impl<A: Activation> Passage<A> {
    /// Before the first stage.
    ///
    /// # Errors
    /// An image that is not N x 3 x H x W.
    pub fn new(x: &A, view: View) -> Result<Self> {
        Ok(Self {
            size: x.size()?,
            maps: vec![x.clone()],
            logits: Vec::new(),
            view,
        })
    }

    /// The logits after the last stage.
    pub fn sides_and_fused(mut self) -> (Vec<A>, A) {
        let fused = self.logits.pop().expect("the last stage fuses");
        (self.logits, fused)
    }

    /// The latest map, taken out.
    pub(super) fn take(&mut self) -> A {
        self.maps.pop().expect("the stage before left it")
    }

    /// All maps and logits.
    pub(super) fn all(&self) -> impl Iterator<Item = &A> {
        self.maps.iter().chain(&self.logits)
    }

    /// Every map and logit changed.
    pub(super) fn map(self, mut change: impl FnMut(A) -> Result<A>) -> Result<Self> {
        Ok(Self {
            maps: self
                .maps
                .into_iter()
                .map(&mut change)
                .collect::<Result<_>>()?,
            logits: self
                .logits
                .into_iter()
                .map(&mut change)
                .collect::<Result<_>>()?,
            ..self
        })
    }
}
