//! The Cholesky factor of a covariance matrix, with bounded and reported rescue.
//!
//! [`Factor::new`] tries the matrix as it is and then with each step of [`JITTER_LADDER`], relative
//! to the mean of the diagonal, [`Factor::within`] relative to a scale that is given; what was added is kept
//! in [`Factor::jitter`]. No caller adds an epsilon of its own. [`Factor::append`] adds a row in O(n^2).

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ShapeBuilder, s};
use ndarray_linalg::{Diag, SolveTriangularInto, UPLO};

use super::in_place::factorise;
use super::ladder::{JITTER_LADDER, climb, scale_of};
use super::triangular::{backward, dot, forward};

/// Why a matrix has no Cholesky factor.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum FactorError {
    /// Not a square matrix, or one with no rows.
    #[error("a {rows} x {columns} matrix has no Cholesky factor: it must be square and not empty")]
    Shape {
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        columns: usize,
    },
    /// NaN or an infinity in the input.
    #[error(
        "entry ({row}, {column}) of the {size} x {size} matrix is {value}: check the data it was made from"
    )]
    NotFinite {
        /// Rows of the matrix.
        size: usize,
        /// Row of the first such entry.
        row: usize,
        /// Column of the first such entry.
        column: usize,
        /// The entry.
        value: f64,
    },
    /// Still not positive definite with the last step of the ladder.
    #[error(
        "the {size} x {size} matrix is not positive definite: pivot {pivot} fails even with jitter {jitter:e}"
    )]
    NotPositiveDefinite {
        /// Rows of the matrix.
        size: usize,
        /// Index of the first pivot that is not positive, from 0.
        pivot: usize,
        /// The largest jitter tried (absolute).
        jitter: f64,
    },
    /// A row to append does not have as many entries as the factor has rows.
    #[error("a row of {found} entries cannot be appended to a factor of size {expected}")]
    RowLength {
        /// Size of the factor.
        expected: usize,
        /// Entries given.
        found: usize,
    },
}

/// Lower triangular `L` with `L L' = K + jitter I`.
#[derive(Clone, Debug)]
pub struct Factor {
    /// n x n, Fortran order, zeros above the diagonal.
    lower: Array2<f64>,
    jitter: f64,
}

impl Factor {
    /// Factorises the symmetric n x n `matrix`, of which the lower triangle is read.
    ///
    /// # Errors
    /// Not square or empty, an entry that is not finite, or not positive definite to the end of
    /// [`JITTER_LADDER`].
    pub fn new(matrix: ArrayView2<f64>) -> Result<Self, FactorError> {
        Self::within(matrix, scale_of(matrix.diag().iter().copied()))
    }

    /// The same with a ladder relative to `scale`, for a matrix that is the difference of matrices of that scale: its
    /// entries are no more exact than theirs, however small they are.
    ///
    /// # Errors
    /// As [`Self::new`].
    pub fn within(matrix: ArrayView2<f64>, scale: f64) -> Result<Self, FactorError> {
        super::one_thread();
        let (rows, columns) = matrix.dim();
        if rows != columns || rows == 0 {
            return Err(FactorError::Shape { rows, columns });
        }
        let size = rows;
        for (column, entries) in matrix.columns().into_iter().enumerate() {
            let lower = entries.iter().enumerate().skip(column);
            if let Some((row, &value)) = lower.into_iter().find(|(_, value)| !value.is_finite()) {
                return Err(FactorError::NotFinite {
                    size,
                    row,
                    column,
                    value,
                });
            }
        }
        let mut lower = Array2::zeros((size, size).f());
        let jitter = climb(size, scale, |jitter| {
            for (j, (mut to, from)) in lower
                .columns_mut()
                .into_iter()
                .zip(matrix.columns())
                .enumerate()
            {
                to.slice_mut(s![j..]).assign(&from.slice(s![j..]));
                to[j] += jitter;
            }
            let columns = lower
                .as_slice_memory_order_mut()
                .expect("a fresh matrix is contiguous");
            factorise(columns, size)
        })?;
        Ok(Self { lower, jitter })
    }

    /// Rows of the matrix.
    pub fn size(&self) -> usize {
        self.lower.nrows()
    }

    /// What had to be added to the diagonal (absolute, 0 in the ordinary case).
    pub fn jitter(&self) -> f64 {
        self.jitter
    }

