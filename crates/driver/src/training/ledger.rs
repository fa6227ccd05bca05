//! The losses of a training: a line a step in `losses.jsonl`, and their picture in `losses.svg`.

use std::fs::{File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::bounded;
use crate::exit::Failure;
use crate::record::replace;
use crate::report::{Plot, Series};

/// A step.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// Its number, from 0.
    pub step: usize,
    /// Mean loss over its crops.
    pub loss: f32,
    /// Learning rate.
    pub learning_rate: f64,
    /// Loss after it over crops that are not trained on, where progress was judged.
    pub judged: Option<f32>,
    /// Its gradient was infinite in float16: nothing was moved.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub skipped: bool,
}

/// All steps so far.
pub struct Ledger {
    folder: PathBuf,
    file: File,
    entries: Vec<Entry>,
}

impl Ledger {
    /// The ledger of a folder; lines of steps from `steps` on are cut off: they will be done again.
    ///
    /// # Errors
    /// The file cannot be read or written, or lacks a step.
    pub fn open(folder: &Path, steps: usize) -> Result<Self, Failure> {
        let path = folder.join("losses.jsonl");
        let text = match bounded::read_text(&path, bounded::LEDGER) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(Failure::unusable(&path, error, "make it readable")),
        };
        let entries: Vec<Entry> = text
            .lines()
            .map_while(|line| serde_json::from_str(line).ok())
            .take(steps)
            .collect();
        if entries.len() < steps {
            return Err(Failure::unusable(
                &path,
                format!("holds {} steps where {steps} were done", entries.len()),
                "begin anew in another folder",
            ));
        }
        let mut kept = Vec::new();
        for entry in &entries {
            kept.extend(line(entry)?);
        }
        replace(&path, &kept)?;
        let file = OpenOptions::new().append(true).open(&path);
        Ok(Self {
            folder: folder.to_owned(),
            file: file.map_err(|error| Failure::unusable(&path, error, "make it writable"))?,
            entries,
        })
    }

    /// All steps.
    pub fn entries(&self) -> &[Entry] {
        &self.entries
    }

    /// Adds a step.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn add(&mut self, entry: Entry) -> Result<(), Failure> {
        self.file
            .write_all(&line(&entry)?)
            .map_err(|error| Failure::unusable(&self.folder, error, "make room on the disk"))?;
        self.entries.push(entry);
        Ok(())
    }

    /// Puts all steps so far on disk.
    ///
    /// # Errors
    /// The system does not.
    pub fn sync(&self) -> Result<(), Failure> {
        let synced = self.file.sync_data();
        synced.map_err(|error| Failure::unusable(&self.folder, error, "make room on the disk"))
    }

    /// The best judgement so far, and how many in a row were no better since.
    pub fn best(&self) -> (Option<f32>, usize) {
        let mut best = (None, 0);
        for judged in self.entries.iter().filter_map(|entry| entry.judged) {
            best = match best.0 {
                Some(least) if judged >= least => (best.0, best.1 + 1),
                _ => (Some(judged), 0),
            };
        }
        best
    }

    /// Draws all steps.
    ///
    /// # Errors
    /// The picture cannot be written.
    pub fn draw(&self) -> Result<(), Failure> {
        let mut plot = Plot::new("step", "loss");
        let of = |entry: &Entry, loss: f32| (entry.step as f64, f64::from(loss));
        let losses = self.entries.iter().map(|entry| of(entry, entry.loss));
        plot.add(Series::line("trained on", losses));
        let judged = self.entries.iter();
        let judged = judged.filter_map(|entry| Some(of(entry, entry.judged?)));
        plot.add(Series::line("held out", judged));
        let namespace = "<svg xmlns=\"http://www.w3.org/2000/svg\" ";
        let svg = plot.svg().replacen("<svg ", namespace, 1);
        Ok(replace(&self.folder.join("losses.svg"), svg.as_bytes())?)
    }
}

fn line(entry: &Entry) -> Result<Vec<u8>, Failure> {
    let mut line = serde_json::to_vec(entry)
        .map_err(|error| Failure::unexpected("writing a step as JSON", error))?;
    line.push(b'\n');
    Ok(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_after_a_checkpoint_are_cut_off_and_the_best_is_found_again() {
        let folder = tempfile::tempdir().unwrap();
        let entry = |step, judged| Entry {
            step,
            loss: 0.1 + 0.2 * step as f32,
            learning_rate: 1e-3,
            judged,
            skipped: false,
        };
        let mut ledger = Ledger::open(folder.path(), 0).unwrap();
        for (step, judged) in [None, Some(0.5), Some(0.4), Some(0.4), Some(0.3)]
            .into_iter()
            .enumerate()
        {
            ledger.add(entry(step, judged)).unwrap();
        }
        assert_eq!(ledger.best(), (Some(0.3), 0));
        let again = Ledger::open(folder.path(), 4).unwrap();
        assert_eq!(again.best(), (Some(0.4), 1));
        assert_eq!(again.entries, ledger.entries[..4]);
        again.draw().unwrap();
        assert!(Ledger::open(folder.path(), 5).is_err());
    }
}
