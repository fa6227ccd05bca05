//! The crops of a step, drawn from (seed, step) alone, and their stream through a bounded queue.
//!
//! Examples are loaded one at a time and freed once they are cropped: memory does not grow with the data.

use std::ops::{ControlFlow, Range};
use std::sync::mpsc::sync_channel;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::augment::{self, Crop};
use super::{Example, ExampleSource, TrainError, TrainSettings};
use crate::contrast;

/// Crops taken from an example once it is loaded: loading costs more than cropping.
const CROPS_PER_EXAMPLE: usize = 2;
/// Steps whose crops each loader holds ready; it draws one more meanwhile.
const READY: usize = 1;
/// Stream of the crops that judge; steps have the streams from 2^32 on.
const JUDGING: u64 = 1 << 31;
/// Of so many examples one is never trained on but judges.
const HELD_OUT: usize = 10;

/// Sources with the share of crops that comes from each.
pub type Mixture<'s> = [(f64, &'s dyn ExampleSource)];

/// The crops of step `step`: `batch` x `accumulate`.
///
/// # Errors
/// An example that does not load.
///
/// # Panics
/// If there is no source with an example.
pub fn crops(
    settings: &TrainSettings,
    sources: &Mixture<'_>,
    step: usize,
) -> Result<Vec<Crop>, TrainError> {
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    random.set_stream(1 << 32 | step as u64);
    let count = settings.batch * settings.accumulate.max(1);
    draw(settings, sources, count, &mut random)
}

/// `count` crops without augmentation by which progress is judged, the same in every run with the same seed.
///
/// # Errors
/// An example that does not load.
pub fn judging_crops(
    settings: &TrainSettings,
    held_out: &Mixture<'_>,
    count: usize,
) -> Result<Vec<Crop>, TrainError> {
    let still = TrainSettings {
        augmentation: 0.0,
        ..settings.clone()
    };
    let mut random = ChaCha8Rng::seed_from_u64(settings.seed);
    random.set_stream(JUDGING);
    draw(&still, held_out, count, &mut random)
}

/// Steps whose crops are held at most with so many loaders, the one at work included.
pub fn steps_held(loaders: usize) -> usize {
    loaders.max(1) * (READY + 1) + 1
}

/// Gives `work` the crops of each of `steps` in order, drawn ahead by `loaders` threads, which take the steps in turn.
/// How many there are changes speed and memory only.
///
/// # Errors
/// An example that does not load, or what `work` answers.
pub fn stream(
    settings: &TrainSettings,
    sources: &Mixture<'_>,
    steps: Range<usize>,
    loaders: usize,
    mut work: impl FnMut(Vec<Crop>) -> Result<ControlFlow<()>, TrainError>,
) -> Result<(), TrainError> {
    let loaders = loaders.max(1);
    std::thread::scope(|scope| {
        let mut queues = Vec::with_capacity(loaders);
        for first in 0..loaders {
            let (sender, receiver) = sync_channel(READY);
            let mine = steps.clone().skip(first).step_by(loaders);
            scope.spawn(move || {
                for step in mine {
                    // the receiver goes when the work has ended, well or not
                    if sender.send(crops(settings, sources, step)).is_err() {
                        return;
                    }
                }
            });
            queues.push(receiver);
        }
        for queue in (0..steps.len()).map(|turn| &queues[turn % loaders]) {
            let crops = queue.recv().expect("a loader ends after its last step");
            if work(crops?)?.is_break() {
                break;
            }
        }
        drop(queues);
        Ok(())
    })
}

fn draw(
    settings: &TrainSettings,
    sources: &Mixture<'_>,
    count: usize,
    random: &mut ChaCha8Rng,
) -> Result<Vec<Crop>, TrainError> {
    let total: f64 = sources.iter().map(|(share, _)| share).sum();
    let mut crops = Vec::with_capacity(count);
    while crops.len() < count {
        let mut left = random.random_range(0.0..total);
        let picked = sources.iter().find(|(share, _)| {
            left -= share;
            left < 0.0
        });
        let (_, source) = picked.or(sources.last()).expect("at least one source");
        let mut example = source.load(random.random_range(0..source.len()))?;
        // The network is used on enhanced images, and should do without.
        if random.random_bool(0.5 * f64::from(settings.augmentation)) {
            example.image = contrast::enhance(&example.image);
        }
        for _ in 0..CROPS_PER_EXAMPLE.min(count - crops.len()) {
            crops.push(augment::crop(
                &example,
                settings.side,
                settings.augmentation,
                random,
            ));
        }
    }
    Ok(crops)
}

