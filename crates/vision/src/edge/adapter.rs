//! Low-rank changes of a network's convolutions, learned from a handful of images and kept in a small file.
//!
//! Central type [`Adapter`]. Beside a convolution of weight W (O x I x k x k) stand two of rank r: *down* (r x I x k x k,
//! the same step and border) and *up* (O x r x 1 x 1) after it. Both together are one convolution of weight
//! scale * up x down, so they are merged into W when a network is loaded, and cost nothing after. Adapted is every
//! convolution that mixes channels: all of the compact network and of DexiNed (but its transposed ones), the pointwise,
//! dilated and first ones of PiDiNet (but its depthwise pixel differences). Biases stay as they are.
//! Source: Hu and others, "LoRA: Low-rank adaptation of large language models", ICLR 2022.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use candle_core::Tensor;
use safetensors::SafeTensors;
use safetensors::tensor::TensorView;

use super::body::Role;
use super::weights::{Plain, WeightError, WeightFault};
use super::{EdgeError, EdgeModel, Weights};

/// What the metadata of a file call it.
const FORMAT: &str = "bo/adapter";
/// Version of the format.
const VERSION: &str = "1";
/// Highest rank that is believed.
const HIGHEST_RANK: usize = 512;

/// What a file of an adapter says about itself.
#[derive(Clone, Debug, PartialEq)]
pub struct AdapterHead {
    /// The network it changes.
    pub model: EdgeModel,
    /// Hash of the weights it was learned beside, as the network's fingerprint.
    pub base: String,
    /// Their file's name, for messages; empty for those that ship.
    pub weights: String,
    /// Channels between down and up; less where a convolution has fewer.
    pub rank: usize,
    /// Factor on up x down.
    pub scale: f64,
}

/// The pair of one convolution.
#[derive(Clone, Debug, PartialEq)]
pub struct Pair {
    /// r x I x k x k.
    pub down: Plain,
    /// O x r x 1 x 1.
    pub up: Plain,
}

/// Low-rank changes by the name of the weight they change.
#[derive(Clone, Debug, PartialEq)]
pub struct Adapter {
    source: PathBuf,
    head: AdapterHead,
    pairs: BTreeMap<String, Pair>,
}

/// Why an adapter cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum AdapterError {
    /// Its tensors cannot.
    #[error(transparent)]
    Weights(#[from] WeightError),
    /// The file is none that `bo adapt` wrote.
    #[error("adapter {path}: {reason}")]
    Malformed {
        /// The file.
        path: PathBuf,
        /// What is wrong, in words.
        reason: String,
    },
    /// It changes another network.
    #[error("adapter {path} is of edge model {of}, asked for is {asked}")]
    OtherModel {
        /// The file.
        path: PathBuf,
        /// Its network.
        of: EdgeModel,
        /// The one at hand.
        asked: EdgeModel,
    },
    /// It was learned beside other weights.
    #[error(
        "adapter {path} was learned beside {} (hash {needed}); these weights of {model} have hash {found}",
        learned_beside(weights, *model)
    )]
    OtherBase {
        /// The file.
        path: PathBuf,
        /// The network.
        model: EdgeModel,
        /// Name of the file of the weights it belongs to.
        weights: String,
        /// Their hash.
        needed: String,
        /// The hash of those at hand.
        found: String,
    },
}

fn learned_beside(weights: &str, model: EdgeModel) -> String {
    match weights {
        "" => format!("the weights of {model} that ship"),
        file => format!("weights that were called {file}"),
    }
}

/// Shapes of down and up of rank `rank` at most for a weight, if it is one that is adapted.
pub fn pair_shapes(weight: &[usize], role: Role, rank: usize) -> Option<[[usize; 4]; 2]> {
    let &[outputs, inputs, height, width] = weight else {
        return None;
    };
    // depthwise ones see one channel each
    if role != Role::Kernel || inputs < 2 {
        return None;
    }
    let rank = rank.min(outputs).min(inputs * height * width);
    Some([[rank, inputs, height, width], [outputs, rank, 1, 1]])
}

/// W + scale * up x down, of W's shape, with gradients by `down` and `up`.
///
/// # Errors
/// Shapes that are not those of [`pair_shapes`].
pub fn merged(
    weight: &Tensor,
    down: &Tensor,
    up: &Tensor,
    scale: f64,
) -> candle_core::Result<Tensor> {
    let flat = up.flatten_from(1)?.matmul(&down.flatten_from(1)?)?;
    weight + (flat.reshape(weight.shape())? * scale)?
}

