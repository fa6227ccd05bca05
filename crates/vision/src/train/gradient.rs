//! The gradient of a step while it is put together: sums over micro-batches, and the bound on its length.

use std::collections::BTreeMap;

use candle_core::{Result, Tensor};

/// Gradients by the names of variables, which hold nothing of what they were computed from.
pub(super) type Gradients = BTreeMap<String, Tensor>;

/// The sums; each pair is let go once its sum is there.
pub(super) fn added(mut sum: Gradients, more: Gradients) -> Result<Gradients> {
    for (name, b) in more {
        if let Some(a) = sum.get_mut(&name) {
            *a = (&*a + b)?;
        }
    }
    Ok(sum)
}

/// All of them times a number, in place.
pub(super) fn scale(gradients: &mut Gradients, factor: f64) -> Result<()> {
    for gradient in gradients.values_mut() {
        *gradient = (&*gradient * factor)?;
    }
    Ok(())
}

/// Bounds the length of the whole gradient by 1; false where it is not finite.
pub(super) fn clip(gradients: &mut Gradients) -> Result<bool> {
    let mut squared = 0.0f64;
    for gradient in gradients.values() {
        squared += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
    }
    let length = squared.sqrt();
    if length > 1.0 {
        scale(gradients, 1.0 / length)?;
    }
    Ok(length.is_finite())
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;

    fn of(values: &[f32]) -> Gradients {
        let one = |(index, value): (usize, &f32)| {
            let tensor = Tensor::new(&[*value], &Device::Cpu).unwrap();
            (index.to_string(), tensor)
        };
        values.iter().enumerate().map(one).collect()
    }

    fn values(gradients: &Gradients) -> Vec<f32> {
        let one = |tensor: &Tensor| tensor.to_vec1::<f32>().unwrap()[0];
        gradients.values().map(one).collect()
    }

    #[test]
    fn sums_are_by_name_and_a_long_gradient_is_cut_to_length_one() {
        let mut long = added(of(&[1.0, 2.5]), of(&[2.0, 1.5])).unwrap();
        assert_eq!(values(&long), [3.0, 4.0]);
        assert!(clip(&mut long).unwrap());
        assert!(
            values(&long)
                .iter()
                .zip([0.6, 0.8])
                .all(|(a, b)| (a - b).abs() < 1e-6)
        );
        let mut short = of(&[0.3, 0.4]);
        assert!(clip(&mut short).unwrap());
        assert_eq!(values(&short), [0.3, 0.4]);
        assert!(!clip(&mut of(&[f32::INFINITY])).unwrap());
        assert!(!clip(&mut of(&[f32::NAN])).unwrap());
    }
}
