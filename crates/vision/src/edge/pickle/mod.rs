//! Tensors out of a `.pth` file without running any code.
//!
//! Such a file is a zip [`container`] of raw [`storage`]s and of a pickle, a program for a stack
//! [`machine`] that may name any callable of its reader. This reader knows the opcodes that a
//! dictionary of tensors needs and seven storage types, two tensor constructors and the ordered
//! dictionary by name; anything else is refused. Nothing from the file is ever called. Sizes are
//! checked before memory is taken.
//! Source: the pickle protocol 2 to 4 as in CPython's `pickletools`, and PyTorch's serialisation notes.

mod container;
mod machine;
mod storage;

pub use container::{PickleError, read};
