//! Gradients of a loss, with all maps kept for the way back or with gradient checkpointing.
//!
//! Central function [`gradients`]. With checkpointing only what stages hand on is kept; on the way back each stage is
//! computed again from what it was given, and forgotten. The same numbers at the cost of a second forward pass.
//! Source: Chen and others, "Training deep nets with sublinear memory cost", 2016. Written over [`Differentiable`], so
//! that outlines allocate what tensors allocate.

use candle_core::backprop::GradStore;
use candle_core::{CpuStorage, CustomOp1, DType, Layout, Result, Shape, Tensor, Var};

use super::activation::Activation;
use super::stage::{Passage, Staged};
use super::view::View;

/// Maps that have gradients.
pub trait Differentiable: Activation {
    /// Gradients of variables.
    type Gradients;

    /// They are one and the same map.
    fn is(&self, other: &Self) -> bool;

    /// A variable with the same values that remembers nothing of where they came from.
    ///
    /// # Errors
    /// A failure of the device.
    fn leaf(&self) -> Result<Self>;

    /// A number (which means nothing) whose gradient by this map is `gradient`.
    ///
    /// # Errors
    /// A failure of the device.
    fn pulled(&self, gradient: Self) -> Result<Self>;

    /// Gradients of this number by all variables that it was computed from.
    ///
    /// # Errors
    /// A failure of the device.
    fn backward(&self) -> Result<Self::Gradients>;

    /// The gradient by `of`, taken out.
    fn taken(gradients: &mut Self::Gradients, of: &Self) -> Option<Self>;

    /// Adds gradients, which then hold nothing but their values.
    ///
    /// # Errors
    /// A failure of the device.
    fn join(gradients: &mut Self::Gradients, more: Self::Gradients) -> Result<()>;
}

/// Gradients by the variables of `body` of the number that `loss` makes of side and fused logits of `x`, and whatever
/// `loss` says beside it.
///
/// # Errors
/// A size that the network does not take, or a failure of the device or of `loss`.
pub fn gradients<A: Differentiable, S>(
    body: &impl Staged<A>,
    x: &A,
    view: View,
    checkpointed: bool,
    loss: impl FnOnce(Vec<A>, A) -> Result<(A, S)>,
) -> Result<(A::Gradients, S)> {
    if !checkpointed {
        let (sides, fused) = body.pass(x, view)?;
        let (all, said) = loss(sides, fused)?;
        return Ok((all.backward()?, said));
    }
    let last = body.stages() - 1;
    let mut given = Vec::with_capacity(last);
    let mut passage = Passage::new(x, view)?;
    for index in 0..last {
        let before = passage.clone();
        let after = body.stage(index, passage)?;
        passage = after.map(|map| match before.all().any(|old| old.is(&map)) {
            true => Ok(map),
            false => map.leaf(),
        })?;
        given.push(before);
    }
    let (mut gradients, said) = {
        let (sides, fused) = body.stage(last, passage.clone())?.sides_and_fused();
        let (all, said) = loss(sides, fused)?;
        (all.backward()?, said)
    };
    for (index, before) in given.into_iter().enumerate().rev() {
        // of each map that the stage made
        let wanted: Vec<Option<A>> = passage
            .all()
            .map(|map| match before.all().any(|old| old.is(map)) {
                true => None,
                false => A::taken(&mut gradients, map),
            })
            .collect();
        drop(passage);
        let again = body.stage(index, before.clone())?;
        let mut all: Option<A> = None;
        for (map, gradient) in again.all().zip(wanted) {
            let Some(gradient) = gradient else { continue };
            let pulled = map.pulled(gradient)?;
            all = Some(match all {
                None => pulled,
                Some(sum) => sum.plus(&pulled)?,
            });
        }
        drop(again);
        if let Some(all) = all {
            let more = all.backward()?;
            drop(all);
            A::join(&mut gradients, more)?;
        }
        passage = before;
    }
    Ok((gradients, said))
}

impl Differentiable for Tensor {
    type Gradients = GradStore;

    fn is(&self, other: &Self) -> bool {
        self.id() == other.id()
    }

    fn leaf(&self) -> Result<Self> {
        Ok(Var::from_tensor(self)?.into_inner())
    }

    fn pulled(&self, gradient: Self) -> Result<Self> {
        if !self.device().is_cpu() || self.dtype() != DType::F32 {
            // another number with the same gradient, by candle's own operations
            return (self * gradient)?.sum_all();
        }
        self.apply_op1(Pulled(gradient))
    }

