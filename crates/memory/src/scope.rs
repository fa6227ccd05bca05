//! The arena of one iteration: bytes before, peak and after, by child, and what leaked.
//!
//! A [`Scope`] is opened by [`crate::Ledger::scope`] and divided into children named after their
//! owner ("fit", "acquire", "evaluate", "record"). Children do not overlap.

use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

use crate::ledger::State;
use crate::meter::Bytes;

/// One child's part of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ChildReport {
    /// Whose work it was.
    pub owner: String,
    /// In use when it began.
    pub before: Bytes,
    /// Most in use while it ran.
    pub peak: Bytes,
    /// In use when it ended.
    pub after: Bytes,
    /// Bytes named by [`crate::Ledger::hold`] while it ran, gains less losses.
    pub held: i64,
}

impl ChildReport {
    /// Host and device bytes that it left behind without naming them; negative if it freed others'.
    pub fn left(&self) -> i64 {
        change(self.before, self.after) - self.held
    }
}

/// Bytes that stayed although nobody named them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leak {
    /// The child that left them; the scope's own name for work outside every child.
    pub owner: String,
    /// How many, of one place.
    pub bytes: u64,
}

/// What became of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScopeReport {
    /// Its name.
    pub name: String,
    /// In use when it began.
    pub before: Bytes,
    /// Most in use while it was open.
    pub peak: Bytes,
    /// In use when it ended.
    pub after: Bytes,
    /// Everything held by name when it ended, with the change over this scope.
    pub held: Vec<Held>,
    /// Its children in the order in which they ran; one owner may appear more than once.
    pub children: Vec<ChildReport>,
    /// What stayed unnamed: of the host beyond [`crate::TOLERANCE`], largest first, then of the device, to the byte.
    pub leaks: Vec<Leak>,
    /// Change in bytes that no name explains, also when it is within the tolerance.
    pub unexplained: i64,
}

impl ScopeReport {
    /// Most bytes in use while it was open beyond those before it.
    pub fn took(&self) -> Bytes {
        Bytes {
            host: self.peak.host.saturating_sub(self.before.host),
            device: self.peak.device.saturating_sub(self.before.device),
        }
    }
}

/// A named holding at the end of a scope.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Its name.
    pub name: String,
    /// Bytes held.
    pub bytes: u64,
    /// Change since the scope began.
    pub change: i64,
}

/// An open scope. Dropping it without [`Scope::close`] forgets it.
#[derive(Debug)]
pub struct Scope {
    pub(crate) id: u64,
    pub(crate) state: Arc<Mutex<State>>,
}

impl Scope {
    /// Opens a child; it ends when the guard is dropped.
    pub fn child(&self, owner: &str) -> Child {
        lock(&self.state).open_child(self.id, owner);
        Child {
            scope: self.id,
            state: Arc::clone(&self.state),
        }
    }

    /// Runs `work` as a child. What it returns counts as left by it.
    pub fn during<T>(&self, owner: &str, work: impl FnOnce() -> T) -> T {
        let _child = self.child(owner);
        work()
    }

    /// Ends the scope and tells what stayed.
    ///
    /// # Panics
    /// Never: a scope is open until it is closed here or dropped.
    pub fn close(self) -> ScopeReport {
        let report = lock(&self.state).close_scope(self.id);
        report.expect("a scope is open until it is closed or dropped")
    }
}

impl Drop for Scope {
    fn drop(&mut self) {
        lock(&self.state).forget(self.id);
    }
}

/// Guard of a child: its work lasts until the guard is dropped.
#[derive(Debug)]
pub struct Child {
    scope: u64,
    state: Arc<Mutex<State>>,
}

impl Drop for Child {
    fn drop(&mut self) {
        lock(&self.state).close_child(self.scope);
    }
}

/// Counting goes on after a panic elsewhere: the numbers are still whole.
pub(crate) fn lock(state: &Mutex<State>) -> std::sync::MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) fn change(before: Bytes, after: Bytes) -> i64 {
    difference(before.host, after.host) + difference(before.device, after.device)
}

pub(crate) fn difference(before: u64, after: u64) -> i64 {
    // counts of bytes lie far below 2^63
    after as i64 - before as i64
}
