//! Many runs that differ in some settings, one after the other in folders of their own.
//!
//! Central type: [`Sweep`]. Each run is a `bo run` or `bo resume` of its own, watched like any other: what ends one
//! does not end the rest. The settings that all have in common lie in `sweep.toml`, so a sweep that was stopped goes on
//! when it is typed again: finished runs are passed over, unfinished ones resumed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde::Serialize;
use serde_json::Value;

use crate::bounded;
use crate::exit::Failure;
use crate::lineage::SWEPT_BY;
use crate::quantity::{typed, value};
use crate::record::{History, Lock, SWEEP, holds_run, replace};
use crate::run::StopFlag;
use crate::settings::RawSettings;
use crate::show::{is_finished, recommended};
use crate::summary::risk_words;

/// How often a run is asked whether it has ended.
const PAUSE: Duration = Duration::from_millis(50);
/// How long the run of a sweep that was killed may take to end.
const PATIENCE: Duration = Duration::from_secs(15);

/// One run of a sweep: what it has of its own.
#[derive(Clone, Debug)]
pub struct Combination {
    /// Settings and their values, as typed.
    pub values: Vec<(String, String)>,
    /// Its folder inside that of the sweep.
    pub name: String,
}

impl Combination {
    /// Its values as flags of `bo run`.
    pub fn flags(&self) -> Vec<String> {
        let flag = |(key, value): &(String, String)| format!("--{key}={value}");
        self.values.iter().map(flag).collect()
    }
}

/// Every combination of one value for each setting; the last setting changes fastest.
pub fn combinations(axes: &[(String, Vec<String>)]) -> Vec<Combination> {
    let mut all: Vec<Vec<(String, String)>> = vec![Vec::new()];
    for (key, values) in axes {
        let with = |known: Vec<(String, String)>| {
            let one =
                move |value: &String| [known.clone(), vec![(key.clone(), value.clone())]].concat();
            values.iter().map(one)
        };
        all = all.into_iter().flat_map(with).collect();
    }
    let plain = |c: char| {
        if c.is_ascii_alphanumeric() || ".+-".contains(c) {
            c
        } else {
            '-'
        }
    };
    let part = |(key, value): &(String, String)| -> String {
        format!("{key}-{value}").chars().map(plain).collect()
    };
    let named = |values: Vec<(String, String)>| Combination {
        name: values.iter().map(part).collect::<Vec<_>>().join("_"),
        values,
    };
    all.into_iter().map(named).collect()
}

/// The runs of a sweep and what they have in common.
pub struct Sweep<'s> {
    /// Where they lie.
    pub out: &'s Path,
    /// Each of them.
    pub runs: Vec<Combination>,
    /// No progress on stderr.
    pub quiet: bool,
}

/// A sweep as it stands.
#[derive(Debug, Serialize)]
pub struct Swept {
    format: &'static str,
    version: u32,
    /// The folder, as typed.
    out: String,
    runs: Vec<Row>,
    /// How the names of their folders begin.
    #[serde(skip)]
    first: String,
}

/// A run of it.
#[derive(Debug, Serialize)]
struct Row {
    /// What it has of its own.
    settings: BTreeMap<String, String>,
    out: PathBuf,
    /// `finished`, `unfinished`, or `not begun`.
    state: &'static str,
    /// Exit code of its last process in this sweep; none where nothing was left to do.
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    risk_measure: Option<String>,
    /// Of the recommendation, by the model.
    #[serde(skip_serializing_if = "Option::is_none")]
    risk: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mean: Option<f64>,
    /// The recommendation.
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<BTreeMap<String, Value>>,
    evaluations: usize,
    /// Of them.
    failed: usize,
}

