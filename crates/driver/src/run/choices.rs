//! The optimiser's settings from those of the run.

use bo_bayes::environment::Look;
use bo_bayes::optimizer::{self, AcquisitionKind, Problem};
use bo_bayes::risk::{RiskMeasure, TailMass};

use crate::exit::Failure;
use crate::settings::{self, Acquisition, Origin, Risk, Study};

/// The optimiser's settings, checked against the problem.
///
/// # Errors
/// [`Failure::Setting`] when a decision is to look at more environments than there are.
pub fn choices(study: &Study, problem: &Problem) -> Result<optimizer::Settings, Failure> {
    let count = problem.environments.count();
    let n_w = match study.n_w {
        settings::Look::All(_) => Look::All,
        settings::Look::Count(asked) => {
            if let Some(count) = count
                && asked > count
            {
                return Err(Failure::Setting {
                    key: "n-w".into(),
                    origin: Origin::Flag("--n-w".into()),
                    reason: format!("{asked} is above the number of environments, {count}"),
                    remedy: format!("type --n-w {count} or fewer, or --n-w all"),
                });
            }
            Look::Count(asked)
        }
    };
    let initial_w = match study.initial_w {
        settings::Look::Count(asked) => asked,
        settings::Look::All(_) => count.unwrap_or(bo_bayes::environment::JUDGING_POINTS),
    };
    Ok(optimizer::Settings {
        n_initial: study.n_initial,
        initial_w,
        n_w,
        risk: risk(study)?,
        acquisition: match study.acquisition {
            Acquisition::RhoKg => AcquisitionKind::RhoKg,
            Acquisition::Random => AcquisitionKind::Random,
        },
        seed: study.seed,
        ..optimizer::Settings::default()
    })
}

fn risk(study: &Study) -> Result<RiskMeasure, Failure> {
    let tail = TailMass::new(study.alpha)
        .map_err(|error| Failure::unexpected("reading the tail mass", error))?;
    Ok(match study.risk {
        Risk::Cvar => RiskMeasure::Cvar(tail),
        Risk::Var => RiskMeasure::Var(tail),
        Risk::Worst => RiskMeasure::Worst,
        Risk::Mean => RiskMeasure::Mean,
        Risk::MeanDeviation => RiskMeasure::MeanDeviation { k: study.k },
    })
}
