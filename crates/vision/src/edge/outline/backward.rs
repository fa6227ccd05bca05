//! Gradients of outlines: the order and the allocations of candle's own backward pass.
//!
//! Central function [`backward`]. What each operation allocates on the way back stands here beside
//! its rule, because it is candle's choice, not the network's: the gradient of an argument is first
//! a map of zeros, then a sum beside it.

use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

use candle_core::Result;

use super::books::{Entry, Kind};
use super::{NUMBER, Node, Origin, Outline};

/// Gradients by the address of what they belong to.
#[derive(Default)]
struct Gradients(BTreeMap<*const Node, Entry>);

/// Runs the gradient of `loss` back to every trained parameter; answers the gradients' entries.
///
/// # Errors
/// Shapes that do not fit.
pub fn backward(loss: &Outline) -> Result<Vec<Entry>> {
    let mut order = Vec::new();
    visit(loss, &mut HashSet::new(), &mut order);
    let mut gradients = Gradients::default();
    gradients.accumulate(loss);
    for outline in order.into_iter().rev() {
        if matches!(outline.0.origin, Origin::Given) {
            continue; // a trained parameter: its gradient stays
        }
        let gradient = gradients.0.remove(&Rc::as_ptr(&outline.0));
        one(&outline, &mut gradients)?;
        drop(gradient);
    }
    Ok(gradients.0.into_values().collect())
}

/// Tracked outlines, arguments before what was made of them.
fn visit(outline: &Outline, seen: &mut HashSet<*const Node>, order: &mut Vec<Outline>) {
    if !outline.0.tracked || !seen.insert(Rc::as_ptr(&outline.0)) {
        return;
    }
    match &outline.0.origin {
        Origin::Given => {}
        Origin::Convolution(_, x, weight, bias) => {
            for arg in [x, weight, bias] {
                visit(arg, seen, order);
            }
        }
        Origin::Sum(a, b) | Origin::Gated(a, b) => {
            visit(a, seen, order);
            visit(b, seen, order);
        }
        Origin::Rectified(a)
        | Origin::Sigmoid(a)
        | Origin::Halved(a)
        | Origin::Resized(a)
        | Origin::Loss(a) => visit(a, seen, order),
        Origin::Stacked(maps) => maps.iter().for_each(|map| visit(map, seen, order)),
    }
    order.push(outline.clone());
}

/// What one operation allocates when its gradient is there.
fn one(outline: &Outline, gradients: &mut Gradients) -> Result<()> {
    let out = outline.bytes();
    match &outline.0.origin {
        Origin::Given => {}
        Origin::Convolution(how, x, weight, bias) => {
            let inner = how.working_memory_back(&x.0.shape, &weight.0.shape)?;
            let of_x = x.0.tracked.then(|| term(x, x.bytes()));
            let of_weights = (term(weight, weight.bytes()), term(bias, bias.bytes()));
            outline.books().pass(outline.0.entry.label(), inner);
            if x.0.tracked {
                gradients.accumulate(x);
            }
            gradients.accumulate(weight);
            gradients.accumulate(bias);
            drop((of_x, of_weights));
        }
        Origin::Sum(a, b) => {
            gradients.accumulate(a);
            gradients.accumulate(b);
        }
        Origin::Rectified(a) => {
            // zeros of the gradient, zeros to compare with, a byte a comparison, the same as numbers
            gradients.enter(a);
            let compared = term(a, a.bytes() + a.bytes() / NUMBER);
            let mask = term(a, a.bytes());
            drop(compared);
            let masked = term(a, a.bytes());
            gradients.accumulate(a);
            drop((mask, masked));
        }
        Origin::Sigmoid(a) => {
            let inner = term(a, 3 * a.bytes());
            drop(inner);
            let gradient = term(a, a.bytes());
            gradients.accumulate(a);
            drop(gradient);
        }
        Origin::Gated(a, gate) => {
            let of_a = term(a, out);
            gradients.accumulate(a);
            let of_gate = term(gate, out);
            let spread = term(gate, 2 * out);
            drop(spread);
            gradients.accumulate(gate);
            drop((of_a, of_gate));
        }
        Origin::Halved(a) => {
            let enlarged = term(a, a.bytes());
            let equal = term(a, a.bytes() / NUMBER);
            let mask = term(a, a.bytes());
            drop(equal);
            let small = term(a, 2 * out);
            let spread = term(a, a.bytes());
            let gradient = term(a, a.bytes());
            drop(spread);
            gradients.accumulate(a);
            drop((enlarged, mask, small, gradient));
        }
        Origin::Resized(a) => {
            let gradient = term(a, a.bytes());
            gradients.accumulate(a);
            drop(gradient);
        }
        Origin::Loss(a) => {
            let values = term(a, a.bytes());
            let gradient = term(a, a.bytes());
            drop(values);
            gradients.accumulate(a);
            drop(gradient);
        }
        Origin::Stacked(maps) => maps.iter().for_each(|map| gradients.accumulate(map)),
    }
    Ok(())
}

/// Bytes that one rule allocates under the layer of `of`.
fn term(of: &Outline, bytes: u64) -> Entry {
    of.books().take(Kind::Gradient, of.0.entry.label(), bytes)
}

impl Gradients {
    /// Zeros where there is no gradient yet.
    fn enter(&mut self, of: &Outline) {
        let zeros = || term(of, of.bytes());
        self.0.entry(Rc::as_ptr(&of.0)).or_insert_with(zeros);
    }

    /// The sum beside what was there, which then goes.
    fn accumulate(&mut self, of: &Outline) {
        self.enter(of);
        let sum = term(of, of.bytes());
        self.0.insert(Rc::as_ptr(&of.0), sum);
    }
}
