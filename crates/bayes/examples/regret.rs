//! True regret after each evaluation on the synthetic problems:
//! `regret PROBLEM FIRST_SEED SEEDS ITERATIONS [ACQUISITION] [N_W] [N_INITIAL] [plain|region]`.
//!
//! Initial design and noise as in the BoTorch script it is compared with: 2 (dx + dw) + 2 joint Sobol
//! points (or N_INITIAL) with one environment each, n_w 16. One JSON line per seed on stdout:
//! `{"problem":..,"mode":..,"acquisition":..,"seed":..,"regret":[after the initial design, ...],"best_seen":..,"seconds":..}`;
//! `best_seen` is the true regret of the best x that was evaluated, at the end.

use bo_bayes::environment::Look;
use bo_bayes::optimizer::{
    AcquisitionKind, HighDimension, Observation, Optimizer, Outcome, Settings,
};
use bo_bayes::risk::{RiskMeasure, TailMass};
use bo_bayes::synthetic;
use std::io::Write as _;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let text = |i: usize| arguments.get(i).map(String::as_str);
    let usage = "regret PROBLEM FIRST_SEED SEEDS ITERATIONS [rho-kg|rho-kg-paths|cv-ucb|log-nei|thompson|random] [N_W] [N_INITIAL] [plain|region]";
    let problem = text(0).and_then(synthetic::by_name).ok_or(usage)?;
    let number = |i: usize| text(i).and_then(|t| t.parse::<u64>().ok());
    let (first, seeds, iterations) = (
        number(1).ok_or(usage)?,
        number(2).ok_or(usage)?,
        number(3).ok_or(usage)?,
    );
    let name = text(4).unwrap_or("rho-kg");
    let acquisition = match name {
        "random" => AcquisitionKind::Random,
        "cv-ucb" => AcquisitionKind::CvUcb,
        "log-nei" => AcquisitionKind::LogNei,
        "thompson" => AcquisitionKind::Thompson,
        "rho-kg" => AcquisitionKind::RhoKg,
        "rho-kg-paths" => AcquisitionKind::RhoKgPaths,
        other => return Err(format!("unknown acquisition {other:?}: {usage}").into()),
    };
    let mode = text(7).unwrap_or("plain");
    let high_dimension = match mode {
        "plain" => HighDimension::Plain,
        "region" => HighDimension::Region,
        other => return Err(format!("unknown mode {other:?}: {usage}").into()),
    };
    let n_w = number(5).map_or(16, |n| n as usize);
    let mut out = std::io::stdout().lock();
    for seed in first..first + seeds {
        let p = problem.problem();
        let d = p.space.dimension() + p.environments.encoded_dimension();
        let risk = RiskMeasure::Cvar(TailMass::new(problem.tail())?);
        let look = match p.environments.count() {
            Some(n) if n <= n_w => Look::All,
            _ => Look::Count(n_w),
        };
        let settings = Settings {
            n_initial: number(6).map_or(2 * d + 2, |n| n as usize),
            initial_w: 1,
            n_w: look,
            risk,
            acquisition,
            high_dimension,
            seed,
            ..Settings::default()
        };
        let clock = std::time::Instant::now();
        let mut optimizer = Optimizer::new(p, settings)?;
        let mut id = 0;
        let mut tell = |optimizer: &mut Optimizer, query, iteration| {
            let value = problem.observe(&query, problem.noise(), seed, id);
            let outcome = Outcome::Value(value);
            let told = optimizer.tell(Observation {
                id,
                iteration,
                query,
                outcome,
            });
            id += 1;
            told
        };
        for query in optimizer.initial_design() {
            tell(&mut optimizer, query, 0)?;
        }
        optimizer.refit(0)?;
        let regret = |optimizer: &Optimizer| -> Result<f64, Box<dyn std::error::Error>> {
            let x = optimizer.incumbent()?.x;
            Ok(problem.optimum().0 - problem.true_risk(&x, risk))
        };
        let mut trace = vec![regret(&optimizer)?];
        for iteration in 1..=iterations {
            let decision = optimizer.decide(iteration)?;
            tell(&mut optimizer, decision.query, iteration)?;
            optimizer.refit(iteration)?;
            trace.push(regret(&optimizer)?);
        }
        let seconds = clock.elapsed().as_secs_f64();
        let evaluated = optimizer.observations().iter();
        let best_seen = evaluated
            .map(|o| problem.optimum().0 - problem.true_risk(&o.query.x, risk))
            .fold(f64::INFINITY, f64::min);
        writeln!(
            out,
            "{{\"problem\":\"{}\",\"mode\":\"{mode}\",\"acquisition\":\"{name}\",\"n_w\":{n_w},\"seed\":{seed},\"regret\":{trace:?},\"best_seen\":{best_seen:?},\"seconds\":{seconds:.3}}}",
            problem.name()
        )?;
    }
    Ok(())
}
