//! The ask/tell face of the crate: tell what was observed, ask what to evaluate next.
//!
//! Central type: [`Optimizer`]. Values are in the user's sign outside and maximised inside; this door
//! is where the sign turns. The optimiser keeps no random state: the model is rebuilt from the
//! observations and the [`ModelState`] of the fit before, so a resumed run goes on bit for bit.

mod ask_tell;
mod decide;
mod error;
mod event;
mod footprint;
mod model;
#[cfg(test)]
mod prediction;
mod problem;
mod recommend;
mod refit;
mod region;
mod schedule;
mod settings;
mod state;
mod surrogate;

pub use ask_tell::Optimizer;
pub use error::Error;
pub use event::Event;
pub use problem::{Direction, Observation, Outcome, Problem, Query};
pub use settings::{AcquisitionKind, HighDimension, Looks, Settings};
pub use state::{Decision, FitReport, Incumbent, ModelState};
pub use surrogate::Surrogate;

/// Version of what is decided: raised whenever the same observations lead to other decisions than before, if only in
/// their last bits, as a replay compares those. 2: the narrower prior on lengthscales of [`Surrogate`]. 3: a narrower prior
/// on the noise where there are environments, integers climb by strides, interpolated risks by their own slope, what is
/// all but known is sampled. 4: candidates in blocks. 5: failures may have nothing to do with x; what is not likely to
/// return a value stands behind all else.
pub const VERSION: u32 = 5;
