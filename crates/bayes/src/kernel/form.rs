//! Which kernel: the correlation, and how decision and environment inputs come together in it.

use std::ops::Range;

use super::{KernelKind, squared_distances};

/// How the inputs come together.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Structure {
    /// One correlation of the distance over all inputs.
    #[default]
    Joint,
    /// The product of a correlation of the distance over the `first` inputs (x) and one of the distance
    /// over the others (w): the shape of the function of x may then change with w only by a factor that
    /// the data must show.
    Product {
        /// Inputs of the first factor.
        first: usize,
    },
}

/// A correlation and a structure. A [`KernelKind`] alone turns into the joint form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct KernelForm {
    /// Which correlation.
    pub kind: KernelKind,
    /// How the inputs come together.
    pub structure: Structure,
}

impl From<KernelKind> for KernelForm {
    fn from(kind: KernelKind) -> Self {
        Self {
            kind,
            structure: Structure::Joint,
        }
    }
}

impl KernelForm {
    /// The product over the `first` inputs and the rest.
    pub fn product(kind: KernelKind, first: usize) -> Self {
        Self {
            kind,
            structure: Structure::Product { first },
        }
    }

    /// The inputs of each factor, of `dimension` in all: one range, or two that are not empty.
    pub fn parts(self, dimension: usize) -> Vec<Range<usize>> {
        match self.structure {
            Structure::Product { first } if 0 < first && first < dimension => {
                vec![0..first, first..dimension]
            }
            _ => std::iter::once(0..dimension).collect(),
        }
    }

    /// Correlations of the points `from..` of the d x n set `scaled` (inputs over lengthscales) with the
    /// point `at`, into `out`; `scratch` as long as `out`.
    pub(super) fn correlations(
        self,
        (scaled, n): (&[f64], usize),
        at: &[f64],
        from: usize,
        out: &mut [f64],
        scratch: &mut Vec<f64>,
    ) {
        for (k, part) in self.parts(at.len()).into_iter().enumerate() {
            let inputs = &scaled[part.start * n..part.end * n];
            if k == 0 {
                squared_distances(inputs, n, &at[part], from, out);
                self.kind.correlations(out);
            } else {
                scratch.resize(out.len(), 0.0);
                squared_distances(inputs, n, &at[part], from, scratch);
                self.kind.correlations(scratch);
                for (out, other) in out.iter_mut().zip(scratch.iter()) {
                    *out = flushed(*out * other);
                }
            }
        }
    }

    /// The same with the derivatives with respect to the scaled squared distance of each part:
    /// `slopes` holds one row for each of [`Self::parts`].
    pub fn correlations_and_slopes(
        self,
        (scaled, n): (&[f64], usize),
        at: &[f64],
        from: usize,
        out: &mut [f64],
        slopes: &mut [&mut [f64]],
    ) {
        let parts = self.parts(at.len());
        let inputs = |part: &Range<usize>| &scaled[part.start * n..part.end * n];
        squared_distances(inputs(&parts[0]), n, &at[parts[0].clone()], from, out);
        self.kind.correlations_and_slopes(out, slopes[0]);
        if let (Some(part), [of_first, of_second]) = (parts.get(1), slopes) {
            let mut second = vec![0.0; out.len()];
            squared_distances(inputs(part), n, &at[part.clone()], from, &mut second);
            self.kind.correlations_and_slopes(&mut second, of_second);
            for (((out, second), a), b) in out
                .iter_mut()
                .zip(&second)
                .zip(of_first.iter_mut())
                .zip(of_second.iter_mut())
            {
                *a *= second;
                *b *= *out;
                *out = flushed(*out * second);
            }
        }
    }
}

/// As in [`KernelKind`]: what carries no information becomes zero before it turns into denormals.
fn flushed(correlation: f64) -> f64 {
    if correlation >= super::correlation::NEGLIGIBLE {
        correlation
    } else {
        0.0
    }
}
