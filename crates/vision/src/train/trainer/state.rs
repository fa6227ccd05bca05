//! What a training leaves on disk: the state that it is taken up from, and what was learned.
//!
//! Both are safetensors files, written beside their place and moved there, so that a killed training leaves the one before.

use std::collections::HashMap;
use std::path::Path;

use candle_core::{Device, Tensor};

use super::EdgeTrainer;
use crate::edge::EdgeError;
use crate::train::TrainError;

/// Names in a checkpoint: what comes before a variable's own.
const WEIGHT: &str = "weight/";
/// See [`WEIGHT`].
const FIRST: &str = "first/";
/// See [`WEIGHT`].
const SECOND: &str = "second/";
/// Name of the number of steps done.
const STEP: &str = "step";

impl EdgeTrainer {
    /// Steps done, weights and means of the optimiser, in one file that [`Self::restore`] reads.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn checkpoint(&self, path: &Path) -> Result<(), TrainError> {
        let mut tensors = HashMap::new();
        for (name, var) in &self.learner.variables {
            let (first, second) = &self.optimiser.means[name];
            tensors.insert(format!("{WEIGHT}{name}"), var.as_tensor().clone());
            tensors.insert(format!("{FIRST}{name}"), first.clone());
            tensors.insert(format!("{SECOND}{name}"), second.clone());
        }
        let step = Tensor::new(self.optimiser.step as i64, &Device::Cpu)?;
        tensors.insert(STEP.to_owned(), step);
        write(&tensors, path)
    }

    /// Takes training up where [`Self::checkpoint`] left it: the next steps have the bits they would have had.
    ///
    /// # Errors
    /// A file that is none of this network, naming what is missing.
    pub fn restore(&mut self, path: &Path) -> Result<(), TrainError> {
        let unfit = |reason: String| TrainError::Checkpoint {
            path: path.into(),
            reason,
        };
        let tensors = candle_core::safetensors::load(path, &self.device)
            .map_err(|error| unfit(error.to_string()))?;
        let take = |prefix: &str, name: &str, like: &Tensor| {
            let tensor = tensors
                .get(&format!("{prefix}{name}"))
                .ok_or_else(|| unfit(format!("no tensor {prefix}{name}")))?;
            match tensor.dims() == like.dims() {
                true => Ok(tensor.clone()),
                false => Err(unfit(format!("{prefix}{name} is {:?}", tensor.dims()))),
            }
        };
        let step = tensors
            .get(STEP)
            .ok_or_else(|| unfit(format!("no {STEP}")))?;
        self.optimiser.step = step.to_scalar::<i64>()? as usize;
        for (name, var) in &self.learner.variables {
            var.set(&take(WEIGHT, name, var)?)?;
            let means = (take(FIRST, name, var)?, take(SECOND, name, var)?);
            self.optimiser.means.insert(name.clone(), means);
        }
        Ok(())
    }

    /// Writes what was learned, the weights or the adapter, to a safetensors file, beside it first and then moved there.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn save(&self, path: &Path) -> Result<(), TrainError> {
        if let Some(adapter) = self.learner.adapter()? {
            let bytes = adapter.bytes().map_err(EdgeError::from)?;
            return place(path, |beside| Ok(std::fs::write(beside, bytes)?));
        }
        let tensors: HashMap<String, Tensor> = self
            .learner
            .variables
            .iter()
            .map(|(name, var)| (name.clone(), var.as_tensor().clone()))
            .collect();
        write(&tensors, path)
    }
}

/// Writes tensors to a file.
fn write(tensors: &HashMap<String, Tensor>, path: &Path) -> Result<(), TrainError> {
    place(path, |beside| {
        candle_core::safetensors::save(tensors, beside)
    })
}

/// Writes beside a place and moves what was written there; on disk once this returns.
fn place(
    path: &Path,
    save: impl FnOnce(&Path) -> candle_core::Result<()>,
) -> Result<(), TrainError> {
    let beside = path.with_extension("tmp");
    let moved = || -> candle_core::Result<()> {
        // safetensors makes a file that its owner alone may read: whoever may read what else is written here may read it
        let rights = std::fs::File::create(&beside)?.metadata()?.permissions();
        save(&beside)?;
        std::fs::set_permissions(&beside, rights)?;
        std::fs::File::open(&beside)?.sync_all()?;
        std::fs::rename(&beside, path)?;
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        Ok(std::fs::File::open(folder.unwrap_or(Path::new(".")))?.sync_all()?)
    };
    moved().map_err(|source| TrainError::Write {
        path: path.into(),
        source: source.into(),
    })
}

#[cfg(test)]
mod tests {
    use candle_core::DType;

    use super::super::tests::{small, step};
    use super::*;
    use crate::train::{ShapeExamples, Subject};

    #[test]
    fn training_goes_on_from_a_checkpoint_bit_for_bit() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("state.safetensors");
        let shapes = ShapeExamples { count: 4, seed: 1 };
        let mut whole = EdgeTrainer::new(small(1, 2), Subject::Whole(None), &Device::Cpu).unwrap();
        for _ in 0..3 {
            step(&mut whole, &shapes);
        }
        whole.checkpoint(&path).unwrap();
        let first: Vec<f32> = (0..3).map(|_| step(&mut whole, &shapes)).collect();
        let mut taken_up =
            EdgeTrainer::new(small(1, 2), Subject::Whole(None), &Device::Cpu).unwrap();
        taken_up.restore(&path).unwrap();
        let second: Vec<f32> = (0..3).map(|_| step(&mut taken_up, &shapes)).collect();
        assert_eq!(first, second);
        for name in ["a", "b"] {
            let trainer = if name == "a" { &whole } else { &taken_up };
            trainer.checkpoint(&folder.path().join(name)).unwrap();
        }
        let bytes = |name: &str| {
            let loaded =
                candle_core::safetensors::load(folder.path().join(name), &Device::Cpu).unwrap();
            let mut all: Vec<_> = loaded
                .into_iter()
                .map(|(name, t)| {
                    (
                        name,
                        format!(
                            "{:?}",
                            t.flatten_all()
                                .unwrap()
                                .to_dtype(DType::F64)
                                .unwrap()
                                .to_vec1::<f64>()
                                .unwrap()
                        ),
                    )
                })
                .collect();
            all.sort();
            all
        };
        assert!(bytes("a") == bytes("b"));
        let nowhere = folder.path().join("absent").join("state.safetensors");
        let said = whole.checkpoint(&nowhere).unwrap_err().to_string();
        let told = format!("write {}: ", nowhere.display());
        assert!(said.starts_with(&told), "{said}");
        std::fs::write(&path, "no tensors").unwrap();
        assert!(matches!(
            taken_up.restore(&path),
            Err(TrainError::Checkpoint { .. })
        ));
    }
}
