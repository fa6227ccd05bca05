//! All labels of a file or folder, by image.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use super::annotation::Annotation;
use super::format::{Format, parse};
use crate::folder::is_image_extension;

/// Largest label file that is read, in bytes.
const BYTE_LIMIT: u64 = 64 << 20;

/// Why labels could not be read.
#[derive(Debug, thiserror::Error)]
pub enum LabelError {
    /// The file or folder cannot be read.
    #[error("read labels {}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// The file is larger than any label file should be.
    #[error("labels {}: {bytes} bytes exceed the limit of {limit}", path.display())]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// Largest allowed size.
        limit: u64,
    },
    /// The content is of no known format.
    #[error("labels {}: {reason}; known formats: {}", path.display(), Format::KNOWN)]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What was seen.
        reason: String,
    },
    /// The content is of a known format but damaged.
    #[error("labels {}: {reason} (read as {})", path.display(), format.name())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// The format it was taken for.
        format: Format,
        /// What is wrong.
        reason: String,
    },
    /// The folder holds no file that could hold labels.
    #[error("labels {}: no .json or .txt file in this folder", path.display())]
    EmptyFolder {
        /// The folder.
        path: PathBuf,
    },
    /// No file of the folder could be read; the first error is given.
    #[error("labels {}: none of its {files} label files can be read; the first: {first}", path.display())]
    NoneReadable {
        /// The folder.
        path: PathBuf,
        /// How many files were tried.
        files: usize,
        /// The first error.
        first: Box<LabelError>,
    },
    /// Two files, or two entries, label the same image.
    #[error("labels {}: {name} is labelled twice{}; keep one of the two", path.display(), as_well(name, other))]
    Twice {
        /// The file that came second.
        path: PathBuf,
        /// The image as it is called there.
        name: String,
        /// As it was called before.
        other: String,
    },
}

fn as_well(name: &str, other: &str) -> String {
    match name == other {
        true => String::new(),
        false => format!(", before as {other}"),
    }
}

/// A label file of a folder that was passed over, and why.
#[derive(Debug)]
pub struct UnreadLabels {
    /// The file.
    pub path: PathBuf,
    /// What was wrong.
    pub error: LabelError,
}

/// Labels by image name or stem.
#[derive(Debug, Default)]
pub struct LabelSet {
    entries: BTreeMap<String, Annotation>,
}

impl LabelSet {
    /// Reads the labels of one file, or of all `.json` and `.txt` files directly in a folder.
    ///
    /// Files of a folder that cannot be read are returned beside the set.
    ///
    /// # Errors
    /// See [`LabelError`]; for a single file every fault is an error, for a folder only if no file can be
    /// read or two label the same image.
    pub fn open(path: &Path) -> Result<(Self, Vec<UnreadLabels>), LabelError> {
        let mut set = Self::default();
        let io = |source| LabelError::Io {
            path: path.to_owned(),
            source,
        };
        if !std::fs::metadata(path).map_err(io)?.is_dir() {
            set.add(path)?;
            return Ok((set, Vec::new()));
        }
        let mut files = Vec::new();
        for entry in std::fs::read_dir(path).map_err(io)? {
            let file = entry.map_err(io)?.path();
            let extension = file
                .extension()
                .and_then(|extension| extension.to_str())
                .map(str::to_lowercase);
            if matches!(extension.as_deref(), Some("json" | "txt")) && file.is_file() {
                files.push(file);
            }
        }
        files.sort();
        if files.is_empty() {
            return Err(LabelError::EmptyFolder {
                path: path.to_owned(),
            });
        }
        let mut unread = Vec::new();
        for file in &files {
            match set.add(file) {
                Ok(()) => {}
                Err(error @ LabelError::Twice { .. }) => return Err(error),
                Err(error) => unread.push(UnreadLabels {
                    path: file.clone(),
                    error,
                }),
            }
        }
        if unread.len() == files.len() {
            let first = Box::new(unread.swap_remove(0).error);
            return Err(LabelError::NoneReadable {
                path: path.to_owned(),
                files: files.len(),
                first,
            });
        }
        Ok((set, unread))
    }

