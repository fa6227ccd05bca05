//! The layers of any network of the register, over the tensors that they use.
//!
//! Central type [`NetworkBody`]. The tensors are those of ordinary convolutions: where a file holds something else
//! (a normalisation after a convolution, a pixel difference), [`NetworkBody::tensors`] has turned it into them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use candle_core::{Device, Tensor};

use super::activation::Activation;
use super::compact::{self, CompactBody};
use super::convolution::Convolution;
use super::dexined::{self, Doubling, Layer, LayerSource};
use super::pidinet::{self, PiDiNetBody, PiDiNetSize};
use super::stage::{Passage, Staged};
use super::{EdgeError, EdgeModel, Weights};

/// The layers of a network: over tensors, variables when it is being trained, or outlines.
pub enum NetworkBody<A = Tensor> {
    /// Of [`EdgeModel::Compact`].
    Compact(CompactBody<A>),
    /// Of [`EdgeModel::DexiNed`].
    DexiNed(Box<dexined::Body<A>>),
    /// Of the three PiDiNets.
    PiDiNet(PiDiNetBody<A>),
}

/// What a tensor is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Weight of a convolution, O x I / groups x side x side.
    Kernel,
    /// Weight of a transposed convolution.
    Transposed,
    /// Bias of either.
    Bias,
}

impl<A: Activation> NetworkBody<A> {
    /// The network with the tensors that `get` gives for a name, a shape and a role.
    ///
    /// # Errors
    /// The first error of `get`.
    pub fn new<E>(
        model: EdgeModel,
        mut get: impl FnMut(&str, &[usize], Role) -> Result<A, E>,
    ) -> Result<Self, E> {
        let role = |shape: &[usize]| match shape.len() {
            4 => Role::Kernel,
            _ => Role::Bias,
        };
        let mut pidinet = |size| {
            let body = PiDiNetBody::new(size, |p| get(&p.name, &p.shape, role(&p.shape)))?;
            Ok(Self::PiDiNet(body))
        };
        match model {
            EdgeModel::PiDiNet => pidinet(PiDiNetSize::Full),
            EdgeModel::PiDiNetSmall => pidinet(PiDiNetSize::Small),
            EdgeModel::PiDiNetTiny => pidinet(PiDiNetSize::Tiny),
            EdgeModel::Compact => Ok(Self::Compact(CompactBody::new(|name, shape| {
                get(name, shape, role(shape))
            })?)),
            EdgeModel::DexiNed => {
                let body = dexined::Body::new(&Folded(RefCell::new(get)))?;
                Ok(Self::DexiNed(Box::new(body)))
            }
        }
    }
}

impl NetworkBody {
    /// The tensors of a file as the layers of the network use them, by name.
    ///
    /// # Errors
    /// A tensor that is missing, misshapen or not finite (it is named), or a failure of the device.
    pub fn tensors(
        model: EdgeModel,
        weights: &Weights,
        device: &Device,
    ) -> Result<BTreeMap<String, Tensor>, EdgeError> {
        let mut found = BTreeMap::new();
        match model {
            EdgeModel::Compact => {
                CompactBody::new(|name, shape| {
                    let tensor = weights.take(name, shape, device)?;
                    found.insert(name.to_owned(), tensor.clone());
                    Ok::<_, EdgeError>(tensor)
                })?;
            }
            EdgeModel::DexiNed => {
                let reader = dexined::Reader { weights, device };
                let noted = Noted {
                    reader,
                    found: RefCell::default(),
                };
                dexined::Body::new(&noted)?;
                found = noted.found.into_inner();
            }
            EdgeModel::PiDiNet | EdgeModel::PiDiNetSmall | EdgeModel::PiDiNetTiny => {
                let size = pidinet::size(model).expect("a PiDiNet");
                let reader = pidinet::Reader::new(weights, device);
                PiDiNetBody::new(size, |parameter| {
                    let tensor = reader.tensor(parameter)?;
                    found.insert(parameter.name.clone(), tensor.clone());
                    Ok::<_, EdgeError>(tensor)
                })?;
            }
        }
        Ok(found)
    }

