//! 3x3 convolutions with step 1 by F(4x4, 3x3): a quarter of the multiplications.
//!
//! Central function [`forward`]. Tiles of 4 x 4 outputs become 36 numbers per channel; at each of the 36
//! points the channels are mixed by a matrix product; the results become outputs again. Two ways to share
//! the work, by shape alone: small weights are transformed once and every thread takes runs of tiles through
//! all three steps; large ones are transformed a few outputs at a time, while all threads share the
//! transformed image.

mod grid;
mod input;
mod matrix;
mod output;
mod share;
mod weight;

pub(super) use share::{forward, scratch};
