//! Where glibc puts large pieces. One test alone in its process: what other threads have freed would serve them.
#![cfg(all(target_os = "linux", target_env = "gnu"))]

use bo_memory::host::keep_large_apart;

#[test]
fn a_large_piece_is_mapped_by_itself_however_large_one_was_freed_before() {
    assert!(keep_large_apart());
    // glibc would now serve up to 8 MB from the heap
    drop(std::hint::black_box(vec![1_u8; 8 << 20]));
    let piece = std::hint::black_box(vec![1_u8; 4 << 20]);
    // a piece mapped by itself begins a page with its header of 16 bytes
    assert_eq!(piece.as_ptr() as usize % 4096, 16);
}
