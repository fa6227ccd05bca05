//! One awkward optimisation, read from bytes: the test draws them, the fuzz target is given them.

use bo_bayes::environment::{Continuous, Environments, Finite, Look, Marginal};
use bo_bayes::kernel::KernelKind;
use bo_bayes::optimizer::{
    AcquisitionKind, Direction, Error, Event, HighDimension, Observation, Optimizer, Outcome,
    Problem, Query, Settings, Surrogate,
};
use bo_bayes::risk::{RiskMeasure, TailMass};
use bo_bayes::space::{Parameter, Space};

/// Numbers from bytes; 0 once they are used up.
pub struct Bytes<'a>(pub &'a [u8]);

impl Bytes<'_> {
    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.0.split_first() else {
            return 0;
        };
        self.0 = rest;
        *first
    }

    fn below(&mut self, n: usize) -> usize {
        usize::from(self.byte()) % n
    }

    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }

    /// In [0, 1], both ends often.
    fn unit(&mut self) -> f64 {
        match self.byte() {
            0..16 => 0.0,
            16..32 => 1.0,
            high => (f64::from(high) * 256.0 + f64::from(self.byte())) / 65_535.0,
        }
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }
}

/// Scales that values and inputs come in.
const SCALES: [f64; 9] = [1.0, 1.0, 1.0, 1e-6, 1e6, 1e-300, 1e300, 1e-12, 1e12];

fn parameter(bytes: &mut Bytes<'_>, name: String, large: bool) -> Parameter {
    match bytes.below(8) {
        0 => Parameter::integer(name, 0, bytes.below(3) as i64),
        1 => Parameter::integer(name, 1, if large { 1_000_000 } else { 12 }).log(),
        2 => Parameter::categorical(
            name,
            ["a", "b", "c"].iter().take(1 + bytes.below(3)).copied(),
        ),
        3 => Parameter::real(name, 1e-8, 1e8).log(),
        4 => {
            let scale = bytes.pick(&SCALES);
            Parameter::real(name, -scale, scale)
        }
        5 => Parameter::real(name, 1e9, 1e9 + 1e-5),
        _ => Parameter::real(name, 0.0, 1.0),
    }
}

fn environments(bytes: &mut Bytes<'_>, large: bool) -> Environments {
    let d = 1 + bytes.below(2);
    let names = (0..d).map(|i| format!("w{i}"));
    match bytes.below(4) {
        0 => Environments::None,
        1 if large => {
            let marginal = |bytes: &mut Bytes<'_>| {
                if bytes.one_in(2) {
                    let high = bytes.pick(&[1.0, 1e-9, 1e9]);
                    Marginal::Uniform { low: 0.0, high }
                } else {
                    let sd = bytes.pick(&[1.0, 1e-9, 1e9]);
                    Marginal::Normal { mean: 3.0, sd }
                }
            };
            let variables = names.map(|name| (name, marginal(bytes))).collect();
            Environments::Continuous(Continuous::new(variables).expect("proper marginals"))
        }
        _ => {
            let n = 1 + bytes.below(5);
            let scale = bytes.pick(&[1.0, 1.0, 0.0, 1e12, 1e-12]);
            let points = (0..n)
                .map(|_| (0..d).map(|_| scale * bytes.unit()).collect())
                .collect();
            let weights = bytes.one_in(2).then(|| {
                let mut weights: Vec<f64> =
                    (0..n).map(|_| bytes.pick(&[0.0, 1.0, 1e-9, 3.0])).collect();
                weights[0] += 1.0;
                weights
            });
            let finite = Finite::new(names.collect(), points, weights, None);
            Environments::Finite(finite.expect("proper environments"))
        }
    }
}

fn settings(bytes: &mut Bytes<'_>, problem: &Problem) -> Settings {
    let tail = TailMass::new(bytes.pick(&[0.1, 0.5, 1.0, 1e-9])).expect("in (0, 1]");
    let most = problem.environments.count().unwrap_or(4).min(4);
    Settings {
        n_w: Look::Count(1 + bytes.below(most)),
        risk: match bytes.below(6) {
            0 => RiskMeasure::Var(tail),
            1 => RiskMeasure::Worst,
            2 => RiskMeasure::Mean,
            3 => RiskMeasure::MeanDeviation { k: 2.0 },
            _ => RiskMeasure::Cvar(tail),
        },
        acquisition: bytes.pick(&AcquisitionKind::ALL),
        high_dimension: bytes.pick(&HighDimension::ALL),
        surrogate: Surrogate {
            kernel: bytes.pick(&KernelKind::ALL),
            product: bytes.one_in(3),
            warp: bytes.one_in(4),
            rough_noise: bytes.one_in(2),
        },
        seed: u64::from(bytes.byte()),
        ..Settings::default()
    }
}

/// Values of one case: what kind, on which scale.
struct Values {
    kind: usize,
    scale: f64,
}

impl Values {
    fn outcome(&self, bytes: &mut Bytes<'_>, id: usize) -> Outcome {
        let value = self.scale
            * match self.kind {
                0 => 4.2,
                1 => 0.0,
                2 if id == 1 => -1e12,
                3 => bytes.pick(&[0.0, 1.0, 1.0]),
                4 => 1.0 + 1e-13 * bytes.unit(),
                _ => 2.0 * bytes.unit() - 1.0,
            };
        match bytes.below(16) {
            0 => Outcome::Value(bytes.pick(&[f64::NAN, f64::INFINITY, f64::NEG_INFINITY])),
            1..4 => Outcome::Failed,
            4..6 => Outcome::Rough(value),
            _ => Outcome::Value(value),
        }
    }
}

