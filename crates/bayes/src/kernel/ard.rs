//! A kernel with its lengthscales and outputscale, evaluated in whole matrices.
//!
//! Inputs are divided by the lengthscales once and stored one dimension after the other, so that the
//! inner loops run over contiguous memory.

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, ShapeBuilder};

use super::{KernelForm, add_weighted_differences};

/// `k(a, b) = outputscale * correlation(sum_d (a_d - b_d)^2 / l_d^2)`, or the product of two such
/// correlations, each over its own inputs.
#[derive(Clone, Debug, PartialEq)]
pub struct Kernel {
    form: KernelForm,
    inverse_lengthscales: Vec<f64>,
    outputscale: f64,
}

impl Kernel {
    /// A kernel with `lengthscales` (positive, one per input) and `outputscale` (positive variance).
    pub fn new(form: impl Into<KernelForm>, lengthscales: &[f64], outputscale: f64) -> Self {
        let inverse_lengthscales = lengthscales.iter().map(|l| l.recip()).collect();
        Self {
            form: form.into(),
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

    /// Correlation and structure.
    pub fn form(&self) -> KernelForm {
        self.form
    }

    /// Scaled squared distance of two points of d inputs each, over the inputs `part`.
    fn squared_distance(
        &self,
        a: ArrayView1<f64>,
        b: ArrayView1<f64>,
        part: std::ops::Range<usize>,
    ) -> f64 {
        let parts = part.map(|d| {
            let s = self.inverse_lengthscales[d];
            let difference = s * a[d] - s * b[d];
            difference * difference
        });
        parts.sum()
    }

    /// Correlation of each factor and its derivative with respect to the scaled squared distance over
    /// its inputs; a factor that is not there is 1.
    fn factors(&self, a: ArrayView1<f64>, b: ArrayView1<f64>) -> [(f64, f64); 2] {
        let mut factors = [(1.0, 0.0); 2];
        let parts = self.form.parts(self.dimension());
        for (factor, part) in factors.iter_mut().zip(parts) {
            let r2 = self.squared_distance(a, b, part);
            *factor = self.form.kind.correlation_and_slope(r2);
        }
        factors
    }

    /// Covariance of two points of d inputs each.
    pub fn value(&self, a: ArrayView1<f64>, b: ArrayView1<f64>) -> f64 {
        let [(first, _), (second, _)] = self.factors(a, b);
        self.outputscale * (first * second)
    }

    /// Gradient of [`Self::value`] with respect to the point `a`.
    pub fn input_gradient(&self, a: ArrayView1<f64>, b: ArrayView1<f64>) -> Array1<f64> {
        let [(first, of_first), (second, of_second)] = self.factors(a, b);
        let parts = self.form.parts(self.dimension());
        let mut gradient = Array1::zeros(self.dimension());
        for (part, slope) in parts
            .into_iter()
            .zip([of_first * second, first * of_second])
        {
            for d in part {
                let s = self.inverse_lengthscales[d];
                gradient[d] = 2.0 * self.outputscale * slope * (s * a[d] - s * b[d]) * s;
            }
        }
        gradient
    }

    /// `sum_i weights_i g_i` with g_i the [`Self::input_gradient`] at `a` against row i of `points`
    /// (n x d): d values, in loops over contiguous memory.
    pub fn weighted_input_gradient(
        &self,
        a: ArrayView1<f64>,
        points: ArrayView2<f64>,
        weights: &[f64],
    ) -> Vec<f64> {
        let n = points.nrows();
        let points = self.scaled(points);
        let scales = &self.inverse_lengthscales;
        let at: Vec<f64> = a.iter().zip(scales).map(|(a, s)| a * s).collect();
        let (mut correlations, mut first, mut second) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
        let mut slopes = [&mut first[..], &mut second[..]];
        self.form
            .correlations_and_slopes((&points, n), &at, 0, &mut correlations, &mut slopes);
        let mut sums = vec![0.0; at.len()];
        for (part, slopes) in self.form.parts(at.len()).into_iter().zip(slopes) {
            for (slope, weight) in slopes.iter_mut().zip(weights) {
                *slope *= weight;
            }
            let inputs = &points[part.start * n..part.end * n];
            add_weighted_differences(inputs, n, &at[part.clone()], slopes, &mut sums[part]);
        }
        sums.iter()
            .zip(scales)
            .map(|(sum, s)| -2.0 * self.outputscale * s * sum)
            .collect()
    }

    /// Covariances of two point sets (rows are points of d inputs): `|a| x |b|`, Fortran order.
    pub fn cross(&self, a: ArrayView2<f64>, b: ArrayView2<f64>) -> Array2<f64> {
        let (rows, columns) = (a.nrows(), b.nrows());
        let a = self.scaled(a);
        let mut out = Array2::zeros((rows, columns).f());
        let mut at = vec![0.0; self.dimension()];
        let mut scratch = Vec::new();
        for (b, mut column) in b.rows().into_iter().zip(out.columns_mut()) {
            for ((at, b), s) in at.iter_mut().zip(b).zip(&self.inverse_lengthscales) {
                *at = b * s;
            }
            let column = column
                .as_slice_mut()
                .expect("a column of a matrix in Fortran order");
            self.form
                .correlations((&a, rows), &at, 0, column, &mut scratch);
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
    use ndarray::{array, s};

    use super::*;
    use crate::kernel::KernelKind;
    use crate::linalg::Factor;

    /// What every kernel must pass.
    fn battery(form: KernelForm) {
        let kernel = Kernel::new(form, &[0.3, 1.1, 4.0], 1.7);
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
        let weights: Vec<f64> = (0..40).map(|i| f64::from(i - 17) / 9.0).collect();
        let bulk = kernel.weighted_input_gradient(a, points.view(), &weights);
        let one_by_one = points
            .rows()
            .into_iter()
            .zip(&weights)
            .fold(Array1::zeros(3), |sum: Array1<f64>, (b, w)| {
                sum + *w * kernel.input_gradient(a, b)
            });
        for (bulk, sum) in bulk.iter().zip(&one_by_one) {
            assert!((bulk - sum).abs() < 1e-11, "{bulk} against {sum}");
        }

        assert_eq!(
            kernel.input_gradient(a, a),
            Array1::<f64>::zeros(3),
            "flat at distance zero"
        );

        let far = Kernel::new(form, &[1e-3, 1e-3, 1e-3], 1.0).matrix(points.view());
        assert!(far.iter().all(|k| *k == 0.0 || *k > 1e-200), "no denormals");
    }

    #[test]
    fn every_kernel_passes_the_battery() {
        for kind in KernelKind::ALL {
            battery(kind.into());
            battery(KernelForm::product(kind, 1));
            battery(KernelForm::product(kind, 3));
        }
    }

    #[test]
    fn a_product_is_the_product_of_its_parts() {
        let lengthscales = [0.3, 1.1, 4.0];
        let (a, b) = (array![0.1, 0.7, 0.2], array![0.5, 0.3, 0.9]);
        for kind in KernelKind::ALL {
            let whole = Kernel::new(KernelForm::product(kind, 2), &lengthscales, 1.7);
            let x = Kernel::new(kind, &lengthscales[..2], 1.0);
            let w = Kernel::new(kind, &lengthscales[2..], 1.0);
            let part =
                |range: std::ops::Range<usize>| (a.slice(s![range.clone()]), b.slice(s![range]));
            let expected =
                1.7 * x.value(part(0..2).0, part(0..2).1) * w.value(part(2..3).0, part(2..3).1);
            assert!((whole.value(a.view(), b.view()) - expected).abs() < 1e-15);
        }
        let joint = Kernel::new(KernelKind::SquaredExponential, &lengthscales, 1.7);
        let product = KernelForm::product(KernelKind::SquaredExponential, 2);
        let product = Kernel::new(product, &lengthscales, 1.7);
        let apart = joint.value(a.view(), b.view()) - product.value(a.view(), b.view());
        assert!(apart.abs() < 1e-15, "squared-exponential factors are one");
    }
}
