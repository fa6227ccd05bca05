//! Dense linear algebra of the Gaussian process: one Cholesky factor and everything read from it.
//!
//! [`Factor`] is the only place where a matrix is factorised and the only one that may add jitter.
//! On ndarray-linalg (OpenBLAS, one thread); columns are contiguous throughout (Fortran order).

mod factor;
mod threads;
mod triangular;

pub use factor::{Factor, FactorError, JITTER_LADDER};
pub use threads::one_thread;
pub use triangular::{backward, dot, forward};
