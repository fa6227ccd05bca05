//! The x to recommend now.

use super::{Error, Incumbent, Optimizer};
use crate::incumbent::RiskSurface;

impl Optimizer {
    /// The x to recommend now: best risk of the posterior mean over all judging environments, as found
    /// by the last [`Self::refit`]. Without a model: the best single observation, as it is.
    ///
    /// # Errors
    /// [`Error::NothingObserved`].
    pub fn incumbent(&self) -> Result<Incumbent, Error> {
        let sign = self.problem.direction.sign();
        let (Some(model), Some(state)) = (&self.model, &self.state) else {
            let (observation, value) = self
                .successes()
                .max_by(|a, b| (sign * a.1).total_cmp(&(sign * b.1)))
                .ok_or(Error::NothingObserved)?;
            return Ok(Incumbent {
                x: observation.query.x.clone(),
                risk: value,
                mean: value,
                per_environment: vec![value; self.judging.len()],
            });
        };
        let dx = self.problem.space.encoded_dimension();
        let risk = self.settings.risk;
        let judging = self.judging.clone().with_effects(&model.scale.effects);
        let surface =
            RiskSurface::new(&model.posterior, dx, &judging, risk).expanding(model.compression());
        let means = surface.means(&self.problem.space.encode(&state.incumbent));
        let restore = |v: f64| sign * model.scale.standardizer.restore(v);
        Ok(Incumbent {
            x: state.incumbent.clone(),
            risk: restore(risk.evaluate(&means, &self.judging.masses)),
            mean: restore(crate::risk::mean(&means, &self.judging.masses)),
            per_environment: means.into_iter().map(restore).collect(),
        })
    }
}
