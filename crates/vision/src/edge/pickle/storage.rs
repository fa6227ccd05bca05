//! Raw storages of a `.pth` file and the tensors cut out of them.
//!
//! Central type [`TensorRef`]: where a tensor lies in its storage. [`TensorRef::gather`] copies it out
//! row by row, after checking that it stays inside.

use std::rc::Rc;

use crate::edge::weights::Plain;

/// Element types of storages.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Element {
    Float,
    Double,
    Half,
    BFloat16,
    Long,
    Int,
    Byte,
}

impl Element {
    fn size(self) -> usize {
        match self {
            Self::Double | Self::Long => 8,
            Self::Float | Self::Int => 4,
            Self::Half | Self::BFloat16 => 2,
            Self::Byte => 1,
        }
    }

    /// Value of element `index`; the caller has checked that it lies inside.
    fn at(self, bytes: &[u8], index: usize) -> f32 {
        let part = &bytes[index * self.size()..(index + 1) * self.size()];
        match (self, part) {
            (Self::Float, &[a, b, c, d]) => f32::from_le_bytes([a, b, c, d]),
            (Self::Int, &[a, b, c, d]) => i32::from_le_bytes([a, b, c, d]) as f32,
            (Self::Half, &[a, b]) => half::f16::from_le_bytes([a, b]).to_f32(),
            (Self::BFloat16, &[a, b]) => half::bf16::from_le_bytes([a, b]).to_f32(),
            (Self::Byte, &[a]) => f32::from(a),
            (Self::Double, part) => {
                f64::from_le_bytes(part.try_into().expect("eight bytes")) as f32
            }
            (_, part) => i64::from_le_bytes(part.try_into().expect("eight bytes")) as f32,
        }
    }
}

/// A storage by the name of its file in the container.
#[derive(Clone, Debug)]
pub(super) struct StorageRef {
    pub(super) key: Rc<str>,
    pub(super) element: Element,
}

/// A tensor's place in its storage, counted in elements.
#[derive(Clone, Debug)]
pub(super) struct TensorRef {
    pub(super) storage: StorageRef,
    pub(super) offset: usize,
    pub(super) shape: Vec<usize>,
    pub(super) stride: Vec<usize>,
}

impl TensorRef {
    /// Copies the tensor out of its storage, row-major.
    ///
    /// # Errors
    /// In words, if shape or strides leave the storage.
    pub(super) fn gather(&self, bytes: &[u8]) -> Result<Plain, String> {
        let held = bytes.len() / self.storage.element.size();
        let count = self.shape.iter().try_fold(1usize, |n, s| n.checked_mul(*s));
        let count = count
            .filter(|n| *n <= held)
            .ok_or_else(|| format!("shape {:?} exceeds its storage", self.shape))?;
        let reach = self
            .shape
            .iter()
            .zip(&self.stride)
            .try_fold(self.offset, |at, (n, stride)| {
                at.checked_add(n.saturating_sub(1).checked_mul(*stride)?)
            });
        if self.shape.len() != self.stride.len() || (count > 0 && reach.is_none_or(|at| at >= held))
        {
            return Err(format!("strides {:?} leave its storage", self.stride));
        }
        let mut index = vec![0usize; self.shape.len()];
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            let at = index
                .iter()
                .zip(&self.stride)
                .fold(self.offset, |at, (i, s)| at + i * s);
            values.push(self.storage.element.at(bytes, at));
            for axis in (0..index.len()).rev() {
                index[axis] += 1;
                if index[axis] < self.shape[axis] {
                    break;
                }
                index[axis] = 0;
            }
        }
        Ok(Plain {
            shape: self.shape.clone(),
            values,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tensor_may_be_strided_but_not_leave_its_storage() {
        let bytes: Vec<u8> = (0..6).flat_map(|i| (i as f32).to_le_bytes()).collect();
        let storage = StorageRef {
            key: "0".into(),
            element: Element::Float,
        };
        let turned = TensorRef {
            storage: storage.clone(),
            offset: 0,
            shape: vec![3, 2],
            stride: vec![1, 3],
        };
        assert_eq!(
            turned.gather(&bytes).unwrap().values,
            [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
        );
        let out = TensorRef {
            storage,
            offset: 1,
            shape: vec![3, 2],
            stride: vec![1, 3],
        };
        assert!(out.gather(&bytes).is_err());
    }
}
