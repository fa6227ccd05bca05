//! AdamW with its state in the open, so that training can be saved and taken up bit for bit.
//!
//! Source: Loshchilov and Hutter, "Decoupled weight decay regularization", 2019.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor, Var};

use super::gradient::Gradients;

/// Decay of the mean gradient.
const BETA1: f64 = 0.9;
/// Decay of the mean squared gradient.
const BETA2: f64 = 0.99;
/// Added to the root of the mean squared gradient.
const EPSILON: f64 = 1e-8;

/// Running means of gradient and squared gradient for each variable.
pub struct AdamW {
    weight_decay: f64,
    /// Steps done.
    pub step: usize,
    /// By the variable's name: mean gradient, mean squared gradient.
    pub means: BTreeMap<String, (Tensor, Tensor)>,
}

impl AdamW {
    /// No steps done, all means 0.
    ///
    /// # Errors
    /// A failure of the device.
    pub fn new(variables: &BTreeMap<String, Var>, weight_decay: f64) -> Result<Self> {
        let zeros = |(name, var): (&String, &Var)| {
            Ok((name.clone(), (var.zeros_like()?, var.zeros_like()?)))
        };
        Ok(Self {
            weight_decay,
            step: 0,
            means: variables.iter().map(zeros).collect::<Result<_>>()?,
        })
    }

    /// Counts a step that moves nothing.
    pub fn skip(&mut self) {
        self.step += 1;
    }

    /// Moves every variable that has a gradient: with t the number of the step from 1,
    /// x <- x (1 - rate decay) - rate m / (1 - b1^t) / (sqrt(v / (1 - b2^t)) + 1e-8).
    ///
    /// # Errors
    /// A gradient of another shape than its variable, or a failure of the device.
    ///
    /// # Panics
    /// If the optimiser was made for other variables.
    pub fn step(
        &mut self,
        variables: &BTreeMap<String, Var>,
        gradients: &Gradients,
        rate: f64,
    ) -> Result<()> {
        self.step += 1;
        let share = |beta: f64| 1.0 / (1.0 - beta.powi(self.step as i32));
        let (first, second) = (share(BETA1), share(BETA2));
        for (name, var) in variables {
            let Some(gradient) = gradients.get(name) else {
                continue;
            };
            let (m, v) = &self.means[name];
            let m = ((m * BETA1)? + (gradient * (1.0 - BETA1))?)?;
            let v = ((v * BETA2)? + (gradient.sqr()? * (1.0 - BETA2))?)?;
            let root = ((&v * second)?.sqrt()? + EPSILON)?;
            let move_by = ((&m * (first * rate))? / root)?;
            var.set(&((var.as_tensor().detach() * (1.0 - rate * self.weight_decay))? - move_by)?)?;
            self.means.insert(name.clone(), (m, v));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    #[test]
    fn two_steps_by_hand() {
        // f = x^2 / 2 at x = 2: gradient x. Rate 0.1, decay 0.5.
        let var = Var::new(&[2.0f32], &Device::Cpu).unwrap();
        let variables = BTreeMap::from([("x".to_owned(), var.clone())]);
        let mut adam = AdamW::new(&variables, 0.5).unwrap();
        let mut x = 2.0f64;
        let (mut m, mut v) = (0.0f64, 0.0f64);
        for t in 1..=2 {
            let loss = (var.as_tensor().sqr().unwrap() * 0.5).unwrap();
            let grads = loss.sum_all().unwrap().backward().unwrap();
            let gradients = [("x".to_owned(), grads.get(&var).unwrap().detach())].into();
            adam.step(&variables, &gradients, 0.1).unwrap();
            m = 0.9 * m + 0.1 * x;
            v = 0.99 * v + 0.01 * x * x;
            let (mh, vh) = (m / (1.0 - 0.9f64.powi(t)), v / (1.0 - 0.99f64.powi(t)));
            x = x * (1.0 - 0.1 * 0.5) - 0.1 * mh / (vh.sqrt() + 1e-8);
            let got = f64::from(var.to_vec1::<f32>().unwrap()[0]);
            assert!((got - x).abs() < 1e-6, "step {t}: {got} {x}");
        }
    }
}
