//! The threads that decide: the optimiser's work runs on them, and nothing else does.

use std::thread::{self, JoinHandle};

use rayon::{ThreadPool, ThreadPoolBuilder};

/// A pool of threads that can be relieved by fresh ones.
///
/// The C library keeps the small pieces that a thread has freed for what that thread asks for next (up to seven of each
/// size, a quarter of a megabyte in all, spread over pages that then cannot be given back), and lets go of them only when
/// the thread ends.
pub struct Crew {
    threads: usize,
    /// Always there between calls.
    pool: Option<ThreadPool>,
    handles: Vec<JoinHandle<()>>,
}

impl Crew {
    /// So many threads; one for each core where no number is given. No decision depends on it.
    ///
    /// # Panics
    /// When the system gives no more threads.
    pub fn new(threads: Option<usize>) -> Self {
        let mut crew = Self {
            threads: threads.unwrap_or(0),
            pool: None,
            handles: Vec::new(),
        };
        crew.begin();
        crew
    }

    /// Does `work` on these threads, and waits for it.
    pub fn during<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        let pool = self.pool.as_ref().expect("there between calls");
        pool.install(work)
    }

    /// Ends the threads, and with them what the C library kept for each, and begins others.
    pub fn relieve(&mut self) {
        // they end once nothing hands them work any more; that they are asked to is not that they have
        self.pool = None;
        for thread in self.handles.drain(..) {
            thread.join().expect("threads of a pool do not panic");
        }
        self.begin();
    }

    fn begin(&mut self) {
        let handles = &mut self.handles;
        let pool = ThreadPoolBuilder::new()
            .num_threads(self.threads)
            .spawn_handler(|work| {
                let name = format!("decide {}", work.index());
                let thread = thread::Builder::new().name(name).spawn(|| work.run())?;
                handles.push(thread);
                Ok(())
            })
            .build();
        self.pool = Some(pool.expect("the system gives threads"));
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;
    use std::sync::Mutex;

    use rayon::prelude::*;

    use super::*;

    /// Who works, and the sum of what is worked on.
    fn work(crew: &Crew) -> (HashSet<thread::ThreadId>, u64) {
        let seen = Mutex::new(HashSet::new());
        let sum = crew.during(|| {
            let each = (0..1000_u64).into_par_iter().map(|i| {
                seen.lock().unwrap().insert(thread::current().id());
                i
            });
            each.sum()
        });
        (seen.into_inner().unwrap(), sum)
    }

    #[test]
    fn those_who_relieve_are_others_and_do_the_same() {
        let mut crew = Crew::new(Some(3));
        let (before, sum) = work(&crew);
        assert!(!before.contains(&thread::current().id()));
        assert!(before.len() <= 3);
        crew.relieve();
        let (after, again) = work(&crew);
        assert!(after.is_disjoint(&before));
        assert_eq!(crew.handles.len(), 3);
        assert_eq!(sum, again);
    }
}
