//! Sums of squared differences over the inputs: the inner loops of covariances and of their gradients.
//!
//! Point sets are stored one input after the other (d x n), already divided by the lengthscales, so
//! that these loops run down contiguous memory. Every sum has one fixed order, whatever the
//! instruction set.

use multiversion::multiversion;

/// Writes `sum_d (x_di - at_d)^2` into `out[i - from]` for the points `i = from..` of the d x n set `x`.
///
/// # Panics
/// If `x` is not `at.len()` x `n`, or `out` is longer than the points left.
#[multiversion(targets("x86_64+avx512f+avx512dq", "x86_64+avx2", "aarch64+neon"))]
pub fn squared_distances(x: &[f64], n: usize, at: &[f64], from: usize, out: &mut [f64]) {
    assert_eq!(x.len(), at.len() * n, "a d x n point set");
    let length = out.len();
    let row = |d: usize| &x[d * n + from..(d + 1) * n][..length];
    let paired = at.len() / 2 * 2;
    out.fill(0.0);
    for d in (0..paired).step_by(2) {
        let (a, b) = (row(d), row(d + 1));
        let (at_a, at_b) = (at[d], at[d + 1]);
        for ((out, a), b) in out.iter_mut().zip(a).zip(b) {
            let (a, b) = (a - at_a, b - at_b);
            *out += a * a + b * b;
        }
    }
    if paired < at.len() {
        let (a, at) = (row(paired), at[paired]);
        for (out, a) in out.iter_mut().zip(a) {
            let a = a - at;
            *out += a * a;
        }
    }
}

/// Adds `sum_i w_i (x_di - at_d)^2` to `sums[d]`, over the points `i = from..from + w.len()` of the
/// d x n set `x`.
///
/// # Panics
/// If `x` is not `at.len()` x `n`, or there are more weights than points left.
#[multiversion(targets("x86_64+avx512f+avx512dq", "x86_64+avx2", "aarch64+neon"))]
pub fn add_weighted_squares(
    x: &[f64],
    n: usize,
    at: &[f64],
    from: usize,
    weights: &[f64],
    sums: &mut [f64],
) {
    assert_eq!(x.len(), at.len() * n, "a d x n point set");
    let (w_blocks, w_rest) = weights.as_chunks::<16>();
    for ((sum, at), d) in sums.iter_mut().zip(at).zip(0..) {
        let row = &x[d * n + from..][..weights.len()];
        let (x_blocks, x_rest) = row.as_chunks::<16>();
        let mut parts = [0.0; 16];
        for (w, x) in w_blocks.iter().zip(x_blocks) {
            for k in 0..16 {
                let difference = x[k] - at;
                parts[k] += w[k] * (difference * difference);
            }
        }
        let mut rest = 0.0;
        for (w, x) in w_rest.iter().zip(x_rest) {
            let difference = x - at;
            rest += w * (difference * difference);
        }
        let mut total = 0.0;
        for k in 0..8 {
            total += parts[k] + parts[k + 8];
        }
        *sum += total + rest;
    }
}

/// Adds `sum_i w_i (x_di - at_d)` to `sums[d]`, over all points of the d x n set `x`.
///
/// # Panics
/// If `x` is not `at.len()` x `n`, or there are not n weights.
#[multiversion(targets("x86_64+avx512f+avx512dq", "x86_64+avx2", "aarch64+neon"))]
pub fn add_weighted_differences(
    x: &[f64],
    n: usize,
    at: &[f64],
    weights: &[f64],
    sums: &mut [f64],
) {
    assert_eq!(x.len(), at.len() * n, "a d x n point set");
    assert_eq!(weights.len(), n, "a weight for each point");
    let (w_blocks, w_rest) = weights.as_chunks::<16>();
    for ((sum, at), row) in sums.iter_mut().zip(at).zip(x.chunks_exact(n)) {
        let (x_blocks, x_rest) = row.as_chunks::<16>();
        let mut parts = [0.0; 16];
        for (w, x) in w_blocks.iter().zip(x_blocks) {
            for k in 0..16 {
                parts[k] += w[k] * (x[k] - at);
            }
        }
        let rest: f64 = w_rest.iter().zip(x_rest).map(|(w, x)| w * (x - at)).sum();
        *sum += parts.iter().sum::<f64>() + rest;
    }
}

