//! The ledger: names what is held, opens scopes, and adds up what nobody can explain.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex};

use crate::clean::Cache;
use crate::counting::Counting;
use crate::meter::{Bytes, Meter, Unmetered};
use crate::scope::{ChildReport, Held, Leak, Scope, ScopeReport, change, difference, lock};

/// Bytes an iteration may keep unnamed before it is called a leak: lazily built tables, growth of
/// vectors ahead of their need, buffers of threads. Drift below it still adds up in
/// [`Ledger::drift`].
pub const TOLERANCE: u64 = 256 * 1024;

/// Books of one process. Cheap to clone; all clones write into the same books.
#[derive(Clone, Debug)]
pub struct Ledger {
    pub(crate) state: Arc<Mutex<State>>,
}

impl Default for Ledger {
    fn default() -> Self {
        Self::new()
    }
}

impl Ledger {
    /// Books over the counting allocator and no device.
    pub fn new() -> Self {
        Self::with_meters(Box::new(Counting), Box::new(Unmetered))
    }

    /// Books over given meters of host and device.
    pub fn with_meters(host: Box<dyn Meter>, device: Box<dyn Meter>) -> Self {
        Self {
            state: Arc::new(Mutex::new(State::new(host, device))),
        }
    }

    /// Opens a scope. One inside another is a guard around a block of work: it reports its own bytes,
    /// and the outer one counts on.
    pub fn scope(&self, name: &str) -> Scope {
        Scope {
            id: lock(&self.state).open_scope(name),
            state: Arc::clone(&self.state),
        }
    }

    /// Runs a block of work inside a scope and reports what it took.
    ///
    /// ```
    /// # #[global_allocator]
    /// # static ALLOCATOR: bo_memory::Counting = bo_memory::Counting;
    /// let (kept, report) = bo_memory::Ledger::new().during("copy", || vec![1_u8; 9 << 20]);
    /// assert!(report.took().host >= kept.len() as u64 && report.after.host >= report.before.host);
    /// ```
    pub fn during<T>(&self, name: &str, work: impl FnOnce() -> T) -> (T, ScopeReport) {
        let scope = self.scope(name);
        let done = work();
        (done, scope.close())
    }

    /// Says that `name` holds `bytes` from now on (the whole, not what was added); 0 releases it.
    pub fn hold(&self, name: &str, bytes: u64) {
        lock(&self.state).hold(name, bytes);
    }

    /// Bytes in use now.
    pub fn in_use(&self) -> Bytes {
        lock(&self.state).now()
    }

    /// Everything held by name, in order of names.
    pub fn held(&self) -> Vec<(String, u64)> {
        let state = lock(&self.state);
        state
            .held
            .iter()
            .map(|(name, &bytes)| (name.clone(), bytes))
            .collect()
    }

    /// Bytes that no name explains, added up over all closed outermost scopes, with the number of scopes: a
    /// slow leak shows here long before one scope passes [`TOLERANCE`].
    pub fn drift(&self) -> (i64, u64) {
        let state = lock(&self.state);
        (state.drift, state.closed)
    }
}

/// An open scope's running numbers.
struct Open {
    id: u64,
    name: String,
    before: Bytes,
    peak: Bytes,
    held: BTreeMap<String, u64>,
    children: Vec<ChildReport>,
    child: Option<OpenChild>,
}

struct OpenChild {
    owner: String,
    before: Bytes,
    peak: Bytes,
    held: u64,
}

pub(crate) struct State {
    host: Box<dyn Meter>,
    device: Box<dyn Meter>,
    pub(crate) held: BTreeMap<String, u64>,
    pub(crate) caches: Vec<Cache>,
    /// Outermost first.
    open: Vec<Open>,
    opened: u64,
    drift: i64,
    closed: u64,
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("held", &self.held)
            .finish_non_exhaustive()
    }
}

