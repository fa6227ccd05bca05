//! Settings recommended for cards of several sizes, from the planner itself.

use std::fmt;

use bo_vision::edge::{EdgeModel, Place, Purpose, Work};
use serde::Serialize;

use super::{largest_batch, most, rank};
use crate::exit::Failure;

/// Memory of common cards, GB.
const SIZES: [u64; 7] = [6, 8, 12, 16, 24, 48, 80];

/// Side of a training crop.
const CROP: usize = 192;

/// The table.
#[derive(Clone, Debug, Serialize)]
pub struct Cards {
    format: &'static str,
    version: u32,
    share: f64,
    rows: Vec<Row>,
}

/// One network on one card.
#[derive(Clone, Debug, Serialize)]
struct Row {
    gigabytes: u64,
    model: EdgeModel,
    /// Bytes of a number: 4, or 2 for float16 and bfloat16.
    number: u64,
    /// Largest batch of 640 x 480 images.
    images: usize,
    /// Rank of the changes that are trained; none where the whole network is.
    rank: Option<usize>,
    /// Largest batch of 192 x 192 crops in training.
    crops: usize,
    /// The same with gradient checkpointing.
    checkpointed: usize,
    /// Without it, for a batch of 16 crops: micro-batches whose gradients are added up.
    accumulate: usize,
}

impl Cards {
    /// For cards of which `share` may be taken.
    ///
    /// # Errors
    /// None that sizes in use can cause.
    pub fn new(share: f64) -> Result<Self, Failure> {
        let mut rows = Vec::new();
        for gigabytes in SIZES {
            let room = (gigabytes as f64 * 1e9 * share) as u64;
            let both = EdgeModel::ALL.map(|model| [(model, 4), (model, 2)]);
            for (model, number) in both.into_iter().flatten() {
                let place = Place::Card { number };
                let work = |purpose, height, width| Work {
                    model,
                    purpose,
                    batch: 1,
                    height,
                    width,
                };
                let images = largest_batch(&work(Purpose::Inference, 480, 640), place, room)?;
                let crops = largest_batch(&work(Purpose::Training, CROP, CROP), place, room)?;
                let checkpointed = largest_batch(
                    &work(Purpose::CheckpointedTraining, CROP, CROP),
                    place,
                    room,
                )?;
                rows.push(Row {
                    gigabytes,
                    model,
                    rank: rank(model),
                    number,
                    images,
                    crops,
                    checkpointed,
                    accumulate: 16usize.div_ceil(crops.clamp(1, 16)),
                });
            }
        }
        Ok(Self {
            format: "bo/cards",
            version: 1,
            share,
            rows,
        })
    }
}

impl fmt::Display for Cards {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "largest batches within {:.0} % of a card, as planned from the layers and candle's unfolded images (checkpointed: with \
             --checkpoint-gradients; parts of 16: in how many a step on 16 crops is taken without that; bo train edge trains all of \
             the compact network, bo adapt changes of rank {} of any):",
            100.0 * self.share,
            super::RANK
        )?;
        writeln!(
            f,
            "{:>6}  {:<14} {:>4} {:>14} {:>20} {:>14} {:>12}",
            "card",
            "network",
            "bits",
            "640x480 images",
            "192x192 in training",
            "checkpointed",
            "parts of 16"
        )?;
        let largest = |batch: usize, purpose| match batch {
            0 => "none".to_owned(),
            _ if batch == most(purpose) => format!("{batch}+"),
            _ => batch.to_string(),
        };
        for row in &self.rows {
            writeln!(
                f,
                "{:>3} GB  {:<14} {:>4} {:>14} {:>20} {:>14} {:>12}",
                row.gigabytes,
                row.model.name(),
                8 * row.number,
                largest(row.images, Purpose::Inference),
                largest(row.crops, Purpose::Training),
                largest(row.checkpointed, Purpose::CheckpointedTraining),
                row.accumulate
            )?;
        }
        Ok(())
    }
}