/// Adds `sum_i w_i (x_di - x_dj) (z_di - z_dj)` to `sums[d]`, over the points `i = j..j + w.len()` of two
/// d x n sets that belong together.
///
/// # Panics
/// If `x` and `z` are not `sums.len()` x `n`, or there are more weights than points left.
#[multiversion(targets("x86_64+avx512f+avx512dq", "x86_64+avx2", "aarch64+neon"))]
pub fn add_weighted_products(
    x: &[f64],
    z: &[f64],
    n: usize,
    j: usize,
    weights: &[f64],
    sums: &mut [f64],
) {
    assert_eq!(
        (x.len(), z.len()),
        (sums.len() * n, sums.len() * n),
        "two d x n point sets"
    );
    let (w_blocks, w_rest) = weights.as_chunks::<16>();
    for (sum, d) in sums.iter_mut().zip(0..) {
        let (x, z) = (
            &x[d * n + j..][..weights.len()],
            &z[d * n + j..][..weights.len()],
        );
        let (at_x, at_z) = (x[0], z[0]);
        let ((x_blocks, x_rest), (z_blocks, z_rest)) = (x.as_chunks::<16>(), z.as_chunks::<16>());
        let mut parts = [0.0; 16];
        for ((w, x), z) in w_blocks.iter().zip(x_blocks).zip(z_blocks) {
            for k in 0..16 {
                parts[k] += w[k] * ((x[k] - at_x) * (z[k] - at_z));
            }
        }
        let mut rest = 0.0;
        for ((w, x), z) in w_rest.iter().zip(x_rest).zip(z_rest) {
            rest += w * ((x - at_x) * (z - at_z));
        }
        *sum += parts.iter().sum::<f64>() + rest;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_loops_equal_their_formulas() {
        let (n, d) = (37, 5);
        let x: Vec<f64> = (0..n * d).map(|i| ((i * 29) % 17) as f64 / 7.0).collect();
        let at = [0.3, 1.1, 0.9, 2.0, 0.1];
        for from in [0, 1, 20, 36] {
            let mut out = vec![9.0; n - from];
            squared_distances(&x, n, &at, from, &mut out);
            let weights: Vec<f64> = (0..n - from).map(|i| (i as f64).cos()).collect();
            let mut sums = vec![1.0; d];
            add_weighted_squares(&x, n, &at, from, &weights, &mut sums);
            let z: Vec<f64> = x.iter().map(|x| x.sin()).collect();
            let mut products = vec![2.0; d];
            add_weighted_products(&x, &z, n, from, &weights, &mut products);
            for (d, sum) in products.iter().enumerate() {
                let apart = |set: &[f64], i: usize| set[d * n + from + i] - set[d * n + from];
                let pairs = weights.iter().enumerate();
                let expected: f64 = pairs.map(|(i, w)| w * apart(&x, i) * apart(&z, i)).sum();
                assert!((sum - 2.0 - expected).abs() < 1e-12);
            }
            let square = |i: usize, d: usize| (x[d * n + from + i] - at[d]).powi(2);
            for (i, out) in out.iter().enumerate() {
                let expected: f64 = (0..d).map(|d| square(i, d)).sum();
                assert!((out - expected).abs() < 1e-12);
            }
            for (d, sum) in sums.iter().enumerate() {
                let expected: f64 = weights
                    .iter()
                    .enumerate()
                    .map(|(i, w)| w * square(i, d))
                    .sum();
                assert!((sum - 1.0 - expected).abs() < 1e-12);
            }
        }
    }
}
