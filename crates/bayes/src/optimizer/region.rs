//! Where decisions of [`HighDimension::Region`] search: the trust region that the observations so far imply.

use std::sync::Arc;

use super::model::Model;
use super::{HighDimension, ModelState, Optimizer};
use crate::acquisition::{Region, region};
use crate::environment::EnvironmentSet;
use crate::incumbent::{self, RiskSurface, thinned};
use crate::viability::{Proven, Viability};
use rayon::prelude::*;

/// Most environments that the x evaluated are judged over.
const JUDGED: usize = 16;

impl Optimizer {
    /// The trust region, where one is asked for: around the x of the best risk of the posterior mean among those that
    /// returned a value, of a side that follows from the risks of all x decided on so far (the initial design gives the
    /// best before them). A pure function of observations and model; `viability` is what they say of
    /// failures.
    pub(super) fn region(
        &self,
        model: &Model,
        state: &ModelState,
        viability: Option<&Viability>,
    ) -> Option<Region> {
        if self.settings.high_dimension != HighDimension::Region {
            return None;
        }
        let space = &self.problem.space;
        let judging = self.judging.clone().with_effects(&model.scale.effects);
        let few = thinned(&judging, JUDGED);
        let few = few.as_ref().unwrap_or(&judging);
        let dx = space.encoded_dimension();
        let surface = RiskSurface::new(&model.posterior, dx, few, self.settings.risk)
            .where_proven(self.proven(&judging, viability));
        let risks: Vec<Option<f64>> = self
            .observations
            .par_iter()
            .map(|o| {
                o.outcome.value()?;
                Some(surface.value(&space.encode(&o.query.x)))
            })
            .collect();
        let judged = || self.observations.iter().zip(&risks);
        let (centre, _) = judged()
            .filter_map(|(o, risk)| Some((o, (*risk)?)))
            .reduce(|best, next| if next.1 > best.1 { next } else { best })?;
        let before = judged().filter(|(o, _)| o.iteration == 0);
        let before = before.filter_map(|(_, risk)| *risk);
        let start = before.fold(f64::NEG_INFINITY, f64::max);
        let since = judged().filter(|(o, _)| o.iteration > 0);
        let since: Vec<Option<f64>> = since.map(|(_, risk)| *risk).collect();
        let side = region::side(start, &since, space.dimension());
        let centre = space.to_unit(&centre.query.x);
        Some(Region::new(space, &centre, side, &state.hyper.lengthscales))
    }

    /// Which x were seen to return values often enough to be recommended; `None` while nothing failed.
    pub(super) fn proven(
        &self,
        judging: &EnvironmentSet,
        viability: Option<&Viability>,
    ) -> Option<Arc<Proven>> {
        let viability = viability?;
        let few = thinned(judging, incumbent::SCREENED);
        let observed = self.successes().map(|(o, _)| &o.query.x);
        let observed: Vec<_> = observed.map(|x| self.problem.space.encode(x)).collect();
        let proven = viability.proven(few.as_ref().unwrap_or(judging), &observed);
        Some(Arc::new(proven))
    }
}
