//! Test functions with known optimum: the cheap twin of every expensive objective.

use super::Opened;
use crate::exit::Failure;
use crate::settings::Origin;

/// Opens a problem by its name.
///
/// # Errors
/// An unknown name: [`Failure::Setting`] with the nearest known one.
pub fn open(name: &str) -> Result<Opened, Failure> {
    Err(Failure::Setting {
        key: "problem".into(),
        origin: Origin::Flag("--problem".into()),
        reason: format!("unknown problem {name:?}"),
        remedy: "none is built in yet".into(),
    })
}
