//! Observations as a Gaussian process takes them: distinct inputs, repeated ones merged.
//!
//! Values seen m times at one input say the same as their mean seen once with 1/m of the noise variance;
//! what they say of the noise alone is in the scatter about that mean. Nothing is lost: the evidence adds
//! `-(m - 1)/2 ln(2 pi noise) - ln(m)/2 - scatter/(2 noise)` for each ([`super::Evidence`]).

use std::collections::BTreeMap;

use ndarray::{Array1, Array2, ArrayView1, ArrayView2, Axis};

use super::GpError;

/// Distinct inputs with the means of their values; see the module's head.
#[derive(Clone, Debug, PartialEq)]
pub struct Replicates {
    x: Array2<f64>,
    y: Array1<f64>,
    counts: Vec<f64>,
    scatter: Vec<f64>,
    rough: Vec<bool>,
}

impl Replicates {
    /// Every row by itself, equal or not: `y` (n standardised values) at `x` (n x d).
    ///
    /// # Errors
    /// No rows, shapes that do not match, values that are not finite.
    pub fn single(x: Array2<f64>, y: Array1<f64>) -> Result<Self, GpError> {
        check_data(x.view(), y.view())?;
        let n = y.len();
        Ok(Self {
            x,
            y,
            counts: vec![1.0; n],
            scatter: vec![0.0; n],
            rough: vec![false; n],
        })
    }

    /// Equal inputs merged, in the order in which they first appear; `rough` says which values carry a
    /// noise of their own, and only values of one kind merge.
    ///
    /// # Errors
    /// As [`Self::single`], or another number of marks than rows.
    pub fn merging(
        x: ArrayView2<f64>,
        y: ArrayView1<f64>,
        rough: &[bool],
    ) -> Result<Self, GpError> {
        check_data(x, y)?;
        if rough.len() != y.len() {
            return Err(GpError::Shape {
                what: "marks of rough values (one per observation)",
                expected: y.len(),
                found: rough.len(),
            });
        }
        let mut groups: BTreeMap<(bool, Vec<u64>), usize> = BTreeMap::new();
        let mut members: Vec<Vec<usize>> = Vec::new();
        for (i, row) in x.rows().into_iter().enumerate() {
            // Adding 0 makes -0 and 0 one.
            let key = row.iter().map(|v| (v + 0.0).to_bits()).collect();
            let group = *groups.entry((rough[i], key)).or_insert(members.len());
            if group == members.len() {
                members.push(Vec::new());
            }
            members[group].push(i);
        }
        let first: Vec<usize> = members.iter().map(|rows| rows[0]).collect();
        let mean = |rows: &[usize]| {
            // About the first value, so that equal values have exactly their own mean.
            let from = y[rows[0]];
            from + rows.iter().map(|&i| y[i] - from).sum::<f64>() / rows.len() as f64
        };
        let y_mean: Array1<f64> = members.iter().map(|rows| mean(rows)).collect();
        let scatter = members.iter().zip(&y_mean);
        Ok(Self {
            x: x.select(Axis(0), &first),
            counts: members.iter().map(|rows| rows.len() as f64).collect(),
            scatter: scatter
                .map(|(rows, mean)| rows.iter().map(|&i| (y[i] - mean).powi(2)).sum())
                .collect(),
            rough: first.iter().map(|&i| rough[i]).collect(),
            y: y_mean,
        })
    }

    /// The given rows alone.
    pub fn select(&self, rows: &[usize]) -> Self {
        let pick = |values: &[f64]| rows.iter().map(|&i| values[i]).collect();
        Self {
            x: self.x.select(Axis(0), rows),
            y: self.y.select(Axis(0), rows),
            counts: pick(&self.counts),
            scatter: pick(&self.scatter),
            rough: rows.iter().map(|&i| self.rough[i]).collect(),
        }
    }

    /// Number of distinct inputs, at least 1.
    pub fn len(&self) -> usize {
        self.y.len()
    }

    /// Always false: data without rows are refused.
    pub fn is_empty(&self) -> bool {
        self.y.is_empty()
    }

    /// Distinct inputs, m x d.
    pub fn x(&self) -> ArrayView2<'_, f64> {
        self.x.view()
    }

    /// Mean value at each, m.
    pub fn y(&self) -> ArrayView1<'_, f64> {
        self.y.view()
    }

    /// How many values each mean stands for, m.
    pub fn counts(&self) -> &[f64] {
        &self.counts
    }

    /// Sum of squared deviations of the values from their mean, m.
    pub fn scatter(&self) -> &[f64] {
        &self.scatter
    }

    /// Which means are of rough values, m.
    pub fn rough(&self) -> &[bool] {
        &self.rough
    }

    /// Whether some are rough.
    pub fn any_rough(&self) -> bool {
        self.rough.contains(&true)
    }

    /// Inputs and means, given away.
    pub(super) fn into_parts(self) -> (Array2<f64>, Array1<f64>) {
        (self.x, self.y)
    }
}

pub(super) fn check_data(x: ArrayView2<f64>, y: ArrayView1<f64>) -> Result<(), GpError> {
    if y.is_empty() {
        return Err(GpError::Empty);
    }
    if x.nrows() != y.len() {
        return Err(GpError::Shape {
            what: "rows of x (one per observation)",
            expected: y.len(),
            found: x.nrows(),
        });
    }
    for (what, values) in [
        ("an input", x.iter().find(|v| !v.is_finite())),
        ("an observation", y.iter().find(|v| !v.is_finite())),
    ] {
        if let Some(&value) = values {
            return Err(GpError::Invalid { what, value });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use ndarray::array;

    use super::*;

    #[test]
    fn equal_inputs_become_one_with_their_mean() {
        let x = array![[0.1, 0.2], [0.5, 0.5], [0.1, 0.2], [-0.0, 1.0], [0.0, 1.0]];
        let y = array![1.0, 7.0, 3.0, 5.0, 5.0];
        let all = Replicates::merging(x.view(), y.view(), &[false; 5]).unwrap();
        assert_eq!(all.x().column(0).to_vec(), [0.1, 0.5, 0.0]);
        assert_eq!(all.y().to_vec(), [2.0, 7.0, 5.0]);
        assert_eq!(all.counts(), [2.0, 1.0, 2.0]);
        assert_eq!(all.scatter(), [2.0, 0.0, 0.0]);
        let marks = [false, false, true, false, false];
        let apart = Replicates::merging(x.view(), y.view(), &marks).unwrap();
        assert_eq!(
            (apart.len(), apart.any_rough()),
            (4, true),
            "kinds stay apart"
        );
        assert_eq!(apart.rough(), [false, false, true, false]);
    }
}
