//! [`Step`]: what a ladder tells of its way up and down.

use serde::Serialize;

/// A step on the ladder.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "step", rename_all = "snake_case")]
pub enum Step {
    /// The largest batch that is planned to fit went well the first time: the plan is confirmed.
    Confirmed {
        /// Images at once.
        batch: usize,
        /// Bytes that the batch is planned to take beside the model.
        bytes: u64,
        /// Bytes allowed.
        allowed: u64,
    },
    /// A batch that went well in an earlier process is begun with.
    Remembered {
        /// Images at once.
        batch: usize,
    },
    /// A smaller batch after out of memory.
    SmallerBatch {
        /// What failed.
        from: usize,
        /// What is tried next.
        to: usize,
    },
    /// A larger batch: there was room.
    LargerBatch {
        /// What went well.
        from: usize,
        /// What is tried next.
        to: usize,
    },
    /// An image is cut into tiles: planned, or after out of memory.
    Tiled {
        /// How many.
        tiles: usize,
        /// Rows and columns of the largest window.
        window: (usize, usize),
        /// Bytes that one takes beside the model.
        bytes: u64,
    },
    /// An image that was cut is no longer: there is room again.
    Whole,
    /// The device has no room for the smallest tile: the CPU goes on.
    OnCpu,
    /// Not even the smallest tile fits the budget of the CPU; it is run all the same.
    OverBudget {
        /// Bytes it takes beside the model.
        needed: u64,
        /// Bytes allowed.
        allowed: u64,
    },
}

impl std::fmt::Display for Step {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mb = |bytes: u64| bytes.div_ceil(1_000_000);
        match self {
            Self::Confirmed {
                batch,
                bytes,
                allowed,
            } => write!(
                f,
                "batches of {batch} images, planned to take {} MB of {} MB: the first one went well",
                mb(*bytes),
                mb(*allowed)
            ),
            Self::Remembered { batch } => write!(
                f,
                "beginning with batches of {batch} images, which went well before"
            ),
            Self::SmallerBatch { from, to } => {
                write!(
                    f,
                    "out of memory with a batch of {from}: going on with {to}"
                )
            }
            Self::LargerBatch { from, to } => {
                write!(f, "room for more than a batch of {from}: trying {to}")
            }
            Self::Tiled {
                tiles,
                window: (height, width),
                bytes,
            } => write!(
                f,
                "the image is seen in {tiles} tiles of at most {width} x {height} pixels, {} MB each",
                mb(*bytes)
            ),
            Self::Whole => f.write_str("there is room again: the image is seen whole"),
            Self::OnCpu => f.write_str("out of memory on the device: the CPU goes on"),
            Self::OverBudget { needed, allowed } => write!(
                f,
                "the smallest tile takes {} MB, {} MB are allowed: it is run all the same",
                mb(*needed),
                mb(*allowed)
            ),
        }
    }
}
