//! The threads that decide: the optimiser's work runs on them, and nothing else does.

use std::thread::{self, JoinHandle};

use rayon::{ThreadPool, ThreadPoolBuildError, ThreadPoolBuilder};

/// A pool of threads that can be relieved by fresh ones.
///
/// The C library keeps the small pieces that a thread has freed for what that thread asks for next (up to seven of each
/// size, a quarter of a megabyte in all, spread over pages that then cannot be given back), and lets go of them only when
/// the thread ends.
pub struct Crew {
    threads: usize,
    pool: ThreadPool,
    handles: Vec<JoinHandle<()>>,
}

impl Crew {
    /// So many threads; one for each core where no number is given. No decision depends on it.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub fn new(threads: Option<usize>) -> Result<Self, ThreadPoolBuildError> {
        let threads = threads.unwrap_or(0);
        let (pool, handles) = begin(threads)?;
        Ok(Self {
            threads,
            pool,
            handles,
        })
    }

    /// Does `work` on these threads, and waits for it.
    pub fn during<T: Send>(&self, work: impl FnOnce() -> T + Send) -> T {
        self.pool.install(work)
    }

    /// Ends the threads, and with them what the C library kept for each, once others are there. Where the system gives none
    /// they stay: more is resident then, and nothing else changes.
    ///
    /// # Errors
    /// The system gives no others.
    pub fn relieve(&mut self) -> Result<(), ThreadPoolBuildError> {
        let (pool, handles) = begin(self.threads)?;
        // they end once nothing hands them work any more; that they are asked to is not that they have
        self.pool = pool;
        for thread in std::mem::replace(&mut self.handles, handles) {
            thread.join().expect("threads of a pool do not panic");
        }
        Ok(())
    }
}

fn begin(threads: usize) -> Result<(ThreadPool, Vec<JoinHandle<()>>), ThreadPoolBuildError> {
    let mut handles = Vec::new();
    let pool = ThreadPoolBuilder::new()
        .num_threads(threads)
        .spawn_handler(|work| {
            let name = format!("decide {}", work.index());
            handles.push(thread::Builder::new().name(name).spawn(|| work.run())?);
            Ok(())
        })
        .build()?;
    Ok((pool, handles))
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
        let mut crew = Crew::new(Some(3)).unwrap();
        let (before, sum) = work(&crew);
        assert!(!before.contains(&thread::current().id()));
        assert!(before.len() <= 3);
        crew.relieve().unwrap();
        let (after, again) = work(&crew);
        assert!(after.is_disjoint(&before));
        assert_eq!(crew.handles.len(), 3);
        assert_eq!(sum, again);
    }
}
