//! A training held to a budget: what it takes, and what is changed, in order, until it fits.
//!
//! Central type [`Demand`]. Changed are only what leaves the training as it was asked for: threads that load, and the
//! pace, rung by rung, as it falls when memory runs out in training. What would make it another training (smaller crops, a
//! smaller network) is named, not done.

use std::fmt;

use bo_vision::edge::{EdgeModel, Place, Purpose, Training, Work};
use bo_vision::train::{Pace, TrainSettings, steps_held};

use super::{enough, step};
use crate::exit::Failure;
use crate::quantity::bytes;
use crate::settings::Origin;

/// Host bytes that a loader holds of a pixel of an example: decoded, its edge map, enhanced, and the enhancement's own
/// maps.
const LOADING: u64 = 3 + 1 + 3 + 12;
/// Bytes of a pixel of a crop: three planes and the target.
const CROP: u64 = 16;
/// Bytes of the program's own code, of stacks and tables that come in with the work.
const PROGRAM: u64 = 14 << 20;
/// What pages and free lists of the allocator add to what is in use, at most.
const OVERHEAD: f64 = 1.1;

/// What decides the memory of a training.
#[derive(Clone, Debug, PartialEq)]
pub struct Demand {
    /// The network.
    pub model: EdgeModel,
    /// Rank of the low-rank changes that are trained; none where the whole network is.
    pub rank: Option<usize>,
    /// Crops of a step and their size.
    pub settings: TrainSettings,
    /// How a step is taken.
    pub pace: Pace,
    /// Threads that load.
    pub loaders: usize,
    /// Crops that judge progress.
    pub judging: usize,
    /// Pixels of the largest example.
    pub pixels: u64,
    /// What the program takes before it begins.
    pub base: u64,
    /// Bytes that may be taken of the GPU's memory, where the network is on one.
    pub card: Option<u64>,
}

/// What was changed to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// Threads that load.
    Loaders(usize),
    /// Crops at once, and in how many parts a step is taken then.
    Batch(usize, usize),
    /// Gradient checkpointing.
    Checkpoint,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Loaders(loaders) => write!(f, "loader threads {loaders}"),
            Self::Batch(batch, 1) => write!(f, "batch {batch}"),
            Self::Batch(batch, accumulate) => {
                write!(f, "batch {batch}, gradients of {accumulate} added up")
            }
            Self::Checkpoint => f.write_str("gradient checkpointing"),
        }
    }
}

/// Bytes of host memory beside what the program takes before it begins and a network: loaders with examples of so many
/// pixels each, the crops of steps and those that judge, what an allocator adds to these, and the program's own growth.
pub fn beside(loaders: usize, pixels: u64, (crops, side): (usize, usize), judging: usize) -> u64 {
    let loading = loaders as u64 * LOADING * pixels;
    let crops = steps_held(loaders) * crops + judging;
    let crops = crops as u64 * CROP * (side * side) as u64;
    PROGRAM + with_overhead(loading + crops)
}

/// With what pages and free lists of an allocator add.
pub fn with_overhead(bytes: u64) -> u64 {
    (bytes as f64 * OVERHEAD) as u64
}

/// What may be in use where so many bytes may be taken.
pub fn without_overhead(bytes: u64) -> u64 {
    (bytes as f64 / OVERHEAD) as u64
}

impl Demand {
    /// Bytes of host memory at the peak, the program itself included.
    ///
    /// # Errors
    /// A size that the network does not take.
    pub fn bytes(&self) -> Result<u64, Failure> {
        let side = self.settings.side;
        let network = match self.card {
            None => self.network()?,
            Some(_) => 0,
        };
        let crops = (self.crops(), side);
        let beside = beside(self.loaders, self.pixels, crops, self.judging);
        Ok(self.base + beside + with_overhead(network))
    }

    fn crops(&self) -> usize {
        self.settings.batch * self.settings.accumulate
    }

    /// Bytes that the network takes, wherever it is.
    fn network(&self) -> Result<u64, Failure> {
        let side = self.settings.side;
        let work = Work {
            model: self.model,
            purpose: match self.pace.checkpoint_gradients {
                true => Purpose::CheckpointedTraining,
                false => Purpose::Training,
            },
            batch: self.pace.at_once,
            height: side,
            width: side,
        };
        let how = Training {
            crops: self.crops(),
            rank: self.rank,
        };
        let place = match self.card {
            None => Place::Host,
            Some(_) => Place::Card {
                number: self.settings.precision.bytes(),
            },
        };
        Ok(step(&work, place, how)?.peak)
    }

    fn fits(&self, budget: u64) -> Result<bool, Failure> {
        let on_card = match self.card {
            None => true,
            Some(room) => self.network()? <= room,
        };
        Ok(on_card && self.bytes()? <= budget)
    }

    /// Changed until it fits: fewer threads that load, then lower paces.
    ///
    /// # Errors
    /// Nothing that leaves the training as it is makes it fit; what would, is named.
    pub fn held_to(&self, budget: u64) -> Result<(Self, Vec<Change>), Failure> {
        let mut held = self.clone();
        while held.loaders > 1 && held.bytes()? > budget {
            held.loaders -= 1;
        }
        while !held.fits(budget)? {
            held.pace = match held.pace.lower() {
                Some(lower) => lower,
                None => return Err(held.too_much(budget)?),
            };
        }
        let changes = self.changes(&held);
        Ok((held, changes))
    }

