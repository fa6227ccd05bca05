//! Which events of the optimiser are worth a warning: every one, but jitter only once for each size. Decisions near what
//! is known need a little at almost every iteration, and nobody reads a warning that always comes. The record holds all.

use bo_bayes::optimizer::Event;

/// Jitter is told again from this many times the most that was told on.
const LARGER: f64 = 10.0;

/// What this process has told so far.
#[derive(Debug, Default)]
pub(super) struct Told {
    /// Most jitter of the kernel matrix, and of joint samples.
    kernel: f64,
    samples: f64,
}

impl Told {
    /// The event in words, if it is to be told.
    pub(super) fn words(&mut self, event: &Event) -> Option<String> {
        let (most, amount) = match event {
            Event::Jitter { amount } => (&mut self.kernel, *amount),
            Event::SampleJitter { amount } => (&mut self.samples, *amount),
            other => return Some(other.to_string()),
        };
        if amount < LARGER * *most {
            return None;
        }
        *most = amount;
        Some(format!(
            "{event} (told again where it is ten times as much)"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_is_told_once_for_each_size_and_everything_else_always() {
        let mut told = Told::default();
        let sampled = |amount| Event::SampleJitter { amount };
        let steps = [
            (sampled(1e-10), true),
            (sampled(9e-10), false),
            (sampled(1e-12), false),
            // The kernel matrix is another matter.
            (Event::Jitter { amount: 1e-12 }, true),
            (Event::Jitter { amount: 1e-12 }, false),
            (sampled(2e-9), true),
            (sampled(1.9e-8), false),
            (Event::NoCandidate, true),
            (Event::NoCandidate, true),
        ];
        for (event, news) in steps {
            assert_eq!(told.words(&event).is_some(), news, "{event}");
        }
        let words = told.words(&sampled(1.0)).unwrap();
        assert!(words.starts_with("jitter 1.0e0 added to"), "{words}");
    }
}
