//! Where glibc puts large pieces, in a process of one thread (no test harness): what other threads have freed would serve
//! them.

fn main() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    a_large_piece_is_mapped_by_itself_however_large_one_was_freed_before();
}

#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn a_large_piece_is_mapped_by_itself_however_large_one_was_freed_before() {
    assert!(bo_memory::host::keep_large_apart());
    // glibc would now serve up to 8 MB from the heap
    drop(std::hint::black_box(vec![1_u8; 8 << 20]));
    let piece = std::hint::black_box(vec![1_u8; 4 << 20]);
    // a piece mapped by itself begins a page with its header of 16 bytes
    assert_eq!(piece.as_ptr() as usize % 4096, 16);
}
