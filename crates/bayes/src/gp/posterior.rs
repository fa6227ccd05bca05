//! A Gaussian process at fixed hyperparameters, conditioned on observations.
//!
//! Everything goes through one factor of `K = k(X, X) + N`, N the noise variances. [`Whitened`] point sets carry
//! `V = L^-1 k(X, points)`, so that a solve done once serves every covariance asked for later:
//! `cov(a, b) = k(a, b) - V_a' V_b`. All values are in standardised units; points are rows of d
//! inputs. Where inputs are warped, the kernel sees their features ([`Hyperparameters::features`]): points
//! go in as inputs, what is kept of them are features, and gradients are with respect to inputs.

use ndarray::{
    Array1, Array2, ArrayView1, ArrayView2, Axis,
    linalg::{general_mat_mul, general_mat_vec_mul},
};

use super::replicates::check_data;
use super::{GpError, Hyperparameters, Replicates};
use crate::kernel::{Kernel, KernelForm};
use crate::linalg::{Factor, FactorError};

/// The posterior; see the module's head.
#[derive(Clone, Debug)]
pub struct Posterior {
    hyper: Hyperparameters,
    kernel: Kernel,
    /// Features.
    x: Array2<f64>,
    y: Array1<f64>,
    factor: Factor,
    alpha: Array1<f64>,
    half_residual: Array1<f64>,
}

/// A point set with the solve against the observations done.
#[derive(Clone, Debug)]
pub struct Whitened {
    /// Features, m x d.
    pub points: Array2<f64>,
    /// `L^-1 k(X, points)`: n x m, Fortran order.
    pub solved: Array2<f64>,
    /// Posterior mean, m.
    pub mean: Array1<f64>,
    /// Posterior variance without noise, m, never negative.
    pub variance: Array1<f64>,
}

impl Whitened {
    /// The points of `rows` alone.
    pub fn block(&self, rows: std::ops::Range<usize>) -> Self {
        let rows = ndarray::Slice::from(rows);
        Self {
            points: self.points.slice_axis(Axis(0), rows).to_owned(),
            solved: self.solved.slice_axis(Axis(1), rows).to_owned(),
            mean: self.mean.slice_axis(Axis(0), rows).to_owned(),
            variance: self.variance.slice_axis(Axis(0), rows).to_owned(),
        }
    }
}

impl Posterior {
    /// Conditions on `y` (n standardised values) at `x` (n x d), every row by itself.
    ///
    /// # Errors
    /// No rows, shapes that do not match, values that are not finite, or a covariance matrix
    /// without a factor.
    pub fn new(
        form: impl Into<KernelForm>,
        hyper: &Hyperparameters,
        x: Array2<f64>,
        y: Array1<f64>,
    ) -> Result<Self, GpError> {
        Self::on(form, hyper, Replicates::single(x, y)?)
    }

    /// Conditions on `data`, a mean of m values having 1/m of the noise variance.
    ///
    /// # Errors
    /// Hyperparameters of another dimension or out of range, or a covariance matrix without a factor.
    pub fn on(
        form: impl Into<KernelForm>,
        hyper: &Hyperparameters,
        data: Replicates,
    ) -> Result<Self, GpError> {
        hyper.check(data.x().ncols())?;
        let kernel = hyper.kernel(form);
        let features = hyper.features(data.x());
        let mut covariance = kernel.matrix(features.view());
        let marks = data.rough().iter().zip(data.counts());
        for (k, (rough, count)) in covariance.diag_mut().iter_mut().zip(marks) {
            *k += hyper.noise_of(*rough) / count;
        }
        let factor = Factor::new(covariance.view())?;
        let warped = (!hyper.warp.is_empty()).then(|| features.into_owned());
        let (x, y) = data.into_parts();
        let mut posterior = Self {
            hyper: hyper.clone(),
            kernel,
            x: warped.unwrap_or(x),
            y,
            factor,
            alpha: Array1::zeros(0),
            half_residual: Array1::zeros(0),
        };
        posterior.solve_residual();
        Ok(posterior)
    }

    fn solve_residual(&mut self) {
        let residual = self.y.mapv(|y| y - self.hyper.mean);
        self.half_residual = self.factor.half_solve_one(residual.view());
        self.alpha = self.factor.solve_one(residual.view());
    }

    /// Number of rows: distinct inputs of the first observations, and those appended.
    pub fn len(&self) -> usize {
        self.y.len()
    }

