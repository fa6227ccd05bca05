//! Which classical detectors vote beside the presets.
//!
//! Central type [`Detectors`]; what they find depends on the image alone and is kept with the network's output.

use std::fmt;
use std::str::FromStr;

use image::GrayImage;

use super::{hough, lsd};
use crate::geometry::Segment;

/// The detectors whose segments are voters.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Detectors {
    /// Canny edges and a Hough transform.
    #[default]
    Hough,
    /// Level lines: LSD.
    Lsd,
    /// Both; those of Hough first.
    Both,
}

/// A name that is none of [`Detectors::NAMES`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no voters are called {0:?}: take {names}", names = Detectors::NAMES.join(", "))]
pub struct UnknownDetectors(String);

impl Detectors {
    /// How they are written.
    pub const NAMES: [&str; 3] = ["hough", "lsd", "both"];

    /// What the detectors find in a contrast-enhanced grey image, in image pixels; of each the longest first.
    pub fn segments(self, grey: &GrayImage) -> Vec<Segment> {
        match self {
            Self::Hough => hough::voters(grey),
            Self::Lsd => lsd::segments(grey),
            Self::Both => [hough::voters(grey), lsd::segments(grey)].concat(),
        }
    }

    /// Versions of the detectors, part of the key under which voters are kept.
    pub fn version(self) -> String {
        match self {
            Self::Hough => hough::VERSION.to_owned(),
            Self::Lsd => lsd::VERSION.to_owned(),
            Self::Both => format!("{}, {}", hough::VERSION, lsd::VERSION),
        }
    }
}

impl fmt::Display for Detectors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Self::NAMES[*self as usize])
    }
}

impl FromStr for Detectors {
    type Err = UnknownDetectors;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let all = [Self::Hough, Self::Lsd, Self::Both];
        all.into_iter()
            .find(|one| one.to_string() == name)
            .ok_or_else(|| UnknownDetectors(name.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_back_and_versions_differ() {
        let all = Detectors::NAMES.map(|name| name.parse::<Detectors>().unwrap());
        assert_eq!(all.map(|one| one.to_string()), Detectors::NAMES);
        let versions = all.map(Detectors::version);
        assert!(versions[0] != versions[1] && versions[1] != versions[2]);
        // under this key lie the kept outputs of runs from before there was a choice
        assert_eq!(Detectors::default().version(), "voters 1");
        assert!("Hough".parse::<Detectors>().is_err());
    }
}
