//! Results in from other programs, and out to them.
//!
//! [`Foreign`] is what another program has evaluated; [`space_files`] writes it down as a space file with its tables, from which
//! `bo run --command` goes on; [`export`] gives what a run evaluated in forms that others read.

mod export;
mod foreign;
mod space_files;

pub use export::{Form, export};
pub use foreign::{Foreign, Reading};
pub use space_files::space_files;
