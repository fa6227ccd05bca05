//! Straight lines: classical voters, filters and the weighted fit.

mod hough;

pub use hough::voters;
