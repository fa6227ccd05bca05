//! What a model takes at once, told before there is one: so that a run whose matrices cannot fit is not begun.

use super::{AcquisitionKind, Optimizer, schedule};
use crate::gp::WAVE;

impl Optimizer {
    /// Bytes that the largest fit of a run of `iterations` decisions of `batch` evaluations takes, at least, where all
    /// of them return values: `8 n^2 (c (1 + k) + 1)`. n is the number of different evaluations, and matrices are n x n:
    /// each of c climbs side by side holds a covariance and the slopes of k kernel factors, beside the factor that was
    /// there before. What decisions take is less, or depends on how they go, and is not in it.
    pub fn least_bytes(&self, iterations: u64, batch: usize) -> u64 {
        let last = match self.settings.acquisition {
            AcquisitionKind::Random => schedule::last_recommending(iterations),
            _ => iterations,
        };
        let told = self.initial_design().len() as u64 + last.saturating_mul(batch as u64);
        let n = self.different().map_or(told, |all| told.min(all));
        let slopes = if self.settings.surrogate.product {
            2
        } else {
            1
        };
        let climbs = WAVE.min(rayon::current_num_threads()) as u64;
        let matrices = climbs * (1 + slopes) + 1;
        n.saturating_mul(n).saturating_mul(8 * matrices)
    }

    /// How many different evaluations there are; `None` without end.
    fn different(&self) -> Option<u64> {
        let environments = self.problem.environments.count()? as u64;
        self.problem.space.size()?.checked_mul(environments)
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Direction, Problem, Settings, Surrogate};
    use super::*;
    use crate::environment::{Environments, Look};
    use crate::space::{Parameter, Space};

    fn bytes(parameter: Parameter, settings: Settings, iterations: u64, batch: usize) -> u64 {
        let problem = Problem {
            space: Space::new(vec![parameter]).unwrap(),
            environments: Environments::None,
            direction: Direction::Maximize,
        };
        let settings = Settings {
            n_initial: 5,
            initial_w: 1,
            n_w: Look::Count(1),
            ..settings
        };
        let pool = rayon::ThreadPoolBuilder::new().num_threads(2).build();
        let optimizer = Optimizer::new(problem, settings).unwrap();
        pool.unwrap()
            .install(|| optimizer.least_bytes(iterations, batch))
    }

    #[test]
    fn matrices_of_all_that_is_told_are_counted() {
        let real = || Parameter::real("a", 0.0, 1.0);
        let squares = |n: u64, matrices: u64| 8 * n * n * matrices;
        let plain = Settings::default;
        assert_eq!(bytes(real(), plain(), 20, 1), squares(25, 5));
        assert_eq!(bytes(real(), plain(), 20, 4), squares(85, 5));
        let product = Settings {
            surrogate: Surrogate {
                product: true,
                ..Surrogate::default()
            },
            ..plain()
        };
        assert_eq!(bytes(real(), product, 20, 1), squares(25, 7));
        // nine different x, however often they are asked
        let whole = Parameter::integer("a", 1, 9);
        assert_eq!(bytes(whole, plain(), 500, 1), squares(9, 5));
        // random decisions are modelled up to the thousandth
        let random = Settings {
            acquisition: AcquisitionKind::Random,
            ..plain()
        };
        assert_eq!(bytes(real(), random, 20_000, 1), squares(1005, 5));
    }
}
