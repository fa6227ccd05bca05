//! Seeing images: the network on its device, and the store of what it once said.
//!
//! Central type: [`Eyes`]. What is seen depends on pixels, corruption, network, preprocessing and type of device or processor,
//! and always comes in the form in which it is kept.

use std::sync::Arc;

use bo_memory::Counting;
use bo_memory::budget::{self, Budget};
use bo_vision::corruption::Corruption;
use bo_vision::edge::{EdgeError, EdgeModel, EdgeNetwork, Ladder};
use bo_vision::kept::{KeptBounds, KeptKey, KeptStore};
use bo_vision::line::Detectors;
use bo_vision::pipeline::{self, Seen};
use bo_vision::source::SourceError;
use image::RgbImage;

use super::Surroundings;
use super::device::Chosen;
use crate::exit::Failure;
use crate::record::cpu;
use crate::settings::{Origin, Settings};

/// Most memory for what is kept; less where the budget is small. The rest is in files.
const KEPT: u64 = 128 << 20;

/// A network, its device and what it once said.
pub struct Eyes {
    network: Box<dyn EdgeNetwork>,
    detectors: Detectors,
    device: Chosen,
    store: KeptStore,
    /// Where what is kept was computed.
    place: String,
    log: Arc<dyn Fn(&str) + Send + Sync>,
}

/// Why an image was not seen.
#[derive(Debug, thiserror::Error)]
pub enum SightError {
    /// It is gone or no longer decodes.
    #[error(transparent)]
    Source(#[from] SourceError),
    /// The network failed.
    #[error(transparent)]
    Edge(#[from] EdgeError),
    /// The device failed at the corruption.
    #[error("corrupt the image: {0}")]
    Corruption(#[from] candle_core::Error),
}

impl SightError {
    /// Memory ran out below the last step of the ladder.
    pub fn is_out_of_memory(&self) -> bool {
        matches!(self, Self::Edge(error) if error.is_out_of_memory())
    }
}

impl Eyes {
    /// Opens the store of the settings for a network.
    ///
    /// # Errors
    /// A cache folder that cannot be written.
    pub fn open(
        network: Box<dyn EdgeNetwork>,
        device: Chosen,
        settings: &Settings,
        surroundings: &Surroundings,
    ) -> Result<Self, Failure> {
        let means = settings.means();
        let host = budget::host(means.host_memory_mb.map(|mb| mb << 20));
        let bounds = KeptBounds {
            memory: usize::try_from(KEPT.min(host.bytes / 4)).unwrap_or(usize::MAX),
            files: means.cache_mb << 20,
        };
        let store = KeptStore::open(&surroundings.cache, bounds).map_err(|error| {
            Failure::input(
                &surroundings.cache,
                error,
                "give --cache DIR a folder that can be written",
            )
        })?;
        let network = within(network, &device, host, surroundings);
        // numbers are the same bit for bit only on the same type of processor
        let place = match device.kind() {
            "cpu" => format!("cpu {}", cpu()),
            kind => kind.to_owned(),
        };
        Ok(Self {
            network,
            detectors: settings.study().voters,
            device,
            place,
            store,
            log: Arc::clone(&surroundings.log),
        })
    }

    /// What is kept of an image whose pixels have `hash` and are changed by `corruption`; `load` is asked for the
    /// pixels only where nothing is kept yet.
    ///
    /// # Errors
    /// The image does not load, or network or device fail.
    pub fn see(
        &self,
        hash: &str,
        corruption: &Corruption,
        load: impl FnOnce() -> Result<RgbImage, SourceError>,
    ) -> Result<Arc<Seen>, SightError> {
        let key = KeptKey {
            pixels: hash.to_owned(),
            corruption: corruption.key(),
            network: self.network.fingerprint().to_owned(),
            preprocessing: self.preprocessing(),
            device: self.place.clone(),
        };
        let kept = self.store.get_or_compute(&key, || {
            let pixels = corruption.apply(&load()?, &self.device.device)?;
            Ok::<_, SightError>(pipeline::see(
                &pixels,
                self.network.as_ref(),
                self.detectors,
            )?)
        })?;
        if let Some(warning) = &kept.warning {
            (self.log)(&warning.to_string());
        }
        Ok(kept.seen)
    }

    /// The network.
    pub fn network(&self) -> &dyn EdgeNetwork {
        self.network.as_ref()
    }

    /// Version of all that is done to an image beside the network and its device.
    pub fn preprocessing(&self) -> String {
        pipeline::preprocessing(self.detectors)
    }

    /// For candle.
    pub fn device(&self) -> &candle_core::Device {
        &self.device.device
    }

    /// For the record: `cpu` or `cuda:N`.
    pub fn device_name(&self) -> &str {
        &self.device.name
    }

    /// Bytes of memory held.
    pub fn bytes(&self) -> u64 {
        self.store.bytes() as u64
    }

    /// Lets go of everything in memory; files stay.
    pub fn release(&self) {
        self.store.release();
    }
}

/// Bytes that the pipeline holds of a pixel while the network runs: its logit, and its half.
const OF_A_PIXEL: u64 = 6;

/// The network held to what is left of a budget; its steps go to the log.
fn within(
    network: Box<dyn EdgeNetwork>,
    device: &Chosen,
    host: Budget,
    surroundings: &Surroundings,
) -> Box<dyn EdgeNetwork> {
    let log = Arc::clone(&surroundings.log);
    let on_device = device.allowed;
    let allowed = move |image: &RgbImage| match on_device {
        Some(bytes) => bytes,
        None => {
            let pixels = u64::from(image.width()) * u64::from(image.height());
            let left = host.bytes.saturating_sub(Counting::in_use());
            // threads that look at images each get their part
            let sharing = match rayon::current_thread_index() {
                Some(_) => rayon::current_num_threads() as u64,
                None => 1,
            };
            (left / sharing).saturating_sub(OF_A_PIXEL * pixels)
        }
    };
    Box::new(Ladder::new(network, allowed, move |step| {
        log(&format!("memory: {step}"));
    }))
}

/// The network that the settings name.
pub fn network(
    settings: &Settings,
    device: &candle_core::Device,
) -> Result<Box<dyn EdgeNetwork>, Failure> {
    let study = settings.study();
    let refuse = |key: &str, error: EdgeError| Failure::Setting {
        key: key.into(),
        origin: Origin::Flag(format!("--{key}")),
        reason: error.to_string(),
        remedy: "leave out --edge-model and --weights to take the network that ships".into(),
    };
    let model: EdgeModel = match &study.edge_model {
        Some(name) => name.parse().map_err(|error| refuse("edge-model", error))?,
        None => EdgeModel::default(),
    };
    let key = match study.weights {
        Some(_) => "weights",
        None => "edge-model",
    };
    model
        .load_adapted(study.weights.as_deref(), study.adapter.as_deref(), device)
        .map_err(|error| match error {
            EdgeError::Adapter(_) => Failure::Setting {
                key: "adapter".into(),
                origin: Origin::Flag("--adapter".into()),
                reason: error.to_string(),
                remedy: "give --edge-model and --weights that it was learned beside, or leave out --adapter".into(),
            },
            error => refuse(key, error),
        })
}
