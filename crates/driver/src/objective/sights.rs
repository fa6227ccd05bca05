//! What a run sees of its images: each as it is, or some of them under the corruptions of a fixed set.
//!
//! Central type: [`Sights`], the environments of labelled images with their values w.

use bo_bayes::environment::Finite;
use bo_vision::corruption::{CORRUPTION_NAMES, Corrupted, Corruption, corrupted_set};
use bo_vision::feature::{FEATURE_NAMES, scaled};
use bo_vision::source::Glance;

use crate::settings::ImageEnvironment;

/// The environments of labelled images.
pub struct Sights {
    kind: ImageEnvironment,
    cases: Cases,
}

/// Image (its number among the usable ones) and corruption of each environment.
enum Cases {
    /// Each of so many images as it is.
    Whole(usize),
    /// A fixed set of them.
    Corrupted(Vec<Corrupted>),
}

impl Cases {
    fn len(&self) -> usize {
        match self {
            Self::Whole(images) => *images,
            Self::Corrupted(cases) => cases.len(),
        }
    }

    fn at(&self, number: usize) -> Corrupted {
        match self {
            Self::Whole(_) => Corrupted {
                image: number,
                corruption: Corruption::NEUTRAL,
            },
            Self::Corrupted(cases) => cases[number],
        }
    }

    fn iter(&self) -> impl Iterator<Item = Corrupted> + '_ {
        (0..self.len()).map(|number| self.at(number))
    }
}

impl Sights {
    /// The environments of `kind` over images, of which there is one at least.
    pub fn new(kind: ImageEnvironment, images: &[Glance]) -> Self {
        let cases = match kind {
            ImageEnvironment::Features => Cases::Whole(images.len()),
            ImageEnvironment::Corruptions { count, seed }
            | ImageEnvironment::Both { count, seed } => {
                let labelled = |image: usize, corruption: &Corruption| {
                    let glance = &images[image];
                    let (width, height) = glance.size;
                    corruption.turn(&glance.truth, width, height).is_some()
                };
                Cases::Corrupted(corrupted_set(count, seed, images.len(), labelled))
            }
        };
        Self { kind, cases }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.cases.len()
    }

    /// Image and corruption of environment `number`.
    pub fn at(&self, number: usize) -> Corrupted {
        self.cases.at(number)
    }

    /// Names, in order: that of the image (`name` gives it), with the number of the environment where images occur more
    /// than once.
    pub fn names<'n>(&self, name: impl Fn(usize) -> &'n str) -> Vec<String> {
        let name = |(number, case): (usize, Corrupted)| {
            let image = name(case.image);
            match self.kind {
                ImageEnvironment::Features => image.to_owned(),
                _ => format!("{image} #{number}"),
            }
        };
        self.cases.iter().enumerate().map(name).collect()
    }

    /// As the optimiser knows them. Features: the six of the image, scaled to [0, 1] over the images. Corruptions: the
    /// image (its number as a share of all) and five values. Both: features of the image as it is, and five values.
    pub fn environments(&self, images: &[Glance]) -> Finite {
        let raw: Vec<[f64; 6]> = images.iter().map(|image| image.features).collect();
        let features = scaled(&raw);
        let last = images.len().saturating_sub(1).max(1) as f64;
        let point = |case: Corrupted| {
            let mut point = match self.kind {
                ImageEnvironment::Corruptions { .. } => vec![case.image as f64 / last],
                _ => features[case.image].to_vec(),
            };
            if self.kind != ImageEnvironment::Features {
                point.extend(case.corruption.values());
            }
            point
        };
        let points = self.cases.iter().map(point).collect();
        Finite::new(self.variables(), points, None, None)
            .expect("there is an environment, and its values are finite")
    }

    fn variables(&self) -> Vec<String> {
        let corruptions = CORRUPTION_NAMES.map(str::to_owned);
        let of_image = |name: &str| format!("image_{name}");
        match self.kind {
            ImageEnvironment::Features => FEATURE_NAMES.map(str::to_owned).to_vec(),
            ImageEnvironment::Corruptions { .. } => {
                [vec!["image".to_owned()], corruptions.to_vec()].concat()
            }
            ImageEnvironment::Both { .. } => {
                [FEATURE_NAMES.map(of_image).to_vec(), corruptions.to_vec()].concat()
            }
        }
    }
}
