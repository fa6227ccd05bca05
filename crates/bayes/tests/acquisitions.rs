//! What every acquisition must pass: valid, free, finite and never negative on every kind of space and
//! environment, with next to no data, and the same bits for any number of threads.

use bo_bayes::environment::{Continuous, Environments, Finite, Look, Marginal};
use bo_bayes::optimizer::{
    AcquisitionKind, Decision, Direction, Observation, Optimizer, Outcome, Problem, Query, Settings,
};
use bo_bayes::risk::RiskMeasure;
use bo_bayes::space::{Condition, Parameter, Space};

fn spaces() -> Vec<Vec<Parameter>> {
    let real = || Parameter::real("r", -2.0, 3.0);
    let log = || Parameter::real("l", 1e-4, 1.0).log();
    let integer = || Parameter::integer("k", 1, 4);
    let category = || Parameter::categorical("c", ["x", "y", "z"]);
    vec![
        vec![real()],
        vec![log()],
        vec![integer()],
        vec![category()],
        vec![real(), log(), integer(), category()],
    ]
}

fn environments() -> Vec<Environments> {
    let points = (0..5)
        .map(|i| vec![f64::from(i), f64::from(i * i % 3)])
        .collect();
    let weights = Some(vec![0.1, 0.4, 0.2, 0.2, 0.1]);
    let finite = Finite::new(vec!["a".into(), "b".into()], points, weights, None).unwrap();
    let normal = Marginal::Normal { mean: 1.0, sd: 0.5 };
    let continuous = Continuous::new(vec![("t".into(), normal)]).unwrap();
    vec![
        Environments::None,
        Environments::Finite(finite),
        Environments::Continuous(continuous),
    ]
}

fn objective(q: &Query) -> f64 {
    let x: f64 = q.x.iter().map(|v| (v - 0.7).sin()).sum();
    x * (1.0 + 0.3 * q.w.iter().sum::<f64>())
}

fn tell(o: &mut Optimizer, iteration: u64, query: Query) {
    let id = o.observations().len() as u64;
    let outcome = Outcome::Value(objective(&query));
    let observation = Observation {
        id,
        iteration,
        query,
        outcome,
    };
    o.tell(observation).unwrap();
}

/// Decisions of a short run; each is checked where it is made.
fn run(
    acquisition: AcquisitionKind,
    parameters: &[Parameter],
    environments: &Environments,
) -> Vec<Decision> {
    let problem = Problem {
        space: Space::new(parameters.to_vec()).unwrap(),
        environments: environments.clone(),
        direction: Direction::Maximize,
    };
    let pairs = problem
        .space
        .size()
        .and_then(|n| Some(n * environments.count()? as u64));
    let settings = Settings {
        n_initial: 2,
        initial_w: 1,
        n_w: Look::Count(environments.count().unwrap_or(3).min(3)),
        acquisition,
        seed: 4,
        ..Settings::default()
    };
    let mut o = Optimizer::new(problem.clone(), settings).unwrap();
    for q in o.initial_design() {
        tell(&mut o, 0, q);
    }
    o.refit(0).unwrap();
    let mut decisions = Vec::new();
    for i in 1..=4 {
        let d = o.decide(i).unwrap();
        problem.space.check(&d.query.x).unwrap();
        let told = format!("{acquisition:?} on {parameters:?} in {environments:?}: {d:?}");
        assert!(d.acquisition >= 0.0 && d.acquisition.is_finite(), "{told}");
        let left = pairs.is_none_or(|n| (o.observations().len() as u64) < n);
        let repeated = o.observations().iter().any(|p| p.query == d.query);
        assert!(!(left && repeated), "a repeat: {told}");
        tell(&mut o, i, d.query.clone());
        o.refit(i).unwrap();
        decisions.push(d);
    }
    decisions
}

#[test]
fn every_acquisition_passes_the_battery() {
    for acquisition in AcquisitionKind::ALL {
        for parameters in spaces() {
            for environments in environments() {
                run(acquisition, &parameters, &environments);
            }
        }
    }
}

#[test]
fn every_acquisition_decides_alike_with_any_number_of_threads() {
    let (parameters, environments) = (spaces().pop().unwrap(), &environments()[1]);
    for acquisition in AcquisitionKind::ALL {
        let decisions = |threads: usize| {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads);
            let pool = pool.build().unwrap();
            pool.install(|| run(acquisition, &parameters, environments))
        };
        let one = decisions(1);
        for threads in [2, 3, 8] {
            assert_eq!(decisions(threads), one, "{acquisition:?}, {threads}");
        }
    }
}

