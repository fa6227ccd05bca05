//! Gives the pages of OpenBLAS's work buffers back to the system.
//!
//! OpenBLAS keeps a buffer for each of its callers at a time, writes packed matrices into it, more pages of it the larger
//! they are, and gives none back: a process grows with its largest matrix. Between two calls nothing in a buffer counts.
//!
//! `unsafe` for OpenBLAS's own taking and giving back of a buffer, and for asking and telling the system about its pages.

use std::ffi::{c_int, c_void};

unsafe extern "C" {
    fn blas_memory_alloc(position: c_int) -> *mut c_void;
    fn blas_memory_free(buffer: *mut c_void);
}

/// Bytes looked at from the start of a buffer: the smallest that OpenBLAS is built with. A constant of its build, which is why
/// this file is compiled for the packaged archives alone (`build.rs`).
const REACH: usize = 32 << 20;

/// Most buffers looked at: no more calls of ours run at once.
const MOST: usize = 256;

/// Gives back what the buffers hold in memory, those that are not in use now; returns bytes. The next call writes what it
/// needs anew: no result changes.
///
/// Buffers are taken in OpenBLAS's own order, the first free one first, and the first that holds nothing ends it: at most
/// one more is set up than was ever used, address space without memory.
pub fn release_scratch() -> u64 {
    let mut taken = Vec::new();
    let mut released = 0;
    while taken.len() < MOST {
        // SAFETY: OpenBLAS marks the buffer as ours until it is freed below; its number is not looked at.
        let buffer = unsafe { blas_memory_alloc(0) };
        if buffer.is_null() {
            break;
        }
        taken.push(buffer);
        match release(buffer) {
            0 => break,
            bytes => released += bytes,
        }
    }
    for buffer in taken {
        // SAFETY: taken above and not freed since.
        unsafe { blas_memory_free(buffer) };
    }
    released
}

/// Gives back the pages of a buffer that is ours; returns bytes that were in memory.
fn release(buffer: *mut c_void) -> u64 {
    // SAFETY: asks for a constant of the system.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    // whole pages inside the buffer
    let skip = buffer.align_offset(page);
    let length = (REACH - skip) / page * page;
    let start = buffer.wrapping_byte_add(skip);
    let mut resident = vec![0_u8; length / page];
    // SAFETY: the pages lie in the buffer, `resident` has a byte for each.
    let asked = unsafe { libc::mincore(start, length, resident.as_mut_ptr()) };
    let pages = resident.iter().filter(|&&state| state & 1 == 1).count();
    if asked != 0 || pages == 0 {
        return 0;
    }
    // SAFETY: the pages lie in the buffer, which is ours and holds nothing that counts: they read as zeros afterwards.
    let given = unsafe { libc::madvise(start, length, libc::MADV_DONTNEED) };
    if given == 0 { (pages * page) as u64 } else { 0 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::one_thread;
    use ndarray::Array2;

    #[test]
    fn what_a_product_has_written_is_given_back_and_products_stay_the_same() {
        one_thread();
        let n = 400;
        let a = Array2::from_shape_fn((n, n), |(i, j)| ((i * 7 + j * 3) % 11) as f64 - 5.0);
        let product = a.dot(&a.t());
        // other tests take buffers too: some of the pages may be theirs, or taken by then
        let most = (0..20)
            .map(|_| {
                let _ = a.dot(&a.t());
                release_scratch()
            })
            .max();
        assert!(most >= Some((n * 8) as u64), "{most:?}");
        std::thread::scope(|threads| {
            for _ in 0..4 {
                threads.spawn(|| (0..50).for_each(|_| assert_eq!(a.dot(&a.t()), product)));
            }
            for _ in 0..200 {
                release_scratch();
            }
        });
    }
}
