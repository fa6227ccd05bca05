//! How a step of training is cut so that it fits into memory: [`Pace`], a ladder of which each rung takes less than the
//! one above and gives the same gradients within rounding.

use serde::{Deserialize, Serialize};

use super::TrainSettings;
use crate::edge::quarter_less;

/// How a step is taken. Its crops are those of the settings whatever the pace.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pace {
    /// Crops that go through the network at once, at least 1: a micro-batch.
    pub at_once: usize,
    /// Maps within a stage are computed again on the way back instead of kept.
    pub checkpoint_gradients: bool,
}

impl Pace {
    /// As the settings ask.
    pub fn asked(settings: &TrainSettings) -> Self {
        Self {
            at_once: settings.batch.max(1),
            checkpoint_gradients: settings.checkpoint_gradients,
        }
    }

    /// The next lower rung: a quarter fewer crops at once (16, 12, 8, 6, 4, 3, 2, 1), and from one crop on gradient
    /// checkpointing. None below that.
    pub fn lower(self) -> Option<Self> {
        match (self.at_once, self.checkpoint_gradients) {
            (2.., _) => Some(Self {
                at_once: quarter_less(self.at_once),
                ..self
            }),
            (_, false) => Some(Self {
                checkpoint_gradients: true,
                ..self
            }),
            (_, true) => None,
        }
    }
}

impl std::fmt::Display for Pace {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.at_once {
            1 => f.write_str("one crop at once")?,
            more => write!(f, "{more} crops at once")?,
        }
        match self.checkpoint_gradients {
            true => f.write_str(" and gradient checkpointing"),
            false => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rungs_of_a_quarter_then_checkpointing_then_nothing() {
        let mut pace = Pace::asked(&TrainSettings {
            batch: 16,
            ..TrainSettings::default()
        });
        let mut said = Vec::new();
        while let Some(lower) = pace.lower() {
            pace = lower;
            said.push((pace.at_once, pace.checkpoint_gradients));
        }
        let kept = [12, 8, 6, 4, 3, 2, 1].map(|crops| (crops, false));
        assert_eq!(said, [&kept[..], &[(1, true)]].concat());
        assert_eq!(
            pace.to_string(),
            "one crop at once and gradient checkpointing"
        );
    }
}
