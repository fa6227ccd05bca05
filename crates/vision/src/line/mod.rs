//! Straight lines: the classical voters, the filters and the weighted fit that makes of many
//! segments one line per region.

mod ballot;
mod detectors;
mod edge_bits;
mod filter;
mod fit;
mod hough;
mod lsd;
mod straight;
mod transform;

pub use ballot::{Ballot, Voter, Votes};
pub use detectors::{Detectors, UnknownDetectors};
pub use filter::{CENTRE_TOLERANCES, along_longer_axis, near_centre};
pub use fit::{FitSettings, FittedLine, fit_line};
pub use straight::{StraightLine, inside};
