//! Gradients of outlines: the order and the allocations of candle's own backward pass.
//!
//! Central function [`backward`], by which outlines are [`Differentiable`]. What each operation allocates on the way back stands here beside
//! its rule, because it is candle's choice, not the network's. Two habits of candle matter: the
//! gradient of an argument is first a map of zeros, then a sum beside it; and a term computed from a
//! map that is itself tracked (the mask of a ReLU, the other factor of a product) is a tracked tensor,
//! so that all it came from stays until that gradient is used.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use candle_core::Result;

use super::books::{Entry, Kind};
use super::{Node, Origin, Outline, Place};
use crate::edge::Differentiable;

/// Gradients by the address of what they belong to.
#[derive(Default)]
pub struct Gradients(BTreeMap<*const Node, Gradient>);

/// A gradient under way.
struct Gradient {
    /// What it came from, as far as it stays, and at the end its value.
    entries: Vec<Rc<Entry>>,
    /// What it came from stays.
    tracked: bool,
}

/// Runs the gradient of `loss` back to every trained parameter; answers what is then held.
///
/// # Errors
/// Shapes that do not fit.
fn backward(loss: &Outline) -> Result<Gradients> {
    let mut order = Vec::new();
    visit(loss, &mut HashSet::new(), &mut order);
    let mut gradients = Gradients::default();
    gradients.add(loss, Vec::new());
    for outline in order.into_iter().rev() {
        if matches!(outline.0.origin, Origin::Given) {
            continue; // a trained parameter: its gradient stays
        }
        // what it came from stays until the rule is done
        let found = gradients.0.remove(&Rc::as_ptr(&outline.0));
        if let Some(value) = found.as_ref().and_then(|gradient| gradient.entries.last()) {
            one(&outline, value, &mut gradients)?;
        }
    }
    Ok(gradients)
}

/// Tracked outlines, arguments before what was made of them.
fn visit(outline: &Outline, seen: &mut HashSet<*const Node>, order: &mut Vec<Outline>) {
    if !outline.0.tracked || !seen.insert(Rc::as_ptr(&outline.0)) {
        return;
    }
    match &outline.0.origin {
        Origin::Given => {}
        Origin::Convolution(_, x, weight, bias) | Origin::Transposed(_, x, weight, bias) => {
            for arg in [x, weight, bias] {
                visit(arg, seen, order);
            }
        }
        Origin::Sum(a, b) | Origin::Gated(a, b) | Origin::Product(a, b) => {
            visit(a, seen, order);
            visit(b, seen, order);
        }
        Origin::Rectified(a)
        | Origin::Sigmoid(a)
        | Origin::Scaled(a)
        | Origin::Halved(a)
        | Origin::HalvedOverlapping(a)
        | Origin::Resized(a)
        | Origin::Pulled(a, _)
        | Origin::Loss(a) => visit(a, seen, order),
        Origin::Stacked(maps) => maps.iter().for_each(|map| visit(map, seen, order)),
    }
    order.push(outline.clone());
}

/// What one operation allocates once the gradient `value` of its result is there.
fn one(outline: &Outline, value: &Rc<Entry>, gradients: &mut Gradients) -> Result<()> {
    let out = outline.bytes();
    match &outline.0.origin {
        Origin::Given => {}
        Origin::Convolution(how, x, weight, bias) => {
            let inner = match outline.books().place() {
                Place::Host => how.working_memory_back(&x.0.shape, &weight.0.shape)?,
                // the gradient of the weight is a convolution that unfolds as many values, after its gradient was turned
                Place::Card { number } => {
                    let (unfolded, _) = how.memory_on_card(&x.0.shape, &weight.0.shape, number)?;
                    unfolded + weight.bytes()
                }
            };
            convolution(outline, [x, weight, bias], inner, x.0.tracked, gradients);
        }
        Origin::Transposed(how, x, weight, bias) => {
            let inner = how.working_memory_back(&x.0.shape, &weight.0.shape)?;
            convolution(outline, [x, weight, bias], inner, true, gradients);
        }
        Origin::Sum(a, b) => {
            gradients.add(a, Vec::new());
            gradients.add(b, Vec::new());
        }
        // a factor is a variable in another shape: on the way to the variable candle forgets what its gradient came from
        Origin::Product(a, b) => {
            for factor in [a, b] {
                let gradient = term(factor, factor.bytes());
                gradients.add(factor, Vec::new());
                drop(gradient);
            }
        }
        Origin::Rectified(a) => {
            gradients.enter(a);
            let zeros = term(a, a.bytes());
            let compared = term(a, a.values());
            let mask = term(a, a.bytes());
            drop(zeros);
            let masked = term(a, a.bytes());
            gradients.add(a, vec![Rc::clone(value), compared, mask, masked]);
        }
        Origin::Sigmoid(a) => {
            let slope = (0..3).map(|_| term(a, a.bytes()));
            let mut kept: Vec<Rc<Entry>> = slope.collect();
            kept.extend([Rc::clone(value), term(a, a.bytes())]);
            gradients.add(a, kept);
        }
        Origin::Gated(a, gate) => {
            let of_a = term(a, out);
            gradients.add(a, vec![Rc::clone(value), Rc::clone(&of_a)]);
            let of_gate = term(gate, out);
            // the gate was spread over all channels: its gradient is that wide before it is summed
            let spread = (term(gate, out), term(gate, out));
            drop((of_a, of_gate));
            gradients.add(gate, Vec::new());
            drop(spread);
        }
        Origin::Halved(a) => {
            let enlarged = term(a, a.bytes());
            let equal = term(a, a.values());
            let mask = term(a, a.bytes());
            let small = [term(a, out), term(a, out)];
            let spread = term(a, a.bytes());
            let product = term(a, a.bytes());
            let mut kept = vec![Rc::clone(value), equal, mask, spread, product];
            kept.extend(small);
            gradients.add(a, kept);
            drop(enlarged);
        }
        Origin::Scaled(a) | Origin::HalvedOverlapping(a) | Origin::Resized(a) => {
            let gradient = term(a, a.bytes());
            gradients.add(a, Vec::new());
            drop(gradient);
        }
        Origin::Loss(a) => {
            let values = term(a, a.bytes());
            let gradient = term(a, a.bytes());
            drop(values);
            gradients.add(a, Vec::new());
            drop(gradient);
        }
        // what is given is handed on as it is
        Origin::Pulled(a, _) => gradients.add(a, Vec::new()),
        Origin::Stacked(maps) => maps.iter().for_each(|map| gradients.add(map, Vec::new())),
    }
    Ok(())
}

