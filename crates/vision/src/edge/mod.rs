//! Edge networks: an image in, a map of edge logits of the same size out.
//!
//! [`EdgeNetwork`] is the trait, [`EdgeFinder`] the register of names. Implementations: the project's
//! own [`compact`] network, [`pidinet`] and [`dexined`], which are made of [`convolution`], [`pool`] and [`resize`] and whose
//! weights come out of [`weights`]; and [`Canny`], which is none and needs none.

mod activation;
pub mod adapter;
mod altered;
mod body;
mod canny;
mod checkpoint;
pub mod compact;
pub mod convolution;
pub mod dexined;
mod difference;
mod drawn;
mod finder;
mod footprint;
mod ladder;
mod network;
mod outline;
mod pickle;
pub mod pidinet;
pub(crate) mod pixels;
pub mod pool;
mod precision;
pub mod resize;
mod stage;
mod tile;
mod view;
pub mod weights;

pub use activation::Activation;
pub use adapter::{Adapter, AdapterError, AdapterHead};
pub use altered::Altered;
pub use body::{NetworkBody, Role};
pub use canny::Canny;
pub use checkpoint::{Differentiable, gradients};
pub use compact::Compact;
pub use dexined::DexiNed;
pub use finder::EdgeFinder;
pub use footprint::{Footprint, Purpose, Training, Work};
pub(crate) use ladder::quarter_less;
pub use ladder::{Attempt, Inject, LARGEST, Ladder, Safe, Size, Step};
pub use network::{
    EdgeError, EdgeMap, EdgeModel, EdgeNetwork, LogitScale, device_lost, out_of_memory,
};
pub use outline::Place;
pub use pickle::PickleError;
pub use pidinet::{PiDiNet, PiDiNetSize};
pub use precision::{Precision, round_products};
pub use stage::{Passage, Staged};
pub use tile::{Tiles, Windowed, logits_within};
pub use view::View;
pub use weights::{WeightError, WeightFault, Weights};
