//! Image and parameters to score: an edge network, an orientation bank, region growing, a weighted
//! line fit and the score of the fitted lines against labelled ones.
//!
//! Nothing here has heard of Gaussian processes. Images are decoded and scored one at a time; what
//! does not depend on the parameters (the network's output, the classical voters) is computed once
//! per image and kept, in half precision, in a store bounded in memory.

mod canny;
pub mod contrast;
pub mod corner;
pub mod corruption;
pub mod decode;
pub mod edge;
pub mod feature;
pub mod folder;
pub mod geometry;
pub mod kept;
pub mod labels;
pub mod line;
pub mod orientation;
pub mod overlay;
pub mod pipeline;
pub mod region;
pub mod scene;
pub mod score;
pub mod source;
pub mod texts;
pub mod train;
mod whole;
