//! `[[constraint]]` of a space file: what is known of which x may be evaluated.
//!
//! Linear: `coefficients = { rate = 1.0, layers = -0.1 }` with `at_most` or `at_least`. Or a program that says yes
//! or no: `program = "PROG ARGS"`; `constraint = "PROG ARGS"` alone is short for one of that kind.

use bo_bayes::space::{Domain, Space};
use toml::de::DeValue;

use super::{Section, number};
use crate::exit::Failure;

/// What x must meet.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Constraints {
    /// All of these.
    pub linear: Vec<Linear>,
    /// Every one of these programs, as words, must say yes.
    pub programs: Vec<Vec<String>>,
}

/// `low <= sum of coefficients times x <= high`.
#[derive(Clone, Debug, PartialEq)]
pub struct Linear {
    /// One for each parameter.
    pub coefficients: Vec<f64>,
    /// May be minus infinity.
    pub low: f64,
    /// May be infinity.
    pub high: f64,
}

impl Linear {
    /// Whether a natural point meets it.
    pub fn admits(&self, x: &[f64]) -> bool {
        let sum: f64 = self.coefficients.iter().zip(x).map(|(c, x)| c * x).sum();
        (self.low..=self.high).contains(&sum)
    }
}

impl Constraints {
    /// Those of a space file whose parameters are known.
    pub(super) fn read(top: &Section<'_>, space: &Space) -> Result<Self, Failure> {
        let mut all = Self::default();
        match top.value("constraint") {
            None => {}
            Some(DeValue::String(text)) => all.programs.push(words(top, "constraint", text)?),
            Some(DeValue::Array(list)) => {
                for (number, item) in (1..).zip(list) {
                    let DeValue::Table(table) = item.get_ref() else {
                        return Err(top.refuse("constraint", KINDS));
                    };
                    all.take(
                        &Section {
                            path: top.path,
                            text: top.text,
                            name: format!("constraint {number}"),
                            table,
                        },
                        space,
                    )?;
                }
            }
            Some(_) => return Err(top.refuse("constraint", KINDS)),
        }
        Ok(all)
    }

    fn take(&mut self, section: &Section<'_>, space: &Space) -> Result<(), Failure> {
        section.allow(&["coefficients", "at_most", "at_least", "program"])?;
        if let Some(text) = section.text_at("program")? {
            if section.value("coefficients").is_some() {
                return Err(
                    section.refuse("coefficients", "a program has none: keep one of the two")
                );
            }
            self.programs.push(words(section, "program", text)?);
            return Ok(());
        }
        let Some(given) = section.section("coefficients")? else {
            return Err(section.refuse("coefficients", format!("missing: {KINDS}")));
        };
        let mut coefficients = vec![0.0; space.dimension()];
        for name in given.table.keys() {
            let name: &str = name.get_ref();
            let parameters = space.parameters();
            let Some(at) = parameters.iter().position(|p| p.name == name) else {
                return Err(given.refuse(name, "no parameter has this name"));
            };
            if matches!(parameters[at].domain, Domain::Categorical { .. }) {
                return Err(given.refuse(name, "choices have no order: name a number"));
            }
            coefficients[at] = given.required(name)?;
        }
        let bound = |key: &str, none: f64| match section.value(key) {
            None => Ok(none),
            Some(value) => number(value)
                .filter(|bound| bound.is_finite())
                .ok_or_else(|| section.refuse(key, "must be a number")),
        };
        let (low, high) = (
            bound("at_least", f64::NEG_INFINITY)?,
            bound("at_most", f64::INFINITY)?,
        );
        if low == f64::NEG_INFINITY && high == f64::INFINITY {
            return Err(section.refuse("at_most", "missing: give at_most or at_least"));
        }
        self.linear.push(Linear {
            coefficients,
            low,
            high,
        });
        Ok(())
    }
}

const KINDS: &str =
    "give coefficients = { name = 1.0 } with at_most or at_least, or program = \"PROG ARGS\"";

fn words(section: &Section<'_>, key: &str, text: &str) -> Result<Vec<String>, Failure> {
    match shell_words::split(text) {
        Ok(words) if !words.is_empty() => Ok(words),
        _ => Err(section.refuse(key, "names no program (it is started without a shell)")),
    }
}
