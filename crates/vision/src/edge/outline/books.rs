//! The books that outlines are entered in: bytes now, at the peak, and whose they were then.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::place::Place;

/// What bytes are for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// Weights and biases.
    Model,
    /// What an optimiser remembers of each weight.
    Optimiser,
    /// The image as the network reads it.
    Input,
    /// What layers make.
    Activation,
    /// What flows back: gradients of maps and of weights.
    Gradient,
    /// Working memory inside one operation.
    Scratch,
}

/// Bytes by kind and layer. Clones share one book.
#[derive(Clone, Default)]
pub struct Books(Rc<RefCell<Pages>>);

#[derive(Default)]
struct Pages {
    place: Place,
    now: u64,
    peak: u64,
    live: BTreeMap<(Kind, Rc<str>), u64>,
    at_peak: BTreeMap<(Kind, Rc<str>), u64>,
}

/// Bytes that are in the books until this is dropped.
pub struct Entry {
    books: Books,
    kind: Kind,
    label: Rc<str>,
    bytes: std::cell::Cell<u64>,
}

impl Books {
    /// Of tensors at this place.
    pub fn at(place: Place) -> Self {
        let books = Self::default();
        books.0.borrow_mut().place = place;
        books
    }

    /// Where its tensors are.
    pub fn place(&self) -> Place {
        self.0.borrow().place
    }

    /// Enters bytes.
    pub fn take(&self, kind: Kind, label: &str, bytes: u64) -> Entry {
        let label: Rc<str> = label.into();
        self.0.borrow_mut().add(kind, &label, bytes);
        Entry {
            books: self.clone(),
            kind,
            label,
            bytes: bytes.into(),
        }
    }

    /// Enters bytes of working memory and takes them out again.
    pub fn pass(&self, label: &str, bytes: u64) {
        drop(self.take(Kind::Scratch, label, bytes));
    }

    /// Most bytes at one moment.
    pub fn peak(&self) -> u64 {
        self.0.borrow().peak
    }

    /// Bytes at that moment by kind and layer, in order of kinds and names.
    pub fn at_peak(&self) -> Vec<(Kind, String, u64)> {
        let pages = self.0.borrow();
        let entries = pages.at_peak.iter().filter(|(_, bytes)| **bytes > 0);
        entries
            .map(|((kind, label), bytes)| (*kind, label.to_string(), *bytes))
            .collect()
    }
}

impl Pages {
    fn add(&mut self, kind: Kind, label: &Rc<str>, bytes: u64) {
        *self.live.entry((kind, Rc::clone(label))).or_default() += bytes;
        self.now += bytes;
        if self.now > self.peak {
            self.peak = self.now;
            self.at_peak.clone_from(&self.live);
        }
    }
}

impl Entry {
    /// The books it is in.
    pub fn books(&self) -> &Books {
        &self.books
    }

    /// The layer it is entered under.
    pub fn label(&self) -> &str {
        &self.label
    }

    /// Bytes of it.
    pub fn bytes(&self) -> u64 {
        self.bytes.get()
    }

    /// Adds bytes that live as long.
    pub fn enlarge(&self, more: u64) {
        self.bytes.set(self.bytes.get() + more);
        self.books.0.borrow_mut().add(self.kind, &self.label, more);
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        let mut pages = self.books.0.borrow_mut();
        pages.now -= self.bytes.get();
        if let Some(live) = pages.live.get_mut(&(self.kind, Rc::clone(&self.label))) {
            *live -= self.bytes.get();
        }
    }
}
