//! Images of a folder without labels.

use std::path::{Path, PathBuf};

use super::OpenError;
use super::files::{file_name, hash, some_image_files};
use crate::decode::decode;

/// Images of a folder without labels, in the order of their names.
#[derive(Clone, Debug)]
pub struct Photographs {
    files: Vec<PathBuf>,
    names: Vec<String>,
}

impl Photographs {
    /// The jpg, png and bmp files directly in the folder; nothing is decoded yet.
    ///
    /// # Errors
    /// A folder that cannot be read or holds no image.
    pub fn open(folder: &Path) -> Result<Self, OpenError> {
        let (files, _) = some_image_files(folder)?;
        let names = files.iter().map(|file| file_name(file)).collect();
        Ok(Self { files, names })
    }

    /// Number of images.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Never true: such a folder is refused.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// File names of all images.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// File name of image `index`.
    pub fn name(&self, index: usize) -> &str {
        &self.names[index]
    }

    /// Hash of the file of image `index`.
    ///
    /// # Errors
    /// In words, why the file cannot be read.
    pub fn hash(&self, index: usize) -> Result<String, String> {
        let hash = hash(&self.files[index]).map_err(|error| error.to_string())?;
        Ok(hash.finalize().to_hex().to_string())
    }

    /// Pixels of image `index` and their hash.
    ///
    /// # Errors
    /// In words, why the file does not decode.
    pub fn load(&self, index: usize) -> Result<(image::RgbImage, String), String> {
        let path = &self.files[index];
        let pixels = decode(path).map_err(|error| error.to_string())?;
        Ok((pixels, self.hash(index)?))
    }
}
