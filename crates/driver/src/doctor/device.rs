//! The GPU, its driver, and who else holds its memory.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::{Answer, Patient};

pub fn check(_: &Patient) -> Answer {
    let built = cfg!(feature = "cuda");
    let Ok(version) = fs::read_to_string("/proc/driver/nvidia/version") else {
        return Answer::good("no GPU: runs use the CPU");
    };
    let driver = version.lines().next().unwrap_or_default().trim();
    let holders = holders();
    let held = match holders.as_slice() {
        [] => "nobody else holds it".to_owned(),
        some => format!("held by {}", some.join(", ")),
    };
    let found = format!("{driver}; {held}");
    if !built {
        return Answer::note(
            found,
            "this bo was built without CUDA and uses the CPU (--features cuda builds it in)",
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
