//! Photographs made worse on purpose: brighter or darker, flatter, blurred, noisy, turned.
//!
//! A [`Corruption`] is five numbers and a seed; [`Corruption::apply`] changes pixels, [`Corruption::turn`] the
//! labels along with them, and [`corrupted_set`] is the fixed collection of (image, corruption) that a run looks at.

mod apply;
mod set;
mod turn;
mod value;

pub use set::{Corrupted, corrupted_set};
pub use value::{CORRUPTION_NAMES, Corruption};