impl State {
    fn new(host: Box<dyn Meter>, device: Box<dyn Meter>) -> Self {
        Self {
            host,
            device,
            held: BTreeMap::new(),
            caches: Vec::new(),
            open: Vec::new(),
            opened: 0,
            drift: 0,
            closed: 0,
        }
    }

    fn now(&self) -> Bytes {
        Bytes {
            host: self.host.in_use(),
            device: self.device.in_use(),
        }
    }

    /// Peak since the last boundary, entered in all that is open; begins the next one.
    pub(crate) fn boundary(&mut self) {
        let peak = Bytes {
            host: self.host.peak(),
            device: self.device.peak(),
        };
        self.host.reset_peak();
        self.device.reset_peak();
        for open in &mut self.open {
            open.peak = open.peak.max(peak);
            if let Some(child) = &mut open.child {
                child.peak = child.peak.max(peak);
            }
        }
    }

    fn hold(&mut self, name: &str, bytes: u64) {
        if bytes == 0 {
            self.held.remove(name);
        } else if let Some(held) = self.held.get_mut(name) {
            *held = bytes;
        } else {
            self.held.insert(name.to_owned(), bytes);
        }
    }

    fn open_scope(&mut self, name: &str) -> u64 {
        self.boundary();
        let id = self.opened;
        self.opened += 1;
        self.open.push(Open {
            id,
            name: name.to_owned(),
            before: Bytes::default(),
            peak: Bytes::default(),
            held: self.held.clone(),
            children: Vec::with_capacity(8),
            child: None,
        });
        // after the books themselves are allocated, so that they do not count
        let before = self.now();
        if let Some(open) = self.open.last_mut() {
            (open.before, open.peak) = (before, before);
        }
        id
    }

    fn find(&mut self, id: u64) -> Option<&mut Open> {
        self.open.iter_mut().find(|open| open.id == id)
    }

    pub(crate) fn open_child(&mut self, id: u64, owner: &str) {
        self.close_child(id);
        let owner = owner.to_owned();
        self.boundary();
        let before = self.now();
        let held = self.held.values().sum();
        if let Some(open) = self.find(id) {
            open.child = Some(OpenChild {
                owner,
                before,
                peak: before,
                held,
            });
        }
    }

    pub(crate) fn close_child(&mut self, id: u64) {
        if self.find(id).is_none_or(|open| open.child.is_none()) {
            return;
        }
        let after = self.now();
        self.boundary();
        let held: u64 = self.held.values().sum();
        let Some(open) = self.find(id) else { return };
        let Some(child) = open.child.take() else {
            return;
        };
        open.children.push(ChildReport {
            owner: child.owner,
            before: child.before,
            peak: child.peak.max(after),
            after,
            held: difference(child.held, held),
        });
    }

    /// The report of a scope that is open.
    pub(crate) fn close_scope(&mut self, id: u64) -> Option<ScopeReport> {
        self.close_child(id);
        let after = self.now();
        self.boundary();
        let place = self.open.iter().position(|open| open.id == id)?;
        let open = self.open.remove(place);
        let held = holdings(&open.held, &self.held);
        let named: i64 = held.iter().map(|held| held.change).sum();
        let unexplained = change(open.before, after) - named;
        let on_device = difference(open.before.device, after.device);
        let mut leaks = leaks(&open.name, &open.children, unexplained - on_device);
        leaks.extend(device_leak(&open.name, &open.children, on_device));
        if place == 0 {
            self.drift += unexplained;
            self.closed += 1;
        }
        Some(ScopeReport {
            leaks,
            name: open.name,
            before: open.before,
            peak: open.peak.max(after),
            after,
            held,
            children: open.children,
            unexplained,
        })
    }

    /// Forgets a scope that was not closed.
    pub(crate) fn forget(&mut self, id: u64) {
        self.open.retain(|open| open.id != id);
    }
}

