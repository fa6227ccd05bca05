//! Begins to bring a file to the disk without waiting, so that the sync of another file takes it along.
//!
//! A sync of each of two files makes the file system commit its own journal twice, one after the other: the bytes of the
//! second have no place on the disk yet when the first is committed. Once their way has begun they have one, and the
//! first commit holds both. `unsafe` for the one call that no crate here wraps.

use std::fs::File;

/// Begins to write what `file` holds. A hint: only a sync says that it is there, and a system that takes no hint is slower.
pub fn begin(file: &File) {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd as _;
        // SAFETY: the call takes numbers alone, and the descriptor is open while `file` is borrowed.
        unsafe { libc::sync_file_range(file.as_raw_fd(), 0, 0, libc::SYNC_FILE_RANGE_WRITE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = file;
}