#[test]
fn a_batch_holds_no_pair_twice_and_begins_with_the_single_decision() {
    for acquisition in AcquisitionKind::ALL {
        let problem = Problem {
            space: Space::new(vec![Parameter::integer("k", 1, 6)]).unwrap(),
            environments: environments()[1].clone(),
            direction: Direction::Maximize,
        };
        let settings = Settings {
            n_w: Look::All,
            acquisition,
            ..Settings::default()
        };
        let mut o = Optimizer::new(problem, settings).unwrap();
        let told: Vec<Query> = o.initial_design();
        for q in told.clone() {
            tell(&mut o, 0, q);
        }
        o.refit(0).unwrap();
        let batch = o.decide_batch(1, 15).unwrap();
        assert_eq!(batch[0], o.decide(1).unwrap(), "{acquisition:?}");
        let mut all = told;
        for d in batch {
            assert!(!all.contains(&d.query), "{acquisition:?}: {:?}", d.query);
            all.push(d.query);
        }
        assert_eq!(all.len(), 30, "{acquisition:?}: the whole space");
    }
}

/// A run of `iterations` on two reals and a category; returns the optimizer at its end.
fn played(
    acquisition: AcquisitionKind,
    space: Space,
    iterations: u64,
    f: impl Fn(&Query) -> Outcome,
) -> Optimizer {
    let problem = Problem {
        space,
        environments: environments()[1].clone(),
        direction: Direction::Maximize,
    };
    let settings = Settings {
        n_initial: 6,
        initial_w: 1,
        risk: RiskMeasure::Mean,
        acquisition,
        seed: 2,
        ..Settings::default()
    };
    let mut o = Optimizer::new(problem, settings).unwrap();
    let answer = |o: &mut Optimizer, iteration: u64, query: Query| {
        let id = o.observations().len() as u64;
        let outcome = f(&query);
        let observation = Observation {
            id,
            iteration,
            query,
            outcome,
        };
        o.tell(observation).unwrap();
    };
    for q in o.initial_design() {
        answer(&mut o, 0, q);
    }
    o.refit(0).unwrap();
    for i in 1..=iterations {
        let q = o.decide(i).unwrap().query;
        answer(&mut o, i, q);
        o.refit(i).unwrap();
    }
    o
}

fn square() -> Vec<Parameter> {
    vec![
        Parameter::real("a", 0.0, 1.0),
        Parameter::real("b", 0.0, 1.0),
        Parameter::categorical("c", ["x", "y"]),
    ]
}

#[test]
fn every_acquisition_stays_where_the_condition_admits() {
    // A corner of a fifth of the square; the objective pulls out of it.
    let admits = |x: &[f64]| x[0] + x[1] <= 0.63 && (x[2] == 0.0 || x[0] < 0.3);
    for acquisition in AcquisitionKind::ALL {
        let space = Space::new(square()).unwrap().under(Condition::new(admits));
        let o = played(acquisition, space, 5, |q| {
            Outcome::Value(q.x[0] + 0.8 * q.x[1] + 0.1 * q.w[0])
        });
        for told in o.observations() {
            assert!(admits(&told.query.x), "{acquisition:?}: {:?}", told.query.x);
        }
        assert!(admits(&o.incumbent().unwrap().x), "{acquisition:?}");
    }
    let nowhere = Space::new(square()).unwrap();
    let nowhere = nowhere.under(Condition::new(|_| false));
    let problem = Problem {
        space: nowhere,
        environments: Environments::None,
        direction: Direction::Maximize,
    };
    let refused = Optimizer::new(problem, Settings::default()).unwrap_err();
    assert!(refused.to_string().contains("admitted by its constraints"));
}

#[test]
fn a_failing_half_is_left_alone_and_not_recommended() {
    // Everything gets better towards the half that fails.
    let fails = |x: &[f64]| x[0] > 0.5;
    for acquisition in AcquisitionKind::ALL {
        if acquisition == AcquisitionKind::Random {
            continue;
        }
        let space = Space::new(square()).unwrap();
        let o = played(acquisition, space, 16, |q| {
            if fails(&q.x) {
                Outcome::Failed
            } else {
                Outcome::Value(q.x[0] - (q.x[1] - 0.4).powi(2) + 0.05 * q.w[0])
            }
        });
        // The best x lies on the border, which is asked about from both sides.
        let wasted = o.observations().iter().filter(|t| t.iteration > 0);
        let wasted = wasted.filter(|t| t.query.x[0] > 0.55).count();
        let best = o.incumbent().unwrap().x;
        assert!(wasted <= 6, "{acquisition:?}: {wasted} of 16 wasted");
        assert!(!fails(&best), "{acquisition:?} recommends {best:?}");
    }
}
