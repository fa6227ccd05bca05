//! Why training cannot go on.

use std::path::PathBuf;

use crate::edge::{EdgeError, Precision, out_of_memory};

/// Why training cannot go on.
#[derive(Debug, thiserror::Error)]
pub enum TrainError {
    /// A folder of examples cannot be read.
    #[error("examples in {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// A file of what was learned cannot be written.
    #[error("write {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: Box<candle_core::Error>,
    },
    /// A folder holds no image with an edge map of the same name.
    #[error("examples in {path}: no image has an edge map of the same name")]
    NoExamples {
        /// The folder.
        path: PathBuf,
    },
    /// An image does not decode or does not fit its edge map.
    #[error("example {path}: {reason}")]
    Image {
        /// The file.
        path: PathBuf,
        /// What is wrong, in words.
        reason: String,
    },
    /// A checkpoint cannot be read or is of something else.
    #[error("checkpoint {path}: {reason}")]
    Checkpoint {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The loss is NaN or infinite.
    #[error("loss {loss} at step {step}: lower the learning rate")]
    Diverged {
        /// The step.
        step: usize,
        /// The loss.
        loss: f32,
    },
    /// Gradients keep being infinite in 16 bits.
    #[error(
        "gradients in {precision} were infinite in {steps} steps in a row, at last in step {step}"
    )]
    Overflow {
        /// The step.
        step: usize,
        /// How many in a row.
        steps: usize,
        /// The numbers.
        precision: Precision,
    },
    /// Memory ran out below the last rung of [`Pace`](super::Pace).
    #[error(
        "out of memory with one crop of {side} x {side} pixels at once and gradient checkpointing: {reason}"
    )]
    OutOfMemory {
        /// Pixels of a side of the crop.
        side: usize,
        /// In the device's own words.
        reason: String,
    },
    /// Weights to start from do not fit.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// The tensor library failed.
    #[error("training failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl TrainError {
    /// Memory ran out: less at once may do.
    pub(super) fn is_out_of_memory(&self) -> bool {
        match self {
            Self::Edge(error) => error.is_out_of_memory(),
            Self::Tensor(error) => out_of_memory(error),
            _ => false,
        }
    }
}
