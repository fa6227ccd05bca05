//! The GPU, its driver, and who else holds its memory.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use bo_memory::device::{self, DeviceError};

use super::{Answer, Patient};
use crate::quantity::bytes;

pub fn check(_: &Patient) -> Answer {
    let version = fs::read_to_string("/proc/driver/nvidia/version").ok();
    let version = version.as_deref().and_then(|text| text.lines().next());
    match device::count() {
        Err(DeviceError::NotBuilt) => match version {
            None => Answer::good(NONE),
            Some(driver) => Answer::note(
                with_holders(driver, &holders()),
                "this bo was built without CUDA and uses the CPU (make cuda builds it in)",
            ),
        },
        Err(reason) if reason.is_absence() => Answer::good(NONE),
        Err(reason) => Answer::note(reason.to_string(), "runs use the CPU until that is mended"),
        Ok(0) => Answer::good(NONE),
        Ok(count) => cards(count, version.unwrap_or("a driver that tells no version")),
    }
}

const NONE: &str = "no GPU: runs use the CPU";

/// Each card by itself.
fn cards(count: usize, driver: &str) -> Answer {
    let (mut found, mut unusable) = (vec![driver.trim().to_owned()], false);
    for number in 0..count {
        found.push(match device::probe(number) {
            Ok(card) => format!(
                "cuda:{number} is {} ({}), {} of {} free",
                card.name,
                card.capability,
                bytes(card.free),
                bytes(card.total)
            ),
            Err(reason) => {
                unusable = true;
                format!("cuda:{number} cannot be used: {reason}")
            }
        });
    }
    let holders = holders();
    let found = with_holders(&found.join("; "), &holders);
    if unusable {
        return Answer::note(
            found,
            "give runs --device with one that can be used, or cpu",
        );
    }
    match holders.is_empty() {
        true => Answer::good(found),
        false => Answer::note(
            found,
            "they take memory that a run counts on: end them, or give less with --gpu-memory-fraction",
        ),
    }
}

fn with_holders(found: &str, holders: &[String]) -> String {
    match holders {
        [] => format!("{}; nobody else holds it", found.trim()),
        some => format!("{}; held by {}", found.trim(), some.join(", ")),
    }
}

/// Programs with a GPU open, this one left out; those of other users are seen by root only.
fn holders() -> Vec<String> {
    let own = std::process::id().to_string();
    let mut found = BTreeSet::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = process.file_name().to_string_lossy().into_owned();
        if name == own || !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let open = fs::read_dir(process.path().join("fd"))
            .into_iter()
            .flatten()
            .flatten();
        let gpu = |link: &Path| {
            let text = link.to_string_lossy();
            text.strip_prefix("/dev/nvidia")
                .is_some_and(|rest| rest.starts_with(|c: char| c.is_ascii_digit()))
        };
        if open
            .filter_map(|file| fs::read_link(file.path()).ok())
            .any(|link| gpu(&link))
        {
            let what = fs::read_to_string(process.path().join("comm")).unwrap_or_default();
            found.insert(format!("{} ({name})", what.trim()));
        }
    }
    found.into_iter().collect()
}
