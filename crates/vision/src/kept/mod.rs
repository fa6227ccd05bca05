//! What was computed once for an image, kept: a bounded share in memory, the rest in the files of a bounded folder.

mod files;
mod form;
mod held;
mod key;
mod store;

pub use key::KeptKey;
pub use store::{Kept, KeptBounds, KeptStore, KeptWarning, Origin};
