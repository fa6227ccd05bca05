//! How a network is trained: what a user asks for, and what a training's own record holds of it.
//!
//! Central type [`TrainSettings`].

use serde::{Deserialize, Serialize};

use crate::edge::Precision;

/// How to train.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct TrainSettings {
    /// Seed of initial weights and crops.
    pub seed: u64,
    /// Number of steps of the whole schedule.
    pub steps: usize,
    /// Crops of a micro-batch, at least 1; fewer where memory does not hold them, see [`Pace`](super::Pace).
    pub batch: usize,
    /// Micro-batches whose gradients are averaged for a step, at least 1.
    pub accumulate: usize,
    /// Side of a crop in pixels, a multiple of what the network halves it by: 8, for DexiNed 16.
    pub side: usize,
    /// Largest learning rate.
    pub learning_rate: f64,
    /// Decay of weights per step, times the learning rate.
    pub weight_decay: f64,
    /// Weight of each side's loss, finest first, beside the fused one's 1.
    pub side_weights: [f64; 4],
    /// 0 (only flips and quarter turns) .. 1 (all augmentation).
    pub augmentation: f32,
    /// Maps within a stage are computed again on the way back instead of kept.
    #[serde(default)]
    pub checkpoint_gradients: bool,
    /// Numbers of maps and of their gradients.
    #[serde(default, skip_serializing_if = "is_plain")]
    pub precision: Precision,
}

fn is_plain(precision: &Precision) -> bool {
    *precision == Precision::default()
}

impl TrainSettings {
    /// Weights of the losses of so many sides; beyond the fourth each as the fourth.
    pub(super) fn side_weights(&self, sides: usize) -> Vec<f64> {
        let last = self.side_weights[3];
        let given = self.side_weights.iter().copied();
        given.chain(std::iter::repeat(last)).take(sides).collect()
    }
}

impl Default for TrainSettings {
    fn default() -> Self {
        Self {
            seed: 0,
            steps: 1000,
            batch: 8,
            accumulate: 1,
            side: 192,
            learning_rate: 2e-3,
            weight_decay: 1e-3,
            side_weights: [0.4, 0.4, 0.3, 0.2],
            augmentation: 1.0,
            checkpoint_gradients: false,
            precision: Precision::default(),
        }
    }
}
