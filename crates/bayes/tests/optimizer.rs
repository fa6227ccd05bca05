//! The ask/tell face as a user meets it: resuming, discrete spaces, direction, threads, bad luck.

use bo_bayes::environment::{Environments, Finite, Look};
use bo_bayes::optimizer::{
    AcquisitionKind, Decision, Direction, Event, HighDimension, Observation, Optimizer, Outcome,
    Problem, Query, Settings,
};
use bo_bayes::risk::{RiskMeasure, TailMass};
use bo_bayes::space::{Condition, Parameter, Space};

fn problem(parameters: Vec<Parameter>, direction: Direction) -> Problem {
    let points = (0..6)
        .map(|i| vec![f64::from(i), f64::from(i * i % 5)])
        .collect();
    let names = vec!["a".into(), "b".into()];
    Problem {
        space: Space::new(parameters).unwrap(),
        environments: Environments::Finite(Finite::new(names, points, None, None).unwrap()),
        direction,
    }
}

fn reals() -> Vec<Parameter> {
    vec![
        Parameter::real("rate", 1e-4, 1.0).log(),
        Parameter::integer("layers", 1, 6),
        Parameter::categorical("method", ["adam", "sgd"]),
    ]
}

fn settings(seed: u64) -> Settings {
    Settings {
        n_initial: 3,
        initial_w: 2,
        n_w: Look::Count(3),
        risk: RiskMeasure::Cvar(TailMass::new(0.4).unwrap()),
        seed,
        ..Settings::default()
    }
}

fn objective(q: &Query) -> f64 {
    let distance = (q.x[0].ln() + 4.0).powi(2) / 9.0 + (q.x[1] - 4.0).powi(2) / 8.0 + 0.3 * q.x[2];
    -distance + 0.2 * (q.w[0] * q.x[1]).sin() - 0.1 * q.w[1]
}

fn tell(o: &mut Optimizer, iteration: u64, query: Query, outcome: Outcome) {
    let id = o.observations().len() as u64;
    o.tell(Observation {
        id,
        iteration,
        query,
        outcome,
    })
    .unwrap();
}

fn start(problem: &Problem, settings: &Settings, f: impl Fn(&Query) -> f64) -> Optimizer {
    let mut o = Optimizer::new(problem.clone(), settings.clone()).unwrap();
    for q in o.initial_design() {
        let value = f(&q);
        tell(&mut o, 0, q, Outcome::Value(value));
    }
    o.refit(0).unwrap();
    o
}

fn go_on(
    o: &mut Optimizer,
    iterations: std::ops::RangeInclusive<u64>,
    f: impl Fn(&Query) -> f64,
) -> Vec<Decision> {
    iterations
        .map(|i| {
            let d = o.decide(i).unwrap();
            let value = f(&d.query);
            tell(o, i, d.query.clone(), Outcome::Value(value));
            o.refit(i).unwrap();
            d
        })
        .collect()
}

#[test]
fn a_run_resumed_from_any_decision_goes_on_bit_for_bit() {
    for high_dimension in HighDimension::ALL {
        resumes_bit_for_bit(&Settings {
            high_dimension,
            ..settings(3)
        });
    }
}

fn resumes_bit_for_bit(s: &Settings) {
    let p = problem(reals(), Direction::Maximize);
    let mut whole = start(&p, s, objective);
    let mut states = vec![whole.state().unwrap().clone()];
    let mut decisions = Vec::new();
    for i in 1..=6 {
        decisions.extend(go_on(&mut whole, i..=i, objective));
        states.push(whole.state().unwrap().clone());
    }
    for i in 1..=6_usize {
        let mut resumed = Optimizer::new(p.clone(), s.clone()).unwrap();
        let known = states[i - 1].observed;
        // Told in another order: ids decide.
        for o in whole.observations()[..known].iter().rev() {
            resumed.tell(o.clone()).unwrap();
        }
        let json = serde_json::to_string(&states[i - 1]).unwrap();
        resumed
            .restore(serde_json::from_str(&json).unwrap())
            .unwrap();
        let again = go_on(&mut resumed, i as u64..=6, objective);
        assert_eq!(again, decisions[i - 1..], "resumed before decision {i}");
        assert_eq!(resumed.state(), whole.state());
        assert_eq!(resumed.incumbent().unwrap(), whole.incumbent().unwrap());
    }
}

#[test]
fn decisions_do_not_depend_on_the_number_of_threads() {
    let (p, s) = (problem(reals(), Direction::Maximize), settings(8));
    let run = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap();
        pool.install(|| go_on(&mut start(&p, &s, objective), 1..=3, objective))
    };
    let one = run(1);
    for threads in [2, 3, 8] {
        assert_eq!(run(threads), one, "{threads} threads");
    }
}

#[test]
fn minimising_is_maximising_the_negative() {
    let s = settings(1);
    let (up, down) = (
        problem(reals(), Direction::Maximize),
        problem(reals(), Direction::Minimize),
    );
    let mut a = start(&up, &s, objective);
    let mut b = start(&down, &s, |q| -objective(q));
    let (da, db) = (
        go_on(&mut a, 1..=2, objective),
        go_on(&mut b, 1..=2, |q| -objective(q)),
    );
    assert_eq!(da, db);
    let (ia, ib) = (a.incumbent().unwrap(), b.incumbent().unwrap());
    assert_eq!((ia.x, ia.risk, ia.mean), (ib.x, -ib.risk, -ib.mean));
}

