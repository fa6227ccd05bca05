//! Cholesky factor and inverse in the memory of the matrix itself: the LAPACK calls.
//!
//! Matrices are n x n columns one after the other, of which only the lower triangle is read and written.

use lax::{Lapack, UPLO, layout::MatrixLayout};

use super::one_thread;

/// Turns a symmetric matrix into its lower Cholesky factor. The caller rescues; the entries must be
/// finite.
///
/// # Errors
/// Index, from 0, of the first pivot that is not positive; the matrix is then spoilt.
///
/// # Panics
/// If `matrix` does not have n x n entries.
pub fn factorise(matrix: &mut [f64], n: usize) -> Result<(), usize> {
    assert_eq!(matrix.len(), n * n, "n columns of n entries");
    one_thread();
    match f64::cholesky(layout(n), UPLO::Lower, matrix) {
        Ok(()) => {
            match (0..n).find(|j| !(matrix[j * n + j] > 0.0 && matrix[j * n + j].is_finite())) {
                Some(pivot) => Err(pivot),
                None => Ok(()),
            }
        }
        // The order of the first minor that is not positive definite, from 1.
        Err(lax::error::Error::LapackComputationalFailure { return_code }) => {
            Err(usize::try_from(return_code).unwrap_or(1).saturating_sub(1))
        }
        Err(_) => Err(0),
    }
}

/// Turns a lower Cholesky factor into the lower triangle of the inverse of the matrix it came from.
///
/// # Errors
/// Index, from 0, of a pivot that is zero.
///
/// # Panics
/// If `factor` does not have n x n entries.
pub fn invert(factor: &mut [f64], n: usize) -> Result<(), usize> {
    assert_eq!(factor.len(), n * n, "n columns of n entries");
    f64::inv_cholesky(layout(n), UPLO::Lower, factor).map_err(|error| match error {
        lax::error::Error::LapackComputationalFailure { return_code } => {
            usize::try_from(return_code).unwrap_or(1).saturating_sub(1)
        }
        _ => 0,
    })
}

fn layout(n: usize) -> MatrixLayout {
    let n = i32::try_from(n).expect("a dense matrix of this size would not fit in memory");
    MatrixLayout::F { col: n, lda: n }
}