    /// What was changed to make `held` of it.
    fn changes(&self, held: &Self) -> Vec<Change> {
        let crops = self.crops();
        let (at_once, parts) = (held.pace.at_once, crops.div_ceil(held.pace.at_once));
        let loaders = (held.loaders < self.loaders).then_some(Change::Loaders(held.loaders));
        let batch = (at_once < self.pace.at_once).then_some(Change::Batch(at_once, parts));
        let checkpoint = held.pace.checkpoint_gradients && !self.pace.checkpoint_gradients;
        let checkpoint = checkpoint.then_some(Change::Checkpoint);
        [loaders, batch, checkpoint].into_iter().flatten().collect()
    }

    /// With one crop at a time and checkpointing it still does not fit: what would.
    fn too_much(self, budget: u64) -> Result<Failure, Failure> {
        if let Some(room) = self.card
            && self.bytes()? <= budget
        {
            return Ok(Self::refused(
                "gpu-memory-fraction",
                format!(
                    "{} takes {} of the GPU even with one crop at a time and gradient checkpointing, {} may be taken now",
                    self.model,
                    bytes(self.network()?),
                    bytes(room)
                ),
                "type a smaller --side, or --device cpu, or end what holds the GPU's memory (bo gpu)".to_owned(),
            ));
        }
        let needed = self.bytes()?;
        let mut remedies = vec![format!(
            "allow {} MiB with --host-memory-mb",
            enough(needed)
        )];
        let sides = (32..self.settings.side)
            .rev()
            .filter(|side| side.is_multiple_of(16));
        for side in sides {
            let mut smaller = self.clone();
            smaller.settings.side = side;
            if smaller.fits(budget)? {
                remedies.push(format!("type --side {side} (smaller crops)"));
                break;
            }
        }
        for model in EdgeModel::ALL {
            let smaller = Self {
                model,
                ..self.clone()
            };
            if model != self.model && smaller.fits(budget)? {
                remedies.push(format!("a smaller network: {model}"));
            }
        }
        Ok(Self::refused(
            "host-memory-mb",
            format!(
                "{} takes {} even with one crop at a time and gradient checkpointing, allowed are {} (half precision would \
                 need a GPU)",
                self.model,
                bytes(needed),
                bytes(budget)
            ),
            remedies.join("; or "),
        ))
    }

    fn refused(key: &str, reason: String, remedy: String) -> Failure {
        Failure::Setting {
            key: key.to_owned(),
            origin: Origin::Flag(format!("--{key}")),
            reason,
            remedy,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn demand() -> Demand {
        Demand {
            model: EdgeModel::Compact,
            rank: None,
            pace: Pace {
                at_once: 8,
                checkpoint_gradients: false,
            },
            settings: TrainSettings {
                batch: 8,
                side: 96,
                ..TrainSettings::default()
            },
            loaders: 3,
            judging: 16,
            pixels: 640 * 480,
            base: 10_000_000,
            card: None,
        }
    }

    #[test]
    fn remedies_are_taken_in_order_and_each_step_has_as_many_crops() {
        let whole = demand().bytes().unwrap();
        assert_eq!(demand().held_to(whole).unwrap(), (demand(), Vec::new()));
        // one loader less is enough, then none is
        let (held, changes) = demand().held_to(whole - 1).unwrap();
        assert_eq!((held.loaders, &changes[..]), (2, &[Change::Loaders(2)][..]));
        let mut one = demand();
        one.loaders = 1;
        let mut budget = one.bytes().unwrap();
        let (mut seen, mut least) = (Vec::new(), u64::MAX);
        while let Ok((held, changes)) = demand().held_to(budget) {
            let took = held.bytes().unwrap();
            assert!(took <= budget && took < least);
            assert_eq!(held.settings, demand().settings);
            least = took;
            seen.push(changes);
            budget = took - 1;
        }
        let batch = |batch| Change::Batch(batch, 8_usize.div_ceil(batch));
        let with = |more: &[Change]| [&[Change::Loaders(1)], more].concat();
        assert_eq!(
            seen,
            [
                with(&[]),
                with(&[batch(6)]),
                with(&[batch(4)]),
                with(&[batch(3)]),
                with(&[batch(2)]),
                with(&[batch(1)]),
                with(&[batch(1), Change::Checkpoint]),
            ]
        );
        let said = demand().held_to(budget).unwrap_err().to_string();
        assert!(
            said.contains("one crop at a time") && said.contains("--side 80"),
            "{said}"
        );
    }

    #[test]
    fn a_smaller_network_is_named_where_it_fits() {
        let large = Demand {
            model: EdgeModel::PiDiNet,
            ..demand()
        };
        let tiny = Demand {
            model: EdgeModel::PiDiNetTiny,
            ..demand()
        };
        let (tiny, _) = tiny.held_to(60_000_000).unwrap();
        let said = large
            .held_to(tiny.bytes().unwrap())
            .unwrap_err()
            .to_string();
        assert!(said.contains("a smaller network: pidinet-tiny"), "{said}");
    }
}
