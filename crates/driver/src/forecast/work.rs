//! One piece of work against this machine's budget.

use std::fmt;

use bo_memory::Ledger;
use bo_memory::budget::{self, Budget, Source};
use bo_vision::edge::{
    AdapterHead, EdgeModel, Footprint, Place, Purpose, Tiles, Weights, Work, logits_within,
};
use bo_vision::train::{EdgeTrainer, ShapeExamples, Subject, TrainSettings, crops};
use image::RgbImage;
use serde::Serialize;

use super::photograph::{OPENED, Photograph};
use super::remedy::{Remedy, remedies};
use super::training::{beside, with_overhead, without_overhead};
use super::{enough, footprint, largest_batch, rank, resident};
use crate::exit::Failure;
use crate::quantity::bytes;
use crate::settings::Origin;
use crate::training::JUDGING;

/// Host bytes that a loader worker holds of an image's pixel: decoded, enhanced, and the enhancement's
/// own maps.
const WORKER: u64 = 3 + 3 + 12;

/// Layers listed on a screen.
const LISTED: usize = 8;

/// What a piece of work takes and whether it fits.
#[derive(Clone, Debug, Serialize)]
pub struct Forecast {
    format: &'static str,
    version: u32,
    work: Work,
    #[serde(skip)]
    photograph: Photograph,
    /// Of the network.
    needs: Footprint,
    host: Host,
    budget: Budget,
    fits: bool,
    /// Largest batch that fits; 0 if one image does not.
    largest_batch: usize,
    /// How one image is cut where it does not fit whole.
    #[serde(skip_serializing_if = "Option::is_none")]
    tiles: Option<Tiled>,
    #[serde(skip_serializing_if = "Option::is_none")]
    probe: Option<Probe>,
    remedies: Vec<Remedy>,
}

/// Host memory beside the network.
#[derive(Clone, Copy, Debug, Serialize)]
struct Host {
    /// This program as it stands, and to look at images with them opened.
    base: u64,
    /// Threads that load images: a third of the cores.
    workers: usize,
    /// What they hold of one image each.
    loading: u64,
    /// The answer: a logit a pixel.
    answer: u64,
    /// What looks at the whole of an image, when the network does not; nothing of that in training.
    whole: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Tiled {
    tiles: usize,
    window: (usize, usize),
    bytes: u64,
}

#[derive(Clone, Copy, Debug, Serialize)]
struct Probe {
    batch: usize,
    predicted: u64,
    measured: u64,
}

impl Forecast {
    /// Plans `work` against `asked` bytes of host memory, or what the machine allows. Of an image whose labels have no regions
    /// lines are detected in the whole.
    ///
    /// # Errors
    /// A size that the network does not take.
    pub fn new(work: Work, has_regions: bool, asked: Option<u64>) -> Result<Self, Failure> {
        let needs = footprint(&work, Place::Host)?;
        let budget = budget::host(asked);
        let photograph = Photograph {
            size: (work.width as u32, work.height as u32),
            has_regions,
        };
        let pixels = photograph.pixels();
        let workers = std::thread::available_parallelism().map_or(1, |n| n.get().div_ceil(3));
        let base = match work.purpose {
            Purpose::Inference => resident() + OPENED,
            Purpose::Training | Purpose::CheckpointedTraining => resident(),
        };
        let host = match work.purpose {
            Purpose::Inference => Host {
                base,
                workers,
                loading: workers as u64 * WORKER * pixels,
                answer: 4 * pixels * work.batch as u64,
                whole: photograph.whole(),
            },
            Purpose::Training | Purpose::CheckpointedTraining => Host {
                base,
                workers,
                loading: beside_training(&work, workers),
                answer: 0,
                whole: 0,
            },
        };
        let left = budget
            .bytes
            .saturating_sub(host.base + host.loading + host.answer);
        let left = match work.purpose {
            Purpose::Inference => left,
            Purpose::Training | Purpose::CheckpointedTraining => without_overhead(left),
        };
        let beside = budget.bytes.saturating_sub(base + needs.model);
        let fits = needs.peak <= left && host.whole <= beside;
        let tiles = match fits || work.purpose != Purpose::Inference {
            true => None,
            false => tiled(&work, photograph, beside)?,
        };
        Ok(Self {
            format: "bo/memory-plan",
            version: 1,
            work,
            photograph,
            largest_batch: match host.whole <= beside {
                true => largest_batch(&work, Place::Host, left)?,
                false => 0,
            },
            remedies: if fits {
                Vec::new()
            } else {
                remedies(&work, left)?
            },
            needs,
            host,
            budget,
            fits,
            tiles,
            probe: None,
        })
    }

    /// Whether the work can be done within the budget: as it is, or an image alone in tiles.
    pub fn is_possible(&self) -> bool {
        self.fits || (self.work.batch == 1 && self.tiles.is_some())
    }

