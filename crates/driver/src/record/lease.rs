//! A lease on a run, where the file system's own locks cannot be trusted: network file systems.
//!
//! The holder's claim stands in `lease.N`; whoever takes a run over creates `lease.N+1`, which only one can. The
//! holder renews its claim every tenth of [`term`]; a claim counts as given up when it says so, when its process
//! on this machine is gone, or when nothing was heard of it for a whole term. A holder that was overtaken finds
//! that out before its next write ([`Fence::check`]) and writes no more.

use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use super::error::RecordError;
use super::lock::Holder;
use super::replace::{read_limited, replace};

/// File systems that are asked over a network or by another program, by the number that `statfs` gives: NFS,
/// CIFS, SMB2, FUSE, 9p, AFS, Ceph, Lustre, GPFS, BeeGFS, OCFS2, GFS2, Coda.
const NETWORK: [u32; 13] = [
    0x0000_6969,
    0xff53_4d42,
    0xfe53_4d42,
    0x6573_5546,
    0x0102_1997,
    0x5346_414f,
    0x00c3_6400,
    0x0bd0_0bd0,
    0x4750_4653,
    0x1983_0326,
    0x7461_636f,
    0x0116_1970,
    0x7375_7245,
];

/// Whether runs in `folder` are held by a lease. `BO_LOCK=lease` says so anywhere.
pub fn leased(folder: &Path) -> bool {
    if std::env::var_os("BO_LOCK").is_some_and(|kind| kind == "lease") {
        return true;
    }
    rustix::fs::statfs(folder).is_ok_and(|system| NETWORK.contains(&(system.f_type as u32)))
}

/// Silence after which a claim is given up; `BO_LEASE_SECONDS` sets it, the same for all who share a folder.
fn term() -> Duration {
    let set = std::env::var("BO_LEASE_SECONDS").ok();
    let seconds = set.and_then(|text| text.parse().ok()).unwrap_or(60.0);
    Duration::try_from_secs_f64(seconds).unwrap_or(Duration::from_secs(60))
}

/// What `lease.N` says.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Claim {
    host: String,
    /// The start of the machine and the process namespace: within one, process numbers mean the same.
    boot: String,
    pid: u32,
    since: u64,
    /// Tells this claim from every other.
    token: String,
    /// When it was last renewed, in milliseconds since 1970 by the holder's clock.
    renewed: u64,
    /// Given up, or overtaken.
    over: bool,
}

impl Claim {
    fn new() -> Self {
        let Holder {
            pid,
            host,
            boot,
            since,
        } = Holder::this();
        let renewed = millis();
        Self {
            token: format!("{host} {boot} {pid} {renewed}"),
            host,
            boot,
            pid,
            since,
            renewed,
            over: false,
        }
    }

    /// Surely nobody's any more: given up, or its process was of this machine and is gone.
    fn is_over(&self) -> bool {
        let gone = self.holder().is_here() && !Path::new(&format!("/proc/{}", self.pid)).exists();
        self.over || gone
    }

    /// Whether it was renewed within a term, by the clocks of both.
    fn is_fresh(&self) -> bool {
        u128::from(millis().abs_diff(self.renewed)) <= term().as_millis()
    }

    fn holder(&self) -> Holder {
        Holder {
            pid: self.pid,
            host: self.host.clone(),
            boot: self.boot.clone(),
            since: self.since,
        }
    }

    fn write(&self, path: &Path) -> Result<(), RecordError> {
        let text = serde_json::to_string(self).unwrap_or_default();
        replace(path, text.as_bytes())
    }
}

fn millis() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_millis() as u64)
}

fn file_of(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("lease.{number}"))
}

fn read(path: &Path) -> Claim {
    let bytes = read_limited(path, 1 << 16).unwrap_or_default();
    // one that is being written says nothing yet
    serde_json::from_slice(&bytes).unwrap_or_default()
}

/// The claim with the highest number.
fn newest(folder: &Path) -> Option<(u64, Claim)> {
    let entries = fs::read_dir(folder).ok()?.flatten();
    let numbers = entries.filter_map(|entry| {
        let name = entry.file_name();
        name.to_str()?.strip_prefix("lease.")?.parse::<u64>().ok()
    });
    let number = numbers.max()?;
    Some((number, read(&file_of(folder, number))))
}