    fn add(&mut self, path: &Path) -> Result<(), LabelError> {
        let io = |source| LabelError::Io {
            path: path.to_owned(),
            source,
        };
        let mut file = File::open(path).map_err(io)?;
        let size = file.metadata().map_err(io)?.len();
        if size > BYTE_LIMIT {
            return Err(LabelError::TooLarge {
                path: path.to_owned(),
                bytes: size,
                limit: BYTE_LIMIT,
            });
        }
        let mut bytes = Vec::new();
        file.by_ref()
            .take(BYTE_LIMIT + 1)
            .read_to_end(&mut bytes)
            .map_err(io)?;
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        let entries = parse(&bytes, &stem).map_err(|(format, reason)| match format {
            Some(format) => LabelError::Malformed {
                path: path.to_owned(),
                format,
                reason,
            },
            None => LabelError::UnknownFormat {
                path: path.to_owned(),
                reason,
            },
        })?;
        for (name, labels) in entries {
            if let Some(other) = self.same_image(&name) {
                return Err(LabelError::Twice {
                    path: path.to_owned(),
                    other: other.to_owned(),
                    name,
                });
            }
            self.entries.insert(name, labels);
        }
        Ok(())
    }

    /// The entry that names the same image: `a.jpg` is `a`, but is not `a.png`.
    fn same_image(&self, name: &str) -> Option<&str> {
        let known = |name: &str| {
            self.entries
                .get_key_value(name)
                .map(|(key, _)| key.as_str())
        };
        let begin = format!("{name}.");
        let extended = || {
            let keys = self.entries.range(begin.clone()..);
            keys.map(|(key, _)| key.as_str())
                .take_while(|key| key.starts_with(&begin))
                .find(|key| stem(key) == name)
        };
        known(name).or_else(|| known(stem(name))).or_else(extended)
    }

    /// The labels of the image file `name`: by its full name, else by its name without extension.
    pub fn find(&self, name: &str) -> Option<&Annotation> {
        self.entries
            .get(name)
            .or_else(|| self.entries.get(stem(name)))
    }

    /// Names or stems of all labelled images, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.entries.keys().map(String::as_str)
    }

    /// Number of labelled images.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// True if no image is labelled.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }
}

/// The name of an image without its extension; a dot may stand in the name itself.
fn stem(name: &str) -> &str {
    match name.rsplit_once('.') {
        Some((stem, extension)) if is_image_extension(extension) => stem,
        _ => name,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_must_be_known_and_a_folder_passes_over_what_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(matches!(
            LabelSet::open(folder.path()),
            Err(LabelError::EmptyFolder { .. })
        ));
        std::fs::write(at("LICENSE.txt"), "free to use\n").unwrap();
        assert!(matches!(
            LabelSet::open(folder.path()),
            Err(LabelError::NoneReadable { files: 1, .. })
        ));
        let message = LabelSet::open(&at("LICENSE.txt")).unwrap_err().to_string();
        assert!(
            message.contains("LICENSE.txt") && message.contains("LabelMe"),
            "{message}"
        );
        std::fs::write(at("P1_gt.txt"), "1 2 3 4\n").unwrap();
        let (set, unread) = LabelSet::open(folder.path()).unwrap();
        assert_eq!((set.len(), unread.len()), (1, 1));
        assert!(
            set.find("P1.png").is_some()
                && set.find("P1").is_some()
                && set.find("P2.png").is_none()
        );
        std::fs::write(at("P1.txt"), "1 2 3 4\n").unwrap();
        assert!(matches!(
            LabelSet::open(folder.path()),
            Err(LabelError::Twice { .. })
        ));
    }

    #[test]
    fn a_name_with_and_without_extension_is_one_image_with_two_extensions_two() {
        let folder = tempfile::tempdir().unwrap();
        let put = |file: &str, image: &str| {
            let coordinates = serde_json::json!({"longi_left_lower_x": 1, "longi_left_lower_y": 2});
            let text = serde_json::json!({image: {"coordinates": coordinates}}).to_string();
            std::fs::write(folder.path().join(file), text).unwrap();
        };
        let open = || LabelSet::open(folder.path());
        put("1.json", "a.jpg");
        put("2.json", "a.png");
        // a dot of the name is none of an extension
        put("3.json", "b");
        std::fs::write(folder.path().join("b.v2.txt"), "1 2 3 4\n").unwrap();
        let (set, _) = open().unwrap();
        assert_eq!(set.len(), 4);
        assert!(set.find("b.v2.png").is_some_and(|found| !found.by_region));
        std::fs::write(folder.path().join("a.txt"), "1 2 3 4\n").unwrap();
        let said = open().unwrap_err().to_string();
        assert!(
            said.contains("a is labelled twice, before as a.jpg"),
            "{said}"
        );
        std::fs::remove_file(folder.path().join("a.txt")).unwrap();
        put("4.json", "b.bmp");
        let said = open().unwrap_err().to_string();
        assert!(
            said.contains("b.bmp is labelled twice, before as b;"),
            "{said}"
        );
    }
}
