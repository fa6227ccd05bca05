//! Ends a run whose objective fails the same way again and again, before it burns the night.

use std::path::Path;

use super::command::LAST_WORDS;
use crate::exit::Failure;
use crate::record::EvaluationLine;

/// Equal failures in a row that end a run.
const EQUAL: usize = 5;
/// Failures in a row of any kind that end a run.
const ANY: usize = 15;

/// Counts failures in a row; feed it every evaluation in the order of ids, recorded ones too: a run that is killed and
/// resumed has then failed as often as one left alone.
#[derive(Clone, Debug, Default)]
pub struct Breaker {
    /// Status and reason.
    last: Option<(String, String)>,
    equal: usize,
    any: usize,
}

impl Breaker {
    /// Notes an evaluation. What failed elsewhere, before the run, is passed over.
    ///
    /// # Errors
    /// [`Failure::KeepsFailing`] after 5 equal failures in a row, or 15 of any kind. Reasons that differ
    /// only in their digits (ids, addresses, times) or in a program's last words are equal.
    pub fn note(&mut self, line: &EvaluationLine, out: &Path) -> Result<(), Failure> {
        if line.value.is_some() {
            *self = Self::default();
            return Ok(());
        }
        if line.failed_elsewhere() {
            return Ok(());
        }
        let reason = line.reason.clone().unwrap_or_default();
        let kind = reason.split(LAST_WORDS).next().unwrap_or_default();
        let key = (
            line.status.clone(),
            kind.chars().filter(|c| !c.is_ascii_digit()).collect(),
        );
        self.equal = if self.last.as_ref() == Some(&key) {
            self.equal + 1
        } else {
            1
        };
        self.any += 1;
        self.last = Some(key);
        if self.equal >= EQUAL || self.any >= ANY {
            return Err(Failure::KeepsFailing {
                count: self.any,
                reason: failing(self.equal == self.any, &reason),
                out: out.to_owned(),
            });
        }
        Ok(())
    }
}

/// What failures said, of which the last gave this reason, after a comma.
pub fn failing(all_equal: bool, last: &str) -> String {
    match all_equal {
        true => format!("each time: {last}"),
        false => format!("the last time: {last}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failed(reason: &str) -> EvaluationLine {
        EvaluationLine {
            id: 0,
            iteration: 0,
            x: Vec::new(),
            w: Vec::new(),
            environment: None,
            value: None,
            status: "failed".into(),
            scale: None,
            reason: Some(reason.into()),
            attempt: 0,
            seconds: 0.0,
        }
    }

    #[test]
    fn five_equal_failures_in_a_row_trip_it_and_a_value_between_resets_it() {
        let mut breaker = Breaker::default();
        for round in 0..4 {
            breaker
                .note(
                    &failed(&format!(
                        "exit code 1 (pid {round}){LAST_WORDS}/tmp/{}",
                        "abcd"[round..].to_owned()
                    )),
                    Path::new("r"),
                )
                .unwrap();
        }
        let good = EvaluationLine {
            value: Some(1.0),
            ..failed("")
        };
        breaker.note(&good, Path::new("r")).unwrap();
        for round in 0..4 {
            breaker
                .note(
                    &failed(&format!("exit code 1 (pid {round})")),
                    Path::new("r"),
                )
                .unwrap();
        }
        assert_eq!(
            breaker
                .note(&failed("exit code 1 (pid 9)"), Path::new("r"))
                .unwrap_err()
                .code(),
            5
        );
    }

    #[test]
    fn failures_that_differ_trip_it_later() {
        let mut breaker = Breaker::default();
        let kinds = ["a", "b"];
        let trip =
            (0..20).position(|i| breaker.note(&failed(kinds[i % 2]), Path::new("r")).is_err());
        assert_eq!(trip, Some(14));
    }
}