/// Holdings at the end, with their change; released ones appear with 0 bytes.
fn holdings(before: &BTreeMap<String, u64>, after: &BTreeMap<String, u64>) -> Vec<Held> {
    let mut names: Vec<&String> = before.keys().chain(after.keys()).collect();
    names.sort();
    names.dedup();
    names
        .into_iter()
        .map(|name| {
            let bytes = after.get(name).copied().unwrap_or(0);
            Held {
                name: name.clone(),
                bytes,
                change: difference(before.get(name).copied().unwrap_or(0), bytes),
            }
        })
        .collect()
}

/// Splits unexplained bytes of the host over the children that left some, largest first; what no child left
/// was left between them and carries the scope's name.
fn leaks(scope: &str, children: &[ChildReport], unexplained: i64) -> Vec<Leak> {
    if unexplained <= TOLERANCE as i64 {
        return Vec::new();
    }
    let mut left: BTreeMap<&str, i64> = BTreeMap::new();
    for child in children {
        let on_device = difference(child.before.device, child.after.device);
        *left.entry(&child.owner).or_default() += child.left() - on_device;
    }
    let mut owners: Vec<(&str, i64)> = left.into_iter().filter(|&(_, bytes)| bytes > 0).collect();
    owners.sort_by_key(|&(_, bytes)| std::cmp::Reverse(bytes));
    let mut rest = unexplained;
    let mut found = Vec::new();
    for (owner, bytes) in owners {
        let blamed = bytes.min(rest);
        if blamed > TOLERANCE as i64 / 4 {
            found.push(Leak {
                owner: owner.to_owned(),
                bytes: blamed.unsigned_abs(),
            });
            rest -= blamed;
        }
    }
    if rest > TOLERANCE as i64 {
        found.push(Leak {
            owner: scope.to_owned(),
            bytes: rest.unsigned_abs(),
        });
    }
    found
}