    /// Why it cannot, and what to type.
    ///
    /// # Errors
    /// A size that the network does not take.
    pub fn refusal(&self) -> Result<Failure, Failure> {
        let host = self.host.base + self.host.loading + self.host.answer;
        let mut how = String::new();
        let needed = match (self.work.purpose, self.work.batch) {
            (Purpose::Inference, 1) => {
                let tile = self.work.model.least((self.work.height, self.work.width));
                let tile =
                    tile.map_err(|error| Failure::unexpected("planning the network", error))?;
                let least = self.needs.model + self.photograph.peak(tile);
                let name = self.work.model.name();
                how = format!(" at least ({})", self.photograph.most(tile, name));
                self.host.base + least
            }
            (Purpose::Inference, _) => {
                let whole = self.host.base + self.needs.model + self.host.whole;
                (host + self.needs.peak).max(whole)
            }
            _ => host + with_overhead(self.needs.peak),
        };
        let mut remedies = Vec::new();
        if self.largest_batch > 0 {
            remedies.push(format!("type --batch {}", self.largest_batch));
        }
        if self.remedies.iter().any(Remedy::is_enough) {
            remedies.push("take one of the remedies above".to_owned());
        }
        Ok(too_small(needed, &how, self.budget, remedies))
    }

    /// Runs the largest batch that fits, at most 16 images or 64 crops, once and notes what it took: blank images, or a
    /// step of training on drawn shapes. A network that comes without weights is given random ones, which take the same.
    ///
    /// # Errors
    /// No batch that fits, or a failure of the network.
    pub fn probe(&mut self) -> Result<(), Failure> {
        let failed = |reason: String| Failure::unexpected("probing", reason);
        let batch = self.largest_batch.min(match self.work.purpose {
            Purpose::Inference => 16,
            _ => 64,
        });
        if batch == 0 {
            return Err(failed("not even one image fits the budget whole".into()));
        }
        if self.work.purpose != Purpose::Inference {
            return self.probe_step(batch);
        }
        let network = self
            .work
            .model
            .with(self.weights()?, &candle_core::Device::Cpu)
            .map_err(|error| failed(error.to_string()))?;
        let Some(windowed) = network.windowed() else {
            return Err(failed("this network cannot be run on windows".into()));
        };
        let (height, width) = (self.work.height, self.work.width);
        let images = vec![RgbImage::new(width as u32, height as u32); batch];
        let refs: Vec<&RgbImage> = images.iter().collect();
        let ledger = Ledger::new();
        let scope = ledger.scope("probe");
        logits_within(windowed, &refs, Tiles::whole(height, width))
            .map_err(|error| failed(error.to_string()))?;
        let report = scope.close();
        let needs = footprint(&Work { batch, ..self.work }, Place::Host)?;
        self.probe = Some(Probe {
            batch,
            predicted: needs.beside_model() + 4 * (height * width * batch) as u64,
            measured: report.peak.host - report.before.host,
        });
        Ok(())
    }
}

impl Forecast {
    /// The weights that ship, or random ones.
    fn weights(&self) -> Result<Weights, Failure> {
        match self.work.model {
            EdgeModel::Compact => EdgeModel::Compact
                .weights(None)
                .map_err(|error| Failure::unexpected("probing", error)),
            model => Ok(Weights::drawn(model)),
        }
    }

    /// A step of training on `batch` crops at once.
    fn probe_step(&mut self, batch: usize) -> Result<(), Failure> {
        let failed = |reason: String| Failure::unexpected("probing", reason);
        let Work {
            height: side,
            width,
            purpose,
            ..
        } = self.work;
        if side != width {
            return Err(failed(format!(
                "crops are square: type --width {side} --height {side}"
            )));
        }
        let settings = TrainSettings {
            batch,
            side,
            checkpoint_gradients: purpose == Purpose::CheckpointedTraining,
            ..TrainSettings::default()
        };
        let shapes = ShapeExamples {
            count: batch,
            seed: 0,
        };
        let crops =
            crops(&settings, &[(1.0, &shapes)], 0).map_err(|error| failed(error.to_string()))?;
        let cpu = &candle_core::Device::Cpu;
        let weights = self.weights()?;
        let subject = match rank(self.work.model) {
            None => Subject::Whole(Some(&weights)),
            Some(rank) => Subject::Changes {
                head: AdapterHead {
                    model: self.work.model,
                    base: String::new(),
                    weights: String::new(),
                    rank,
                    scale: 1.0,
                },
                weights: &weights,
            },
        };
        let mut trainer =
            EdgeTrainer::new(settings, subject, cpu).map_err(|error| failed(error.to_string()))?;
        drop(weights);
        let ledger = Ledger::new();
        let scope = ledger.scope("probe");
        trainer
            .step(crops, &|| false)
            .map_err(|error| failed(error.to_string()))?;
        let report = scope.close();
        self.probe = Some(Probe {
            batch,
            predicted: footprint(&Work { batch, ..self.work }, Place::Host)?.beside_model(),
            measured: report.peak.host - report.before.host,
        });
        Ok(())
    }
}

/// Where a budget comes from, in words.
pub(super) fn source(budget: &Budget) -> &'static str {
    match budget.source {
        Source::Asked => "asked for",
        Source::Machine => "80 % of what machine and cgroups allow",
        Source::Unknown => "the system tells no limit",
    }
}