impl Adapter {
    /// An adapter of these pairs.
    pub fn new(head: AdapterHead, pairs: BTreeMap<String, Pair>) -> Self {
        Self {
            source: "(memory)".into(),
            head,
            pairs,
        }
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Not readable, no adapter, or a tensor that is not finite.
    pub fn open(path: &Path) -> Result<Self, AdapterError> {
        let bytes = super::weights::read(path)?;
        Self::read(path, &bytes)
    }

    /// Reads the bytes of a file; `source` is only for messages.
    ///
    /// # Errors
    /// As [`Adapter::open`].
    pub fn read(source: &Path, bytes: &[u8]) -> Result<Self, AdapterError> {
        let malformed = |reason: String| AdapterError::Malformed {
            path: source.into(),
            reason,
        };
        let (_, metadata) = SafeTensors::read_metadata(bytes)
            .map_err(|e| malformed(format!("not a safetensors file ({e})")))?;
        let words = metadata.metadata().clone().unwrap_or_default();
        let word = |key: &str| {
            let found = words.get(key).cloned();
            found.ok_or_else(|| {
                malformed(format!("its metadata name no {key}: bo adapt wrote none"))
            })
        };
        match (word("format")?.as_str(), word("version")?.as_str()) {
            (FORMAT, VERSION) => {}
            (format, version) => return Err(malformed(format!("is {format} version {version}"))),
        }
        let head = AdapterHead {
            model: word("model")?
                .parse()
                .map_err(|error: EdgeError| malformed(error.to_string()))?,
            base: word("base")?,
            weights: word("weights")?,
            rank: number(&word("rank")?)
                .filter(|rank| (1..=HIGHEST_RANK).contains(rank))
                .ok_or_else(|| malformed("its rank is no number from 1 to 512".into()))?,
            scale: number(&word("scale")?)
                .filter(|scale: &f64| scale.is_finite())
                .ok_or_else(|| malformed("its scale is no number".into()))?,
        };
        let tensors = Weights::from_safetensors(source, bytes)?;
        let mut pairs = BTreeMap::new();
        for name in tensors.names() {
            let weight = name.strip_suffix(".down").or(name.strip_suffix(".up"));
            let Some(weight) = weight else {
                return Err(malformed(format!(
                    "its tensor {name} is neither down nor up"
                )));
            };
            let part = |part: &str| {
                let name = format!("{weight}.{part}");
                let shape = tensors.shape(&name).unwrap_or_default().to_vec();
                tensors.plain(&name, &shape).cloned()
            };
            let (down, up) = (part("down")?, part("up")?);
            pairs.insert(weight.to_owned(), Pair { down, up });
        }
        Ok(Self {
            source: source.into(),
            head,
            pairs,
        })
    }

    /// The bytes of its file.
    ///
    /// # Errors
    /// None that tensors of one adapter can cause.
    pub fn bytes(&self) -> Result<Vec<u8>, AdapterError> {
        let head = &self.head;
        let words = [
            ("format", FORMAT.to_owned()),
            ("version", VERSION.to_owned()),
            ("model", head.model.to_string()),
            ("base", head.base.clone()),
            ("weights", head.weights.clone()),
            ("rank", head.rank.to_string()),
            ("scale", head.scale.to_string()),
        ];
        let words: HashMap<String, String> =
            words.into_iter().map(|(k, v)| (k.to_owned(), v)).collect();
        let parts = self.pairs.iter().flat_map(|(weight, pair)| {
            [("down", &pair.down), ("up", &pair.up)]
                .map(|(part, plain)| (format!("{weight}.{part}"), plain))
        });
        let parts: Vec<(String, &Plain, Vec<u8>)> = parts
            .map(|(name, plain)| {
                let bytes = plain.values.iter().flat_map(|v| v.to_le_bytes());
                (name, plain, bytes.collect())
            })
            .collect();
        let failed = |error: safetensors::SafeTensorError| AdapterError::Malformed {
            path: self.source.clone(),
            reason: error.to_string(),
        };
        let mut views = Vec::with_capacity(parts.len());
        for (name, plain, bytes) in &parts {
            let view = TensorView::new(safetensors::Dtype::F32, plain.shape.clone(), bytes);
            views.push((name, view.map_err(failed)?));
        }
        safetensors::serialize(views, Some(words)).map_err(failed)
    }

    /// What it says about itself.
    pub fn head(&self) -> &AdapterHead {
        &self.head
    }

    /// Number of values.
    pub fn parameters(&self) -> usize {
        let of = |pair: &Pair| pair.down.values.len() + pair.up.values.len();
        self.pairs.values().map(of).sum()
    }

    /// It belongs to these weights of this network.
    ///
    /// # Errors
    /// It does not.
    pub(super) fn check(&self, model: EdgeModel, fingerprint: &str) -> Result<(), AdapterError> {
        let path = || self.source.clone();
        let head = &self.head;
        if head.model != model {
            return Err(AdapterError::OtherModel {
                path: path(),
                of: head.model,
                asked: model,
            });
        }
        if head.base != fingerprint {
            return Err(AdapterError::OtherBase {
                path: path(),
                model,
                weights: head.weights.clone(),
                needed: head.base.clone(),
                found: fingerprint.to_owned(),
            });
        }
        Ok(())
    }

    /// It changes nothing but these tensors of the network.
    ///
    /// # Errors
    /// It does.
    pub(super) fn check_names(
        &self,
        tensors: &BTreeMap<String, Tensor>,
    ) -> Result<(), AdapterError> {
        let foreign = self.pairs.keys().find(|name| !tensors.contains_key(*name));
        foreign.map_or(Ok(()), |name| {
            Err(self.unfit("changes what the network lacks,", name))
        })
    }

    /// The weight `name` (`role` its use) with its change, if it is one that is adapted.
    ///
    /// # Errors
    /// No change where one belongs or one where none does, factors of other shapes than the weight needs.
    pub(super) fn change(
        &self,
        name: &str,
        role: Role,
        weight: Tensor,
    ) -> Result<Tensor, EdgeError> {
        let shapes = pair_shapes(weight.dims(), role, self.head.rank);
        let ([down, up], pair) = match (shapes, self.pairs.get(name)) {
            (Some(shapes), Some(pair)) => (shapes, pair),
            (None, None) => return Ok(weight),
            (Some(_), None) => return Err(self.unfit("has no change of", name).into()),
            (None, Some(_)) => return Err(self.unfit("changes what is not adapted,", name).into()),
        };
        let misshapen = |part: &str, plain: &Plain, needed: &[usize]| {
            let fault = WeightFault::Misshapen {
                name: format!("{name}.{part}"),
                found: plain.shape.clone(),
                needed: needed.to_vec(),
            };
            fault.of(&self.source)
        };
        for (part, plain, needed) in [("down", &pair.down, down), ("up", &pair.up, up)] {
            if plain.shape != needed {
                return Err(misshapen(part, plain, &needed).into());
            }
        }
        let before = weight.flatten_all()?.to_vec1::<f32>()?;
        let after = pair.merge(&before, self.head.scale);
        Ok(Tensor::from_vec(after, weight.shape(), weight.device())?)
    }

    /// What is said of a file whose changes are not exactly those that its network needs.
    fn unfit(&self, fault: &str, name: &str) -> AdapterError {
        AdapterError::Malformed {
            path: self.source.clone(),
            reason: format!(
                "{fault} {name}: cut short or of another network; make it again with bo adapt"
            ),
        }
    }

    /// Hash of the adapter and the weights it is merged into, hexadecimal.
    pub(super) fn fingerprint(&self) -> String {
        let mut hasher = blake3::Hasher::new();
        let head = &self.head;
        let words = format!(
            "{FORMAT} {VERSION} {} {} {:?}",
            head.model, head.base, head.scale
        );
        hasher.update(words.as_bytes());
        for (name, pair) in &self.pairs {
            for plain in [&pair.down, &pair.up] {
                hasher.update(format!("\n{name} {:?}\n", plain.shape).as_bytes());
                plain.values.iter().for_each(|v| {
                    hasher.update(&v.to_le_bytes());
                });
            }
        }
        hasher.finalize().to_hex()[..32].to_string()
    }
}

impl Pair {
    /// W + scale * up x down, summed over the rank in double precision.
    fn merge(&self, weight: &[f32], scale: f64) -> Vec<f32> {
        let rank = self.down.shape[0];
        let columns = self.down.values.len() / rank;
        let mut out = Vec::with_capacity(weight.len());
        for (before, up) in weight
            .chunks_exact(columns)
            .zip(self.up.values.chunks_exact(rank))
        {
            for (column, w) in before.iter().enumerate() {
                let terms = up.iter().enumerate();
                let sum: f64 = terms
                    .map(|(r, up)| {
                        f64::from(*up) * f64::from(self.down.values[r * columns + column])
                    })
                    .sum();
                out.push((f64::from(*w) + scale * sum) as f32);
            }
        }
        out
    }
}

fn number<N: std::str::FromStr>(text: &str) -> Option<N> {
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use candle_core::Device;
    use image::RgbImage;

    use super::*;
    use crate::edge::convolution::Convolution;
    use crate::edge::{
        Activation as _, Altered, Compact, EdgeNetwork as _, NetworkBody, Precision,
    };

    fn altered(
        model: EdgeModel,
        weights: &Weights,
        adapter: &Adapter,
    ) -> Result<Altered, EdgeError> {
        let float = Precision::Float32;
        Altered::new(model, weights, Some(adapter), float, &Device::Cpu)
    }

    fn plain(shape: &[usize], seed: usize) -> Plain {
        let value = |i: usize| ((i * 37 + seed * 11) % 19) as f32 / 40.0 - 0.2;
        Plain {
            shape: shape.to_vec(),
            values: (0..shape.iter().product()).map(value).collect(),
        }
    }

    fn tensor(plain: &Plain) -> Tensor {
        Tensor::from_slice(&plain.values, &plain.shape[..], &Device::Cpu).unwrap()
    }

    fn flat(tensor: &Tensor) -> Vec<f32> {
        tensor.flatten_all().unwrap().to_vec1().unwrap()
    }

    /// An adapter of the network that ships.
    fn adapter(scale: f64) -> Adapter {
        let weights = Compact::weights().unwrap();
        let head = AdapterHead {
            model: EdgeModel::Compact,
            base: NetworkBody::fingerprint(EdgeModel::Compact, &weights),
            weights: String::new(),
            rank: 2,
            scale,
        };
        let mut pairs = BTreeMap::new();
        let body = NetworkBody::new(EdgeModel::Compact, |name, shape, role| {
            if let Some([down, up]) = pair_shapes(shape, role, 2) {
                let (down, up) = (plain(&down, 1), plain(&up, 2));
                pairs.insert(name.to_owned(), Pair { down, up });
            }
            Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu)
        });
        body.unwrap();
        Adapter::new(head, pairs)
    }

