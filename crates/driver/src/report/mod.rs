//! `bo report`: one or several runs as a single HTML file with figures, without anything from elsewhere.
//!
//! [`Page`] collects sections, [`Plot`] draws axes with series as SVG. Reads a run's files only.

mod page;
mod plot;

pub use page::Page;
pub use plot::{Plot, Series};

use std::path::Path;

use crate::exit::Failure;
use crate::quantity::typed;
use crate::quantity::{bytes, seconds, value};
use crate::record::{History, MemoryLine, memory_lines};
use crate::show::recommended;
use crate::summary::{risk_words, shown, sign};

/// Environments listed in a table; a figure holds them all.
const LISTED: usize = 12;

/// A run as a report needs it.
struct Run {
    name: String,
    history: History,
    memory: Vec<MemoryLine>,
    /// Risk of what was recommended after each complete iteration, from 0.
    risks: Vec<f64>,
}

/// The report on the runs in these directories.
///
/// # Errors
/// A directory that holds no run, or one that cannot be read.
pub fn report(folders: &[impl AsRef<Path>]) -> Result<String, Failure> {
    let runs = folders
        .iter()
        .map(|folder| Run::read(folder.as_ref()))
        .collect::<Result<Vec<_>, _>>()?;
    let mut page = Page::new(&match runs.as_slice() {
        [run] => format!("bo: {}", run.name),
        runs => format!("bo: {} runs", runs.len()),
    });
    page.table(
        &[
            "run",
            "risk measure",
            "risk",
            "mean",
            "iterations",
            "evaluations",
            "failed",
            "time",
            "peak memory",
        ],
        &runs.iter().map(Run::row).collect::<Vec<_>>(),
    );
    page.figure(
        "Risk of what would have been recommended after each iteration, by the model",
        &risks(&runs),
    );
    for run in &runs {
        page.heading(&run.name);
        run.sections(&mut page);
    }
    Ok(page.finish())
}

/// The risk of every run over its iterations.
fn risks(runs: &[Run]) -> Plot {
    let mut plot = Plot::new(
        "iteration",
        runs.first()
            .map_or("risk", |run| risk_words(&run.history.manifest).0),
    );
    for run in runs {
        plot.add(Series::line(
            &run.name,
            (0..).map(f64::from).zip(run.risks.iter().copied()),
        ));
    }
    plot
}

impl Run {
    fn read(folder: &Path) -> Result<Self, Failure> {
        let history = History::read(folder)?;
        let mut risks: Vec<f64> = history
            .decisions
            .iter()
            .filter_map(|line| line.incumbent.as_ref())
            .map(|known| known.risk)
            .collect();
        if crate::show::is_finished(&history)
            && let Some(last) = recommended(&history)
        {
            risks.push(last.risk);
        }
        Ok(Self {
            name: folder.display().to_string(),
            memory: memory_lines(folder),
            history,
            risks,
        })
    }

    /// Its row in the table of runs.
    fn row(&self) -> Vec<String> {
        let history = &self.history;
        let incumbent = recommended(history);
        let number = |number: Option<f64>| number.map_or_else(|| "-".to_owned(), value);
        let failed = history
            .evaluations
            .iter()
            .filter(|line| line.value.is_none())
            .count();
        let time: f64 = self
            .memory
            .iter()
            .map(|line| {
                line.seconds.fit + line.seconds.acquire + line.seconds.evaluate + line.seconds.other
            })
            .sum();
        let peak = self
            .memory
            .iter()
            .map(|line| line.most())
            .max()
            .unwrap_or(0);
        vec![
            self.name.clone(),
            risk_words(&history.manifest).1,
            number(incumbent.as_ref().map(|known| known.risk)),
            number(incumbent.as_ref().map(|known| known.mean)),
            format!(
                "{} of {}",
                self.risks.len().saturating_sub(1),
                history.manifest.iterations
            ),
            history.evaluations.len().to_string(),
            failed.to_string(),
            seconds(time),
            bytes(peak),
        ]
    }

