//! Labels of real images: the formats that are read, and the true lines they become.
//!
//! [`LabelSet::open`] takes a file or a folder; the format of each file is recognised by its content.
//! An [`Annotation`] is what a file says about one image; [`Annotation::truth`] fits it to the image.

mod annotation;
mod chessboard;
mod format;
mod json;
mod labelme;
mod lane;
mod original;
mod seam;
mod segments;
mod set;

pub use annotation::{AnnotatedLine, Annotation};
pub use format::{Format, parse};
pub use set::{LabelError, LabelSet, UnreadLabels};