    #[test]
    fn merged_is_what_the_two_convolutions_beside_it_add() {
        let how = Convolution {
            padding: 1,
            ..Convolution::default()
        };
        let [x, weight] = [[2, 3, 9, 7], [5, 3, 3, 3]].map(|s| tensor(&plain(&s, 4)));
        let pair = Pair {
            down: plain(&[2, 3, 3, 3], 1),
            up: plain(&[5, 2, 1, 1], 2),
        };
        let (down, up) = (tensor(&pair.down), tensor(&pair.up));
        let none = |n| Tensor::zeros(n, candle_core::DType::F32, &Device::Cpu).unwrap();
        let inner = x.convolve(how, &down, &none(2)).unwrap();
        let beside = inner
            .convolve(Convolution::default(), &up, &none(5))
            .unwrap();
        let wanted =
            (x.convolve(how, &weight, &none(5)).unwrap() + (beside * 0.7).unwrap()).unwrap();
        let one = merged(&weight, &down, &up, 0.7).unwrap();
        let close = |a: &[f32], b: &[f32]| a.iter().zip(b).all(|(a, b)| (a - b).abs() < 1e-5);
        let got = x.convolve(how, &one, &none(5)).unwrap();
        assert!(close(&flat(&got), &flat(&wanted)));
        assert!(close(&flat(&one), &pair.merge(&flat(&weight), 0.7)));
    }

