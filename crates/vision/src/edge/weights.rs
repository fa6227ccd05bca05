//! Tensors of a network by name, read from a file and checked before use.
//!
//! Central type [`Weights`]: opened from `.safetensors` or from the zip container `.pth` (read by
//! the restricted reader in `pickle`, which runs no code), then handed out by [`Weights::take`],
//! which refuses a missing name, a wrong shape and values that are not finite, naming the tensor.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use candle_core::{Device, Tensor};
use safetensors::{Dtype, SafeTensorError, SafeTensors};

use super::pickle;

/// Largest weight file opened, in bytes.
const LARGEST: u64 = 1 << 30;

/// What the last record of a zip container begins with.
const ZIP_END: &[u8] = b"PK\x05\x06";

/// Values hashed at a time.
const HASHED: usize = 1 << 14;

/// A tensor in main memory, row-major.
#[derive(Clone, Debug, PartialEq)]
pub struct Plain {
    /// Length along every axis.
    pub shape: Vec<usize>,
    /// As many values as the product of `shape`.
    pub values: Vec<f32>,
}

/// Tensors by name.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Weights {
    source: PathBuf,
    tensors: BTreeMap<String, Plain>,
}

/// A weight file that cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("weights {path}: {fault}")]
pub struct WeightError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub fault: WeightFault,
}

/// Why a weight file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightFault {
    /// Reading failed, for the system's reason.
    #[error(transparent)]
    Unreadable(std::io::Error),
    /// It begins as a file of tensors does, and has not the length or the end of one: its bytes.
    #[error("is not whole: its {0} bytes are not all that it announces")]
    NotWhole(usize),
    /// Not a file of tensors, or damaged: what is wrong, in words.
    #[error("{0}")]
    Malformed(String),
    /// A tensor the network needs is not there.
    #[error("tensor {name} is missing")]
    Missing {
        /// The tensor.
        name: String,
    },
    /// A tensor has another shape than the network needs.
    #[error("tensor {name} has shape {found:?}, the network needs {needed:?}")]
    Misshapen {
        /// The tensor.
        name: String,
        /// Its shape in the file.
        found: Vec<usize>,
        /// The shape that fits.
        needed: Vec<usize>,
    },
    /// A tensor holds NaN or an infinity.
    #[error("tensor {name} holds a value that is not finite")]
    NotFinite {
        /// The tensor.
        name: String,
    },
}

impl WeightFault {
    /// In this file.
    pub(super) fn of(self, path: &Path) -> WeightError {
        WeightError {
            path: path.into(),
            fault: self,
        }
    }
}

/// The bytes of a file of at most 1 GiB.
///
/// # Errors
/// Not readable, or larger.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, WeightError> {
    let unreadable = |source| WeightFault::Unreadable(source).of(path);
    let mut bytes = Vec::new();
    // a device file tells no length: what is read is counted, not what is announced
    let file = File::open(path).map_err(unreadable)?;
    file.take(LARGEST + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > LARGEST {
        let reason = format!("more than the {LARGEST} bytes that are read");
        return Err(WeightFault::Malformed(reason).of(path));
    }
    Ok(bytes)
}

impl Weights {
    /// Reads a file: a zip container is taken for `.pth`, anything else for safetensors.
    ///
    /// # Errors
    /// Not readable, larger than 1 GiB, or neither format.
    pub fn open(path: &Path) -> Result<Self, WeightError> {
        let bytes = read(path)?;
        if bytes.starts_with(b"PK\x03\x04") {
            // a zip container ends with the list of its contents
            let is_cut = !bytes.windows(ZIP_END.len()).any(|part| part == ZIP_END);
            let tensors = pickle::read(&bytes).map_err(|error| {
                let fault = match is_cut {
                    true => WeightFault::NotWhole(bytes.len()),
                    false => WeightFault::Malformed(error.to_string()),
                };
                fault.of(path)
            })?;
            return Ok(Self {
                source: path.into(),
                tensors,
            });
        }
        Self::from_safetensors(path, &bytes)
    }

    /// Reads the bytes of a safetensors file with elements `f32`, `f16`, `bf16` or `i64`; `source` is only for messages.
    ///
    /// # Errors
    /// Not safetensors, or another element type.
    pub fn from_safetensors(source: &Path, bytes: &[u8]) -> Result<Self, WeightError> {
        let malformed = |reason: String| WeightFault::Malformed(reason).of(source);
        let file = SafeTensors::deserialize(bytes).map_err(|error| match error {
            // the header is whole, and what it announces is not
            SafeTensorError::MetadataIncompleteBuffer => {
                WeightFault::NotWhole(bytes.len()).of(source)
            }
            error => malformed(format!(
                "neither a safetensors file nor a zip container ({error})"
            )),
        })?;
        let mut tensors = BTreeMap::new();
        for (name, view) in file.iter() {
            let two = || view.data().as_chunks::<2>().0.iter();
            let values = match view.dtype() {
                Dtype::F32 => view
                    .data()
                    .as_chunks::<4>()
                    .0
                    .iter()
                    .map(|b| f32::from_le_bytes(*b))
                    .collect(),
                // counters that normalisations keep beside their statistics
                Dtype::I64 => view
                    .data()
                    .as_chunks::<8>()
                    .0
                    .iter()
                    .map(|b| i64::from_le_bytes(*b) as f32)
                    .collect(),
                Dtype::F16 => two()
                    .map(|b| half::f16::from_le_bytes(*b).to_f32())
                    .collect(),
                Dtype::BF16 => two()
                    .map(|b| half::bf16::from_le_bytes(*b).to_f32())
                    .collect(),
                other => {
                    return Err(malformed(format!(
                        "tensor {name} has element type {other:?}"
                    )));
                }
            };
            tensors.insert(
                name.to_string(),
                Plain {
                    shape: view.shape().to_vec(),
                    values,
                },
            );
        }
        Ok(Self {
            source: source.into(),
            tensors,
        })
    }

