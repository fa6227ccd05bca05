//! Class-balanced cross-entropy of edge logits, as one candle operation with its gradient.

use candle_core::{CpuStorage, CustomOp1, DType, Device, Layout, Result, Shape, Tensor, bail};

/// Share of an image below which its edge pixels are not weighted up any further.
const RAREST: f32 = 0.01;

/// What the logits are compared with: targets and weights of N images, image by image.
#[derive(Clone, Debug)]
pub struct Balance {
    target: Vec<f32>,
    weight: Vec<f32>,
}

impl Balance {
    /// From targets 1 (edge), 0 (none), -1 (does not count) of `images` images of equal size.
    ///
    /// In each image edge pixels together weigh as much as the others together, 1/2 each; all
    /// images weigh the same, so that the loss of a batch is the mean of its images' losses.
    pub fn new(target: Vec<f32>, images: usize) -> Self {
        let area = target.len() / images.max(1);
        let mut weight = Vec::with_capacity(target.len());
        for image in target.chunks_exact(area.max(1)) {
            let edges = image.iter().filter(|t| **t > 0.5).count() as f32;
            let others = image.iter().filter(|t| **t == 0.0).count() as f32;
            let each = 0.5 / images as f32;
            let (on, off) = (
                each / edges.max(RAREST * area as f32),
                each / others.max(1.0),
            );
            weight.extend(image.iter().map(|t| match *t {
                t if t < 0.0 => 0.0,
                t if t > 0.5 => on,
                _ => off,
            }));
        }
        Self { target, weight }
    }

    /// sum of weight * cross-entropy(sigmoid(logit), target), a scalar in main memory. Logits of any device and precision
    /// are brought there as `f32`: they are one number a pixel, and so summed alike wherever the network is.
    ///
    /// # Errors
    /// Another number of logits than targets, or a failure of the device.
    pub fn loss(&self, logits: &Tensor) -> Result<Tensor> {
        let logits = logits.to_device(&Device::Cpu)?.to_dtype(DType::F32)?;
        logits.contiguous()?.apply_op1(self.clone())
    }

    /// Loss of the fused logits plus that of each side times its weight; and that of the fused alone.
    ///
    /// # Errors
    /// As [`Balance::loss`].
    pub fn with_sides(
        &self,
        sides: &[Tensor],
        fused: &Tensor,
        weights: &[f64],
    ) -> Result<(Tensor, Tensor)> {
        let fused = self.loss(fused)?;
        let mut all = fused.clone();
        for (side, weight) in sides.iter().zip(weights) {
            all = (all + (self.loss(side)? * *weight)?)?;
        }
        Ok((all, fused))
    }
}

impl CustomOp1 for Balance {
    fn name(&self) -> &'static str {
        "bo-balanced-cross-entropy"
    }

    fn cpu_fwd(&self, storage: &CpuStorage, layout: &Layout) -> Result<(CpuStorage, Shape)> {
        let Some((start, end)) = layout.contiguous_offsets() else {
            bail!("logits must be contiguous")
        };
        let logits = &storage.as_slice::<f32>()?[start..end];
        if logits.len() != self.target.len() {
            bail!("{} logits for {} targets", logits.len(), self.target.len());
        }
        let terms = logits.iter().zip(&self.target).zip(&self.weight);
        let sum: f64 = terms
            .map(|((x, t), w)| {
                f64::from(w * (x.max(0.0) - x * t.max(0.0) + (-x.abs()).exp().ln_1p()))
            })
            .sum();
        Ok((CpuStorage::F32(vec![sum as f32]), Shape::from(())))
    }

    fn bwd(&self, logits: &Tensor, _res: &Tensor, grad_res: &Tensor) -> Result<Option<Tensor>> {
        let scale = grad_res.to_scalar::<f32>()?;
        let values = logits.flatten_all()?.to_vec1::<f32>()?;
        let terms = values.iter().zip(&self.target).zip(&self.weight);
        let grad: Vec<f32> = terms
            .map(|((x, t), w)| scale * w * (1.0 / (1.0 + (-x).exp()) - t.max(0.0)))
            .collect();
        Ok(Some(Tensor::from_vec(
            grad,
            logits.shape(),
            logits.device(),
        )?))
    }
}

#[cfg(test)]
mod tests {
    use candle_core::{Device, Var};

    use super::*;

    #[test]
    fn edges_weigh_as_much_as_the_rest() {
        let balance = Balance::new(vec![1.0, 0.0, 0.0, 0.0, -1.0], 1);
        let zero = Tensor::zeros((1, 1, 1, 5), DType::F32, &Device::Cpu).unwrap();
        let loss = balance.loss(&zero).unwrap().to_scalar::<f32>().unwrap();
        assert!((loss - std::f32::consts::LN_2).abs() < 1e-6);
    }

    #[test]
    fn gradient_agrees_with_finite_differences() {
        let balance = Balance::new(vec![1.0, 0.0, 0.0, 1.0, -1.0, 0.0], 2);
        let values = [0.3f32, -2.0, 1.0, 4.0, 0.5, -0.1];
        let at = |v: &[f32]| {
            let t = Tensor::from_slice(v, (2, 1, 1, 3), &Device::Cpu).unwrap();
            balance.loss(&t).unwrap().to_scalar::<f32>().unwrap()
        };
        let var = Var::from_slice(&values, (2, 1, 1, 3), &Device::Cpu).unwrap();
        let grads = balance.loss(&var).unwrap().backward().unwrap();
        let grad = grads
            .get(&var)
            .unwrap()
            .flatten_all()
            .unwrap()
            .to_vec1::<f32>()
            .unwrap();
        for i in 0..6 {
            let (mut up, mut down) = (values, values);
            up[i] += 0.01;
            down[i] -= 0.01;
            assert!(((at(&up) - at(&down)) / 0.02 - grad[i]).abs() < 1e-3);
        }
    }
}
