//! The tuned pipeline on images without labels: what is read ([`Rois`]) and what is found ([`Detection`]).

mod detection;
mod roi;

pub use detection::Detection;
pub use roi::Rois;
