//! Dense linear algebra of the Gaussian process: one Cholesky factor and everything read from it.
//!
//! [`factorise`] is the only factorisation; [`Factor`] and the evidence of the fit [`climb`] the one
//! [`JITTER_LADDER`] when it fails, and nobody else adds anything to a diagonal. On ndarray-linalg and
//! its LAPACK layer (OpenBLAS, one thread); columns are contiguous throughout (Fortran order).

mod factor;
mod in_place;
mod ladder;
#[cfg(openblas_packaged)]
mod scratch;
#[cfg(not(openblas_packaged))]
#[path = "scratch_kept.rs"]
mod scratch;
mod threads;
mod triangular;

pub use factor::{Factor, FactorError};
pub use in_place::{factorise, invert};
pub use ladder::{JITTER_LADDER, climb, scale_of};
pub use scratch::release_scratch;
pub use threads::one_thread;
pub use triangular::{backward, dot, forward};
