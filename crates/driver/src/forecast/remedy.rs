//! What makes work fit, in the order in which it is to be tried, each with what it then takes.

use std::fmt;

use bo_vision::edge::{EdgeModel, Place, Purpose, Training, Work};
use serde::Serialize;

use super::{footprint, largest_batch, rank, step};
use crate::exit::Failure;
use crate::quantity::bytes;

/// A change and what the network takes after it.
#[derive(Clone, Debug, Serialize)]
pub struct Remedy {
    /// What to change.
    change: Change,
    /// Bytes of the network at its peak then.
    peak: u64,
    /// That fits.
    fits: bool,
}

impl Remedy {
    /// It fits then.
    pub fn is_enough(&self) -> bool {
        self.fits
    }
}

/// What is changed.
#[derive(Clone, Copy, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Change {
    /// A smaller batch; in training the gradients of so many are added up for the same step.
    Batch { batch: usize, accumulate: usize },
    /// Maps computed again on the way back instead of kept.
    Checkpoint { checkpoint_gradients: bool },
    /// Smaller images.
    Size { height: usize, width: usize },
    /// A smaller network.
    Model(EdgeModel),
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.change {
            Change::Batch {
                batch,
                accumulate: 1,
            } => write!(f, "batch {batch}")?,
            Change::Batch { batch, accumulate } => {
                write!(f, "batch {batch}, gradients of {accumulate} added up")?;
            }
            Change::Checkpoint { .. } => write!(f, "--checkpoint-gradients")?,
            Change::Size { height, width } => write!(f, "images of {width} x {height}")?,
            Change::Model(model) => write!(f, "--edge-model {model}")?,
        }
        let verdict = if self.fits { "fits" } else { "still too much" };
        write!(f, ": {}, {verdict}", bytes(self.peak))
    }
}

/// Remedies for work that takes more than `room`.
///
/// # Errors
/// A size that the network does not take.
pub fn remedies(work: &Work, room: u64) -> Result<Vec<Remedy>, Failure> {
    let asked = *work;
    let mut found = Vec::new();
    let mut add = |change: Change, work: Work| -> Result<(), Failure> {
        let peak = match change {
            Change::Batch { accumulate, .. } if accumulate > 1 => {
                let how = Training {
                    crops: asked.batch,
                    rank: rank(work.model),
                };
                step(&work, Place::Host, how)?.peak
            }
            _ => footprint(&work, Place::Host)?.peak,
        };
        found.push(Remedy {
            change,
            peak,
            fits: peak <= room,
        });
        Ok(())
    };
    if work.batch > 1 {
        let batch = largest_batch(work, Place::Host, room)?.clamp(1, work.batch - 1);
        let accumulate = match work.purpose {
            Purpose::Training | Purpose::CheckpointedTraining => work.batch.div_ceil(batch),
            Purpose::Inference => 1,
        };
        add(Change::Batch { batch, accumulate }, Work { batch, ..*work })?;
    }
    if work.purpose == Purpose::Training {
        let checkpoint_gradients = true;
        let purpose = Purpose::CheckpointedTraining;
        add(
            Change::Checkpoint {
                checkpoint_gradients,
            },
            Work { purpose, ..*work },
        )?;
    }
    // three quarters of each side, kept to what every network takes
    let side = |side: usize| (side * 3 / 4).next_multiple_of(16).max(16);
    let (height, width) = (side(work.height), side(work.width));
    if height < work.height || width < work.width {
        add(
            Change::Size { height, width },
            Work {
                height,
                width,
                ..*work
            },
        )?;
    }
    let now = footprint(work, Place::Host)?.peak;
    for model in EdgeModel::ALL {
        let other = Work { model, ..*work };
        let takes = |side: usize| side.is_multiple_of(16);
        if takes(work.height) && takes(work.width) && footprint(&other, Place::Host)?.peak < now {
            add(Change::Model(model), other)?;
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_remedy_takes_less_and_says_whether_it_is_enough() {
        let work = Work {
            model: EdgeModel::PiDiNet,
            purpose: Purpose::Training,
            batch: 16,
            height: 192,
            width: 192,
        };
        let now = footprint(&work, Place::Host).unwrap().peak;
        let found = remedies(&work, now / 3).unwrap();
        assert!(found.iter().all(|remedy| remedy.peak < now));
        let Change::Batch { batch, accumulate } = found[0].change else {
            panic!("the batch comes first");
        };
        assert!(found[0].fits && batch * accumulate >= 16);
        // one more would not fit
        let more = Work {
            batch: batch + 1,
            ..work
        };
        assert!(footprint(&more, Place::Host).unwrap().peak > now / 3);
        assert!(found.iter().any(|r| matches!(r.change, Change::Model(_))));
    }
}