impl Sweep<'_> {
    /// Puts the settings in common into the folder, or finds the same there.
    ///
    /// # Errors
    /// A folder that holds another sweep, or cannot be written.
    pub fn settle(&self, common: &RawSettings) -> Result<(), Failure> {
        let file = self.out.join(SWEEP);
        let text = toml::to_string(common)
            .map_err(|error| Failure::unexpected("writing the settings of the sweep", error))?;
        if file.exists() {
            let there = bounded::read_text(&file, bounded::SETTINGS)
                .map_err(|error| Failure::input(&file, error, "make it readable"))?;
            return match there == text {
                true => Ok(()),
                false => Err(Failure::input(
                    &file,
                    format!(
                        "the sweep here was begun with other settings ({}); nothing was changed",
                        apart(&there, &text)
                    ),
                    "type it with those settings (other values of --over are fine), or give --out another folder; \
                     a run of it is made longer by bo resume RUN --iterations N",
                )),
            };
        }
        if holds_run(self.out) {
            return Err(Failure::holds_run(
                self.out.to_owned(),
                "bo sweep".to_owned(),
            ));
        }
        std::fs::create_dir_all(self.out).map_err(|error| {
            Failure::input(self.out, error, "give --out a directory that can be made")
        })?;
        Ok(replace(&file, text.as_bytes())?)
    }

    /// Does what is left of every run, in order; `said` is told of each. Ends early only when asked to stop.
    ///
    /// # Errors
    /// This program cannot be started again.
    pub fn run(&self, stop: &StopFlag, said: &dyn Fn(&str)) -> Result<Swept, Failure> {
        let mut rows = Vec::with_capacity(self.runs.len());
        for (number, one) in self.runs.iter().enumerate() {
            let folder = self.out.join(&one.name);
            let mut code = None;
            if stop.asked().is_none() && !finished(&folder) {
                said(&format!(
                    "run {} of {}: {}",
                    number + 1,
                    self.runs.len(),
                    typed(&folder)
                ));
                let ended = self.one(one, &folder, stop)?;
                if ended != 0 && stop.asked().is_none() {
                    said(&format!(
                        "{} ended with code {ended}; the sweep goes on",
                        typed(&folder)
                    ));
                }
                code = Some(ended);
            }
            rows.push(Row::new(one, folder, code));
        }
        Ok(Swept {
            format: "bo/sweep",
            version: 1,
            out: self.out.display().to_string(),
            runs: rows,
            first: self
                .runs
                .first()
                .and_then(|one| one.values.first())
                .map_or_else(String::new, |(key, _)| key.clone()),
        })
    }

    /// Begins a run or goes on with it, to its end; its exit code.
    fn one(&self, one: &Combination, folder: &Path, stop: &StopFlag) -> Result<u8, Failure> {
        let failed = |error: std::io::Error| Failure::unexpected("starting a run", error);
        let begun = Instant::now();
        // that of a sweep that was killed may still be ending
        while Lock::holder(folder).is_some() && begun.elapsed() < PATIENCE {
            thread::sleep(PAUSE);
        }
        let mut command = Command::new(std::env::current_exe().map_err(failed)?);
        match holds_run(folder) {
            true => command.arg("resume").arg(folder),
            false => command
                .args(["run", "--config"])
                .arg(self.out.join(SWEEP))
                .args(one.flags())
                .arg("--out")
                .arg(folder),
        };
        if self.quiet {
            command.arg("--quiet");
        }
        let mut child = command
            .env(SWEPT_BY, std::process::id().to_string())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(failed)?;
        let mut passed_on = false;
        loop {
            if let Some(status) = child.try_wait().map_err(failed)? {
                // without a code a signal ended it
                return Ok(status.code().map_or(137, |code| code as u8));
            }
            if stop.asked().is_some() && !passed_on {
                let _ = kill_process(Pid::from_child(&child), Signal::TERM); // it may just have ended
                passed_on = true;
            }
            thread::sleep(PAUSE);
        }
    }
}

/// Whether nothing is left to do for the run in `folder`.
fn finished(folder: &Path) -> bool {
    History::read(folder).is_ok_and(|history| is_finished(&history))
}

impl Row {
    fn new(one: &Combination, out: PathBuf, code: Option<u8>) -> Self {
        let history = History::read(&out).ok();
        let incumbent = history.as_ref().and_then(recommended);
        Self {
            settings: one.values.iter().cloned().collect(),
            state: match &history {
                Some(history) if is_finished(history) => "finished",
                Some(_) => "unfinished",
                None => "not begun",
            },
            code,
            risk_measure: history
                .as_ref()
                .map(|history| risk_words(&history.manifest).1),
            risk: incumbent.as_ref().map(|known| known.risk),
            mean: incumbent.as_ref().map(|known| known.mean),
            x: incumbent
                .zip(history.as_ref())
                .map(|(known, history)| history.manifest.named_x(&known.x)),
            failed: history.as_ref().map_or(0, |history| {
                let lines = history.evaluations.iter();
                lines.filter(|line| line.value.is_none()).count()
            }),
            evaluations: history.map_or(0, |history| history.evaluations.len()),
            out,
        }
    }
}

