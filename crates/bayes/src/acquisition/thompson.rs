//! `thompson`: the x whose risk is best under one sample path of the posterior, and the environment there that says
//! most of its risk.
//!
//! x maximises `risk(f(x, .))` of one path f (`path`), climbed by its gradient; w is where an
//! observation lowers the variance of the risk most (`informative`), the tail being the path's own.
//! Source: Thompson (1933); for functions Russo and Van Roy (2014). A new path is drawn for every decision.

use super::informative::{expected, falls, greatest};
use super::knowledge_gradient::seen;
use super::path::Path;
use super::{Choice, Situation, multistart};
use crate::maximize::Slope;
use crate::stream::{Purpose, stream};

/// The pair chosen; its value is the path's gain over the incumbent, where evaluations failed times the fourth power of the
/// probability of a value, never negative as long as a pair of the incumbent's x or of a better one is free.
pub fn choose(s: &Situation<'_>) -> Option<Choice> {
    let mut random = stream(s.seed, s.iteration, Purpose::PosteriorSamples);
    let path = Path::draw(s.posterior, &mut random);
    let risk = |x: &[f64]| {
        let values = path.over(x, s.environments);
        s.risk.evaluate(&values, &s.environments.masses)
    };
    let now = risk(&s.encode(s.incumbent));
    let ranked = multistart::by_gain(
        s,
        |x| risk(x) - now,
        |x| {
            let (value, gradient) = slope(s, &path, x);
            (value - now, gradient)
        },
    );
    ranked.into_iter().find_map(|(x, value)| {
        let encoded = s.encode(&x);
        let values = path.over(&encoded, s.environments);
        let shares = s.risk.tail_weights(&values, &s.environments.masses);
        let own = seen(s.posterior, std::slice::from_ref(&encoded), s.environments);
        let falls = falls(s.posterior, &own, &shares);
        let worths = expected(&falls, &s.chances(&encoded));
        let environment = greatest(&worths, |j| s.is_free(&x, j))?;
        Some(Choice {
            x,
            environment,
            value: value.max(0.0),
            jitter: 0.0,
        })
    })
}

/// Risk of the path at encoded x, with its gradient.
fn slope(s: &Situation<'_>, path: &Path<'_>, x: &[f64]) -> Slope {
    let values = path.over(x, s.environments);
    let masses = &s.environments.masses;
    let shares = s.risk.tail_weights(&values, masses);
    let rows = super::knowledge_gradient::joint(&[x.to_vec()], s.environments);
    let mut gradient = vec![0.0; x.len()];
    for (row, share) in rows.rows().into_iter().zip(shares) {
        if share != 0.0 {
            let part = path.gradient(&row.to_vec());
            for (sum, part) in gradient.iter_mut().zip(part) {
                *sum += share * part;
            }
        }
    }
    (s.risk.evaluate(&values, masses), gradient)
}

#[cfg(test)]
mod tests {
    use super::super::examples::{Example, worth};
    use super::*;

    #[test]
    fn a_choice_is_worth_what_its_rounded_point_is() {
        let example = Example::mixed(14, 4, 3);
        for iteration in 0..4 {
            let mut s = example.situation();
            s.iteration = iteration;
            let choice = choose(&s).unwrap();
            let mut random = stream(s.seed, s.iteration, Purpose::PosteriorSamples);
            let path = Path::draw(s.posterior, &mut random);
            let risk = |x: &[f64]| slope(&s, &path, x).0;
            let now = risk(&s.encode(s.incumbent));
            worth(&choice, risk(&example.rounded(&choice)) - now);
        }
    }
}