/// Who holds a leased run.
pub fn holder(folder: &Path) -> Option<Holder> {
    let (_, claim) = newest(folder)?;
    (!claim.is_over() && claim.is_fresh()).then(|| claim.holder())
}

/// A held lease; given up when dropped.
#[derive(Debug)]
pub struct Lease {
    fence: Fence,
    stop: Option<Sender<()>>,
    renewal: Option<JoinHandle<()>>,
}

impl Lease {
    /// Takes the lease of a run's directory, if need be after a term of silence of its last holder.
    ///
    /// # Errors
    /// [`RecordError::Held`]; [`RecordError::Io`].
    pub fn take(folder: &Path) -> Result<Self, RecordError> {
        loop {
            let before = newest(folder);
            if let Some((number, claim)) = &before
                && !claim.is_over()
            {
                let held = || RecordError::Held {
                    path: folder.to_owned(),
                    holder: claim.holder(),
                };
                if claim.is_fresh() && claim.pid != 0 {
                    return Err(held());
                }
                // clocks may differ: only what is seen to stay silent is given up
                if !silent(folder, *number, claim) {
                    return Err(held());
                }
            }
            let last = before.as_ref().map_or(0, |(number, _)| *number);
            let number = last.checked_add(1).ok_or_else(|| {
                RecordError::damaged(&file_of(folder, last), "no lease can follow this number")
            })?;
            let path = file_of(folder, number);
            let claim = Claim::new();
            match OpenOptions::new().write(true).create_new(true).open(&path) {
                Ok(file) => return Self::begin(folder, before, claim, (path, file)),
                // another was faster
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(RecordError::io(&path, "create")(error)),
            }
        }
    }

    fn begin(
        folder: &Path,
        before: Option<(u64, Claim)>,
        claim: Claim,
        (path, mut file): (PathBuf, File),
    ) -> Result<Self, RecordError> {
        let text = serde_json::to_string(&claim).unwrap_or_default();
        file.write_all(text.as_bytes())
            .and_then(|()| file.sync_all())
            .map_err(RecordError::io(&path, "write"))?;
        if let Some((number, claim)) = before {
            // who opens its own claim again sees this even where it would not see the new file
            Claim {
                over: true,
                ..claim
            }
            .write(&file_of(folder, number))?;
            let _ = fs::remove_file(file_of(folder, number.saturating_sub(1)));
        }
        let fence = Fence {
            folder: folder.to_owned(),
            path,
            token: claim.token.clone(),
        };
        let (stop, stopped) = channel::<()>();
        let renewed = fence.clone();
        let renewal = std::thread::spawn(move || {
            while stopped.recv_timeout(term() / 10) == Err(RecvTimeoutError::Timeout) {
                if renewed.own().is_err() {
                    return;
                }
                // a renewal that fails shows when the claim has grown old
                let _ = Claim {
                    renewed: millis(),
                    ..claim.clone()
                }
                .write(&renewed.path);
            }
        });
        Ok(Self {
            fence,
            stop: Some(stop),
            renewal: Some(renewal),
        })
    }

    /// What asks before each write whether the lease still stands.
    pub fn fence(&self) -> Fence {
        self.fence.clone()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(renewal) = self.renewal.take() {
            let _ = renewal.join();
        }
        if let Ok(claim) = self.fence.own() {
            let over = Claim {
                over: true,
                ..claim
            };
            let _ = over.write(&self.fence.path);
        }
    }
}

/// Whether a claim stays as it is for a whole term.
fn silent(folder: &Path, number: u64, claim: &Claim) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < term() {
        std::thread::sleep(term() / 20);
        if newest(folder) != Some((number, claim.clone())) {
            return false;
        }
    }
    true
}

/// Stands before every write to a leased run.
#[derive(Clone, Debug)]
pub struct Fence {
    folder: PathBuf,
    path: PathBuf,
    token: String,
}

