//! What an edge network is to the rest of the program, and the networks there are.
//!
//! Central types: the trait [`EdgeNetwork`], its output [`EdgeMap`] and [`EdgeModel`], the networks; what else
//! `--edge-model` accepts is in [`EdgeFinder`](super::EdgeFinder).

use std::path::Path;

use bo_memory::device::DeviceFault;
use candle_core::Device;
use image::RgbImage;

use super::adapter::AdapterError;
use super::body::NetworkBody;
use super::compact::{self, Compact};
use super::dexined::{self, DexiNed};
use super::pidinet::{self, PiDiNet, PiDiNetSize};
use super::pixels::Reading;
use super::tile::{Windowed, logits};
use super::weights::{WeightError, Weights};

/// Edge logits of one image: log-odds that a pixel lies on an edge, so that the probability is
/// 1 / (1 + exp(-logit)). Row-major, `height` x `width`.
#[derive(Clone, Debug, PartialEq)]
pub struct EdgeMap {
    /// Columns, as the image's.
    pub width: u32,
    /// Rows, as the image's.
    pub height: u32,
    /// `width * height` finite logits, row by row.
    pub logits: Vec<f32>,
}

/// How a network's logits are laid over the range of the pipeline's thresholds, -23 to 7:
/// kept logit = `factor` x the network's + `shift`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LogitScale {
    /// What a logit is multiplied by.
    pub factor: f32,
    /// What is added then.
    pub shift: f32,
}

impl LogitScale {
    /// Logits as they are: the thresholds' range was made for DexiNed's.
    pub const ORIGINAL: Self = Self {
        factor: 1.0,
        shift: 0.0,
    };

    /// For networks whose logits spread several times less than DexiNed's (1st to 99.9th percentile on the generated
    /// scenes: -5.6 to 4.9 for the compact one, -7.4 to 5.0 for PiDiNet-tiny). Theirs are laid over the whole range, so
    /// that its lower end lets every pixel through and its upper end only the strongest edges. Chosen on scenes, see
    /// `experiments/scenes/`.
    pub const WIDENED: Self = Self {
        factor: 3.5,
        shift: -5.5,
    };

    /// A logit of the network as it is kept.
    pub fn apply(self, logit: f32) -> f32 {
        self.factor * logit + self.shift
    }
}

/// What finds edges: a network, or [`Canny`](super::Canny).
///
/// Every implementation takes images of any size from 1 x 1 pixel, answers in the image's own size,
/// is deterministic whatever the number of threads, and gives finite logits.
pub trait EdgeNetwork: Send + Sync {
    /// Edge logits of `rgb`.
    ///
    /// # Errors
    /// An empty image, a failure of the device, or logits that are not finite.
    fn logits(&self, rgb: &RgbImage) -> Result<EdgeMap, EdgeError>;

    /// The name in the register, e.g. `compact`.
    fn name(&self) -> &str;

    /// How its logits are laid over the range of the thresholds.
    fn scale(&self) -> LogitScale;

    /// The same network as one that can be run on windows, for tiles and batches; none if its values
    /// depend on far pixels.
    fn windowed(&self) -> Option<&dyn Windowed> {
        None
    }

    /// Bytes that one image of these columns and rows takes beside itself, its logits and the model, where memory is
    /// shortest: in the smallest tiles, if there are tiles of it.
    ///
    /// # Errors
    /// A size that the network does not take.
    fn least(&self, image: (u32, u32)) -> Result<u64, EdgeError>;

    /// Hash of the architecture's version and all weights, hexadecimal: equal means equal logits on one machine.
    fn fingerprint(&self) -> &str;
}

/// Any network of the register: its logits are those of one window, the whole image.
impl<N: Windowed> EdgeNetwork for N {
    fn logits(&self, rgb: &RgbImage) -> Result<EdgeMap, EdgeError> {
        logits(self, rgb)
    }

    fn name(&self) -> &str {
        self.model().name()
    }

    fn scale(&self) -> LogitScale {
        self.model().scale()
    }

    fn windowed(&self) -> Option<&dyn Windowed> {
        Some(self)
    }

    fn least(&self, (width, height): (u32, u32)) -> Result<u64, EdgeError> {
        self.model().least(self.model().padded(height, width))
    }

    fn fingerprint(&self) -> &str {
        self.identity()
    }
}

