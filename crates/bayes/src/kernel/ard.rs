//! A kernel with its lengthscales and outputscale, evaluated in whole matrices.
//!
//! Inputs are divided by the lengthscales once and stored one dimension after the other, so that the
//! inner loops run over contiguous memory.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ShapeBuilder};

use super::KernelKind;

/// `k(a, b) = outputscale * correlation(sum_d (a_d - b_d)^2 / l_d^2)`.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    kind: KernelKind,
    inverse_lengthscales: Vec<f64>,
    outputscale: f64,
}

impl Kernel {
    /// A kernel with `lengthscales` (positive, one per input) and `outputscale` (positive variance).
    pub fn new(kind: KernelKind, lengthscales: &[f64], outputscale: f64) -> Self {
        let inverse_lengthscales = lengthscales.iter().map(|l| l.recip()).collect();
        Self {
            kind,
            inverse_lengthscales,
            outputscale,
        }
    }

    /// Number of inputs.
    pub fn dimension(&self) -> usize {
        self.inverse_lengthscales.len()
    }

    /// Prior variance `k(a, a)`.
    pub fn outputscale(&self) -> f64 {
        self.outputscale
    }

    /// Covariance of two points of d inputs each.
    pub fn value(&self, a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
        let r2 = self
            .inverse_lengthscales
            .iter()
            .zip(a.iter().zip(&b))
            .map(|(s, (a, b))| {
                let difference = s * a - s * b;
                difference * difference
            });
        self.outputscale * self.kind.correlation(r2.sum())
    }

    /// Gradient of [`Self::value`] with respect to the point `a`.
    pub fn input_gradient(&self, a: ArrayView1<f64>, b: ArrayView1<f64>) -> Array1<f64> {
        let scaled: Vec<f64> = self
            .inverse_lengthscales
            .iter()
            .zip(a.iter().zip(&b))
            .map(|(s, (a, b))| s * a - s * b)
            .collect();
        let r2 = scaled.iter().map(|d| d * d).sum();
        let slope = self.kind.correlation_and_slope(r2).1;
        scaled
            .iter()
            .zip(&self.inverse_lengthscales)
            .map(|(d, s)| 2.0 * self.outputscale * slope * d * s)
            .collect()
    }

    /// Covariances of two point sets (rows are points of d inputs): `|a| x |b|`, Fortran order.
    pub fn cross(&self, a: ArrayView2<f64>, b: ArrayView2<f64>) -> Array2<f64> {
        let (rows, columns) = (a.nrows(), b.nrows());
        let (a, b) = (self.scaled(a), self.scaled(b));
        let mut out = Array2::zeros((rows, columns).f());
        let mut r2 = vec![0.0; rows];
        for (j, mut column) in out.columns_mut().into_iter().enumerate() {
            r2.fill(0.0);
            for (a, b) in a.rows().into_iter().zip(b.column(j)) {
                for (r2, a) in r2.iter_mut().zip(a) {
                    let difference = a - b;
                    *r2 += difference * difference;
                }
            }
            for (out, &r2) in column.iter_mut().zip(&r2) {
                *out = self.outputscale * self.kind.correlation(r2);
            }
        }
        out
    }

    /// Covariance matrix of one point set: n x n, symmetric.
    pub fn matrix(&self, points: ArrayView2<f64>) -> Array2<f64> {
        self.cross(points, points)
    }

    /// d x n: each input divided by its lengthscale.
    fn scaled(&self, points: ArrayView2<f64>) -> Array2<f64> {
        let mut scaled = Array2::zeros((points.ncols(), points.nrows()));
        scaled.assign(&points.t());
        for (mut row, s) in scaled
            .rows_mut()
            .into_iter()
            .zip(&self.inverse_lengthscales)
        {
            row *= *s;
        }
        scaled
    }
}
