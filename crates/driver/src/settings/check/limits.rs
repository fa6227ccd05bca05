//! Refuses what cannot be, naming the setting, where it was set, and what to type.

use crate::exit::Failure;
use crate::settings::Origin;

/// The bounds of settings, which know where each was set.
pub struct Limits<'o> {
    origin: &'o dyn Fn(&str) -> Origin,
}

impl<'o> Limits<'o> {
    /// `origin` says where a key was set.
    pub fn new(origin: &'o dyn Fn(&str) -> Origin) -> Self {
        Self { origin }
    }

    /// Of what is no setting of a run and was typed.
    pub fn typed() -> Self {
        Self::new(&|key| Origin::Flag(format!("--{key}")))
    }

    /// Where a key was set.
    pub fn origin(&self, key: &str) -> Origin {
        (self.origin)(key)
    }

    /// That `key` cannot be so.
    pub fn refuse(&self, key: &str, reason: String, remedy: &str) -> Failure {
        Failure::Setting {
            key: key.to_owned(),
            origin: self.origin(key),
            reason,
            remedy: remedy.to_owned(),
        }
    }

    /// A count from 1 up.
    ///
    /// # Errors
    /// It is 0.
    pub fn at_least_one(&self, key: &str, value: u64) -> Result<u64, Failure> {
        match value {
            0 => Err(self.refuse(
                key,
                "0 is too few".to_owned(),
                &format!("type --{key} 1 or more"),
            )),
            _ => Ok(value),
        }
    }

    /// A share of a whole, in (0, 1].
    ///
    /// # Errors
    /// It is outside.
    pub fn share(&self, key: &str, value: f64) -> Result<f64, Failure> {
        match value > 0.0 && value <= 1.0 {
            true => Ok(value),
            false => Err(self.refuse(
                key,
                format!("{value} is outside (0, 1]"),
                &format!("type --{key} 0.8"),
            )),
        }
    }

    /// A count up to `most`. Larger numbers are slips of the finger; memory would run out before anything was said.
    ///
    /// # Errors
    /// It is larger.
    pub fn at_most(&self, key: &str, value: u64, most: u64) -> Result<u64, Failure> {
        match value {
            _ if value > most => Err(self.refuse(
                key,
                format!("{value} is too many; {most} is the most"),
                &format!("type --{key} {most} or fewer"),
            )),
            _ => Ok(value),
        }
    }
}
