//! What is kept of an image: everything that does not depend on the parameters.
//!
//! Central type [`Seen`]; [`see`] makes it of an image, [`see_together`] of several of one size.

use bo_memory::host;
use half::f16;
use image::imageops::grayscale;
use image::{GrayImage, RgbImage};
use rayon::prelude::*;

use crate::contrast;
use crate::edge::{EdgeError, EdgeMap, EdgeNetwork, Ladder, LogitScale};
use crate::geometry::Segment;
use crate::line::Detectors;

/// Bytes of a pixel of one image that [`see`] holds at most beside the network, the decoded image among them, where
/// Hough's voters are wanted: most while contrast is enhanced, 12. (Voters take 6, features of the environment 5.)
pub const OF_A_PIXEL: u64 = 13;

/// Pixels from which an image is large: giving free pages back takes less than a thousandth of the time that it is seen in.
const LARGE: usize = 4_000_000;

/// What is kept of an image: everything that does not depend on the parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct Seen {
    /// Columns.
    pub width: u32,
    /// Rows.
    pub height: u32,
    /// Edge logits in the form in which scores are computed: row-major, `height` x `width`.
    pub logits: Vec<f16>,
    /// Segments of the classical detectors, in image pixels.
    pub voters: Vec<Segment>,
}

impl Seen {
    /// Keeps `logits` (row-major, as many as `enhanced` has pixels) and what `detectors` find in the
    /// contrast-enhanced grey image.
    ///
    /// # Panics
    /// If the number of logits differs from the number of pixels.
    pub fn new(logits: &[f32], enhanced: &GrayImage, detectors: Detectors) -> Self {
        let (width, height) = enhanced.dimensions();
        assert_eq!(
            logits.len(),
            width as usize * height as usize,
            "one logit per pixel"
        );
        let logits = logits.iter().map(|&logit| f16::from_f32(logit)).collect();
        Self::of(logits, enhanced, detectors)
    }

    fn of(logits: Vec<f16>, enhanced: &GrayImage, detectors: Detectors) -> Self {
        Self {
            width: enhanced.width(),
            height: enhanced.height(),
            logits,
            voters: detectors.segments(enhanced),
        }
    }

    /// Bytes held, for the ledger.
    pub fn bytes(&self) -> usize {
        size_of::<Self>()
            + self.logits.capacity() * 2
            + self.voters.capacity() * size_of::<Segment>()
    }
}

/// What is at work while an image is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Contrast enhancement before the network, classical detectors after it.
    Classical,
    /// The edge network.
    Network,
}

/// Does the work of a stage, and may time it.
pub trait Stages {
    /// Does it.
    fn during<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T;
}

/// Nobody asks how long a stage takes.
pub struct Untimed;

impl Stages for Untimed {
    fn during<T>(&self, _: Stage, work: impl FnOnce() -> T) -> T {
        work()
    }
}

/// What is kept of an image: contrast enhancement, the network's edge logits, and the voters. Of a large photograph each
/// of these takes [`OF_A_PIXEL`] bytes a pixel at most: nothing of it is held longer than it is needed.
///
/// # Errors
/// As [`EdgeNetwork::logits`].
pub fn see(
    rgb: RgbImage,
    network: &dyn EdgeNetwork,
    detectors: Detectors,
    stages: &impl Stages,
) -> Result<Seen, EdgeError> {
    let enhanced = stages.during(Stage::Classical, || contrast::enhance(&rgb));
    drop(rgb);
    let edges = stages.during(Stage::Network, || network.logits(&enhanced))?;
    Ok(stages.during(Stage::Classical, || {
        kept(edges, enhanced, network.scale(), detectors)
    }))
}