/// Bytes that stayed on the device, where nothing is named and the count is exact: every one is a leak, blamed on the
/// child that left most.
fn device_leak(scope: &str, children: &[ChildReport], on_device: i64) -> Option<Leak> {
    let left = |child: &&ChildReport| difference(child.before.device, child.after.device);
    let most = children.iter().max_by_key(left);
    let owner = most.filter(|child| left(child) > 0);
    (on_device > 0).then(|| Leak {
        owner: format!("{}, on the GPU", owner.map_or(scope, |child| &child.owner)),
        bytes: on_device.unsigned_abs(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

    /// A place whose bytes the test moves by hand.
    #[derive(Clone, Default)]
    struct Place(Arc<(AtomicU64, AtomicU64)>);

    impl Place {
        fn take(&self, bytes: u64) {
            let now = self.0.0.fetch_add(bytes, Relaxed) + bytes;
            self.0.1.fetch_max(now, Relaxed);
        }
        fn free(&self, bytes: u64) {
            self.0.0.fetch_sub(bytes, Relaxed);
        }
    }

    impl Meter for Place {
        fn in_use(&self) -> u64 {
            self.0.0.load(Relaxed)
        }
        fn peak(&self) -> u64 {
            self.0.1.load(Relaxed)
        }
        fn reset_peak(&mut self) {
            self.0.1.store(self.0.0.load(Relaxed), Relaxed);
        }
    }

    const MB: u64 = 1 << 20;

    fn books() -> (Ledger, Place, Place) {
        let (host, device) = (Place::default(), Place::default());
        let ledger = Ledger::with_meters(Box::new(host.clone()), Box::new(device.clone()));
        (ledger, host, device)
    }

    #[test]
    fn a_leak_in_a_child_is_named_and_a_kept_buffer_is_not() {
        let (ledger, host, device) = books();
        let scope = ledger.scope("iteration 1");
        scope.during("fit", || {
            host.take(50 * MB);
            host.free(50 * MB);
        });
        scope.during("evaluate", || {
            host.take(3 * MB);
            ledger.hold("kept edge output", 3 * MB);
            device.take(2 * MB); // nobody names it
        });
        let report = scope.close();
        assert_eq!(
            report.leaks,
            [Leak {
                owner: "evaluate, on the GPU".into(),
                bytes: 2 * MB
            }]
        );
        assert_eq!(
            report.peak,
            Bytes {
                host: 50 * MB,
                device: 2 * MB
            }
        );
        assert_eq!(
            report.after,
            Bytes {
                host: 3 * MB,
                device: 2 * MB
            }
        );
        assert_eq!(report.children[0].peak.host, 50 * MB);
        assert_eq!(report.children[1].left(), 2 * MB as i64);
        assert_eq!(report.held[0].change, 3 * MB as i64);
    }

    #[test]
    fn of_the_device_every_byte_counts_and_hides_nothing_of_the_host() {
        let (ledger, host, device) = books();
        let scope = ledger.scope("iteration 1");
        scope.during("fit", || host.take(3 * MB));
        scope.during("evaluate", || device.take(512));
        let leaks = scope.close().leaks;
        let found: Vec<(&str, u64)> = leaks.iter().map(|l| (l.owner.as_str(), l.bytes)).collect();
        assert_eq!(found, [("fit", 3 * MB), ("evaluate, on the GPU", 512)]);
        // freed again, also by another child: no leak, and it makes up for none of the host's
        let scope = ledger.scope("iteration 2");
        scope.during("evaluate", || device.take(4 * MB));
        scope.during("record", || {
            device.free(4 * MB + 512);
            host.take(MB);
        });
        let leaks = scope.close().leaks;
        assert_eq!(
            (leaks.len(), leaks[0].owner.as_str(), leaks[0].bytes),
            (1, "record", MB)
        );
    }

    #[test]
    fn what_a_later_child_frees_is_no_leak() {
        let (ledger, host, _) = books();
        let scope = ledger.scope("iteration 2");
        scope.during("acquire", || host.take(8 * MB));
        scope.during("record", || host.free(8 * MB));
        let report = scope.close();
        assert!(report.leaks.is_empty());
        assert_eq!(report.unexplained, 0);
    }

    #[test]
    fn a_leak_between_children_carries_the_scope_name() {
        let (ledger, host, _) = books();
        let scope = ledger.scope("iteration 3");
        host.take(4 * MB);
        scope.during("fit", || ());
        assert_eq!(
            scope.close().leaks,
            [Leak {
                owner: "iteration 3".into(),
                bytes: 4 * MB
            }]
        );
    }

    #[test]
    fn releasing_a_holding_must_free_its_bytes() {
        let (ledger, host, _) = books();
        host.take(6 * MB);
        ledger.hold("factor", 6 * MB);
        let scope = ledger.scope("iteration 4");
        scope.during("fit", || ledger.hold("factor", 0));
        // released by name, still in memory
        assert_eq!(
            scope.close().leaks,
            [Leak {
                owner: "fit".into(),
                bytes: 6 * MB
            }]
        );
    }

    #[test]
    fn a_guard_inside_an_iteration_reports_its_block_and_the_iteration_counts_on() {
        let (ledger, host, _) = books();
        let scope = ledger.scope("iteration 5");
        let report = scope.during("evaluate", || {
            host.take(MB);
            let guard = ledger.scope("network");
            host.take(30 * MB);
            host.free(30 * MB);
            let report = guard.close();
            host.free(MB);
            report
        });
        assert_eq!(report.name, "network");
        assert_eq!((report.before.host, report.peak.host), (MB, 31 * MB));
        drop(ledger.scope("never closed"));
        let outer = scope.close();
        assert_eq!(outer.name, "iteration 5");
        assert_eq!((outer.before.host, outer.after.host), (0, 0));
        assert_eq!(outer.peak.host, 31 * MB);
        assert_eq!(outer.children[0].peak.host, 31 * MB);
        assert_eq!(ledger.drift(), (0, 1));
    }

    #[test]
    fn small_drift_adds_up() {
        let (ledger, host, _) = books();
        for iteration in 0..10 {
            let scope = ledger.scope(&format!("iteration {iteration}"));
            scope.during("fit", || host.take(1000));
            assert!(scope.close().leaks.is_empty());
        }
        assert_eq!(ledger.drift(), (10_000, 10));
    }
}
