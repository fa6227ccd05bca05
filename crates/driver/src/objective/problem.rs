//! Test functions with known optimum: the cheap twin of every expensive objective.

use std::collections::BTreeMap;

use bo_bayes::risk::{RiskMeasure, TailMass};
use bo_bayes::synthetic::{self, Synthetic};

use super::{Description, Objective, Opened, Outcome, Request};
use crate::exit::Failure;
use crate::record::Truth;
use crate::settings::{Origin, nearest};

/// A test function, with the noise that belongs to it.
struct TestFunction(Synthetic);

/// Opens a problem by its name.
///
/// # Errors
/// An unknown name: [`Failure::Setting`] with the nearest known one.
pub fn open(name: &str) -> Result<Opened, Failure> {
    let Some(function) = synthetic::by_name(name) else {
        let known = synthetic::NAMES.join(", ");
        return Err(Failure::Setting {
            key: "problem".into(),
            origin: Origin::Flag("--problem".into()),
            reason: format!("no test function is called {name:?}"),
            remedy: match nearest(name, synthetic::NAMES) {
                Some(near) => format!("did you mean {near}? known are {known}"),
                None => format!("known are {known}"),
            },
        });
    };
    Ok(Opened {
        earlier: Vec::new(),
        problem: function.problem(),
        objective: Box::new(TestFunction(function)),
        notices: Vec::new(),
    })
}

impl Objective for TestFunction {
    fn evaluate(&mut self, request: &Request) -> Outcome {
        Outcome::Value(
            self.0
                .observe(&request.query, self.0.noise(), request.seed, request.id),
        )
    }

    fn worker(&self) -> Option<Box<dyn Objective + Send>> {
        Some(Box::new(Self(self.0.clone())))
    }

    fn stop(&mut self) {}

    fn truth(&self, x: &[f64], risk: RiskMeasure) -> Option<Truth> {
        let tail = TailMass::new(self.0.tail()).ok()?;
        Some(Truth {
            risk: self.0.true_risk(x, risk),
            tail: self.0.tail(),
            cvar: self.0.true_risk(x, RiskMeasure::Cvar(tail)),
            best: self.0.optimum().0,
        })
    }

    fn describe(&self) -> Description {
        let environments = match &self.0.problem().environments {
            bo_bayes::environment::Environments::Finite(finite) => finite.labels(),
            _ => Vec::new(),
        };
        let (best, at) = self.0.optimum();
        Description {
            kind: "problem".into(),
            environments,
            hashes: BTreeMap::new(),
            texts: BTreeMap::new(),
            notes: BTreeMap::from([
                ("problem".to_owned(), self.0.name().to_owned()),
                (
                    "best CVaR known".to_owned(),
                    format!("{best} at tail mass {} and x {at:?}", self.0.tail()),
                ),
            ]),
        }
    }
}
