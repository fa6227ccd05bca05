//! The type of processor: numbers are the same bit for bit only on the same type.

use std::fs;

/// Vendor's name of the processor, or the architecture where the system does not tell.
pub fn cpu() -> String {
    fs::read_to_string("/proc/cpuinfo")
        .ok()
        .and_then(|text| {
            let line = text.lines().find(|line| line.starts_with("model name"))?;
            Some(line.split_once(':')?.1.trim().to_owned())
        })
        .unwrap_or_else(|| std::env::consts::ARCH.to_owned())
}
