//! Labelled images as environments: x are the eight line parameters, w features of an image, what was done to it,
//! or both ([`Sights`]); the value is its LP_r, or its F where labels name no regions ([`pipeline::counted`]).
//!
//! Central type: [`LineImages`]. Images are decoded one at a time; what the network says of an image is computed
//! once and kept in a bounded store, in the form from which scores are always computed. Only the labels and
//! the features of all images are held, by their source.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use bo_bayes::environment::{Environments, Finite};
use bo_bayes::optimizer::{Direction, Problem};
use bo_bayes::space::{Parameter, Space};
use bo_memory::device::DevicePool;
use bo_vision::corruption::Corruption;
use bo_vision::edge::EdgeFinder;
use bo_vision::folder::{OpenError, Skipped};
use bo_vision::pipeline::{self, Examination, LineParameters, PARAMETERS, Scratch};
use bo_vision::source::{Glance, ImageSource, SourceError, Truth};
use image::RgbImage;
use rayon::prelude::*;

use super::clock::{Part, PartSeconds};
use super::eyes::{Eyes, SightError};
use super::foresight::Wanted;
use super::network;
use super::sights::Sights;
use super::{
    Description, Objective, Opened, Outcome, Query, Request, Status, Surroundings, device,
};
use crate::exit::Failure;
use crate::forecast::Photograph;
use crate::picture::draw;
use crate::run::choices;
use crate::settings::{Origin, Settings};
use crate::supervise::{Step, tell};

/// Labelled images that can be scored.
pub struct LineImages {
    kind: &'static str,
    problem: Problem,
    source: Box<dyn ImageSource>,
    /// Numbers in the source of those that can be used.
    images: Vec<usize>,
    /// What is seen of them: the environments.
    sights: Sights,
    eyes: Eyes,
}

/// Every image once; whoever watches hears of each.
fn looked_at(source: &dyn ImageSource) -> Vec<Result<Glance, SourceError>> {
    let (done, of) = (AtomicU64::new(0), source.len() as u64);
    (0..source.len())
        .into_par_iter()
        .map(|index| {
            let glance = source.glance(index);
            let done = done.fetch_add(1, Relaxed) + 1;
            tell(Step::Look { done, of });
            glance
        })
        .collect()
}

impl LineImages {
    /// Looks at every image once: labels and features stay, pixels do not. Images that do not decode are
    /// left out, with a notice each.
    ///
    /// # Errors
    /// A network that does not load, a cache folder that cannot be written, no image left.
    pub fn open(
        kind: &'static str,
        source: Box<dyn ImageSource>,
        settings: &Settings,
        surroundings: Surroundings,
    ) -> Result<(Self, Vec<String>), Failure> {
        let chosen = device::choose(settings)?;
        let mut notices = chosen.notices.clone();
        let network = network::load(settings, &chosen.device)?;
        let looked = looked_at(source.as_ref());
        let (mut images, mut glances, mut unreadable) = (Vec::new(), Vec::new(), 0);
        for (index, glance) in looked.into_iter().enumerate() {
            match glance {
                Ok(glance) => {
                    images.push(index);
                    glances.push(glance);
                }
                Err(error) => {
                    unreadable += 1;
                    notices.push(format!("skipped: {error}"));
                }
            }
        }
        if unreadable > 0 {
            notices.push(format!(
                "{unreadable} of {} images skipped as unreadable",
                source.len()
            ));
        }
        if images.is_empty() {
            return Err(Failure::Setting {
                key: kind.into(),
                origin: Origin::Flag(format!("--{kind}")),
                reason: format!(
                    "none of {} images can be used: {}",
                    source.len(),
                    notices.join("; ")
                ),
                remedy: "give images that decode and have labels".into(),
            });
        }
        let sights = Sights::new(settings.study().environment, &glances);
        let problem = problem(sights.environments(&glances));
        // Settings that do not fit these images are refused before anything is written.
        let fitted = settings.clone().fitted(&problem.environments, &[]);
        choices(fitted.study(), &problem, &[])?;
        let held = |glance: &Glance| Photograph {
            size: glance.size,
            has_regions: matches!(glance.truth, Truth::Regions(_)),
        };
        let largest = glances.iter().map(held).max_by_key(Photograph::whole);
        let eyes = Eyes::open(network, chosen, settings, &surroundings, largest)?;
        Ok((
            Self {
                kind,
                problem,
                source,
                images,
                sights,
                eyes,
            },
            notices,
        ))
    }

