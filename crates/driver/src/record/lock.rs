//! One process works on a run: a lock that the system releases with the process, and its holder's name. On network
//! file systems a [`Lease`] decides instead.

use std::fmt;
use std::fs::{self, File, OpenOptions};
use std::io::{Read as _, Seek as _, Write as _};
use std::path::Path;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::fs::{FlockOperation, flock};
use serde::{Deserialize, Serialize};

use super::error::RecordError;
use super::lease::{self, Fence, Lease, leased};

/// Who works on a run, as written in `lock`. Information only: the system's lock decides.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// Its process.
    pub pid: u32,
    /// Its machine.
    pub host: String,
    /// The start of the machine and the process namespace: within one, process numbers mean the same.
    #[serde(default)]
    pub boot: String,
    /// Since when, in seconds since 1970.
    pub since: u64,
}

impl Holder {
    /// This process.
    pub fn this() -> Self {
        let host = rustix::system::uname()
            .nodename()
            .to_string_lossy()
            .into_owned();
        let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default();
        let namespace = fs::read_link("/proc/self/ns/pid").unwrap_or_default();
        Self {
            pid: std::process::id(),
            host,
            boot: format!("{} {}", boot.trim(), namespace.display()),
            since: now(),
        }
    }

    /// Whether its process number means the same here.
    pub fn is_here(&self) -> bool {
        self.boot == Self::this().boot
    }

    /// How long to wait for the lock: a reader asks for an instant; the worker of a parent that was killed,
    /// which the lock still names, may take seconds to give its memory back.
    fn patience(&self) -> Duration {
        let gone = self.is_here() && !Path::new(&format!("/proc/{}", self.pid)).exists();
        if gone {
            Duration::from_secs(10)
        } else {
            Duration::from_millis(200)
        }
    }
}

/// Seconds since 1970.
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.pid == 0 {
            return f.write_str("another process that has not written its name yet");
        }
        let minutes = now().saturating_sub(self.since) / 60;
        write!(
            f,
            "process {} on {}{} (for {minutes} min)",
            self.pid,
            self.host,
            match self.host == Self::this().host && !self.is_here() {
                true => ", in another container",
                false => "",
            }
        )
    }
}

/// Between two tries of a lock.
const PAUSE: Duration = Duration::from_millis(20);

/// The held lock; released when dropped or when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    file: File,
    /// Where locks cannot be trusted: the lease, in the process that holds it.
    _lease: Option<Lease>,
    /// Asks before each write whether it stands.
    fence: Option<Fence>,
}

impl Lock {
    /// Takes the lock of a run's directory, which must exist.
    ///
    /// # Errors
    /// [`RecordError::Held`] naming the holder; [`RecordError::Io`].
    pub fn take(folder: &Path) -> Result<Self, RecordError> {
        if let Some(file) = inherited(folder) {
            let fence = Fence::of_parent(folder);
            if fence.is_none() && leased(folder) {
                return Err(RecordError::Held {
                    path: folder.to_owned(),
                    holder: lease::holder(folder).unwrap_or_default(),
                });
            }
            return Ok(Self {
                file,
                _lease: None,
                fence,
            });
        }
        let path = folder.join("lock");
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(RecordError::io(&path, "open"))?;
        if leased(folder) {
            let lease = Lease::take(folder)?;
            return Ok(Self {
                file,
                fence: Some(lease.fence()),
                _lease: Some(lease),
            });
        }
        let begun = Instant::now();
        while let Err(error) = flock(&file, FlockOperation::NonBlockingLockExclusive) {
            if error != rustix::io::Errno::WOULDBLOCK {
                return Err(RecordError::io(&path, "lock")(error.into()));
            }
            let holder = named_in(&mut file);
            if begun.elapsed() > holder.patience() {
                return Err(RecordError::Held {
                    path: folder.to_owned(),
                    holder,
                });
            }
            std::thread::sleep(PAUSE);
        }
        let text = serde_json::to_string(&Holder::this()).unwrap_or_default();
        file.set_len(0)
            .and_then(|()| file.rewind())
            .and_then(|()| file.write_all(text.as_bytes()))
            .map_err(RecordError::io(&path, "write"))?;
        Ok(Self {
            file,
            _lease: None,
            fence: None,
        })
    }

    /// What has to be asked before each write, on a leased run.
    pub fn fence(&self) -> Option<Fence> {
        self.fence.clone()
    }

    /// A hand on the same lock for a worker's standard input: the lock is held while any hand is.
    ///
    /// # Errors
    /// When the system has no more files to give.
    pub fn share(&self) -> std::io::Result<File> {
        self.file.try_clone()
    }

    /// Who holds the lock of a run, if anybody other than this process and its parent does. Never takes or disturbs it for longer than the question.
    pub fn holder(folder: &Path) -> Option<Holder> {
        let begun = Instant::now();
        loop {
            let holder = Self::holder_now(folder)?;
            if begun.elapsed() > holder.patience() {
                return Some(holder);
            }
            std::thread::sleep(PAUSE);
        }
    }

    fn holder_now(folder: &Path) -> Option<Holder> {
        if inherited(folder).is_some() {
            return None;
        }
        if leased(folder) {
            return lease::holder(folder);
        }
        let mut file = File::open(folder.join("lock")).ok()?;
        match flock(&file, FlockOperation::NonBlockingLockShared) {
            Ok(()) => None,
            Err(_) => Some(named_in(&mut file)),
        }
    }
}

/// The lock of `folder`, if this process was given it as its standard input by the one that watches it.
fn inherited(folder: &Path) -> Option<File> {
    let given = rustix::fs::fstat(rustix::stdio::stdin()).ok()?;
    let lock = rustix::fs::stat(folder.join("lock")).ok()?;
    if (given.st_dev, given.st_ino) != (lock.st_dev, lock.st_ino) {
        return None;
    }
    let file = File::from(rustix::io::fcntl_dupfd_cloexec(rustix::stdio::stdin(), 3).ok()?);
    if !leased(folder) {
        flock(&file, FlockOperation::NonBlockingLockExclusive).ok()?;
    }
    Some(file)
}

fn named_in(file: &mut File) -> Holder {
    let mut text = String::new();
    let _ = file.rewind();
    let mut limited = file.take(4096);
    match limited.read_to_string(&mut text) {
        Ok(_) => serde_json::from_str(&text).unwrap_or_default(),
        Err(_) => Holder::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_is_refused_and_told_who_holds_it() {
        let folder = tempfile::tempdir().unwrap();
        assert!(Lock::holder(folder.path()).is_none());
        let lock = Lock::take(folder.path()).unwrap();
        match Lock::take(folder.path()) {
            Err(RecordError::Held { holder, .. }) => assert_eq!(holder.pid, std::process::id()),
            other => panic!("{other:?}"),
        }
        assert_eq!(Lock::holder(folder.path()).unwrap().pid, std::process::id());
        drop(lock);
        Lock::take(folder.path()).unwrap();
    }
}
