//! Why no source came of the folders.

use std::path::PathBuf;

use crate::labels::LabelError;

/// Why no source came of the folders.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No pair was given.
    #[error("open images: no folder given")]
    NoPair,
    /// The folder cannot be read.
    #[error("read the image folder {}: {source}", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The folder holds no image.
    #[error("image folder {}: no jpg, png or bmp file in it", path.display())]
    NoImages {
        /// The folder.
        path: PathBuf,
    },
    /// The labels cannot be read.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// Not a single label belongs to an image.
    #[error(
        "labels {} match no image of {}: labelled are {labelled} (such as {}), present are {present} (such as {})",
        labels.display(), images.display(), labelled_examples.join(", "), present_examples.join(", ")
    )]
    NoMatch {
        /// The image folder.
        images: PathBuf,
        /// The labels.
        labels: PathBuf,
        /// Number of labelled images.
        labelled: usize,
        /// Some of their names.
        labelled_examples: Vec<String>,
        /// Number of images in the folder.
        present: usize,
        /// Some of their names.
        present_examples: Vec<String>,
    },
    /// Every image was passed over.
    #[error("images: none of {images} is usable: {}", reasons.join("; "))]
    NoneLeft {
        /// Number of images seen.
        images: usize,
        /// The first few, with reasons.
        reasons: Vec<String>,
    },
}