    fn backward(&self) -> Result<GradStore> {
        Tensor::backward(self)
    }

    fn taken(gradients: &mut GradStore, of: &Self) -> Option<Self> {
        gradients.remove(of).map(|gradient| gradient.detach())
    }

    fn join(gradients: &mut GradStore, more: GradStore) -> Result<()> {
        for id in more.get_ids() {
            let Some(new) = more.get_id(*id) else {
                continue;
            };
            let sum = match gradients.get_id(*id) {
                Some(old) => (old + new)?.detach(),
                None => new.detach(),
            };
            gradients.insert_id(*id, sum);
        }
        Ok(())
    }
}

/// The number 0 whose gradient by a map is given.
struct Pulled(Tensor);

impl CustomOp1 for Pulled {
    fn name(&self) -> &'static str {
        "bo-pulled"
    }

    fn cpu_fwd(&self, _: &CpuStorage, _: &Layout) -> Result<(CpuStorage, Shape)> {
        Ok((CpuStorage::F32(vec![0.0]), Shape::from(())))
    }

    fn bwd(&self, _: &Tensor, _: &Tensor, _: &Tensor) -> Result<Option<Tensor>> {
        Ok(Some(self.0.clone()))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::edge::{EdgeModel, NetworkBody};
    use crate::train::Balance;

    /// Small weights drawn by a formula.
    fn body(model: EdgeModel, variables: &mut Vec<Var>) -> NetworkBody {
        let mut drawn = 0usize;
        let made = NetworkBody::new(model, |_, shape, _| {
            let fan_in = shape[1..].iter().product::<usize>() as f32;
            let mut value = || {
                drawn = (drawn * 1_103_515_245 + 12_345) % (1 << 31);
                (drawn as f32 / (1u32 << 30) as f32 - 1.0) / fan_in.sqrt()
            };
            let values: Vec<f32> = (0..shape.iter().product()).map(|_| value()).collect();
            let variable = Var::from_vec(values, shape, &Device::Cpu)?;
            variables.push(variable.clone());
            Ok::<_, candle_core::Error>(variable.into_inner())
        });
        made.unwrap()
    }

    #[test]
    fn gradients_and_loss_are_those_without_checkpointing() {
        for (model, side) in [
            (EdgeModel::Compact, 48),
            (EdgeModel::PiDiNetTiny, 40),
            (EdgeModel::DexiNed, 32),
        ] {
            let mut variables = Vec::new();
            let body = body(model, &mut variables);
            let pixels = (0..3 * side * side).map(|i| ((i * 31) % 17) as f32 / 9.0 - 0.9);
            let pixels: Vec<f32> = pixels.collect();
            let x = Tensor::from_vec(pixels, (1, 3, side, side), &Device::Cpu).unwrap();
            let of = |checkpointed| {
                let targets = (0..side * side).map(|i| f32::from(u8::from(i % 7 == 0)));
                let balance = Balance::new(targets.collect(), 1);
                let loss = |sides: Vec<Tensor>, fused: Tensor| {
                    let (all, fused) = balance.with_sides(&sides, &fused, &[0.4; 6])?;
                    Ok((all, fused.to_scalar::<f32>()?))
                };
                gradients(&body, &x, View::whole(side, side), checkpointed, loss).unwrap()
            };
            let ((plain, loss), (checkpointed, same)) = (of(false), of(true));
            assert_eq!(loss, same, "{model}");
            let mut with = 0;
            for variable in &variables {
                let flat = |g: &Tensor| g.flatten_all().unwrap().to_vec1::<f32>().unwrap();
                let (Some(a), Some(b)) = (plain.get(variable), checkpointed.get(variable)) else {
                    assert!(plain.get(variable).is_none() && checkpointed.get(variable).is_none());
                    continue;
                };
                with += 1;
                let (a, b) = (flat(a), flat(b));
                let most = a.iter().fold(0.0f32, |most, v| most.max(v.abs()));
                let off = a
                    .iter()
                    .zip(&b)
                    .map(|(a, b)| (a - b).abs())
                    .fold(0.0, f32::max);
                assert!(off <= 1e-6 * most, "{model}: {off} of {most}");
            }
            // the two tensors of DexiNed that reach no output have none
            assert!(with + 2 >= variables.len() && with > 0, "{model}: {with}");
        }
    }
}