/// The settings in which two texts differ, each as it was and as it is typed now.
fn apart(there: &str, typed: &str) -> String {
    let table = |text: &str| text.parse::<toml::Table>().unwrap_or_default();
    let (there, typed) = (table(there), table(typed));
    let keys: BTreeSet<&String> = there.keys().chain(typed.keys()).collect();
    let shown = |value: Option<&toml::Value>| {
        value.map_or_else(|| "not given".to_owned(), ToString::to_string)
    };
    let differing = keys
        .into_iter()
        .filter(|key| there.get(*key) != typed.get(*key));
    let words: Vec<String> = differing
        .map(|key| {
            let (before, now) = (shown(there.get(key)), shown(typed.get(key)));
            format!("{key}: {before}, now {now}")
        })
        .collect();
    words.join("; ")
}

impl Swept {
    /// The exit code of the first run that failed, if one did.
    pub fn code(&self) -> Option<u8> {
        self.runs
            .iter()
            .find_map(|row| row.code.filter(|code| *code != 0))
    }
}

impl fmt::Display for Swept {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let header = ["run", "state", "evaluations", "failed", "risk", "mean"].map(str::to_owned);
        let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), value);
        let row = |row: &Row| {
            let state = match row.code {
                Some(code) if code != 0 => format!("{}, code {code}", row.state),
                _ => row.state.to_owned(),
            };
            let own: Vec<String> = row
                .settings
                .iter()
                .map(|(key, value)| format!("{key}={value}"))
                .collect();
            [
                own.join(" "),
                state,
                row.evaluations.to_string(),
                row.failed.to_string(),
                number(row.risk),
                number(row.mean),
            ]
        };
        let table: Vec<[String; 6]> = std::iter::once(header)
            .chain(self.runs.iter().map(row))
            .collect();
        let width = |k: usize| {
            table
                .iter()
                .map(|row| row[k].chars().count())
                .max()
                .unwrap_or(0)
        };
        for row in &table {
            let [own, state, evaluations, failed, risk, mean] = row;
            writeln!(
                f,
                "{own:<a$}  {state:<b$}  {evaluations:>c$}  {failed:>d$}  {risk:>e$}  {mean:>f$}",
                a = width(0),
                b = width(1),
                c = width(2),
                d = width(3),
                e = width(4),
                f = width(5)
            )?;
        }
        let measures: BTreeSet<&str> = self
            .runs
            .iter()
            .filter_map(|row| row.risk_measure.as_deref())
            .collect();
        let measures: Vec<&str> = measures.into_iter().collect();
        writeln!(f, "\nrisk by the model: {}", measures.join("; "))?;
        let out = typed(Path::new(&self.out));
        // not all that lies there is a run
        writeln!(
            f,
            "all of them as one page: bo report {out}/{}-*",
            self.first
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_combination_has_a_folder_that_its_values_name() {
        let axes = [
            ("alpha", vec!["0.1", "0.5"]),
            ("edge-model", vec!["a/b", "c"]),
        ];
        let owned = |values: &Vec<&str>| values.iter().map(|&value| value.to_owned()).collect();
        let axes: Vec<(String, Vec<String>)> = axes
            .iter()
            .map(|(key, values)| ((*key).to_owned(), owned(values)))
            .collect();
        let all = combinations(&axes);
        let names: Vec<&str> = all.iter().map(|one| one.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "alpha-0.1_edge-model-a-b",
                "alpha-0.1_edge-model-c",
                "alpha-0.5_edge-model-a-b",
                "alpha-0.5_edge-model-c"
            ]
        );
        assert_eq!(all[2].flags(), ["--alpha=0.5", "--edge-model=a/b"]);
    }
}
