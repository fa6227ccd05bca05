//! Images of a folder without labels.

use std::path::{Path, PathBuf};

use super::OpenError;
use super::files::{broken_off, file_name, hash, named, some_image_files};
use crate::decode::{self, decode};

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

    /// A remark on those whose file lacks its end, if there are such.
    pub fn broken_off(&self) -> Option<String> {
        let all = self.files.iter().zip(&self.names);
        let broken = all.filter(|(file, _)| decode::broken_off(file));
        named(broken.map(|(_, name)| name.as_str())).map(|names| broken_off(&names))
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