/// x of a case: fresh, at ends, equal to one before or a hair beside it.
fn unit_x(bytes: &mut Bytes<'_>, before: &[Vec<f64>], d: usize) -> Vec<f64> {
    if !before.is_empty() && bytes.one_in(3) {
        let mut unit = before[bytes.below(before.len())].clone();
        if bytes.one_in(2) {
            let at = bytes.below(d);
            unit[at] = (unit[at] + bytes.pick(&[1e-9, 1e-12, 1e-16, 1e-5])).min(1.0);
        }
        return unit;
    }
    (0..d).map(|_| bytes.unit()).collect()
}

/// Runs the case: some told at random, then asked and told in turn. Returns the events.
///
/// # Panics
/// If anything comes out that is not a number, or outside its range, or differs after a restore.
pub fn run(bytes: &mut Bytes<'_>) -> Vec<Event> {
    // One in 64 takes everything on, and up to seconds; the others a millisecond.
    let large = bytes.one_in(64);
    let parameters = (0..1 + bytes.below(if large { 4 } else { 2 })).map(|i| format!("x{i}"));
    let parameters = parameters
        .map(|name| parameter(bytes, name, large))
        .collect();
    let problem = Problem {
        space: Space::new(parameters).expect("proper parameters"),
        environments: environments(bytes, large),
        direction: bytes.pick(&[Direction::Maximize, Direction::Minimize]),
    };
    let settings = settings(bytes, &problem);
    let values = Values {
        kind: bytes.below(8),
        scale: bytes.pick(&SCALES),
    };
    let mut optimizer = Optimizer::new(problem.clone(), settings.clone()).expect("proper settings");
    let mut units: Vec<Vec<f64>> = Vec::new();
    for _ in 0..bytes.below(if large { 16 } else { 9 }) {
        let unit = unit_x(bytes, &units, problem.space.dimension());
        let query = query(bytes, &problem, problem.space.from_unit(&unit));
        units.push(unit);
        tell(&mut optimizer, 0, query, &values, bytes);
    }
    let mut events = Vec::new();
    for iteration in 0..1 + bytes.below(2) as u64 {
        events.extend(
            optimizer
                .refit(iteration)
                .expect("a refit cannot fail")
                .events,
        );
        check_model(&optimizer);
        if !large && !bytes.one_in(8) {
            break;
        }
        let decision = optimizer
            .decide(iteration + 1)
            .expect("a decision cannot fail");
        problem
            .space
            .check(&decision.query.x)
            .expect("x in the space");
        assert!(decision.query.w.iter().all(|w| w.is_finite()));
        assert!(
            decision.acquisition.is_finite(),
            "acquisition {}",
            decision.acquisition
        );
        if let Some(state) = optimizer
            .state()
            .filter(|s| s.observed == optimizer.observations().len())
        {
            let mut resumed = Optimizer::new(problem.clone(), settings.clone()).expect("as before");
            for observation in optimizer.observations() {
                resumed.tell(observation.clone()).expect("told before");
            }
            resumed.restore(state.clone()).expect("its own state");
            let again = resumed
                .decide(iteration + 1)
                .expect("a decision cannot fail");
            assert_eq!(again.query, decision.query, "a resumed run decides alike");
        }
        events.extend(decision.events);
        tell(
            &mut optimizer,
            iteration + 1,
            decision.query,
            &values,
            bytes,
        );
    }
    events
}

fn query(bytes: &mut Bytes<'_>, problem: &Problem, x: Vec<f64>) -> Query {
    match &problem.environments {
        Environments::None => Query {
            x,
            environment: None,
            w: Vec::new(),
        },
        Environments::Finite(finite) => {
            let row = bytes.below(finite.len());
            Query {
                x,
                environment: Some(row),
                w: finite.points()[row].to_vec(),
            }
        }
        Environments::Continuous(law) => {
            let u: Vec<f64> = law
                .names()
                .iter()
                .map(|_| bytes.unit().clamp(1e-12, 1.0 - 1e-12))
                .collect();
            Query {
                x,
                environment: None,
                w: law.quantile(&u),
            }
        }
    }
}

/// Tells what came back; what is no number must be refused, and is then told as failed.
fn tell(
    optimizer: &mut Optimizer,
    iteration: u64,
    query: Query,
    values: &Values,
    bytes: &mut Bytes<'_>,
) {
    let id = optimizer.observations().len();
    let outcome = values.outcome(bytes, id);
    let mut observation = Observation {
        id: id as u64,
        iteration,
        query,
        outcome,
    };
    if outcome.value().is_some_and(|value| !value.is_finite()) {
        let refused = optimizer.tell(observation.clone());
        assert!(matches!(refused, Err(Error::Value { .. })), "{refused:?}");
        observation.outcome = Outcome::Failed;
    }
    optimizer
        .tell(observation)
        .expect("an observation of the problem");
}

fn check_model(optimizer: &Optimizer) {
    if let Some(state) = optimizer.state() {
        let hyper = &state.hyper;
        hyper
            .check(hyper.lengthscales.len())
            .expect("usable hyperparameters");
        assert!(state.standardizer.shift.is_finite() && state.standardizer.scale > 0.0);
    }
    match optimizer.incumbent() {
        Ok(best) => {
            optimizer
                .problem()
                .space
                .check(&best.x)
                .expect("x in the space");
            assert!(best.risk.is_finite() && best.mean.is_finite(), "{best:?}");
            assert!(
                best.per_environment.iter().all(|v| v.is_finite()),
                "{best:?}"
            );
        }
        Err(e) => assert_eq!(e, Error::NothingObserved),
    }
}