/// Why there is no network or no output.
#[derive(Debug, thiserror::Error)]
pub enum EdgeError {
    /// No network of this name.
    #[error("no edge model {name:?}; known are {known}")]
    UnknownModel {
        /// What was asked for.
        name: String,
        /// All names.
        known: String,
    },
    /// The network comes without weights and none were named.
    #[error("edge model {model} needs --weights FILE (.safetensors or .pth)")]
    NoWeights {
        /// The network.
        model: EdgeModel,
    },
    /// It is no network: there are no weights to read, to train, to adapt or to round.
    #[error("{name} is no network: it has no weights to read, train, adapt or round")]
    NoNetwork {
        /// What it is.
        name: &'static str,
    },
    /// The weights do not fit.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The adapter does not fit.
    #[error(transparent)]
    Adapter(#[from] AdapterError),
    /// The image has no pixels.
    #[error("image of {width} x {height} pixels has no edges to find")]
    EmptyImage {
        /// Columns.
        width: u32,
        /// Rows.
        height: u32,
    },
    /// The memory allowed does not hold even the smallest tile.
    #[error(
        "edge model {model} needs {} MB for its smallest tile, allowed are {} MB",
        needed.div_ceil(1_000_000), budget / 1_000_000
    )]
    Budget {
        /// The network.
        model: EdgeModel,
        /// Bytes needed.
        needed: u64,
        /// Bytes allowed.
        budget: u64,
    },
    /// Memory ran out.
    #[error("edge network out of memory: {reason}")]
    OutOfMemory {
        /// In the device's own words.
        reason: String,
    },
    /// Memory ran out at one image in the smallest tiles that are used.
    #[error(
        "out of memory with one window of {columns} x {rows} pixels, and no smaller tiles are used: {error}"
    )]
    NothingSmaller {
        /// Rows of the window.
        rows: usize,
        /// Columns of it.
        columns: usize,
        /// What failed there.
        error: Box<EdgeError>,
    },
    /// A batch of images that differ in size.
    #[error(
        "images of a batch must have one size: {} x {} and {} x {}",
        first.0, first.1, other.0, other.1
    )]
    Mixed {
        /// Columns and rows of the first.
        first: (u32, u32),
        /// Of one that differs.
        other: (u32, u32),
    },
    /// The output holds NaN or an infinity.
    #[error("edge model {model} gave a logit that is not finite at column {x}, row {y}")]
    NotFinite {
        /// The network.
        model: String,
        /// Column.
        x: usize,
        /// Row.
        y: usize,
    },
    /// The tensor library failed.
    #[error("edge network failed: {0}")]
    Tensor(#[from] candle_core::Error),
}

impl EdgeError {
    /// Memory ran out, or is planned to: less of it may do.
    pub fn is_out_of_memory(&self) -> bool {
        match self {
            Self::OutOfMemory { .. } | Self::Budget { .. } | Self::NothingSmaller { .. } => true,
            Self::Tensor(error) => out_of_memory(error),
            _ => false,
        }
    }

    /// What the network's device holds is gone: only a new process helps.
    pub fn is_device_lost(&self) -> bool {
        matches!(self, Self::Tensor(error) if device_lost(error))
    }
}

/// The device has no memory left for what was asked of it.
pub fn out_of_memory(error: &candle_core::Error) -> bool {
    DeviceFault::of(&error.to_string()) == Some(DeviceFault::OutOfMemory)
}

/// The device failed in a way that this process does not survive.
pub fn device_lost(error: &candle_core::Error) -> bool {
    matches!(
        DeviceFault::of(&error.to_string()),
        Some(DeviceFault::Lost(_))
    )
}

/// The networks that `--edge-model` knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum EdgeModel {
    /// The project's own, with weights in the binary.
    #[default]
    Compact,
    /// DexiNed, the original pipeline's; weights come from a file.
    #[serde(rename = "dexined")]
    DexiNed,
    /// PiDiNet with 60 channels.
    #[serde(rename = "pidinet")]
    PiDiNet,
    /// PiDiNet with 30 channels.
    #[serde(rename = "pidinet-small")]
    PiDiNetSmall,
    /// PiDiNet with 20 channels.
    #[serde(rename = "pidinet-tiny")]
    PiDiNetTiny,
}

