//! Deaths on demand, for the tests of what follows them. Builds without debug assertions hold none of this.
//!
//! `BO_FAULT="segv fit 2"` is a memory fault when iteration 2 begins to fit. It strikes while the run holds no
//! post-mortem; `"segv fit 2 3"` while it holds fewer than three.
//!
//! Before the loop begins `"hang open 0"` strikes when what the run works with is opened, `"hang look 3"` once three
//! images were looked at, `"hang replay 2"` when the decision of iteration 2 is computed again.
//!
//! `BO_FAULT="oom batch 6"` has the edge network run out of memory with more than 6 images at once, `"oom window 40000"`
//! with more than so many pixels. `"lost attempt 3"` loses the device at the third attempt of the network and at every
//! later one of the process, as a device is lost; while the run holds no post-mortem, `"lost attempt 3 2"` fewer than two.
//! `"oom crops 6 2"` has training run out of memory with more than 6 crops at once from step 2 on, `"oom crops 0 2"`
//! wherever maps are kept, `"oom all 2"` always.
//!
//! `unsafe` for the one write to an address that belongs to nobody, which is the fault.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

use bo_vision::edge::{Attempt, EdgeError};
use bo_vision::train::Pace;

use super::Step;
use crate::event::Phase;

/// Most bytes that `fill` takes before it gives up waiting for the kernel.
const FILL: usize = 1 << 30;

/// Bytes that `leak` never gives back.
const LEAK: usize = 256 << 20;

/// Where the run is, once its loop has made a step.
static FOLDER: OnceLock<PathBuf> = OnceLock::new();

/// Attempts of the network so far.
static ATTEMPTS: AtomicU64 = AtomicU64::new(0);

/// Strikes if `BO_FAULT` names this moment of the run in `folder`.
pub fn reach(phase: Phase, iteration: u64, folder: &Path) {
    FOLDER.get_or_init(|| folder.to_owned());
    let here = match phase {
        Phase::Fit => "fit",
        Phase::Acquire => "acquire",
        Phase::Evaluate => "evaluate",
        Phase::Record => "checkpoint",
    };
    strike_at(here, iteration, folder);
}

/// Strikes if `BO_FAULT` names this step before the loop.
pub fn tell(step: Step<'_>) {
    let (here, number) = match step {
        Step::Open { out } => {
            FOLDER.get_or_init(|| out.to_owned());
            ("open", 0)
        }
        Step::Look { done, .. } => ("look", done),
        Step::Replay { iteration, .. } => ("replay", iteration),
        Step::Start | Step::SetUp { .. } => return,
    };
    if let Some(folder) = FOLDER.get() {
        strike_at(here, number, folder);
    }
}

fn strike_at(here: &str, reached: u64, folder: &Path) {
    let Ok(order) = std::env::var("BO_FAULT") else {
        return;
    };
    let words: Vec<&str> = order.split(' ').collect();
    let &[kind, at, number, ref times @ ..] = words.as_slice() else {
        return;
    };
    if at == here && number.parse() == Ok(reached) && is_due(folder, times) {
        strike(kind);
    }
}

/// Whether the run holds fewer post-mortems than the number at the end of an order says; 1 where it is left out.
fn is_due(folder: &Path, times: &[&str]) -> bool {
    let times: u32 = times
        .first()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    !folder.join(format!("postmortem-{times:03}.json")).exists()
}

/// How `BO_FAULT` has this attempt fail.
pub fn device_failure(attempt: Attempt) -> Option<EdgeError> {
    let order = std::env::var("BO_FAULT").ok()?;
    let (of, most) = match order.split(' ').collect::<Vec<_>>()[..] {
        ["oom", "batch", most] => (attempt.batch, most),
        ["oom", "window", most] => (attempt.window.0 * attempt.window.1, most),
        ["lost", "attempt", number, ref times @ ..] => {
            let late = ATTEMPTS.fetch_add(1, Relaxed) + 1 >= number.parse().ok()?;
            return (late && is_due(FOLDER.get()?, times)).then(uncorrectable);
        }
        _ => return None,
    };
    let most: usize = most.parse().ok()?;
    (of > most).then(full)
}

/// How `BO_FAULT` has this step of training fail at this pace.
pub fn training_failure(step: usize, pace: Pace) -> Option<EdgeError> {
    let order = std::env::var("BO_FAULT").ok()?;
    let (fails, from) = match order.split(' ').collect::<Vec<_>>()[..] {
        ["oom", "crops", most, from] => {
            let fails = pace.at_once > most.parse().ok()? && !pace.checkpoint_gradients;
            (fails, from)
        }
        ["oom", "all", from] => (true, from),
        _ => return None,
    };
    (fails && step >= from.parse().ok()?).then(full)
}

fn full() -> EdgeError {
    EdgeError::OutOfMemory {
        reason: "injected".into(),
    }
}

/// In the words in which a memory error of a card arrives.
fn uncorrectable() -> EdgeError {
    let words =
        "DriverError(CUDA_ERROR_ECC_UNCORRECTABLE, \"uncorrectable ECC error encountered\")";
    EdgeError::Tensor(candle_core::Error::Msg(words.into()))
}

fn strike(kind: &str) {
    match kind {
        "kill" => signal("KILL"),
        "term" => signal("TERM"),
        "segv" => {
            let nobody = black_box(0x10) as *mut u8;
            // SAFETY: not safe, and meant so: the page belongs to nobody, the write ends this process.
            unsafe { nobody.write_volatile(1) };
        }
        "abort" => std::process::abort(),
        "overflow" => drop(black_box(bottomless(black_box(0)))),
        "leak" => std::mem::forget(black_box(vec![1_u8; LEAK])),
        "hang" => std::thread::sleep(Duration::from_secs(3600)),
        "allocate" => drop(black_box(Vec::<u8>::with_capacity(black_box(1 << 45)))),
        "fill" => {
            let mut kept = Vec::new();
            while kept.len() << 24 < FILL {
                kept.push(black_box(vec![1_u8; 1 << 24]));
            }
        }
        "gpu" => panic!("CUDA_ERROR_ILLEGAL_ADDRESS: an illegal memory access was encountered"),
        _ => panic!("a fault was asked for"),
    }
}

/// To this process, from outside.
fn signal(name: &str) {
    let own = std::process::id().to_string();
    let _ = std::process::Command::new("kill")
        .args(["-s", name, &own])
        .status();
    std::thread::sleep(Duration::from_secs(30));
}

#[expect(unconditional_recursion, reason = "the overflow that is asked for")]
fn bottomless(depth: u64) -> [u64; 64] {
    let deeper = bottomless(black_box(depth + 1));
    black_box(deeper.map(|number| number + depth))
}