impl Fence {
    /// The fence of the lease that this process's parent holds on `folder`.
    pub fn of_parent(folder: &Path) -> Option<Self> {
        let (number, claim) = newest(folder)?;
        let parent = rustix::process::getppid()?.as_raw_nonzero().get();
        // the first process of any container is number 1
        let ours = claim.holder().is_here() && u32::try_from(parent) == Ok(claim.pid);
        ours.then(|| Self {
            folder: folder.to_owned(),
            path: file_of(folder, number),
            token: claim.token,
        })
    }

    /// # Errors
    /// [`RecordError::Held`] once another holds the run, or once the lease was not renewed for a term.
    pub fn check(&self) -> Result<(), RecordError> {
        let claim = self.own()?;
        if claim.is_fresh() {
            return Ok(());
        }
        Err(self.held(claim.holder()))
    }

    /// The claim, as long as it is ours.
    fn own(&self) -> Result<Claim, RecordError> {
        let (_, newest) = newest(&self.folder).unwrap_or_default();
        let claim = read(&self.path);
        if newest.token == self.token && claim.token == self.token && !claim.over {
            return Ok(claim);
        }
        Err(self.held(newest.holder()))
    }

    fn held(&self, holder: Holder) -> RecordError {
        RecordError::Held {
            path: self.folder.clone(),
            holder,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{AttemptLine, StartedJournal};

    #[test]
    fn a_lease_is_exclusive_given_up_when_dropped_and_fenced_when_overtaken() {
        let folder = tempfile::tempdir().unwrap();
        let folder = folder.path();
        let first = Lease::take(folder).unwrap();
        first.fence().check().unwrap();
        assert!(matches!(Lease::take(folder), Err(RecordError::Held { .. })));
        assert_eq!(holder(folder).unwrap().pid, std::process::id());
        drop(first);
        assert_eq!(holder(folder), None);
        let second = Lease::take(folder).unwrap();
        // overtaken by another machine
        let other = Claim {
            host: "elsewhere".into(),
            token: "other".into(),
            ..Claim::new()
        };
        other.write(&file_of(folder, 3)).unwrap();
        match second.fence().check() {
            Err(RecordError::Held { holder, .. }) => assert_eq!(holder.host, "elsewhere"),
            found => panic!("{found:?}"),
        }
        // nor does its second hand write any more
        let mut notes = StartedJournal::open(folder, Some(second.fence())).unwrap();
        let line = AttemptLine {
            id: 1,
            attempt: 0,
            iteration: None,
            pid: 1,
            process_group: Some(2),
            birth: None,
            death: None,
            own: false,
            shared: false,
            started: 0,
        };
        notes.note(&line);
        let attempts = folder.join("attempts.jsonl");
        assert!(fs::read(&attempts).unwrap().is_empty());
        StartedJournal::open(folder, None).unwrap().note(&line);
        assert!(!fs::read(&attempts).unwrap().is_empty());
        drop(second);
        // the other's claim was left alone
        assert_eq!(holder(folder).unwrap().host, "elsewhere");
    }

    #[test]
    fn a_worker_does_not_take_the_claim_of_another_container_for_its_parents() {
        let folder = tempfile::tempdir().unwrap();
        let parent = rustix::process::getppid().unwrap().as_raw_nonzero().get();
        let ours = Claim {
            pid: parent as u32,
            ..Claim::new()
        };
        ours.write(&file_of(folder.path(), 1)).unwrap();
        assert!(Fence::of_parent(folder.path()).is_some());
        let elsewhere = Claim {
            boot: "another namespace".into(),
            ..ours
        };
        elsewhere.write(&file_of(folder.path(), 2)).unwrap();
        assert!(Fence::of_parent(folder.path()).is_none());
    }

    #[test]
    fn a_process_of_this_machine_that_is_gone_holds_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let dead = Claim {
            pid: u32::MAX,
            ..Claim::new()
        };
        dead.write(&file_of(folder.path(), 7)).unwrap();
        let lease = Lease::take(folder.path()).unwrap();
        lease.fence().check().unwrap();
        assert!(file_of(folder.path(), 8).exists());
    }
}