/// That `needed` bytes (`how`: for what, in brackets) are more than the budget; beside a larger one these `others` help.
pub(super) fn too_small(needed: u64, how: &str, budget: Budget, others: Vec<String>) -> Failure {
    let larger = format!("type --host-memory-mb {} or more", enough(needed));
    Failure::Setting {
        key: "host-memory-mb".to_owned(),
        origin: Origin::Flag("--host-memory-mb".to_owned()),
        reason: format!(
            "{} are needed{how}, {} are allowed: this does not fit",
            bytes(needed),
            bytes(budget.bytes)
        ),
        remedy: [vec![larger], others].concat().join("; or "),
    }
}

/// Host bytes beside the network in `bo train edge` and `bo adapt` on examples of 640 x 480.
fn beside_training(work: &Work, workers: usize) -> u64 {
    beside(workers, 640 * 480, (work.batch, work.height), JUDGING)
}

/// How a run cuts an image of this work, one at a time, within `bytes` beside the model. None where that is too little, for
/// tiles or for what looks at the whole image.
fn tiled(work: &Work, photograph: Photograph, bytes: u64) -> Result<Option<Tiled>, Failure> {
    let size = (work.height, work.width);
    if photograph.whole() > bytes {
        return Ok(None);
    }
    let room = bytes.saturating_sub(photograph.seen(0));
    let Ok(tiles) = Tiles::fit(work.model, 1, size, room) else {
        return Ok(None);
    };
    let window = tiles.window(work.height, work.width);
    let one = Work {
        batch: 1,
        height: window.0,
        width: window.1,
        ..*work
    };
    Ok(Some(Tiled {
        tiles: tiles.count(work.height, work.width),
        window,
        bytes: footprint(&one, Place::Host)?.peak,
    }))
}

impl fmt::Display for Forecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Work {
            model,
            purpose,
            batch,
            height,
            width,
        } = self.work;
        let doing = match purpose {
            Purpose::Inference => "looking at",
            Purpose::Training => "training on",
            Purpose::CheckpointedTraining => "training with gradient checkpointing on",
        };
        let adapting = match (purpose, rank(model)) {
            (Purpose::Inference, _) | (_, None) => String::new(),
            (_, Some(rank)) => format!(" (changes of rank {rank}, as bo adapt learns them)"),
        };
        writeln!(
            f,
            "{model}{adapting}, {doing} {batch} x {width} x {height} pixels"
        )?;
        let needs = &self.needs;
        let rows = [
            ("model", needs.model),
            ("optimiser", needs.optimiser),
            ("gradients", needs.gradients),
            ("activations", needs.activations),
            ("input", needs.input),
            ("working memory", needs.scratch),
            ("network at its peak", needs.peak),
            ("this program", self.host.base),
            ("loading images", self.host.loading),
            ("answer", self.host.answer),
        ];
        for (name, held) in rows.into_iter().filter(|(_, held)| *held > 0) {
            writeln!(f, "  {name:<20} {:>9}", bytes(held))?;
        }
        if self.host.whole > 0 {
            let what = self.photograph.looks();
            writeln!(
                f,
                "  before and after it, {what}: {}",
                bytes(self.host.whole)
            )?;
        }
        writeln!(f, "  layers that hold most at the peak:")?;
        let listed = || needs.layers.iter().take(LISTED);
        let width = listed().map(|(layer, _)| layer.len()).max().unwrap_or(0);
        for (layer, held) in listed() {
            writeln!(f, "    {layer:<width$} {:>9}", bytes(*held))?;
        }
        writeln!(
            f,
            "budget {}: {}",
            bytes(self.budget.bytes),
            source(&self.budget)
        )?;
        if self.fits {
            writeln!(
                f,
                "fits; the largest batch that does is {}",
                self.largest_batch
            )?;
        } else {
            writeln!(
                f,
                "does not fit; the largest batch that does is {}",
                self.largest_batch
            )?;
        }
        if let Some(tiled) = self.tiles {
            let (height, width) = tiled.window;
            writeln!(
                f,
                "bo sees it in {} tiles of at most {width} x {height} pixels, {} each, with the same result",
                tiled.tiles,
                bytes(tiled.bytes)
            )?;
        }
        if let Some(probe) = self.probe {
            writeln!(
                f,
                "probe: a batch of {} took {}, predicted were {}",
                probe.batch,
                bytes(probe.measured),
                bytes(probe.predicted)
            )?;
        }
        for remedy in &self.remedies {
            writeln!(f, "remedy: {remedy}")?;
        }
        writeln!(
            f,
            "loader workers: {}, a third of the cores",
            self.host.workers
        )
    }
}
