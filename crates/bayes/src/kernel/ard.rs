//! A kernel with its lengthscales and outputscale, evaluated in whole matrices.
//!
//! Inputs are divided by the lengthscales once and stored one dimension after the other, so that the
//! inner loops run over contiguous memory.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ShapeBuilder};

use super::{KernelKind, squared_distances};

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

    /// Scaled squared distance of two points of d inputs each.
    pub fn squared_distance(&self, a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
        let scales = self.inverse_lengthscales.iter();
        let parts = scales.zip(a.iter().zip(&b)).map(|(s, (a, b))| {
            let difference = s * a - s * b;
            difference * difference
        });
        parts.sum()
    }

    /// Covariance of two points of d inputs each.
    pub fn value(&self, a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
        self.outputscale * self.kind.correlation(self.squared_distance(a, b))
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
        let a = self.scaled(a);
        let mut out = Array2::zeros((rows, columns).f());
        let mut at = vec![0.0; self.dimension()];
        for (b, mut column) in b.rows().into_iter().zip(out.columns_mut()) {
            for ((at, b), s) in at.iter_mut().zip(b).zip(&self.inverse_lengthscales) {
                *at = b * s;
            }
            let column = column
                .as_slice_mut()
                .expect("a column of a matrix in Fortran order");
            squared_distances(&a, rows, &at, 0, column);
            self.kind.correlations(column);
            for k in column {
                *k *= self.outputscale;
            }
        }
        out
    }

    /// Covariance matrix of one point set: n x n, symmetric.
    pub fn matrix(&self, points: ArrayView2<f64>) -> Array2<f64> {
        self.cross(points, points)
    }

    /// Each input divided by its lengthscale, one input after the other (d x n).
    fn scaled(&self, points: ArrayView2<f64>) -> Vec<f64> {
        let mut scaled = Vec::with_capacity(points.len());
        for (input, s) in points.columns().into_iter().zip(&self.inverse_lengthscales) {
            scaled.extend(input.iter().map(|x| x * s));
        }
        scaled
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linalg::Factor;

    /// What every kernel must pass.
    fn battery(kind: KernelKind) {
        let kernel = Kernel::new(kind, &[0.3, 1.1, 4.0], 1.7);
        let points = Array2::from_shape_fn((40, 3), |(i, j)| {
            f64::from(sobol_burley::sample(i as u32, j as u32, 3))
        });
        let covariance = kernel.matrix(points.view());

        for (i, a) in points.rows().into_iter().enumerate() {
            assert_eq!(covariance[(i, i)], 1.7, "prior variance on the diagonal");
            for (j, b) in points.rows().into_iter().enumerate() {
                assert_eq!(covariance[(i, j)], covariance[(j, i)], "symmetry");
                assert!(
                    (covariance[(i, j)] - kernel.value(a, b)).abs() < 1e-13,
                    "batch against scalar"
                );
                assert!(
                    covariance[(i, j)] <= 1.7 && covariance[(i, j)] >= 0.0,
                    "bounds"
                );
            }
        }

        assert!(
            Factor::new(covariance.view()).unwrap().jitter() <= 1e-8,
            "positive definite"
        );

        let part = kernel.cross(
            points.slice(ndarray::s![..7, ..]),
            points.slice(ndarray::s![5..9, ..]),
        );
        assert_eq!(part.dim(), (7, 4));
        assert_eq!(
            part[(2, 3)],
            covariance[(2, 8)],
            "a part is the part of the whole"
        );

        let (a, b) = (points.row(4), points.row(9));
        let gradient = kernel.input_gradient(a, b);
        for d in 0..3 {
            let h = 1e-5;
            let value = |by: f64| {
                let mut a = a.to_owned();
                a[d] += by;
                kernel.value(a.view(), b)
            };
            let slope = (value(h) - value(-h)) / (2.0 * h);
            assert!(
                (slope - gradient[d]).abs() < 1e-7,
                "gradient {d}: {slope} against {}",
                gradient[d]
            );
        }
        assert_eq!(
            kernel.input_gradient(a, a),
            Array1::<f64>::zeros(3),
            "flat at distance zero"
        );

        let far = Kernel::new(kind, &[1e-3, 1e-3, 1e-3], 1.0).matrix(points.view());
        assert!(far.iter().all(|k| *k == 0.0 || *k > 1e-200), "no denormals");
    }

    #[test]
    fn every_kernel_passes_the_battery() {
        KernelKind::ALL.into_iter().for_each(battery);
    }
}
