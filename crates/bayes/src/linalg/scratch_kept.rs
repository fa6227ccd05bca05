//! The pages of OpenBLAS's work buffers stay where they are: this OpenBLAS is not the package whose buffers `scratch.rs`
//! knows (their functions, their least size), and giving back a page that is no buffer's would spoil numbers.

/// Gives nothing back; returns 0 bytes.
pub fn release_scratch() -> u64 {
    0
}