/// One part of a source: the tenth, twentieth, ... example, or all others.
pub struct Part<'s> {
    source: &'s dyn ExampleSource,
    held_out: bool,
}

impl<'s> Part<'s> {
    /// Every tenth example, by which progress is judged.
    pub fn held_out(source: &'s dyn ExampleSource) -> Self {
        Self {
            source,
            held_out: true,
        }
    }

    /// The others.
    pub fn trained_on(source: &'s dyn ExampleSource) -> Self {
        Self {
            source,
            held_out: false,
        }
    }
}

impl ExampleSource for Part<'_> {
    fn pixels(&self) -> u64 {
        self.source.pixels()
    }

    fn len(&self) -> usize {
        let held_out = self.source.len() / HELD_OUT;
        match self.held_out {
            true => held_out,
            false => self.source.len() - held_out,
        }
    }

    fn load(&self, index: usize) -> Result<Example, TrainError> {
        self.source.load(match self.held_out {
            true => index * HELD_OUT + HELD_OUT - 1,
            false => index + index / (HELD_OUT - 1),
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use image::{GrayImage, RgbImage};

    use super::*;

    /// Remembers which examples were loaded.
    struct Counted(usize, Mutex<Vec<usize>>);

    impl ExampleSource for Counted {
        fn len(&self) -> usize {
            self.0
        }

        fn pixels(&self) -> u64 {
            40 * 40
        }

        fn load(&self, index: usize) -> Result<Example, TrainError> {
            self.1.lock().unwrap().push(index);
            Ok(Example {
                image: RgbImage::new(40, 40),
                edges: GrayImage::new(40, 40),
            })
        }
    }

    #[test]
    fn parts_share_out_every_example_once() {
        for len in [0, 9, 10, 25, 30] {
            let source = Counted(len, Mutex::default());
            for part in [Part::held_out(&source), Part::trained_on(&source)] {
                (0..part.len()).for_each(|index| drop(part.load(index).unwrap()));
            }
            let mut seen = source.1.into_inner().unwrap();
            seen.sort_unstable();
            assert_eq!(seen, (0..len).collect::<Vec<_>>());
        }
    }

    #[test]
    fn the_queue_is_bounded_and_ends_with_the_work() {
        for loaders in [1, 3] {
            let source = Counted(5, Mutex::default());
            let settings = TrainSettings {
                batch: 2,
                side: 16,
                ..TrainSettings::default()
            };
            let mut done = 0;
            stream(&settings, &[(1.0, &source)], 0..100, loaders, |crops| {
                assert_eq!(crops.len(), 2);
                done += 1;
                Ok(match done {
                    3 => ControlFlow::Break(()),
                    _ => ControlFlow::Continue(()),
                })
            })
            .unwrap();
            // one example a step: three done, and what may be held beside the one at work
            let loaded = source.1.into_inner().unwrap().len();
            assert!((3..3 + steps_held(loaders)).contains(&loaded), "{loaded}");
        }
    }

    #[test]
    fn any_number_of_loaders_gives_the_same_crops_in_the_same_order() {
        let source = Counted(5, Mutex::default());
        let settings = TrainSettings {
            batch: 2,
            side: 16,
            ..TrainSettings::default()
        };
        let drawn = |loaders, steps: Range<usize>| {
            let mut all = Vec::new();
            stream(&settings, &[(1.0, &source)], steps, loaders, |crops| {
                all.extend(crops.into_iter().flat_map(|crop| crop.input));
                Ok(ControlFlow::Continue(()))
            })
            .unwrap();
            all
        };
        let one = drawn(1, 2..9);
        assert_eq!(one.len(), 7 * 2 * 3 * 16 * 16);
        assert_eq!(one, drawn(3, 2..9));
        assert_eq!(one, drawn(20, 2..9));
        assert!(drawn(2, 4..4).is_empty());
    }
}
