//! A second hand that syncs a file while the first one computes.
//!
//! Its thread and all it needs are there from the beginning, so that nothing of it comes to lie in an iteration's books.

use std::fs::File;
use std::io::{Error, Result};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread;

/// Bytes of the stack of a thread that makes one call.
const STACK: usize = 64 << 10;

/// Syncs one file, aside.
#[derive(Debug)]
pub struct Aside {
    ask: SyncSender<()>,
    synced: Receiver<Result<()>>,
    under_way: bool,
}

impl Aside {
    /// One that waits to be asked; its thread ends with it. None where the system gives no thread: who syncs then waits.
    pub fn of(file: &Arc<File>) -> Option<Self> {
        let (ask, asked) = sync_channel(1);
        let (tell, synced) = sync_channel(1);
        let file = Arc::clone(file);
        let hand = thread::Builder::new().stack_size(STACK).spawn(move || {
            for () in asked {
                if tell.send(file.sync_all()).is_err() {
                    return;
                }
            }
        });
        hand.ok().map(|_| Self {
            ask,
            synced,
            under_way: false,
        })
    }

    /// Begins a sync of what was written so far; `false` where it cannot: one is under way, or its thread has ended.
    pub fn begin(&mut self) -> bool {
        if self.under_way {
            return false;
        }
        self.under_way = self.ask.send(()).is_ok();
        self.under_way
    }

    /// Waits for the sync that was begun, if there is one.
    ///
    /// # Errors
    /// That of the sync.
    pub fn end(&mut self) -> Result<()> {
        match std::mem::take(&mut self.under_way) {
            true => self
                .synced
                .recv()
                .unwrap_or_else(|_| Err(Error::other("the thread that syncs has ended"))),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_sync_is_waited_for_once_and_its_error_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let file = Arc::new(File::create(folder.path().join("lines")).unwrap());
        let mut aside = Aside::of(&file).unwrap();
        aside.end().unwrap();
        for _ in 0..3 {
            assert!(aside.begin());
            // what is written meanwhile is not in it
            assert!(!aside.begin());
            aside.end().unwrap();
        }
        // a pipe cannot be synced
        let (_reader, writer) = std::io::pipe().unwrap();
        let pipe: std::os::fd::OwnedFd = writer.into();
        let mut aside = Aside::of(&Arc::new(File::from(pipe))).unwrap();
        assert!(aside.begin());
        aside.end().unwrap_err();
        aside.end().unwrap();
    }
}