    fn sections(&self, page: &mut Page) {
        let manifest = &self.history.manifest;
        if let Some(incumbent) = recommended(&self.history) {
            let named = manifest.named_x(&incumbent.x);
            let rows: Vec<Vec<String>> = manifest
                .x
                .iter()
                .map(|parameter| {
                    let known = named.get(&parameter.name).map_or_else(String::new, shown);
                    vec![parameter.name.clone(), known]
                })
                .collect();
            page.table(&["parameter", "recommended"], &rows);
            self.environments(page, &incumbent.per_environment);
        }
        page.figure(
            "Every value seen, in the order of the evaluations",
            &self.values(),
        );
        if self.memory.len() > 1 {
            page.figure(
                "Memory of each iteration, MB on the host",
                &self.memory_plot(),
            );
            page.figure("Time of each iteration, seconds", &self.time_plot());
        }
        let failures: Vec<Vec<String>> = self
            .history
            .evaluations
            .iter()
            .filter(|line| line.value.is_none())
            .map(|line| {
                vec![
                    line.id.to_string(),
                    line.iteration.to_string(),
                    line.status.clone(),
                    line.reason.clone().unwrap_or_default(),
                ]
            })
            .collect();
        if !failures.is_empty() {
            page.table(
                &["failed evaluation", "iteration", "status", "reason"],
                &failures,
            );
        }
        page.command(&format!("bo show {}", typed(Path::new(&self.name))));
    }

    /// Environments at the recommendation, from the worst.
    fn environments(&self, page: &mut Page, predicted: &[f64]) {
        let manifest = &self.history.manifest;
        if predicted.len() != manifest.environments.len() || predicted.is_empty() {
            return;
        }
        let sign = sign(manifest);
        let mut order: Vec<usize> = (0..predicted.len()).collect();
        order.sort_by(|&a, &b| (sign * predicted[a]).total_cmp(&(sign * predicted[b])));
        let mut plot = Plot::new("environment, the worst first", "by the model");
        plot.add(Series::bars(
            "predicted",
            (0..)
                .map(f64::from)
                .zip(order.iter().map(|&row| predicted[row])),
        ));
        page.figure("Environments at the recommendation, by the model", &plot);
        let name = |row| manifest.environments.name(row).unwrap_or_default();
        let rows: Vec<Vec<String>> = order
            .iter()
            .take(LISTED)
            .map(|&row| vec![name(row).to_owned(), value(predicted[row])])
            .collect();
        page.table(&["worst environments", "by the model"], &rows);
    }

    fn values(&self) -> Plot {
        let mut plot = Plot::new("evaluation", "value");
        let seen = |initial: bool| {
            self.history
                .evaluations
                .iter()
                .filter(move |line| (line.iteration == 0) == initial)
                .filter_map(|line| Some((line.id as f64, line.value?)))
        };
        plot.add(Series::dots("initial design", seen(true)));
        plot.add(Series::dots("decided", seen(false)));
        plot
    }

    fn memory_plot(&self) -> Plot {
        let mut plot = Plot::new("iteration", "MB");
        let of = |bytes: fn(&MemoryLine) -> u64| {
            self.memory
                .iter()
                .map(move |line| (line.iteration as f64, bytes(line) as f64 / 1e6))
        };
        plot.add(Series::line("resident", of(|line| line.resident)));
        plot.add(Series::line(
            "peak of the iteration",
            of(|line| line.peak.host),
        ));
        plot.add(Series::line("kept after it", of(|line| line.after.host)));
        plot
    }

    fn time_plot(&self) -> Plot {
        let mut plot = Plot::new("iteration", "seconds");
        let of = |part: fn(&MemoryLine) -> f64| {
            self.memory
                .iter()
                .filter(|line| line.iteration > 0)
                .map(move |line| (line.iteration as f64, part(line)))
        };
        plot.add(Series::line("evaluate", of(|line| line.seconds.evaluate)));
        plot.add(Series::line("fit", of(|line| line.seconds.fit)));
        plot.add(Series::line("acquire", of(|line| line.seconds.acquire)));
        plot
    }
}