    /// Always false: a posterior has at least one observation.
    pub fn is_empty(&self) -> bool {
        self.y.is_empty()
    }

    /// The hyperparameters.
    pub fn hyperparameters(&self) -> &Hyperparameters {
        &self.hyper
    }

    /// Features of the observed points, n x d.
    pub fn inputs(&self) -> ArrayView2<'_, f64> {
        self.x.view()
    }

    /// Observed values, n, standardised.
    pub fn observations(&self) -> ArrayView1<'_, f64> {
        self.y.view()
    }

    /// The kernel.
    pub fn kernel(&self) -> &Kernel {
        &self.kernel
    }

    /// The factor of `k(X, X) + N`.
    pub fn factor(&self) -> &Factor {
        &self.factor
    }

    /// `alpha = K^-1 (y - mean)`, n: the posterior mean is `mean + k(points, X) alpha`.
    pub fn weights(&self) -> ArrayView1<'_, f64> {
        self.alpha.view()
    }

    /// What the factorisation had to add to the diagonal (0 in the ordinary case).
    pub fn jitter(&self) -> f64 {
        self.factor.jitter()
    }

    /// Bytes held by the factor and the data.
    pub fn bytes(&self) -> usize {
        size_of::<f64>() * (self.len() * self.len() + self.x.len() + 3 * self.len())
    }

    /// Log marginal likelihood of the observations (nats).
    pub fn log_marginal_likelihood(&self) -> f64 {
        let quadratic = self.half_residual.dot(&self.half_residual);
        let constant = self.len() as f64 * (2.0 * std::f64::consts::PI).ln();
        -0.5 * (quadratic + self.factor.log_determinant() + constant)
    }

    /// Posterior mean at `points` (m x d): m values. No solve, O(n m d).
    pub fn mean(&self, points: ArrayView2<f64>) -> Array1<f64> {
        let features = self.hyper.features(points);
        self.kernel
            .cross(self.x.view(), features.view())
            .t()
            .dot(&self.alpha)
            + self.hyper.mean
    }

    /// Gradient of the posterior mean with respect to one point: d values.
    pub fn mean_gradient(&self, point: ArrayView1<f64>) -> Array1<f64> {
        let feature = self.feature(point);
        let mut gradient = Array1::zeros(point.len());
        for (x, alpha) in self.x.rows().into_iter().zip(&self.alpha) {
            gradient.scaled_add(*alpha, &self.kernel.input_gradient(feature.view(), x));
        }
        gradient * self.hyper.feature_slopes(point)
    }

    /// Gradient of `cov(point, b_j)` with respect to `point`, for each point `b_j` of the whitened
    /// set: d x m. (At `b_j = point` it is half the gradient of the variance.)
    pub fn covariance_gradient(&self, point: ArrayView1<f64>, b: &Whitened) -> Array2<f64> {
        let (n, d, m) = (self.len(), point.len(), b.points.nrows());
        let feature = self.feature(point);
        // Rows: d k(point, X_i) / d point.
        let mut to_data = Array2::zeros((n, d));
        for (x, mut row) in self.x.rows().into_iter().zip(to_data.rows_mut()) {
            row.assign(&self.kernel.input_gradient(feature.view(), x));
        }
        let solved = self.factor.half_solve(to_data);
        let mut out = Array2::zeros((d, m));
        for (b, mut column) in b.points.rows().into_iter().zip(out.columns_mut()) {
            column.assign(&self.kernel.input_gradient(feature.view(), b));
        }
        general_mat_mul(-1.0, &solved.t(), &b.solved, 1.0, &mut out);
        let slopes = self.hyper.feature_slopes(point);
        for (mut row, slope) in out.rows_mut().into_iter().zip(&slopes) {
            row *= *slope;
        }
        out
    }

    /// Features of one point.
    fn feature(&self, point: ArrayView1<f64>) -> Array1<f64> {
        let inputs = point.iter().copied().collect::<Vec<f64>>();
        self.hyper.features_from(0, &inputs).into()
    }

    /// Does the solve for `points` (m x d) once: O(n^2 m).
    pub fn whiten(&self, points: ArrayView2<f64>) -> Whitened {
        let features = self.hyper.features(points);
        let cross = self.kernel.cross(self.x.view(), features.view());
        let mean = cross.t().dot(&self.alpha) + self.hyper.mean;
        let solved = self.factor.half_solve(cross);
        let prior = self.kernel.outputscale();
        let variance = solved
            .columns()
            .into_iter()
            .map(|v| (prior - v.dot(&v)).max(0.0))
            .collect();
        Whitened {
            points: features.into_owned(),
            solved,
            mean,
            variance,
        }
    }

    /// Posterior covariance of two whitened sets: |a| x |b|, O(n |a| |b|), no solve.
    pub fn covariance_between(&self, a: &Whitened, b: &Whitened) -> Array2<f64> {
        let mut out = self.kernel.cross(a.points.view(), b.points.view());
        if b.points.nrows() == 1 {
            // One column: a matrix product would first pack the whole of `a`.
            let (b, mut out) = (b.solved.column(0), out.column_mut(0));
            general_mat_vec_mul(-1.0, &a.solved.t(), &b, 1.0, &mut out);
        } else {
            general_mat_mul(-1.0, &a.solved.t(), &b.solved, 1.0, &mut out);
        }
        out
    }

    /// The factor of a posterior covariance (m x m), or of what is left of one. It is a difference of matrices of the
    /// prior variance's size, so the jitter ladder is relative to that: where next to nothing is uncertain the
    /// entries may be rounding alone.
    ///
    /// # Errors
    /// As [`Factor::within`].
    pub fn joint_factor(&self, covariance: ArrayView2<f64>) -> Result<Factor, FactorError> {
        Factor::within(covariance, self.kernel.outputscale())
    }

    /// Posterior variance at `points` without observation noise, m values, never negative.
    pub fn variance(&self, points: ArrayView2<f64>) -> Array1<f64> {
        self.whiten(points).variance
    }

    /// Joint posterior covariance of `points` without observation noise, m x m.
    pub fn covariance(&self, points: ArrayView2<f64>) -> Array2<f64> {
        let set = self.whiten(points);
        self.covariance_between(&set, &set)
    }

    /// `cov(points, at) / sqrt(var(at) + noise)`, m values: after one more observation at `at` the
    /// posterior mean is `mean + direction * z` with z standard normal.
    pub fn fantasy_direction(&self, points: ArrayView2<f64>, at: ArrayView1<f64>) -> Array1<f64> {
        let at = self.whiten(at.insert_axis(Axis(0)));
        self.fantasy_directions(&self.whiten(points), &at)
            .remove_axis(Axis(1))
    }

    /// The same for many whitened candidates at once: |points| x |at|, one column a candidate.
    pub fn fantasy_directions(&self, points: &Whitened, at: &Whitened) -> Array2<f64> {
        let mut out = self.covariance_between(points, at);
        for (mut column, variance) in out.columns_mut().into_iter().zip(&at.variance) {
            column /= (variance + self.hyper.noise).sqrt();
        }
        out
    }

    /// Adds one observation in O(n^2), hyperparameters unchanged, as a row of its own even where its
    /// input was seen before (which predicts the same). Returns jitter spent on the new row (0 in the
    /// ordinary case).
    ///
    /// # Errors
    /// A point of another dimension, values that are not finite, a lost pivot. The posterior is
    /// then unchanged.
    pub fn append(&mut self, x: ArrayView1<f64>, y: f64) -> Result<f64, GpError> {
        self.append_marked(x, y, false)
    }

    /// [`Self::append`] of a value that may be rough.
    ///
    /// # Errors
    /// As there.
    pub fn append_marked(
        &mut self,
        x: ArrayView1<f64>,
        y: f64,
        rough: bool,
    ) -> Result<f64, GpError> {
        check_data(x.insert_axis(Axis(0)), ArrayView1::from(&[y]))?;
        if x.len() != self.x.ncols() {
            return Err(GpError::Shape {
                what: "inputs of the new point",
                expected: self.x.ncols(),
                found: x.len(),
            });
        }
        let feature = self.feature(x);
        let row = self
            .kernel
            .cross(self.x.view(), feature.view().insert_axis(Axis(0)));
        let diagonal = self.kernel.outputscale() + self.hyper.noise_of(rough);
        let extra = self.factor.append(row.column(0), diagonal)?;
        self.x
            .push_row(feature.view())
            .expect("the dimension was checked above");
        self.y
            .append(Axis(0), ArrayView1::from(&[y]))
            .expect("vectors append");
        self.solve_residual();
        Ok(extra)
    }
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;
    use crate::gp::Warp;
    use crate::kernel::KernelKind;
    use crate::reference::{assert_close, golden, matrix, vector};

    fn example() -> Posterior {
        of_form(KernelKind::Matern52.into(), Vec::new())
    }

    fn of_form(form: KernelForm, warp: Vec<Warp>) -> Posterior {
        let x = Array2::from_shape_fn((25, 3), |(i, j)| {
            f64::from(sobol_burley::sample(i as u32, j as u32, 1))
        });
        let y = x
            .rows()
            .into_iter()
            .map(|x| (4.0 * x[0]).cos() + x[1] * x[2])
            .collect();
        let hyper = Hyperparameters {
            lengthscales: vec![0.4, 0.9, 1.5],
            outputscale: 1.3,
            noise: 1e-3,
            mean: 0.2,
            rough_noise: None,
            warp,
        };
        Posterior::new(form, &hyper, x, y).unwrap()
    }

    #[test]
    fn golden_posterior_and_fantasy() {
        let Some(file) = golden("gp_matern52.json") else {
            return;
        };
        for case in file["cases"].as_array().unwrap() {
            let number = |name: &str| case[name].as_f64().unwrap();
            let hyper = Hyperparameters {
                lengthscales: vector(&case["lengthscale"]).to_vec(),
                outputscale: number("outputscale"),
                noise: number("noise"),
                mean: number("mean"),
                rough_noise: None,
                warp: Vec::new(),
            };
            let mut posterior = Posterior::new(
                KernelKind::Matern52,
                &hyper,
                matrix(&case["X"]),
                vector(&case["Y"]),
            )
            .unwrap();
            let points = matrix(&case["X_test"]);
            let evidence = posterior.log_marginal_likelihood();
            assert_close(
                "evidence",
                [&evidence],
                [&number("log_marginal_likelihood")],
                1e-8,
            );
            assert_close(
                "mean",
                &posterior.mean(points.view()),
                &vector(&case["posterior_mean"]),
                1e-8,
            );
            let covariance = posterior.covariance(points.view());
            assert_close(
                "covariance",
                &covariance,
                &matrix(&case["posterior_cov_noise_free"]),
                1e-8,
            );
            assert_close(
                "variance",
                &posterior.variance(points.view()),
                covariance.diag(),
                1e-8,
            );

            let at = vector(&case["fantasy"]["x"]);
            let y = case["fantasy"]["y"].as_f64().unwrap();
            let after = vector(&case["fantasy"]["posterior_mean_after"]);
            let whitened = posterior.whiten(at.view().insert_axis(Axis(0)));
            let z = (y - whitened.mean[0]) / (whitened.variance[0] + hyper.noise).sqrt();
            let moved = posterior.mean(points.view())
                + z * posterior.fantasy_direction(points.view(), at.view());
            assert_close("fantasy", &moved, &after, 1e-8);
            posterior.append(at.view(), y).unwrap();
            assert_close("appended", &posterior.mean(points.view()), &after, 1e-8);
        }
    }

    #[test]
    fn what_is_all_but_known_has_a_factor_of_its_size() {
        // Deviations of 5e-5 of the prior's at 160 points: the covariance is rounding in most directions.
        let x = Array2::from_shape_fn((60, 3), |(i, j)| {
            f64::from(sobol_burley::sample(i as u32, j as u32, 1))
        });
        let y = x.rows().into_iter().map(|x| x[0] - x[1] * x[2]).collect();
        let hyper = Hyperparameters {
            lengthscales: vec![2.0; 3],
            outputscale: 1.0,
            noise: 1e-8,
            mean: 0.0,
            rough_noise: None,
            warp: Vec::new(),
        };
        let posterior = Posterior::new(KernelKind::SquaredExponential, &hyper, x, y).unwrap();
        let points = Array2::from_shape_fn((160, 3), |(i, j)| match j {
            2 => (i as f64 + 0.5) / 160.0,
            _ => 0.5,
        });
        let set = posterior.whiten(points.view());
        let covariance = posterior.covariance_between(&set, &set);
        assert!(Factor::new(covariance.view()).is_err(), "by its own scale");
        let factor = posterior.joint_factor(covariance.view()).unwrap();
        for (row, variance) in factor.lower().rows().into_iter().zip(&set.variance) {
            let found = row.dot(&row);
            assert!(
                variance.sqrt() > 1e-5 && (found / variance - 1.0).abs() < 0.01,
                "{found} {variance}"
            );
        }
    }

    #[test]
    fn appending_equals_conditioning_from_the_start() {
        let whole = example();
        let (x, y) = (whole.inputs().to_owned(), whole.observations().to_owned());
        let mut grown = Posterior::new(
            whole.kernel().form(),
            whole.hyperparameters(),
            x.slice(ndarray::s![..20, ..]).to_owned(),
            y.slice(ndarray::s![..20]).to_owned(),
        )
        .unwrap();
        for i in 20..25 {
            assert_eq!(grown.append(x.row(i), y[i]).unwrap(), 0.0);
        }
        let points = array![[0.1, 0.2, 0.3], [0.9, 0.5, 0.1]];
        assert_close(
            "mean",
            &grown.mean(points.view()),
            &whole.mean(points.view()),
            1e-10,
        );
        assert_close(
            "variance",
            &grown.variance(points.view()),
            &whole.variance(points.view()),
            1e-10,
        );
    }

    #[test]
    fn gradients_agree_with_finite_differences() {
        let warps = [(0.5, 1.5), (1.3, 0.8), (1.0, 2.0)].map(|(a, b)| Warp { a, b });
        for kind in KernelKind::ALL {
            gradients(&of_form(kind.into(), Vec::new()));
            gradients(&of_form(KernelForm::product(kind, 2), warps.to_vec()));
        }
    }

    fn gradients(posterior: &Posterior) {
        let at = array![0.3, 0.6, 0.2];
        let others = posterior.whiten(array![[0.1, 0.7, 0.9], [0.8, 0.8, 0.1]].view());
        let (mean, covariance) = (
            posterior.mean_gradient(at.view()),
            posterior.covariance_gradient(at.view(), &others),
        );
        let h = 1e-5;
        for d in 0..3 {
            let moved = |by: f64| {
                let mut at = at.clone();
                at[d] += by;
                at.insert_axis(Axis(0))
            };
            let (up, down) = (moved(h), moved(-h));
            let slope = (posterior.mean(up.view())[0] - posterior.mean(down.view())[0]) / (2.0 * h);
            assert!(
                (slope - mean[d]).abs() < 1e-6,
                "mean: {slope} against {}",
                mean[d]
            );
            let (up, down) = (posterior.whiten(up.view()), posterior.whiten(down.view()));
            let slope = (posterior.covariance_between(&up, &others)
                - posterior.covariance_between(&down, &others))
                / (2.0 * h);
            assert_close("covariance", covariance.row(d), slope.row(0), 1e-6);
        }
    }

    #[test]
    fn duplicates_and_single_rows_are_no_trouble() {
        let hyper = Hyperparameters {
            lengthscales: vec![1.0],
            outputscale: 1.0,
            noise: 1e-12,
            mean: 0.0,
            rough_noise: None,
            warp: Vec::new(),
        };
        let x = array![[0.5], [0.5], [0.5]];
        let mut posterior = Posterior::new(
            KernelKind::SquaredExponential,
            &hyper,
            x,
            array![1.0, 1.0, 1.0],
        )
        .unwrap();
        posterior.append(array![0.5].view(), 1.0).unwrap();
        assert!((posterior.mean(array![[0.5]].view())[0] - 1.0).abs() < 1e-4);
        let single =
            Posterior::new(KernelKind::Matern52, &hyper, array![[0.1]], array![0.0]).unwrap();
        assert!(single.variance(array![[0.1]].view())[0] < 1e-6);
    }

    #[test]
    fn bad_data_is_refused_by_name() {
        let hyper = Hyperparameters {
            lengthscales: vec![1.0],
            outputscale: 1.0,
            noise: 0.1,
            mean: 0.0,
            rough_noise: None,
            warp: Vec::new(),
        };
        let new = |x, y| Posterior::new(KernelKind::Matern52, &hyper, x, y).map(|_| ());
        assert_eq!(new(Array2::zeros((0, 1)), array![]), Err(GpError::Empty));
        assert!(matches!(
            new(array![[0.1]], array![f64::NAN]),
            Err(GpError::Invalid {
                what: "an observation",
                ..
            })
        ));
        assert!(matches!(
            new(array![[0.1, 0.2]], array![1.0]),
            Err(GpError::Shape { .. })
        ));
        assert!(matches!(
            new(array![[0.1]], array![1.0, 2.0]),
            Err(GpError::Shape { .. })
        ));
    }
}