    #[test]
    fn a_file_comes_back_and_changes_the_network_and_its_fingerprint() {
        let adapter = adapter(0.5);
        let bytes = adapter.bytes().unwrap();
        let again = Adapter::read("a.safetensors".as_ref(), &bytes).unwrap();
        assert_eq!(
            (again.head(), &again.pairs),
            (adapter.head(), &adapter.pairs)
        );
        let weights = Compact::weights().unwrap();
        let load = |adapter: &Adapter| altered(EdgeModel::Compact, &weights, adapter).unwrap();
        let base = Compact::shipped(&Device::Cpu).unwrap();
        let image = RgbImage::from_fn(40, 24, |x, y| {
            image::Rgb([(x * 6) as u8, (y * 9) as u8, 80])
        });
        let (plain, adapted) = (
            base.logits(&image).unwrap(),
            load(&again).logits(&image).unwrap(),
        );
        assert_ne!(plain, adapted);
        assert_ne!(base.fingerprint(), load(&again).fingerprint());
        assert_eq!(load(&adapter).fingerprint(), load(&again).fingerprint());
        // nothing is changed where the scale is 0, bit for bit
        assert_eq!(load(&self::adapter(0.0)).logits(&image).unwrap(), plain);
    }

    #[test]
    fn a_wrong_base_network_or_file_is_refused_in_clear_words() {
        let weights = Compact::weights().unwrap();
        let refused = |adapter: &Adapter, model| {
            let made = altered(model, &weights, adapter);
            made.map(|_| ()).unwrap_err().to_string()
        };
        let mut other = adapter(1.0);
        other.head.base = "0123".into();
        other.head.weights = "mine.safetensors".into();
        let said = refused(&other, EdgeModel::Compact);
        assert!(said.contains("mine.safetensors (hash 0123)"), "{said}");
        let said = refused(&adapter(1.0), EdgeModel::DexiNed);
        assert!(
            said.contains("is of edge model compact, asked for is dexined"),
            "{said}"
        );
        let mut misshapen = adapter(1.0);
        misshapen.head.rank = 3;
        let said = refused(&misshapen, EdgeModel::Compact);
        assert!(said.contains("stem.weight.down"), "{said}");
        for bytes in [
            &b""[..],
            b"nothing",
            include_bytes!("../../weights/compact.safetensors"),
        ] {
            let read = Adapter::read("w".as_ref(), bytes);
            assert!(matches!(read, Err(AdapterError::Malformed { .. })));
        }
    }

