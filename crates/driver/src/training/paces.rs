//! How the steps of a training were taken, `pace.json`: written where memory made it another pace than was asked for, so
//! that who goes on with it, or does steps again, takes them alike and gets the same bits.

use std::path::{Path, PathBuf};

use bo_vision::train::Pace;
use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::exit::Failure;
use crate::record::replace;

/// The paces of a training, in the order in which they were chosen.
pub struct Paces {
    path: PathBuf,
    asked: Pace,
    chosen: Vec<Chosen>,
}

/// From a step on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Chosen {
    /// The first step that is taken at this pace.
    step: usize,
    #[serde(flatten)]
    pace: Pace,
}

/// The file.
#[derive(Serialize, Deserialize)]
struct Text {
    format: String,
    version: u32,
    paces: Vec<Chosen>,
}

const FORMAT: &str = "bo/train-pace";
const VERSION: u32 = 1;
/// Most crops at once that a training is asked for.
const MOST: usize = 4096;

impl Paces {
    /// Those of a folder, of a training that was asked to go at `asked`.
    ///
    /// # Errors
    /// The file cannot be read, is of another version, or holds a pace that cannot be.
    pub fn open(folder: &Path, asked: Pace) -> Result<Self, Failure> {
        let path = folder.join("pace.json");
        let unusable = |reason: String| {
            let remedy = "mend it, or delete it: the training then goes at the pace of train.json, with other last bits";
            Failure::unusable(&path, reason, remedy)
        };
        let chosen = match bounded::read(&path, bounded::SETTINGS) {
            Ok(bytes) => {
                let text: Text =
                    serde_json::from_slice(&bytes).map_err(|error| unusable(error.to_string()))?;
                if (text.format.as_str(), text.version) != (FORMAT, VERSION) {
                    return Err(unusable(format!(
                        "is {} version {}",
                        text.format, text.version
                    )));
                }
                let is_outside = |one: &&Chosen| !(1..=MOST).contains(&one.pace.at_once);
                if let Some(one) = text.paces.iter().find(is_outside) {
                    let crops = one.pace.at_once;
                    return Err(unusable(format!("{crops} crops at once cannot be")));
                }
                text.paces
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(unusable(error.to_string())),
        };
        Ok(Self {
            path,
            asked,
            chosen,
        })
    }

    /// The pace of a step: the latest choice that reaches it.
    pub fn of(&self, step: usize) -> Pace {
        let reaching = self.chosen.iter().rfind(|chosen| chosen.step <= step);
        reaching.map_or(self.asked, |chosen| chosen.pace)
    }

    /// Notes that `step` and what follows it is taken at this pace; on disk once this returns.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn note(&mut self, step: usize, pace: Pace) -> Result<(), Failure> {
        if self.of(step) == pace {
            return Ok(());
        }
        self.chosen.push(Chosen { step, pace });
        let text = Text {
            format: FORMAT.to_owned(),
            version: VERSION,
            paces: self.chosen.clone(),
        };
        let text = serde_json::to_vec_pretty(&text)
            .map_err(|error| Failure::unexpected("writing the pace as JSON", error))?;
        Ok(replace(&self.path, &text)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pace(at_once: usize) -> Pace {
        Pace {
            at_once,
            checkpoint_gradients: false,
        }
    }

    #[test]
    fn steps_that_are_done_again_go_as_they_went_and_a_later_choice_stands() {
        let folder = tempfile::tempdir().unwrap();
        let open = || Paces::open(folder.path(), pace(16)).unwrap();
        let mut paces = open();
        paces.note(0, pace(16)).unwrap();
        assert!(!folder.path().join("pace.json").exists());
        paces.note(7, pace(12)).unwrap();
        assert_eq!(
            [6, 7, 9].map(|step| open().of(step)),
            [16, 12, 12].map(pace)
        );
        // done again from 5 with less memory than the first time
        let mut paces = open();
        paces.note(5, pace(8)).unwrap();
        assert_eq!(
            [4, 5, 6, 7].map(|step| open().of(step)),
            [16, 8, 8, 8].map(pace)
        );
    }

    #[test]
    fn what_cannot_be_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (text, said) in [
            ("{", "EOF"),
            (
                r#"{"format":"bo/train-pace","version":2,"paces":[]}"#,
                "version 2",
            ),
            (
                r#"{"format":"bo/train-pace","version":1,"paces":[{"step":0,"at_once":0,"checkpoint_gradients":true}]}"#,
                "0 crops at once",
            ),
        ] {
            std::fs::write(folder.path().join("pace.json"), text).unwrap();
            let Err(error) = Paces::open(folder.path(), pace(1)) else {
                panic!("{text} was taken")
            };
            assert!(error.to_string().contains(said), "{error}");
        }
    }
}
