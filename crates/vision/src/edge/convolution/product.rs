//! Matrix products over strided memory, on the calling thread.
//!
//! `unsafe` because `gemm` takes raw pointers: callers promise that the matrices lie inside their
//! buffers.

/// A matrix seen through strides, for `gemm`.
#[derive(Clone, Copy)]
pub(super) struct Strided {
    start: *const f32,
    row: usize,
    column: usize,
}

impl Strided {
    /// The matrix that begins where `slice` does, rows and columns so far apart.
    pub(super) fn new(slice: &[f32], row: usize, column: usize) -> Self {
        Self {
            start: slice.as_ptr(),
            row,
            column,
        }
    }
}

/// dst (m x n, rows `stride` apart, columns adjacent) += lhs (m x k) rhs (k x n), on this thread.
///
/// # Safety
/// All three matrices lie inside live allocations for their sizes and strides, and nobody else
/// touches the elements of `dst`.
pub(super) unsafe fn multiply_add(
    m: usize,
    n: usize,
    k: usize,
    dst: *mut f32,
    stride: usize,
    lhs: Strided,
    rhs: Strided,
) {
    // SAFETY: the caller's promise is exactly what gemm asks for.
    unsafe {
        gemm::gemm(
            m,
            n,
            k,
            dst,
            1,
            stride as isize,
            true,
            lhs.start,
            lhs.column as isize,
            lhs.row as isize,
            rhs.start,
            rhs.column as isize,
            rhs.row as isize,
            1.0,
            1.0,
            false,
            false,
            false,
            gemm::Parallelism::None,
        );
    }
}

/// Makes the buffer that the `gemm` crate keeps for each thread, now, on the calling thread and on
/// every thread of the pool: it lasts as long as the thread and is as large as its second cache.
pub fn warm_up() {
    // long and deep enough that gemm packs into that buffer
    const ROWS: usize = 4;
    const PIXELS: usize = 8192;
    const DEPTH: usize = 512;
    let product = || {
        let (lhs, rhs) = (vec![1.0f32; ROWS * DEPTH], vec![1.0f32; PIXELS]);
        let mut product = vec![0.0f32; ROWS * PIXELS];
        // every row of the right-hand side is the same one
        let (lhs, rhs) = (Strided::new(&lhs, DEPTH, 1), Strided::new(&rhs, 0, 1));
        // SAFETY: ROWS x DEPTH, DEPTH x PIXELS with rows 0 apart, and ROWS x PIXELS, owned here.
        unsafe {
            multiply_add(ROWS, PIXELS, DEPTH, product.as_mut_ptr(), PIXELS, lhs, rhs);
        }
    };
    product();
    rayon::broadcast(|_| product());
}