    #[test]
    fn an_adapter_that_is_not_whole_is_refused_by_the_name_of_what_is_wrong() {
        let weights = Compact::weights().unwrap();
        let refused = |adapter: &Adapter| {
            let made = altered(EdgeModel::Compact, &weights, adapter);
            made.map(|_| ()).unwrap_err().to_string()
        };
        let mut short = adapter(1.0);
        let stem = short.pairs.remove("stem.weight").unwrap();
        let said = refused(&short);
        assert!(said.contains("has no change of stem.weight"), "{said}");
        for (name, fault) in [
            (
                "stern.weight",
                "changes what the network lacks, stern.weight",
            ),
            ("stem.bias", "changes what is not adapted, stem.bias"),
        ] {
            let mut more = adapter(1.0);
            more.pairs.insert(name.to_owned(), stem.clone());
            let said = refused(&more);
            assert!(said.contains(fault), "{said}");
        }
        // other names of the same length in the header: one half of a pair is lost, the other is there
        let bytes = adapter(1.0).bytes().unwrap();
        for (old, new, fault) in [
            (
                "stem.weight.down",
                "stem.weight_down",
                "stem.weight.down is missing",
            ),
            (
                "stem.weight.up",
                "stem.weighs.up",
                "stem.weighs.down is missing",
            ),
            (
                "stem.weight.down",
                "a.weight.lowered",
                "a.weight.lowered is neither",
            ),
        ] {
            let at = bytes.windows(old.len()).position(|w| w == old.as_bytes());
            let mut damaged = bytes.clone();
            damaged[at.unwrap()..][..old.len()].copy_from_slice(new.as_bytes());
            let said = Adapter::read("a".as_ref(), &damaged)
                .unwrap_err()
                .to_string();
            assert!(said.contains(fault), "{said}");
        }
    }

    #[test]
    fn every_convolution_that_mixes_channels_is_adapted() {
        let adapted = |model| {
            let mut names = Vec::new();
            let body = NetworkBody::new(model, |name, shape, role| {
                if pair_shapes(shape, role, 4).is_some() {
                    names.push(name.to_owned());
                }
                Tensor::zeros(1, candle_core::DType::F32, &Device::Cpu)
            });
            body.map(|_| names).unwrap()
        };
        assert_eq!(
            adapted(EdgeModel::Compact).len(),
            crate::edge::compact::layers().len()
        );
        let dexined = adapted(EdgeModel::DexiNed);
        assert!(dexined.contains(&"dblock_4.denselayer2.conv1.weight".to_owned()));
        let pidinet = adapted(EdgeModel::PiDiNetTiny);
        assert!(pidinet.contains(&"init_block.weight".to_owned()));
        assert!(pidinet.contains(&"block3_2.conv2.weight".to_owned()));
        assert!(!pidinet.contains(&"block3_2.conv1.weight".to_owned()));
    }
}
