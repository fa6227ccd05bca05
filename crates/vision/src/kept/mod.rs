//! What was computed once for an image, kept: all of it in the files of a folder, a share of it in memory, both bounded.

mod files;
mod form;
mod held;
mod key;
mod looks;
mod store;

pub use key::KeptKey;
pub use looks::KeptLooks;
pub use store::{Kept, KeptBounds, KeptStore, KeptWarning, Origin};
