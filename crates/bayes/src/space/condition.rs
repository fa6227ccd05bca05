//! A condition on points beyond the domains of single parameters.

use std::fmt;
use std::sync::Arc;

type Rule = dyn Fn(&[f64]) -> bool + Send + Sync;

/// Says of a natural point of the domains whether it may be evaluated. It must give the same answer each time: what is
/// decided depends on it.
#[derive(Clone)]
pub struct Condition(Arc<Rule>);

impl Condition {
    /// From a rule on natural points.
    pub fn new(admits: impl Fn(&[f64]) -> bool + Send + Sync + 'static) -> Self {
        Self(Arc::new(admits))
    }

    pub(super) fn admits(&self, natural: &[f64]) -> bool {
        (self.0)(natural)
    }
}

impl fmt::Debug for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Condition")
    }
}

/// The same rule, not an equal one.
impl PartialEq for Condition {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}
