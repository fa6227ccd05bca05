//! Asks the system about host memory: resident size now and at its peak, what is free, the limits.
//!
//! Reads `/proc`; where that is missing every answer is `None`, never a guess.

use std::fs;

use crate::cgroup;

/// Resident bytes of this process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Resident {
    /// Resident now.
    pub now: u64,
    /// Largest resident size since the process began or since [`reset_peak`].
    pub peak: u64,
}

/// Resident size of this process (`VmRSS`, `VmHWM`).
pub fn resident() -> Option<Resident> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let now = kilobytes(&status, "VmRSS:")?;
    Some(Resident {
        now,
        // the kernel updates both at different moments: the peak is never below the present
        peak: kilobytes(&status, "VmHWM:")?.max(now),
    })
}

/// Begins a new resident peak; `false` where the system does not allow it.
pub fn reset_peak() -> bool {
    fs::write("/proc/self/clear_refs", "5").is_ok()
}

/// Bytes that could be allocated without swapping (`MemAvailable`), before any limit of a cgroup.
pub fn available() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemAvailable:")
}

/// All bytes of memory in this machine.
pub fn total() -> Option<u64> {
    kilobytes(&fs::read_to_string("/proc/meminfo").ok()?, "MemTotal:")
}

/// The most this process may hold: the machine's memory or the tightest cgroup limit, if smaller.
pub fn limit() -> Option<u64> {
    match (total(), cgroup::limit()) {
        (Some(total), Some(limit)) => Some(total.min(limit)),
        (total, limit) => total.or(limit),
    }
}

/// Gives free pages of the allocator back to the system; `false` where it cannot be asked.
///
/// `unsafe` for the one call into glibc.
pub fn trim() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: malloc_trim takes no pointer, is thread-safe and may be called at any time.
        unsafe { libc::malloc_trim(0) };
        true
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

/// Lets all threads share one heap for the rest of the process; `false` where the allocator cannot be told. To be called
/// before there are other threads: a heap that one has begun stays.
///
/// Left alone, glibc gives each thread a heap of its own, each with its own holes between what stays: a run on images grew
/// by 9 kB an iteration, one that only decides by 0.8 kB, and by more the more threads there are. The price is a lock at
/// each piece above a kilobyte; no time is lost that could be measured with two threads.
///
/// `unsafe` for the call into glibc.
pub fn share_heap() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        // SAFETY: mallopt takes no pointer, is thread-safe and may be called at any time.
        unsafe { libc::mallopt(libc::M_ARENA_MAX, 1) == 1 }
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

/// Keeps large pieces apart from small ones for the rest of the process: what is asked for in half a megabyte or more is
/// mapped by itself and goes back to the system at once. `false` where the allocator cannot be told.
///
/// Left alone, glibc learns from the largest piece that was freed and serves pieces up to that size from the heap, where
/// the small ones that stay come to lie between them and hold their pages: a run of a model grew by 4 kB an iteration.
/// The price is that the pages of each large piece are new ones: half a per cent of a model's work on matrices, but a
/// fifth more time for a network's tensors, so this is not for runs on images.
///
/// `unsafe` for the calls into glibc.
pub fn keep_large_apart() -> bool {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        let told = [
            (libc::M_MMAP_THRESHOLD, 512 << 10),
            // free pages at the end of the heap stay up to this size between clean-ups
            (libc::M_TRIM_THRESHOLD, 128 << 10),
        ];
        // SAFETY: mallopt takes no pointer, is thread-safe and may be called at any time.
        told.into_iter()
            .all(|(what, bytes)| unsafe { libc::mallopt(what, bytes) } == 1)
    }
    #[cfg(not(all(target_os = "linux", target_env = "gnu")))]
    false
}

/// Value of a `Name:   123 kB` line in bytes.
fn kilobytes(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let number: u64 = line.split_whitespace().next()?.parse().ok()?;
    number.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_proc_are_read_in_bytes() {
        let text = "VmPeak:\t  10 kB\nVmRSS:\t    12 kB\n";
        assert_eq!(kilobytes(text, "VmRSS:"), Some(12 * 1024));
        assert_eq!(kilobytes(text, "VmHWM:"), None);
        assert_eq!(kilobytes("VmRSS: x kB", "VmRSS:"), None);
    }

    #[test]
    fn this_process_is_resident() {
        if let Some(resident) = resident() {
            assert!(resident.now > 0 && resident.peak >= resident.now);
        }
    }
}