#[test]
fn a_discrete_space_is_used_up_without_repeats_and_then_says_so() {
    let parameters = vec![
        Parameter::integer("k", 1, 3),
        Parameter::categorical("c", ["x", "y"]),
    ];
    for acquisition in AcquisitionKind::ALL {
        let p = problem(parameters.clone(), Direction::Maximize);
        let s = Settings {
            acquisition,
            ..settings(2)
        };
        let f = |q: &Query| q.x[0] * q.w[0] - q.x[1];
        let mut o = start(&p, &s, f);
        let left = 36 - o.observations().len() as u64;
        let decisions = go_on(&mut o, 1..=left, f);
        for (i, d) in (1..).zip(&decisions) {
            // Where all pairs that a decision looks at are used up, another is taken, and that is told.
            let looked = p.environments.decision_set(s.n_w, s.seed, i).unwrap();
            let inside = looked
                .environments()
                .any(|e| e.index == d.query.environment);
            let replaced = acquisition != AcquisitionKind::Random && !inside;
            let told: &[Event] = if replaced { &[Event::NoCandidate] } else { &[] };
            // What is used up is all but known: samples of it may need jitter.
            let events = d.events.iter();
            let events: Vec<&Event> = events
                .filter(|e| !matches!(e, Event::SampleJitter { .. }))
                .collect();
            assert!(events.into_iter().eq(told), "{acquisition:?}, decision {i}");
        }
        let replaced = decisions
            .iter()
            .any(|d| d.events.contains(&Event::NoCandidate));
        assert_eq!(replaced, acquisition != AcquisitionKind::Random);
        let mut seen: Vec<_> = o
            .observations()
            .iter()
            .map(|o| (o.query.x.clone(), o.query.environment))
            .collect();
        seen.sort_by(|a, b| a.partial_cmp(b).unwrap());
        seen.dedup();
        assert_eq!(seen.len(), 36, "{acquisition:?}");
        let repeat = o.decide(left + 1).unwrap();
        assert_eq!(repeat.events, [Event::Exhausted]);
    }
}

#[test]
fn failures_and_degenerate_values_end_nothing() {
    type Rule = fn(&Query, u64) -> Outcome;
    let rules: [(&str, Rule); 6] = [
        ("everything fails", |_, _| Outcome::Failed),
        ("one success", |q, id| {
            if id == 2 {
                Outcome::Value(objective(q))
            } else {
                Outcome::Failed
            }
        }),
        ("every third fails", |q, id| {
            if id % 3 == 0 {
                Outcome::Failed
            } else {
                Outcome::Value(objective(q))
            }
        }),
        ("constant", |_, _| Outcome::Value(4.2)),
        ("huge", |q, _| Outcome::Value(1e300 * objective(q))),
        ("an outlier", |q, id| {
            Outcome::Value(if id == 1 { -1e12 } else { objective(q) })
        }),
    ];
    for (name, rule) in rules {
        let p = problem(reals(), Direction::Maximize);
        let mut o = Optimizer::new(p.clone(), settings(5)).unwrap();
        for q in o.initial_design() {
            let outcome = rule(&q, o.observations().len() as u64);
            tell(&mut o, 0, q, outcome);
        }
        o.refit(0).unwrap();
        let mut asked = Vec::new();
        for i in 1..=4 {
            let d = o.decide(i).unwrap();
            p.space.check(&d.query.x).unwrap();
            assert!(
                d.acquisition.is_finite() && d.acquisition >= 0.0,
                "{name}: {}",
                d.acquisition
            );
            assert!(!asked.contains(&d.query), "{name}: asked twice");
            let outcome = rule(&d.query, o.observations().len() as u64);
            asked.push(d.query.clone());
            tell(&mut o, i, d.query, outcome);
            o.refit(i).unwrap();
        }
        match o.incumbent() {
            Ok(best) => assert!(best.risk.is_finite(), "{name}"),
            Err(e) => assert_eq!(
                (name, e.to_string().is_empty()),
                ("everything fails", false)
            ),
        }
    }
}

#[test]
fn where_pairs_cannot_be_counted_it_is_not_said_that_all_are_evaluated() {
    // One x of two million is admitted: that of the design of some seed.
    let parameters = || vec![Parameter::integer("k", 1, 2_000_000)];
    let open = Problem {
        environments: Environments::None,
        ..problem(parameters(), Direction::Maximize)
    };
    let s = Settings {
        n_initial: 3,
        initial_w: 1,
        ..settings(2)
    };
    let s = Settings {
        n_w: Look::All,
        ..s
    };
    let only = Optimizer::new(open.clone(), s.clone())
        .unwrap()
        .initial_design()[0]
        .x[0];
    let narrow = Problem {
        space: open
            .space
            .under(Condition::new(move |x: &[f64]| x[0] == only)),
        ..open
    };
    let mut o = Optimizer::new(narrow, s).unwrap();
    let design = o.initial_design();
    assert_eq!(design.len(), 1, "no pair twice: {design:?}");
    tell(&mut o, 0, design[0].clone(), Outcome::Value(1.0));
    o.refit(0).unwrap();
    let told = o.decide(1).unwrap();
    assert_eq!(told.query, design[0]);
    assert_eq!(
        told.events.last(),
        Some(&Event::NoneFound),
        "{:?}",
        told.events
    );
}
