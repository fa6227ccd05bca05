//! What a worker prints: its stderr is passed on as it comes and its last words are kept, since the runtime tells of an
//! overflowing stack or a failed allocation nowhere else; its stdout, the result, is passed on when it has ended.

use std::io::{Read, Write as _};
use std::process::{ChildStderr, ChildStdout};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

/// Bytes of stderr kept: room for a backtrace after what was said.
const KEPT: usize = 64 << 10;
/// How long to wait for the end of its output when it has ended itself: something may hold it open.
const LINGER: Duration = Duration::from_secs(2);

/// The output of one worker.
pub struct Words {
    last: Arc<Mutex<Vec<u8>>>,
    result: Arc<Mutex<Vec<u8>>>,
    ended: Receiver<()>,
}

impl Words {
    /// Listens from now on.
    pub fn of(stdout: Option<ChildStdout>, stderr: Option<ChildStderr>) -> Self {
        let (sender, ended) = channel();
        let (last, result) = (
            Arc::<Mutex<Vec<u8>>>::default(),
            Arc::<Mutex<Vec<u8>>>::default(),
        );
        let (done, kept) = (sender.clone(), Arc::clone(&last));
        thread::spawn(move || {
            each_piece(stderr, |piece| {
                // a terminal that is gone ends nobody: everything said is in log.txt
                let _ = std::io::stderr().write_all(piece);
                let mut kept = kept.lock().unwrap_or_else(PoisonError::into_inner);
                kept.extend_from_slice(piece);
                let surplus = kept.len().saturating_sub(KEPT);
                kept.drain(..surplus);
            });
            let _ = done.send(());
        });
        let kept = Arc::clone(&result);
        thread::spawn(move || {
            each_piece(stdout, |piece| {
                kept.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .extend_from_slice(piece);
            });
            let _ = sender.send(());
        });
        Self {
            last,
            result,
            ended,
        }
    }

    /// When the worker has ended: passes its result on and returns its last words.
    pub fn close(self) -> Vec<String> {
        for _ in 0..2 {
            let _ = self.ended.recv_timeout(LINGER);
        }
        let result =
            std::mem::take(&mut *self.result.lock().unwrap_or_else(PoisonError::into_inner));
        let mut stdout = std::io::stdout();
        let _ = stdout.write_all(&result).and_then(|()| stdout.flush());
        let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&last)
            .lines()
            .map(str::to_owned)
            .collect()
    }
}

fn each_piece(stream: Option<impl Read>, mut take: impl FnMut(&[u8])) {
    let Some(mut stream) = stream else { return };
    let mut piece = [0; 4096];
    while let Ok(length @ 1..) = stream.read(&mut piece) {
        take(&piece[..length]);
    }
}