    /// The factor, n x n, Fortran order, zeros above the diagonal.
    pub fn lower(&self) -> ArrayView2<'_, f64> {
        self.lower.view()
    }

    /// All columns, one after the other.
    fn columns(&self) -> &[f64] {
        self.lower
            .as_slice_memory_order()
            .expect("a factor is contiguous")
    }

    /// `log det(K + jitter I)`.
    pub fn log_determinant(&self) -> f64 {
        2.0 * self.lower.diag().iter().map(|d| d.ln()).sum::<f64>()
    }

    /// `L^-1 b` for one right-hand side of n entries.
    ///
    /// # Panics
    /// If `b` does not have n entries.
    pub fn half_solve_one(&self, b: ArrayView1<f64>) -> Array1<f64> {
        assert_eq!(b.len(), self.size(), "right-hand side of another size");
        let mut x = b.to_vec();
        forward(self.columns(), &mut x);
        x.into()
    }

    /// `L^-T b` for one right-hand side of n entries.
    ///
    /// # Panics
    /// If `b` does not have n entries.
    pub fn back_solve_one(&self, b: ArrayView1<f64>) -> Array1<f64> {
        assert_eq!(b.len(), self.size(), "right-hand side of another size");
        let mut x = b.to_vec();
        backward(self.columns(), &mut x);
        x.into()
    }

    /// `L^-T B`, n x m, column by column.
    ///
    /// # Panics
    /// If `b` does not have n rows.
    pub fn back_solve(&self, mut b: Array2<f64>) -> Array2<f64> {
        for mut column in b.columns_mut() {
            let solved = self.back_solve_one(column.view());
            column.assign(&solved);
        }
        b
    }

    /// `(K + jitter I)^-1 b` for one right-hand side of n entries.
    ///
    /// # Panics
    /// If `b` does not have n entries.
    pub fn solve_one(&self, b: ArrayView1<f64>) -> Array1<f64> {
        assert_eq!(b.len(), self.size(), "right-hand side of another size");
        let mut x = b.to_vec();
        forward(self.columns(), &mut x);
        backward(self.columns(), &mut x);
        x.into()
    }

    /// `L^-1 B`, n x m; cheapest where `b` is in Fortran order.
    ///
    /// # Panics
    /// If `b` does not have n rows.
    pub fn half_solve(&self, b: Array2<f64>) -> Array2<f64> {
        assert_eq!(b.nrows(), self.size(), "right-hand sides of another size");
        if b.ncols() == 0 {
            return b;
        }
        self.lower
            .solve_triangular_into(UPLO::Lower, Diag::NonUnit, b)
            .expect("the diagonal of a factor is positive")
    }

    /// Extends the factored matrix by one row and column in O(n^2): `row` its covariances with the
    /// n rows before, `diagonal` its variance; the jitter already in use is added to it. A pivot
    /// that is lost to rounding (an exact duplicate without noise) climbs the ladder on its own;
    /// returns what was added beyond the factor's jitter.
    ///
    /// # Errors
    /// A row of another length, entries that are not finite, a pivot that stays non-positive. The
    /// factor is then unchanged.
    pub fn append(&mut self, row: ArrayView1<f64>, diagonal: f64) -> Result<f64, FactorError> {
        let n = self.size();
        if row.len() != n {
            return Err(FactorError::RowLength {
                expected: n,
                found: row.len(),
            });
        }
        let entries = row.iter().copied().chain([diagonal]);
        if let Some((column, value)) = entries.enumerate().find(|(_, value)| !value.is_finite()) {
            return Err(FactorError::NotFinite {
                size: n + 1,
                row: n,
                column,
                value,
            });
        }
        let half = self.half_solve_one(row);
        let half = half.as_slice().expect("a fresh vector is contiguous");
        let remainder = diagonal + self.jitter - dot(half, half);
        let scale = diagonal.abs();
        let rescue = JITTER_LADDER
            .iter()
            .map(|step| step * scale)
            .find(|extra| remainder + extra > f64::EPSILON * scale);
        let Some(extra) = rescue else {
            let jitter = JITTER_LADDER[JITTER_LADDER.len() - 1] * scale;
            return Err(FactorError::NotPositiveDefinite {
                size: n + 1,
                pivot: n,
                jitter,
            });
        };
        let mut lower = Array2::zeros((n + 1, n + 1).f());
        lower.slice_mut(s![..n, ..n]).assign(&self.lower);
        for (entry, &value) in lower.row_mut(n).iter_mut().zip(half) {
            *entry = value;
        }
        lower[(n, n)] = (remainder + extra).sqrt();
        self.lower = lower;
        Ok(extra)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    fn example(n: usize) -> Array2<f64> {
        let a = Array2::from_shape_fn((n, n), |(i, j)| {
            ((3 * i + 7 * j * j + i * j) % 11) as f64 / 11.0 - 0.4
        });
        a.dot(&a.t()) + Array2::<f64>::eye(n)
    }

    fn largest(a: &Array2<f64>) -> f64 {
        a.iter().fold(0.0, |m, v| m.max(v.abs()))
    }

    #[test]
    fn factor_solves() {
        for n in [1, 2, 5, 33] {
            let matrix = example(n);
            let factor = Factor::new(matrix.view()).unwrap();
            assert_eq!(factor.jitter(), 0.0);
            let lower = factor.lower().to_owned();
            assert!(largest(&(lower.dot(&lower.t()) - &matrix)) < 1e-12);
            let b = Array2::from_shape_fn((n, 3), |(i, j)| (i + j) as f64);
            let one = factor.solve_one(b.column(1));
            assert!(
                largest(&(matrix.dot(&one) - b.column(1)).insert_axis(ndarray::Axis(1))) < 1e-10
            );
            let half = factor.half_solve(b.clone());
            let half_one = factor.half_solve_one(b.column(2));
            assert!((0..n).all(|i| (half[(i, 2)] - half_one[i]).abs() < 1e-12));
            let back = lower.t().dot(&factor.back_solve(b.clone()));
            assert!(largest(&(back - b)) < 1e-10);
        }
    }

    #[test]
    fn determinant_of_a_known_matrix() {
        let factor = Factor::new(array![[4.0, 2.0], [2.0, 3.0]].view()).unwrap();
        assert!((factor.log_determinant() - 8.0_f64.ln()).abs() < 1e-15);
    }

    #[test]
    fn appending_equals_factorising_the_whole() {
        let matrix = example(12);
        let mut factor = Factor::new(matrix.slice(ndarray::s![..9, ..9])).unwrap();
        for n in 9..12 {
            let spent = factor
                .append(matrix.slice(ndarray::s![n, ..n]), matrix[(n, n)])
                .unwrap();
            assert_eq!(spent, 0.0);
        }
        let whole = Factor::new(matrix.view()).unwrap();
        assert!(largest(&(&factor.lower() - &whole.lower())) < 1e-12);
    }

    #[test]
    fn singular_matrices_get_jitter_and_say_how_much() {
        let ones = Array2::<f64>::ones((6, 6));
        let mut factor = Factor::new(ones.view()).unwrap();
        assert!(factor.jitter() > 0.0 && factor.jitter() <= 1e-6);
        factor.append(Array1::ones(6).view(), 1.0).unwrap();
        assert_eq!(factor.size(), 7);
    }

    #[test]
    fn what_cannot_be_factored_is_named() {
        let indefinite = array![[1.0, 0.0, 0.0], [0.0, 1.0, 2.0], [0.0, 2.0, 1.0]];
        assert!(matches!(
            Factor::new(indefinite.view()),
            Err(FactorError::NotPositiveDefinite {
                size: 3,
                pivot: 2,
                ..
            })
        ));
        let broken = array![[1.0, 0.0], [f64::NAN, 1.0]];
        assert!(matches!(
            Factor::new(broken.view()),
            Err(FactorError::NotFinite {
                row: 1,
                column: 0,
                ..
            })
        ));
        assert!(matches!(
            Factor::new(Array2::zeros((0, 0)).view()),
            Err(FactorError::Shape { .. })
        ));
        assert!(matches!(
            Factor::new(Array2::zeros((2, 3)).view()),
            Err(FactorError::Shape { .. })
        ));
        let mut factor = Factor::new(array![[1.0]].view()).unwrap();
        assert!(factor.append(array![2.0].view(), 1.0).is_err());
        assert!(matches!(
            factor.append(array![1.0, 2.0].view(), 1.0),
            Err(FactorError::RowLength { .. })
        ));
        assert_eq!(factor.size(), 1);
    }
}
