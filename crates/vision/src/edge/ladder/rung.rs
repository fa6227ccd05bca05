//! Where a ladder stands for images of one size: [`Rung`], what of it outlives the process ([`Safe`]), and how
//! far a step goes.

use serde::{Deserialize, Serialize};

/// Successes in a row before a step up.
pub(super) const CALM: u32 = 8;

/// What was found safe, to begin with next time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Safe {
    /// Smallest batch that has failed; nothing as large is tried again.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failed: Option<usize>,
    /// Largest full batch that went well; 0 before one has.
    pub batch: usize,
    /// Cuts by a quarter from what the whole takes, or the budget if that is less; 0: the whole, if the budget allows it.
    pub cuts: u32,
}

/// Where a ladder stands for images of one size.
#[derive(Clone, Debug, Default)]
pub(super) struct Rung {
    pub safe: Safe,
    /// Tried next; 0 before anything is planned.
    pub batch: usize,
    /// The batch comes from an earlier process and was not tried in this one.
    pub remembered: bool,
    /// A full batch went well, in this process or an earlier one.
    pub confirmed: bool,
    pub calm: u32,
    /// Images in tiles that went well since the last one that did not, or since tiles grew.
    pub tiled_well: u32,
    /// How many of them are waited for before tiles grow; twice as many after each time that they grew too far.
    pub waits: u32,
    /// Tiles have grown since memory last ran out.
    pub grown: bool,
    /// Rows and columns of the largest window of the last attempt.
    pub tried: (usize, usize),
    /// The same where it was told how an image is tiled, so that each way is told once.
    pub tiled: Option<(usize, usize)>,
}

impl Rung {
    /// Beginning from what was found safe before.
    pub fn at(safe: Safe) -> Self {
        Self {
            safe,
            batch: safe.batch,
            remembered: safe.batch > 0,
            ..Self::default()
        }
    }

    /// Down by a quarter after a failure of `batch`; answers what is tried next.
    pub fn fall(&mut self, batch: usize) -> usize {
        let to = quarter_less(batch);
        self.batch = to;
        self.safe.batch = self.safe.batch.min(to);
        self.safe.failed = Some(self.safe.failed.map_or(batch, |failed| failed.min(batch)));
        to
    }

    /// Smaller tiles after a failure.
    pub fn cut(&mut self, cuts: u32) {
        self.safe.cuts = cuts;
        self.tiled_well = 0;
        self.waits = match std::mem::take(&mut self.grown) {
            true => self.waits.saturating_mul(2),
            false => self.waits.max(CALM),
        };
    }

    /// Counts an image in tiles that went well; after enough of them tiles are cut once less, so that what stood in the
    /// way for a while does not cost margins for ever.
    pub fn uncut(&mut self) {
        if self.safe.cuts == 0 {
            return;
        }
        self.tiled_well += 1;
        if self.tiled_well >= self.waits.max(CALM) {
            self.tiled_well = 0;
            self.grown = true;
            self.safe.cuts -= 1;
        }
    }

    /// Counts a success of a full batch; true when there were enough of them for a step up.
    pub fn is_calm(&mut self, batch: usize) -> bool {
        self.safe.batch = self.safe.batch.max(batch);
        self.calm += 1;
        let calm = self.calm >= CALM;
        if calm {
            self.calm = 0;
        }
        calm
    }
}

/// A batch a quarter smaller, an even number above 4: 16, 12, 8, 6, 4, 3, 2, 1.
pub(crate) fn quarter_less(batch: usize) -> usize {
    let less = batch * 3 / 4;
    let less = if less > 4 { less / 2 * 2 } else { less };
    less.clamp(1, batch.max(2) - 1)
}

/// A batch a quarter larger, at least by 1.
pub(super) fn quarter_more(batch: usize) -> usize {
    batch + (batch / 4).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_of_a_quarter() {
        let mut batch = 16;
        let mut steps = Vec::new();
        while batch > 1 {
            batch = quarter_less(batch);
            steps.push(batch);
        }
        assert_eq!(steps, [12, 8, 6, 4, 3, 2, 1]);
        assert_eq!([1, 4, 6, 16].map(quarter_more), [2, 5, 7, 20]);
    }
}
