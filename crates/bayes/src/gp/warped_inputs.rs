//! Inputs as the evidence sees them: warped, divided by the lengthscales, one input after the other.

use ndarray::ArrayView2;

use super::Hyperparameters;

/// Inputs with the memory for their scaled forms.
#[derive(Clone, Debug)]
pub(super) struct WarpedInputs {
    /// d x n, as given.
    inputs: Vec<f64>,
    rows: usize,
    /// d x n: warped, over the lengthscales.
    pub(super) scaled: Vec<f64>,
    /// Derivatives of `scaled` with respect to the log shapes a and b: two of d x n, none without warps.
    pub(super) moves: Vec<Vec<f64>>,
}

impl WarpedInputs {
    /// Of `x`, n x d.
    pub(super) fn new(x: ArrayView2<f64>) -> Self {
        Self {
            inputs: x.t().iter().copied().collect(),
            rows: x.nrows(),
            scaled: vec![0.0; x.len()],
            moves: Vec::new(),
        }
    }

    /// Brings `scaled` and `moves` to these hyperparameters.
    pub(super) fn scale(&mut self, hyper: &Hyperparameters) {
        let (n, size) = (self.rows, self.inputs.len());
        let moved = if hyper.warp.is_empty() { 0 } else { 2 };
        self.moves.resize(moved, vec![0.0; size]);
        for (d, lengthscale) in hyper.lengthscales.iter().enumerate() {
            let inverse = lengthscale.recip();
            for i in d * n..(d + 1) * n {
                match hyper.warp.get(d) {
                    None => self.scaled[i] = self.inputs[i] * inverse,
                    Some(warp) => {
                        let at = warp.at(self.inputs[i]);
                        self.scaled[i] = at.value * inverse;
                        self.moves[0][i] = at.to_log_a * inverse;
                        self.moves[1][i] = at.to_log_b * inverse;
                    }
                }
            }
        }
    }
}
