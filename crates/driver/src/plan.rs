//! What a run is going to do, said before it does it: the notice about small tails, and `--dry-run`.
//!
//! Central type: [`Plan`].

use std::fmt;

use bo_bayes::environment::{Environments, Look};
use bo_bayes::optimizer::{self, Looks, Problem};
use bo_bayes::risk::RiskMeasure;
use serde::Serialize;

use crate::exit::Failure;
use crate::objective;
use crate::run::{World, choices};
use crate::settings::{RawSettings, Settings};

/// What a user should know of settings that are sound but may surprise.
pub fn notices(problem: &Problem, choices: &optimizer::Settings) -> Vec<String> {
    let looks = match (choices.risk, choices.n_w) {
        (RiskMeasure::Cvar(tail) | RiskMeasure::Var(tail), Look::Count(n_w)) => {
            Looks::notice(tail.get(), n_w, &problem.environments)
        }
        _ => None,
    };
    looks.iter().map(Looks::to_string).collect()
}

/// What `bo run` would do.
#[derive(Clone, Debug, Serialize)]
pub struct Plan {
    format: &'static str,
    version: u32,
    settings: RawSettings,
    objective: String,
    parameters: Vec<String>,
    environments: Option<usize>,
    initial_evaluations: usize,
    decisions: u64,
    batch: usize,
    notices: Vec<String>,
}

impl Plan {
    /// Opens the objective and checks everything; changes nothing but its cache folder, which it leaves empty.
    ///
    /// # Errors
    /// Whatever `bo run` would refuse.
    pub fn new(settings: &Settings) -> Result<Self, Failure> {
        let out = settings.out();
        crate::run::free(out)?;
        let scratch = tempfile::tempdir()
            .map_err(|error| Failure::unexpected("making a temporary folder", error))?;
        let elsewhere = match &settings.means().cache {
            Some(_) => settings.clone(),
            None => settings.clone().at(scratch.path()),
        };
        let opened = objective::open(&elsewhere, World::default().surroundings(&elsewhere))?;
        let settings = settings
            .clone()
            .fitted(&opened.problem.environments, &opened.earlier);
        let choices = choices(settings.study(), &opened.problem, &opened.earlier)?;
        let mut all = opened.notices;
        all.extend(notices(&opened.problem, &choices));
        Ok(Self {
            format: "bo/plan",
            version: 1,
            objective: opened.objective.describe().kind,
            parameters: opened
                .problem
                .space
                .parameters()
                .iter()
                .map(|p| format!("{} in {}", p.name, p.domain))
                .collect(),
            environments: match &opened.problem.environments {
                Environments::None => Some(0),
                other => other.count(),
            },
            initial_evaluations: choices.n_initial * choices.initial_w,
            decisions: settings.study().iterations,
            batch: settings.study().batch,
            notices: all,
            settings: settings.into(),
        })
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let environments = match self.environments {
            None => "continuous environments".to_owned(),
            Some(0) => "no environments".to_owned(),
            Some(count) => format!("{count} environments"),
        };
        writeln!(f, "objective: {}, {environments}", self.objective)?;
        for parameter in &self.parameters {
            writeln!(f, "  {parameter}")?;
        }
        writeln!(
            f,
            "{} evaluations, then {} decisions with {} each",
            self.initial_evaluations,
            self.decisions,
            match self.batch {
                1 => "an evaluation".to_owned(),
                q => format!("{q} evaluations"),
            }
        )?;
        if let Some(out) = &self.settings.out {
            writeln!(f, "everything would go to {}", out.display())?;
        }
        for notice in &self.notices {
            writeln!(f, "{notice}")?;
        }
        writeln!(f, "nothing was run (--dry-run)")
    }
}
