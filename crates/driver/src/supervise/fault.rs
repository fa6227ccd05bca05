//! Deaths on demand, for the tests of what follows them. Builds without debug assertions hold none of this.
//!
//! `BO_FAULT="segv fit 2"` is a memory fault when iteration 2 begins to fit. It strikes while the run holds no
//! post-mortem; `"segv fit 2 3"` while it holds fewer than three.
//!
//! `BO_FAULT="oom batch 6"` has the edge network run out of memory with more than 6 images at once, `"oom window 40000"`
//! with more than so many pixels.
//!
//! `unsafe` for the one write to an address that belongs to nobody, which is the fault.

use std::hint::black_box;
use std::path::Path;
use std::time::Duration;

use bo_vision::edge::Attempt;

use crate::event::Phase;

/// Most bytes that `fill` takes before it gives up waiting for the kernel.
const FILL: usize = 1 << 30;

/// Strikes if `BO_FAULT` names this moment of the run in `folder`.
pub fn reach(phase: Phase, iteration: u64, folder: &Path) {
    let Ok(order) = std::env::var("BO_FAULT") else {
        return;
    };
    let words: Vec<&str> = order.split(' ').collect();
    let &[kind, at, number, ref times @ ..] = words.as_slice() else {
        return;
    };
    let here = match phase {
        Phase::Fit => "fit",
        Phase::Acquire => "acquire",
        Phase::Evaluate => "evaluate",
        Phase::Record => "checkpoint",
    };
    let times: u32 = times
        .first()
        .and_then(|text| text.parse().ok())
        .unwrap_or(1);
    let again = !folder.join(format!("postmortem-{times:03}.json")).exists();
    if at == here && number.parse() == Ok(iteration) && again {
        strike(kind);
    }
}

/// Whether `BO_FAULT` has this attempt run out of memory.
pub fn scarce(attempt: Attempt) -> bool {
    let order = std::env::var("BO_FAULT").unwrap_or_default();
    let (of, most) = match order.split(' ').collect::<Vec<_>>()[..] {
        ["oom", "batch", most] => (attempt.batch, most),
        ["oom", "window", most] => (attempt.window.0 * attempt.window.1, most),
        _ => return false,
    };
    most.parse().is_ok_and(|most: usize| of > most)
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