/// What is kept of images of one size, as [`see`] answers it, in batches as large as memory allows.
///
/// # Errors
/// As [`Ladder::all`].
pub fn see_together(
    images: Vec<RgbImage>,
    ladder: &Ladder,
    detectors: Detectors,
    stages: &impl Stages,
) -> Result<Vec<Seen>, EdgeError> {
    let enhanced: Vec<RgbImage> = stages.during(Stage::Classical, || {
        let all = images.into_par_iter();
        all.map(|rgb| contrast::enhance(&rgb)).collect()
    });
    let edges = stages.during(Stage::Network, || {
        ladder.all(&enhanced.iter().collect::<Vec<_>>())
    })?;
    Ok(stages.during(Stage::Classical, || {
        let seen = edges.into_par_iter().zip(enhanced);
        seen.map(|(edges, enhanced)| kept(edges, enhanced, ladder.scale(), detectors))
            .collect()
    }))
}

fn kept(edges: EdgeMap, enhanced: RgbImage, scale: LogitScale, detectors: Detectors) -> Seen {
    let kept = |logit: &f32| f16::from_f32(scale.apply(*logit));
    let logits = edges.logits.iter().map(kept).collect();
    drop(edges);
    let grey = grayscale(&enhanced);
    drop(enhanced);
    if grey.len() >= LARGE {
        // or voters come on top of what the network's maps have left in the heap
        host::trim();
    }
    Seen::of(logits, &grey, detectors)
}

/// Version of everything in [`see`] but the network itself: part of the key under which its output is kept.
pub fn preprocessing(network: &dyn EdgeNetwork, detectors: Detectors) -> String {
    let LogitScale { factor, shift } = network.scale();
    format!(
        "{}, logits {factor} {shift}, {}",
        contrast::VERSION,
        detectors.version()
    )
}

#[cfg(test)]
mod tests {
    use candle_core::Device;

    use super::*;
    use crate::edge::EdgeModel;
    use crate::pipeline::PARAMETERS;
    use crate::scene::Scene;

    #[test]
    fn thresholds_meet_the_logits_they_were_made_for() {
        // the original's range and defaults are on DexiNed's logits: they are kept as they are
        assert_eq!(EdgeModel::DexiNed.scale().apply(-3.25), -3.25);
        let [low, high] = [PARAMETERS[0].low as f32, PARAMETERS[0].high as f32];
        let network = EdgeModel::Compact.load(None, &Device::Cpu).unwrap();
        let image = Scene::generate(1, 0).image;
        let mut kept: Vec<f32> = see(
            image.clone(),
            network.as_ref(),
            Detectors::default(),
            &Untimed,
        )
        .unwrap()
        .logits
        .into_iter()
        .map(f16::to_f32)
        .collect();
        kept.sort_by(f32::total_cmp);
        // the lower end lets most of the image through (flat ground of compact lies below it), the upper next to nothing
        let below = kept.partition_point(|logit| *logit <= low) as f64 / kept.len() as f64;
        let above = kept.partition_point(|logit| *logit <= high) as f64 / kept.len() as f64;
        assert!(below < 0.25 && above > 0.95, "{below} {above}");
        assert!(preprocessing(network.as_ref(), Detectors::default()).contains("logits 3.5 -5.5"));
    }

    #[test]
    fn images_seen_together_are_what_each_is_alone() {
        let network = || EdgeModel::Compact.load(None, &Device::Cpu).unwrap();
        let images: Vec<RgbImage> = (0..3)
            .map(|k| RgbImage::from_fn(70, 50, move |x, y| image::Rgb([(x * k) as u8, y as u8, 9])))
            .collect();
        let ladder = Ladder::new(network(), |_| u64::MAX, |_| ());
        let together =
            see_together(images.clone(), &ladder, Detectors::default(), &Untimed).unwrap();
        assert!(ladder.safe().is_empty(), "3 are no full batch");
        for (image, seen) in images.iter().zip(together) {
            assert_eq!(
                seen,
                see(
                    image.clone(),
                    network().as_ref(),
                    Detectors::default(),
                    &Untimed
                )
                .unwrap()
            );
        }
    }
}