/// Gradients of image, weight and bias of a convolution; `inner` is its working memory.
fn convolution(
    outline: &Outline,
    [x, weight, bias]: [&Outline; 3],
    inner: u64,
    of_image: bool,
    gradients: &mut Gradients,
) {
    let of_x = of_image.then(|| term(x, x.bytes()));
    let of_weights = (term(weight, weight.bytes()), term(bias, bias.bytes()));
    outline.books().pass(outline.0.entry.label(), inner);
    if of_image {
        gradients.add(x, Vec::new());
    }
    gradients.add(weight, Vec::new());
    gradients.add(bias, Vec::new());
    drop((of_x, of_weights));
}

/// Bytes that one rule allocates under the layer of `of`.
fn term(of: &Outline, bytes: u64) -> Rc<Entry> {
    Rc::new(of.books().take(Kind::Gradient, of.0.entry.label(), bytes))
}

impl Differentiable for Outline {
    type Gradients = Gradients;

    fn is(&self, other: &Self) -> bool {
        Rc::ptr_eq(&self.0, &other.0)
    }

    fn leaf(&self) -> Result<Self> {
        let entry = &self.0.entry;
        let copy = entry
            .books()
            .take(Kind::Activation, entry.label(), self.bytes());
        Ok(self.standing(true, Rc::new(copy)))
    }

    fn pulled(&self, gradient: Self) -> Result<Self> {
        let origin = Origin::Pulled(self.clone(), gradient);
        Ok(Self::made(self, vec![1], self.0.sight, &[self], origin))
    }

    fn backward(&self) -> Result<Gradients> {
        backward(self)
    }

    fn taken(gradients: &mut Gradients, of: &Self) -> Option<Self> {
        let mut gradient = gradients.0.remove(&Rc::as_ptr(&of.0))?;
        Some(of.standing(false, gradient.entries.pop()?))
    }

    fn join(gradients: &mut Gradients, more: Gradients) -> Result<()> {
        for (of, mut new) in more.0 {
            let Some(value) = new.entries.pop() else {
                continue;
            };
            let value = match gradients.0.remove(&of) {
                None => value,
                Some(_old) => {
                    let sum = value
                        .books()
                        .take(Kind::Gradient, value.label(), value.bytes());
                    Rc::new(sum)
                }
            };
            let joined = Gradient {
                entries: vec![value],
                tracked: false,
            };
            gradients.0.insert(of, joined);
        }
        Ok(())
    }
}

impl Gradients {
    /// Zeros where there is no gradient yet.
    fn enter(&mut self, of: &Outline) -> &mut Gradient {
        let zeros = || Gradient {
            entries: vec![term(of, of.bytes())],
            tracked: false,
        };
        self.0.entry(Rc::as_ptr(&of.0)).or_insert_with(zeros)
    }

    /// The sum beside what was there; `kept` is what a tracked term came from.
    fn add(&mut self, of: &Outline, kept: Vec<Rc<Entry>>) {
        let gradient = self.enter(of);
        let sum = term(of, of.bytes());
        gradient.tracked |= !kept.is_empty();
        if !gradient.tracked {
            gradient.entries.clear();
        }
        gradient.entries.extend(kept);
        gradient.entries.push(sum);
    }
}
