//! Photographs in folders: [`FolderSource`], those with labels, and [`Photographs`], those without.

mod album;
mod error;
mod files;
mod photographs;
mod source;

pub use error::OpenError;
pub use files::Skipped;
pub(crate) use files::{file_name, hash, image_files, is_image_extension};
pub use photographs::Photographs;
pub use source::FolderSource;