    /// Number of environments.
    pub fn len(&self) -> usize {
        self.sights.len()
    }

    /// Names of the environments, in order.
    pub fn names(&self) -> Vec<String> {
        let name = |image: usize| self.source.name(self.images[image]);
        self.sights.names(name)
    }

    /// What is detected in environment `number` at the eight parameters `x`, and how good it is.
    ///
    /// # Errors
    /// The image no longer loads, or the network fails on it.
    ///
    /// # Panics
    /// If `number` is not below [`Self::len`] or x has not eight values.
    pub fn examine(
        &self,
        number: usize,
        x: &[f64],
        scratch: &mut Scratch,
    ) -> Result<Examination, SightError> {
        let (image, corruption) = self.at(number);
        let hash = self.source.pixel_hash(image);
        let load = || Ok(self.source.load(image)?.pixels);
        let seen = self.eyes.see(&hash.to_hex(), &corruption, load)?;
        let truth = self.truth(image, &corruption)?;
        let find = || pipeline::examine(&seen, &truth, &parameters(x), scratch);
        Ok(self.eyes.clock.during(Part::Lines, find))
    }

    /// Sees what is not kept yet of these environments, together where that is of use.
    pub fn prepare(&self, numbers: &[usize]) {
        let sights = |&number: &usize| self.at(number);
        let wanted: Vec<Wanted> = numbers
            .iter()
            .map(sights)
            .map(|(image, corruption)| Wanted {
                hash: self.source.pixel_hash(image).to_hex().to_string(),
                corruption,
            })
            .collect();
        self.eyes.foresee(&wanted, |index| {
            let (image, _) = sights(&numbers[index]);
            Some(self.source.load(image).ok()?.pixels)
        });
    }

    /// Where the time of looking at images went so far.
    pub fn seconds(&self) -> PartSeconds {
        self.eyes.seconds()
    }

    /// What was done since the last call to keep within memory, in words.
    pub fn memory_steps(&self) -> Vec<String> {
        self.eyes.memory_steps()
    }

    /// A picture of environment `number` with what `found` holds and misses: regions, true lines, detected lines and
    /// corner points.
    ///
    /// # Errors
    /// The image no longer loads.
    pub fn picture(&self, number: usize, found: &Examination) -> Result<RgbImage, SightError> {
        let (image, corruption) = self.at(number);
        let pixels = self.source.load(image)?.pixels;
        let pixels = corruption.apply(&pixels, self.eyes.device())?;
        let truth = self.truth(image, &corruption)?;
        let regions = truth.regions();
        Ok(draw(
            &pixels,
            Some(&truth),
            &regions,
            &found.lines,
            &found.corners,
        ))
    }

    /// Image (its number in the source) and corruption of environment `number`.
    fn at(&self, number: usize) -> (usize, Corruption) {
        let seen = self.sights.at(number);
        (self.images[seen.image], seen.corruption)
    }

    /// The true lines of an image under a corruption.
    fn truth(&self, image: usize, corruption: &Corruption) -> Result<Truth, SourceError> {
        let glance = self.source.glance(image)?;
        let (width, height) = glance.size;
        // a set of environments holds only corruptions that leave a label
        let turned = corruption.turn(&glance.truth, width, height);
        Ok(turned.unwrap_or(Truth::Segments(Vec::new())))
    }

    fn is_without_regions(&self, image: usize) -> bool {
        let glance = self.source.glance(image);
        glance.is_ok_and(|glance| matches!(glance.truth, Truth::Segments(_)))
    }

    /// As an objective.
    pub fn into_opened(self, notices: Vec<String>) -> Opened {
        Opened {
            earlier: Vec::new(),
            problem: self.problem.clone(),
            objective: Box::new(self),
            notices,
        }
    }
}

/// The eight parameters in the order of the space.
pub fn parameters(x: &[f64]) -> LineParameters {
    let values: &[f64; 8] = x
        .try_into()
        .expect("the space of line parameters has eight of them");
    LineParameters::from_values(values)
}

/// The problem that images pose: eight parameters over some environments.
fn problem(environments: Finite) -> Problem {
    let parameters = PARAMETERS
        .iter()
        .map(|p| Parameter::real(p.name, p.low, p.high))
        .collect();
    Problem {
        space: Space::new(parameters)
            .expect("the ranges of the line parameters are constants and sound"),
        environments: Environments::Finite(environments),
        direction: Direction::Maximize,
    }
}