impl EdgeModel {
    /// All of them, the default first.
    pub const ALL: [Self; 5] = [
        Self::Compact,
        Self::DexiNed,
        Self::PiDiNet,
        Self::PiDiNetSmall,
        Self::PiDiNetTiny,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Compact => "compact",
            Self::DexiNed => "dexined",
            Self::PiDiNet => "pidinet",
            Self::PiDiNetSmall => "pidinet-small",
            Self::PiDiNetTiny => "pidinet-tiny",
        }
    }

    /// How the network reads a pixel.
    pub(crate) fn reading(self) -> Reading {
        match self {
            Self::Compact => compact::READING,
            Self::DexiNed => dexined::READING,
            Self::PiDiNet | Self::PiDiNetSmall | Self::PiDiNetTiny => pidinet::READING,
        }
    }

    /// Rows and columns to which an image is mirrored outwards before the network reads it.
    pub fn padded(self, height: u32, width: u32) -> (usize, usize) {
        let side = |n: u32| match self {
            Self::Compact => n.next_multiple_of(compact::MULTIPLE) as usize,
            Self::DexiNed => n.next_multiple_of(dexined::MULTIPLE) as usize,
            // three halvings leave nothing of less
            Self::PiDiNet | Self::PiDiNetSmall | Self::PiDiNetTiny => n.max(8) as usize,
        };
        (side(height), side(width))
    }

    /// The weights of a file, or for [`EdgeModel::Compact`] its own where none is named.
    ///
    /// # Errors
    /// No weights named where they are needed, or a file that is not readable.
    pub fn weights(self, file: Option<&Path>) -> Result<Weights, EdgeError> {
        match (file, self) {
            (Some(file), _) => Ok(Weights::open(file)?.without_prefix("module.")),
            (None, Self::Compact) => Compact::weights(),
            (None, _) => Err(EdgeError::NoWeights { model: self }),
        }
    }

    /// How its logits are laid over the range of the thresholds.
    pub const fn scale(self) -> LogitScale {
        match self {
            Self::DexiNed => LogitScale::ORIGINAL,
            Self::Compact | Self::PiDiNet | Self::PiDiNetSmall | Self::PiDiNetTiny => {
                LogitScale::WIDENED
            }
        }
    }

    /// The network with the weights of a file, or for [`EdgeModel::Compact`] with its own.
    ///
    /// # Errors
    /// No weights named where they are needed, or a file that is not readable, or whose tensors do
    /// not have the names, shapes and finite values the network needs (the first bad one is named).
    pub fn load(
        self,
        weights: Option<&Path>,
        device: &Device,
    ) -> Result<Box<dyn EdgeNetwork>, EdgeError> {
        self.with(self.weights(weights)?, device)
    }

    /// The network with these weights.
    ///
    /// # Errors
    /// A tensor that is missing, misshapen or not finite (it is named), or a failure of the device.
    pub fn with(
        self,
        weights: Weights,
        device: &Device,
    ) -> Result<Box<dyn EdgeNetwork>, EdgeError> {
        let pidinet = |size, weights| -> Result<Box<dyn EdgeNetwork>, EdgeError> {
            Ok(Box::new(PiDiNet::new(size, weights, device)?))
        };
        match self {
            Self::Compact => Ok(Box::new(Compact::new(&weights, device)?)),
            Self::DexiNed => Ok(Box::new(DexiNed::new(weights, device)?)),
            Self::PiDiNet => pidinet(PiDiNetSize::Full, weights),
            Self::PiDiNetSmall => pidinet(PiDiNetSize::Small, weights),
            Self::PiDiNetTiny => pidinet(PiDiNetSize::Tiny, weights),
        }
    }

    /// The network whose tensors these are, by their names, shapes and finite values; none that is known, if not.
    pub fn of(weights: &Weights) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|model| NetworkBody::tensors(*model, weights, &Device::Cpu).is_ok())
    }
}

impl std::fmt::Display for EdgeModel {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl EdgeMap {
    /// Checks what a network computed for an image of this size.
    pub(super) fn checked(
        model: &str,
        width: u32,
        height: u32,
        logits: Vec<f32>,
    ) -> Result<Self, EdgeError> {
        debug_assert_eq!(logits.len(), width as usize * height as usize);
        if let Some(at) = logits.iter().position(|v| !v.is_finite()) {
            let width = width as usize;
            return Err(EdgeError::NotFinite {
                model: model.into(),
                x: at % width,
                y: at / width,
            });
        }
        Ok(Self {
            width,
            height,
            logits,
        })
    }
}