    /// Tensors made by the program itself, for tests and training.
    pub fn from_tensors(tensors: BTreeMap<String, Plain>) -> Self {
        Self {
            source: "(memory)".into(),
            tensors,
        }
    }

    /// Names of all tensors, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.tensors.keys().map(String::as_str)
    }

    /// Shape of the tensor `name`, if the file holds it.
    pub fn shape(&self, name: &str) -> Option<&[usize]> {
        self.tensors.get(name).map(|tensor| &tensor.shape[..])
    }

    /// Number of values in all tensors.
    pub fn parameters(&self) -> usize {
        self.tensors.values().map(|t| t.values.len()).sum()
    }

    /// Takes a leading `prefix` off every name that has it (`module.` of data-parallel training).
    pub fn without_prefix(self, prefix: &str) -> Self {
        let strip = |name: String| {
            name.strip_prefix(prefix)
                .map(str::to_string)
                .unwrap_or(name)
        };
        let tensors = self
            .tensors
            .into_iter()
            .map(|(name, t)| (strip(name), t))
            .collect();
        Self {
            source: self.source,
            tensors,
        }
    }

    /// The tensor `name`, in main memory.
    ///
    /// # Errors
    /// It is missing, has not the shape `needed`, or is not finite.
    pub fn plain(&self, name: &str, needed: &[usize]) -> Result<&Plain, WeightError> {
        let refused = |fault: WeightFault| Err(fault.of(&self.source));
        let named = || name.to_owned();
        let Some(tensor) = self.tensors.get(name) else {
            return refused(WeightFault::Missing { name: named() });
        };
        if tensor.shape != needed {
            return refused(WeightFault::Misshapen {
                name: named(),
                found: tensor.shape.clone(),
                needed: needed.to_vec(),
            });
        }
        if tensor.values.iter().any(|v| !v.is_finite()) {
            return refused(WeightFault::NotFinite { name: named() });
        }
        Ok(tensor)
    }

    /// The tensor `name` (`needed`: its shape) of variances.
    ///
    /// # Errors
    /// As [`Weights::plain`], or one is negative.
    pub fn variances(&self, name: &str, needed: &[usize]) -> Result<&Plain, WeightError> {
        let tensor = self.plain(name, needed)?;
        if tensor.values.iter().any(|v| *v < 0.0) {
            let reason = format!("tensor {name} holds a negative variance");
            return Err(WeightFault::Malformed(reason).of(&self.source));
        }
        Ok(tensor)
    }

    /// The tensor `name` on `device`.
    ///
    /// # Errors
    /// As [`Weights::plain`], or the device fails.
    pub fn take(
        &self,
        name: &str,
        needed: &[usize],
        device: &Device,
    ) -> Result<Tensor, super::EdgeError> {
        let plain = self.plain(name, needed)?;
        Ok(Tensor::from_slice(
            &plain.values,
            plain.shape.as_slice(),
            device,
        )?)
    }

    /// Hash of `architecture` and of every name, shape and value, hexadecimal.
    pub fn fingerprint(&self, architecture: &str) -> String {
        let mut hasher = blake3::Hasher::new();
        hasher.update(architecture.as_bytes());
        for (name, tensor) in &self.tensors {
            hasher.update(format!("\n{name} {:?}\n", tensor.shape).as_bytes());
            for values in tensor.values.chunks(HASHED) {
                let bytes: Vec<u8> = values.iter().flat_map(|v| v.to_le_bytes()).collect();
                hasher.update(&bytes);
            }
        }
        hasher.finalize().to_hex()[..32].to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(name: &str, shape: &[usize], values: &[f32]) -> Weights {
        let plain = Plain {
            shape: shape.to_vec(),
            values: values.to_vec(),
        };
        Weights::from_tensors(BTreeMap::from([(name.to_string(), plain)]))
    }

    #[test]
    fn a_bad_tensor_is_named() {
        let weights = one("module.a.weight", &[2, 1], &[1.0, f32::NAN]).without_prefix("module.");
        let said = |r: Result<&Plain, WeightError>| r.unwrap_err().to_string();
        assert!(said(weights.plain("b.weight", &[2, 1])).contains("b.weight is missing"));
        assert!(
            said(weights.plain("a.weight", &[1, 2])).contains("[2, 1], the network needs [1, 2]")
        );
        assert!(said(weights.plain("a.weight", &[2, 1])).contains("not finite"));
    }

    #[test]
    fn a_file_of_something_else_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for bytes in [&b"PK\x03\x04garbage"[..], b"garbage", b"", &[255; 64]] {
            let path = folder.path().join("w");
            std::fs::write(&path, bytes).unwrap();
            assert!(matches!(
                Weights::open(&path),
                Err(WeightError {
                    fault: WeightFault::Malformed(_) | WeightFault::NotWhole(_),
                    ..
                })
            ));
        }
    }
}
