//! Compression of very bad values before they reach the model.
//!
//! Far from the optimum an objective is often worse by orders of magnitude, and a stationary Gaussian
//! process spends its lengthscales there. [`Compression`] leaves everything above a threshold as it is
//! and bends what lies below it into a logarithm, smoothly. The model lives on compressed values; what is
//! reported goes back through [`Compression::expand`], exactly where values are above the threshold.

/// How many times the span from the median to the best value counts as ordinary.
const ORDINARY: f64 = 3.0;
/// Exponents beyond this are cut off: such a value is only "very bad".
const FARTHEST: f64 = 40.0;

/// `y` for y >= threshold, `threshold - width ln(1 + (threshold - y) / width)` below.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Compression {
    /// Where the bend begins, in the values' unit (turned to be maximised).
    pub threshold: f64,
    /// How gently it bends, positive, in the same unit.
    pub width: f64,
}

impl Compression {
    /// The compression for these values (to be maximised): threshold three spans from the median to
    /// the best below the best, width the same. `None` where nothing lies below it.
    pub fn for_values(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (worst, best) = (*sorted.first()?, *sorted.last()?);
        let n = sorted.len();
        let median = 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]);
        let width = ORDINARY * (best - median);
        let threshold = best - width;
        (width > 0.0 && width.is_finite() && worst < threshold).then_some(Self { threshold, width })
    }

    /// The same compression for values in other units: `(y - shift) / scale`.
    pub fn in_units(self, shift: f64, scale: f64) -> Self {
        Self {
            threshold: (self.threshold - shift) / scale,
            width: self.width / scale,
        }
    }

    /// Compressed value.
    pub fn compress(self, y: f64) -> f64 {
        let below = (self.threshold - y) / self.width;
        if below > 0.0 {
            self.threshold - self.width * below.ln_1p()
        } else {
            y
        }
    }

    /// Inverse of [`Self::compress`] and its derivative.
    pub fn expand(self, compressed: f64) -> (f64, f64) {
        let below = (self.threshold - compressed) / self.width;
        if below > 0.0 {
            let below = below.min(FARTHEST);
            (self.threshold - self.width * below.exp_m1(), below.exp())
        } else {
            (compressed, 1.0)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_compressed_expands_again() {
        let values = [-5000.0, -300.0, -7.0, -4.0, -3.0, 1.0, 2.0];
        let c = Compression::for_values(&values).unwrap();
        assert_eq!((c.threshold, c.width), (-16.0, 18.0));
        for y in values {
            let (back, slope) = c.expand(c.compress(y));
            assert!((back - y).abs() < 1e-9 * y.abs());
            let h = 1e-6;
            let rise = (c.expand(c.compress(y) + h).0 - c.expand(c.compress(y) - h).0) / (2.0 * h);
            assert!((rise / slope - 1.0).abs() < 1e-6);
        }
        assert!(c.compress(-5000.0) > -130.0);
    }

    #[test]
    fn ordinary_values_are_left_alone() {
        assert_eq!(Compression::for_values(&[0.5, 0.7, 0.8, 0.9]), None);
        assert_eq!(Compression::for_values(&[1.0, 1.0, 1.0]), None);
        assert_eq!(Compression::for_values(&[]), None);
    }
}
