//! Triangular solves with one right-hand side, and the dot product beneath them.
//!
//! Both directions walk down contiguous columns of a lower factor in Fortran order; sums run in one
//! fixed order, so that the bits depend on nothing but the input.

use multiversion::multiversion;

/// Sum of products `a . b` over the shorter length, in a fixed order of eight partial sums.
#[multiversion(targets("x86_64+avx512f+avx512dq", "x86_64+avx2", "aarch64+neon"))]
pub fn dot(a: &[f64], b: &[f64]) -> f64 {
    dot_inline(a, b)
}

#[inline(always)]
fn dot_inline(a: &[f64], b: &[f64]) -> f64 {
    let mut sums = [0.0; 8];
    let (a_blocks, a_rest) = a.as_chunks::<8>();
    let (b_blocks, b_rest) = b.as_chunks::<8>();
    for (x, y) in a_blocks.iter().zip(b_blocks) {
        for ((sum, x), y) in sums.iter_mut().zip(x).zip(y) {
            *sum += x * y;
        }
    }
    let rest: f64 = a_rest.iter().zip(b_rest).map(|(x, y)| x * y).sum();
    let [s0, s1, s2, s3, s4, s5, s6, s7] = sums;
    ((s0 + s4) + (s1 + s5)) + ((s2 + s6) + (s3 + s7)) + rest
}

/// Solves `L x = b` in place, `L` lower triangular n x n in Fortran order (n = `b.len()`).
#[multiversion(targets("x86_64+avx512f+avx512dq", "x86_64+avx2", "aarch64+neon"))]
pub fn forward(lower: &[f64], b: &mut [f64]) {
    let n = b.len();
    for j in 0..n {
        let l = &lower[j * n..(j + 1) * n];
        let x = b[j] / l[j];
        b[j] = x;
        for (b, l) in b[j + 1..].iter_mut().zip(&l[j + 1..]) {
            *b -= l * x;
        }
    }
}

/// Solves `L' x = b` in place, `L` lower triangular n x n in Fortran order (n = `b.len()`).
#[multiversion(targets("x86_64+avx512f+avx512dq", "x86_64+avx2", "aarch64+neon"))]
pub fn backward(lower: &[f64], b: &mut [f64]) {
    let n = b.len();
    for j in (0..n).rev() {
        let l = &lower[j * n..(j + 1) * n];
        b[j] = (b[j] - dot_inline(&l[j + 1..], &b[j + 1..])) / l[j];
    }
}
