//! From an image and the eight parameters to lines and their score.
//!
//! [`see`] makes of an image what is kept, once: [`Seen`], the whole of what does not depend on the parameters. [`detect`] is
//! the whole of what does; [`examine`] judges its lines against the true ones.

mod detect;
mod examine;
mod parameters;
mod seen;

pub use detect::{DetectedLine, OF_A_PIXEL_DETECTED, Scratch, detect};
pub use examine::{COUNTED_WITHOUT_REGIONS, Examination, counted, evaluate, examine};
pub use parameters::{LineParameters, PARAMETERS, ParameterRange};
pub use seen::{OF_A_PIXEL, Seen, Stage, Stages, Untimed, preprocessing, see, see_together};