/// Why folders gave no source, as what the user should mend.
pub fn refused(error: &OpenError) -> Failure {
    let key = match error {
        OpenError::Labels(_) | OpenError::NoMatch { .. } => "labels",
        _ => "images",
    };
    Failure::Setting {
        key: key.into(),
        origin: Origin::Flag(format!("--{key}")),
        reason: error.to_string(),
        remedy: match error {
            OpenError::Labels(_) | OpenError::NoMatch { .. } => {
                "give --labels the file or folder with labels of these images, named like them"
            }
            OpenError::NoneLeft { .. } => {
                "give --images a folder of jpg, png or bmp files with labels"
            }
            _ => "give --images a folder of jpg, png or bmp files",
        }
        .into(),
    }
}

/// Among the hashes of a run: by what images are scored whose labels name no regions; absent where all name some.
pub const WITHOUT_REGIONS: &str = "score of images without regions";

/// Images named in full in the notices; the rest are counted.
const NAMED: usize = 10;

/// Notices about what was passed over: the first ones by name, and a count.
pub fn skipped(skipped: &[Skipped]) -> Vec<String> {
    let mut notices: Vec<String> = skipped
        .iter()
        .take(NAMED)
        .map(|one| format!("skipped {one}"))
        .collect();
    match skipped.len() {
        0 => {}
        1 => notices.push("1 file skipped".into()),
        count if count > NAMED => {
            notices.push(format!("and {} more; {count} files skipped", count - NAMED))
        }
        count => notices.push(format!("{count} files skipped")),
    }
    notices
}

impl Objective for LineImages {
    fn prepare(&mut self, queries: &[&Query]) {
        let known = queries.iter().filter_map(|query| query.environment);
        let known = known.filter(|number| *number < self.len());
        LineImages::prepare(self, &known.collect::<Vec<_>>());
    }

    fn memory_steps(&mut self) -> Vec<String> {
        self.eyes.memory_steps()
    }

    fn evaluate(&mut self, request: &Request) -> Outcome {
        let failed = |reason: String| Outcome::Failed {
            status: Status::Failed,
            reason,
        };
        match request.query.environment {
            Some(number) if number < self.len() => {
                // Working memory ends with the evaluation: nothing is left that the ledger would have to name.
                let found = self.examine(number, &request.query.x, &mut Scratch::default());
                match found {
                    Ok(found) => Outcome::Value(found.value),
                    Err(error) if error.is_device_lost() => Outcome::Lost {
                        reason: error.to_string(),
                    },
                    Err(error) if error.is_out_of_memory() => Outcome::Failed {
                        status: Status::Oom,
                        reason: error.to_string(),
                    },
                    Err(error) => failed(error.to_string()),
                }
            }
            other => failed(format!(
                "environment {other:?} is none of the {} there are",
                self.len()
            )),
        }
    }

    fn stop(&mut self) {
        (self.eyes.log)(&self.eyes.account());
    }

    fn describe(&self) -> Description {
        let name = |image: usize| format!("image {}", self.source.name(image));
        let hash = |image: usize| self.source.content_hash(image).to_hex().to_string();
        let mut hashes: BTreeMap<String, String> = self
            .images
            .iter()
            .map(|&image| (name(image), hash(image)))
            .collect();
        let network = self.eyes.network();
        let what = match network.name().parse() {
            Ok(EdgeFinder::Canny) => "version of canny".to_owned(),
            _ => format!("weights of {}", network.name()),
        };
        hashes.insert(what, network.fingerprint().to_owned());
        hashes.insert("preprocessing".to_owned(), self.eyes.preprocessing());
        if self
            .images
            .iter()
            .any(|&image| self.is_without_regions(image))
        {
            let by = pipeline::COUNTED_WITHOUT_REGIONS.to_owned();
            hashes.insert(WITHOUT_REGIONS.to_owned(), by);
        }
        Description {
            kind: self.kind.to_owned(),
            environments: self.names(),
            hashes,
            texts: BTreeMap::new(),
            notes: BTreeMap::from([("device used".to_owned(), self.eyes.device_name().to_owned())]),
        }
    }

    fn holds(&self) -> Vec<(String, u64)> {
        vec![("kept edge output".to_owned(), self.eyes.bytes())]
    }

    fn pool(&self) -> Option<DevicePool> {
        self.eyes.pool()
    }

    fn deep_clean(&mut self) {
        self.eyes.release();
    }
}