    /// Hash of the architecture's version and all weights of a file, as the network made of it has.
    pub fn fingerprint(model: EdgeModel, weights: &Weights) -> String {
        weights.fingerprint(&match model {
            EdgeModel::Compact => compact::ARCHITECTURE.to_owned(),
            EdgeModel::DexiNed => dexined::ARCHITECTURE.to_owned(),
            _ => pidinet::architecture(model),
        })
    }
}

impl<A: Activation> Staged<A> for NetworkBody<A> {
    fn stages(&self) -> usize {
        match self {
            Self::Compact(body) => body.stages(),
            Self::DexiNed(body) => body.stages(),
            Self::PiDiNet(body) => body.stages(),
        }
    }

    fn stage(&self, index: usize, passage: Passage<A>) -> candle_core::Result<Passage<A>> {
        match self {
            Self::Compact(body) => body.stage(index, passage),
            Self::DexiNed(body) => body.stage(index, passage),
            Self::PiDiNet(body) => body.stage(index, passage),
        }
    }
}

/// Layers of DexiNed whose normalisations are folded already.
struct Folded<G>(RefCell<G>);

impl<A, E, G: FnMut(&str, &[usize], Role) -> Result<A, E>> Folded<G> {
    fn pair(&self, name: &str, shape: [usize; 4], outputs: usize, role: Role) -> Result<(A, A), E> {
        let mut get = self.0.borrow_mut();
        let weight = get(&format!("{name}.weight"), &shape, role)?;
        let bias = get(&format!("{name}.bias"), &[outputs], Role::Bias)?;
        Ok((weight, bias))
    }
}

impl<A: Activation, E, G: FnMut(&str, &[usize], Role) -> Result<A, E>> LayerSource<A>
    for Folded<G>
{
    type Error = E;

    fn plain(&self, name: &str, shape: [usize; 4], how: Convolution) -> Result<Layer<A>, E> {
        let (weight, bias) = self.pair(name, shape, shape[0], Role::Kernel)?;
        Ok(Layer { weight, bias, how })
    }

    fn normed(
        &self,
        (name, _): (&str, &str),
        shape: [usize; 4],
        how: Convolution,
        _scale: f64,
    ) -> Result<Layer<A>, E> {
        self.plain(name, shape, how)
    }

    fn doubling(&self, name: &str, channels: usize, side: usize) -> Result<Doubling<A>, E> {
        let shape = [channels, channels, side, side];
        let (weight, bias) = self.pair(name, shape, channels, Role::Transposed)?;
        let how = Doubling::<A>::how(side);
        Ok(Doubling { weight, bias, how })
    }
}

/// Takes layers of DexiNed out of a file and notes their tensors.
struct Noted<'a> {
    reader: dexined::Reader<'a>,
    found: RefCell<BTreeMap<String, Tensor>>,
}

impl Noted<'_> {
    fn note(&self, name: &str, weight: &Tensor, bias: &Tensor) {
        let mut found = self.found.borrow_mut();
        found.insert(format!("{name}.weight"), weight.clone());
        found.insert(format!("{name}.bias"), bias.clone());
    }

    fn layer(&self, name: &str, layer: Layer<Tensor>) -> Layer<Tensor> {
        self.note(name, &layer.weight, &layer.bias);
        layer
    }
}

impl LayerSource<Tensor> for Noted<'_> {
    type Error = EdgeError;

    fn plain(
        &self,
        name: &str,
        shape: [usize; 4],
        how: Convolution,
    ) -> Result<Layer<Tensor>, EdgeError> {
        Ok(self.layer(name, self.reader.plain(name, shape, how)?))
    }

    fn normed(
        &self,
        names: (&str, &str),
        shape: [usize; 4],
        how: Convolution,
        scale: f64,
    ) -> Result<Layer<Tensor>, EdgeError> {
        Ok(self.layer(names.0, self.reader.normed(names, shape, how, scale)?))
    }

    fn doubling(
        &self,
        name: &str,
        channels: usize,
        side: usize,
    ) -> Result<Doubling<Tensor>, EdgeError> {
        let doubling = self.reader.doubling(name, channels, side)?;
        self.note(name, &doubling.weight, &doubling.bias);
        Ok(doubling)
    }
}
