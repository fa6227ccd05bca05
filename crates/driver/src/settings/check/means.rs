//! The rules on how the work is done, which never changes a recorded number.

use super::Limits;
use crate::exit::Failure;
use crate::settings::{Device, Keep, Means, RawSettings};

/// Longest time limit, seconds: thirty years.
const LONGEST: f64 = 1e9;

/// How the work is done, where `batch` evaluations are decided together.
///
/// # Errors
/// The first setting that cannot be.
pub fn means(raw: &RawSettings, batch: u64, limits: &Limits<'_>) -> Result<Means, Failure> {
    if let Some(seconds) = raw.timeout
        && !(seconds > 0.0 && seconds <= LONGEST)
    {
        return Err(limits.refuse(
            "timeout",
            format!("{seconds} is not a time above 0 (and up to {LONGEST})"),
            "type --timeout 60 (seconds)",
        ));
    }
    if let Some(threads) = raw.threads {
        limits.at_least_one("threads", threads as u64)?;
        limits.at_most("threads", threads as u64, 1024)?;
    }
    let device = device(raw.device.as_deref().unwrap_or("auto"), limits)?;
    let keep_checkpoints = match raw.keep_checkpoints.as_deref() {
        None | Some("all") => Keep::All,
        Some(text) => match text.parse() {
            Ok(count) if count > 0 => Keep::Newest(count),
            _ => {
                return Err(limits.refuse(
                    "keep-checkpoints",
                    format!("{text:?} is neither all nor a number from 1 up"),
                    "type --keep-checkpoints all, or --keep-checkpoints 3",
                ));
            }
        },
    };
    let jobs = limits.at_least_one("jobs", raw.jobs.unwrap_or(1) as u64)?;
    if jobs > batch {
        return Err(limits.refuse(
            "jobs",
            format!(
                "{jobs} evaluations at once, but only {batch} are decided together (going on before a \
                 batch is complete is not built)"
            ),
            &format!("type --jobs {batch} or fewer, or begin a run with --batch {jobs}"),
        ));
    }
    Ok(Means {
        threads: raw.threads,
        jobs: jobs as usize,
        device,
        device_origin: limits.origin("device"),
        cache: raw.cache.clone(),
        host_memory_mb: raw
            .host_memory_mb
            .map(|mb| {
                limits.at_most(
                    "host-memory-mb",
                    limits.at_least_one("host-memory-mb", mb)?,
                    1 << 40,
                )
            })
            .transpose()?,
        edge_batch: raw
            .edge_batch
            .map(|images| {
                let images = limits.at_least_one("edge-batch", images as u64)?;
                limits
                    .at_most("edge-batch", images, bo_vision::edge::LARGEST as u64)
                    .map(|images| images as usize)
            })
            .transpose()?,
        gpu_memory_fraction: limits.share(
            "gpu-memory-fraction",
            raw.gpu_memory_fraction.unwrap_or(0.8),
        )?,
        command_folder: raw.command_folder.clone(),
        cache_mb: limits.at_most(
            "cache-mb",
            limits.at_least_one("cache-mb", raw.cache_mb.unwrap_or(16_384))?,
            1 << 40,
        )?,
        timeout: raw.timeout,
        checkpoint_every: limits
            .at_least_one("checkpoint-every", raw.checkpoint_every.unwrap_or(5))?,
        deep_clean_every: limits
            .at_least_one("deep-clean-every", raw.deep_clean_every.unwrap_or(5))?,
        keep_checkpoints,
    })
}

/// The device of this name.
///
/// # Errors
/// There is none.
pub fn device(text: &str, limits: &Limits<'_>) -> Result<Device, Failure> {
    let found = match text {
        "auto" => Some(Device::Auto),
        "cpu" => Some(Device::Cpu),
        "cuda" => Some(Device::Cuda(0)),
        _ => text
            .strip_prefix("cuda:")
            .and_then(|number| number.parse().ok())
            .map(Device::Cuda),
    };
    found.ok_or_else(|| {
        limits.refuse(
            "device",
            format!("{text:?} is no device"),
            "type --device auto, --device cpu or --device cuda:0",
        )
    })
}
