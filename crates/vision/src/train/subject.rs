//! What is trained: all of the compact network, or low-rank changes of a network that stays as it is.
//!
//! Central types [`Subject`], what is asked for, and [`Learner`], its variables and how they make up the network.

use std::collections::BTreeMap;

use candle_core::{DType, Device, Tensor, Var};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::TrainError;
use crate::edge::adapter::{Pair, merged, pair_shapes};
use crate::edge::compact::layers;
use crate::edge::weights::Plain;
use crate::edge::{Adapter, AdapterHead, EdgeModel, NetworkBody, Weights};

/// What is trained.
pub enum Subject<'w> {
    /// The compact network, from these weights, or from ones drawn from the seed.
    Whole(Option<&'w Weights>),
    /// Low-rank changes of the network of `head` with these weights.
    Changes {
        /// Rank, scale and network; the hash of the weights is filled in.
        head: AdapterHead,
        /// All of the network's.
        weights: &'w Weights,
    },
}

/// Variables and the network they are part of.
pub struct Learner {
    model: EdgeModel,
    /// What is trained, by name.
    pub variables: BTreeMap<String, Var>,
    /// What is not.
    fixed: BTreeMap<String, Tensor>,
    head: Option<AdapterHead>,
}

impl Learner {
    /// With first values drawn from `seed`.
    ///
    /// # Errors
    /// Weights that do not fit the network, or a failure of the device.
    pub fn new(subject: Subject<'_>, seed: u64, device: &Device) -> Result<Self, TrainError> {
        match subject {
            Subject::Whole(start) => Self::whole(start, seed, device),
            Subject::Changes { head, weights } => Self::changes(head, weights, seed, device),
        }
    }

    fn whole(start: Option<&Weights>, seed: u64, device: &Device) -> Result<Self, TrainError> {
        let mut variables = BTreeMap::new();
        for (layer, spec) in layers().into_iter().enumerate() {
            let fan_in = spec.shape[1..].iter().product::<usize>() as f32;
            let deviation = gain(&spec.name) / fan_in.sqrt();
            let weight = match start {
                Some(weights) => weights.take(&spec.weight(), &spec.shape, device)?,
                None => draw(seed, layer as u64, &spec.shape, deviation, device)?,
            };
            let bias = match start {
                Some(weights) => weights.take(&spec.bias(), &spec.shape[..1], device)?,
                None => Tensor::zeros(spec.shape[0], DType::F32, device)?,
            };
            variables.insert(spec.weight(), Var::from_tensor(&weight)?);
            variables.insert(spec.bias(), Var::from_tensor(&bias)?);
        }
        Ok(Self {
            model: EdgeModel::Compact,
            variables,
            fixed: BTreeMap::new(),
            head: None,
        })
    }

    /// Down is drawn, up is 0: training begins at the network as it was.
    fn changes(
        head: AdapterHead,
        weights: &Weights,
        seed: u64,
        device: &Device,
    ) -> Result<Self, TrainError> {
        let model = head.model;
        let head = AdapterHead {
            base: NetworkBody::fingerprint(model, weights),
            ..head
        };
        let fixed = NetworkBody::tensors(model, weights, device)?;
        let mut variables = BTreeMap::new();
        NetworkBody::new(model, |name, _, role| {
            let weight = fixed[name].clone();
            if let Some([down, up]) = pair_shapes(weight.dims(), role, head.rank) {
                let fan_in = down[1..].iter().product::<usize>() as f32;
                let stream = variables.len() as u64;
                let down = draw(seed, stream, &down, 1.0 / fan_in.sqrt(), device)?;
                let up = Tensor::zeros(&up, DType::F32, device)?;
                variables.insert(format!("{name}.down"), Var::from_tensor(&down)?);
                variables.insert(format!("{name}.up"), Var::from_tensor(&up)?);
            }
            Ok::<_, TrainError>(weight)
        })?;
        Ok(Self {
            model,
            variables,
            fixed,
            head: Some(head),
        })
    }

    /// Which network it is.
    pub fn model(&self) -> EdgeModel {
        self.model
    }

    /// The network as it stands, its weights rounded to `numbers` where variables have more: with gradients by the
    /// variables, or where `tracked` is not wanted without.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn body(&self, tracked: bool, numbers: DType) -> candle_core::Result<NetworkBody> {
        let variable = |name: &str| {
            let tensor = self.variables.get(name)?.as_tensor();
            Some(if tracked {
                tensor.clone()
            } else {
                tensor.detach()
            })
        };
        let scale = self.head.as_ref().map_or(0.0, |head| head.scale);
        NetworkBody::new(self.model, |name, _, _| {
            if let Some(whole) = variable(name) {
                return whole.to_dtype(numbers);
            }
            let weight = &self.fixed[name];
            let pair = (
                variable(&format!("{name}.down")),
                variable(&format!("{name}.up")),
            );
            match pair {
                (Some(down), Some(up)) => merged(weight, &down, &up, scale)?.to_dtype(numbers),
                _ => weight.to_dtype(numbers),
            }
        })
    }

    /// What was learned, as a file of an adapter; none where it is a whole network.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn adapter(&self) -> Result<Option<Adapter>, TrainError> {
        let Some(head) = &self.head else {
            return Ok(None);
        };
        let plain = |name: String| {
            let tensor = &self.variables[&name];
            Ok::<_, TrainError>(Plain {
                shape: tensor.dims().to_vec(),
                values: tensor.flatten_all()?.to_vec1()?,
            })
        };
        let mut pairs = BTreeMap::new();
        for name in self.variables.keys() {
            if let Some(weight) = name.strip_suffix(".down") {
                let down = plain(name.clone())?;
                let up = plain(format!("{weight}.up"))?;
                pairs.insert(weight.to_owned(), Pair { down, up });
            }
        }
        Ok(Some(Adapter::new(head.clone(), pairs)))
    }
}

/// Factor on 1 / sqrt(inputs) of a layer's first weights: without normalisation the residual
/// branches must start small for the sum not to grow from block to block.
fn gain(name: &str) -> f32 {
    match name {
        _ if name.ends_with("second") => 0.3,
        _ if name.starts_with("up") || name.starts_with("across") => 1.0,
        _ if name.starts_with("side") => 0.5,
        "fuse" => 0.5,
        _ => std::f32::consts::SQRT_2,
    }
}

/// Normal numbers of deviation `deviation` (sum of twelve uniform ones, minus six).
fn draw(
    seed: u64,
    stream: u64,
    shape: &[usize],
    deviation: f32,
    device: &Device,
) -> Result<Tensor, TrainError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(stream);
    let mut one =
        || deviation * ((0..12).map(|_| rng.random_range(0.0f32..1.0)).sum::<f32>() - 6.0);
    let values: Vec<f32> = (0..shape.iter().product()).map(|_| one()).collect();
    Ok(Tensor::from_vec(values, shape, device)?)
}
