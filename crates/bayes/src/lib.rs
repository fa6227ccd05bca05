//! Risk-averse Bayesian optimisation as mathematics.
//!
//! Maximises a risk measure (by default the CVaR of the worst share `alpha` of environments) of an
//! expensive function `f(x, w)` over decision parameters `x`, with environments `w`. A Gaussian
//! process over (x, w) is the surrogate; an acquisition chooses which (x, w) to evaluate next.
//!
//! ```
//! use bo_bayes::optimizer::{Observation, Optimizer, Outcome, Settings};
//!
//! let toy = bo_bayes::synthetic::by_name("branin11").expect("a known name");
//! let mut optimizer = Optimizer::new(toy.problem(), Settings { n_initial: 6, initial_w: 1, ..Settings::default() })?;
//! let mut asked = optimizer.initial_design();
//! for iteration in 0..3 {
//!     for query in asked {
//!         let outcome = Outcome::Value(toy.value(&query.x, &query.w));
//!         let id = optimizer.observations().len() as u64;
//!         optimizer.tell(Observation { id, iteration, query, outcome })?;
//!     }
//!     optimizer.refit(iteration)?;
//!     asked = vec![optimizer.decide(iteration + 1)?.query];
//! }
//! let best = optimizer.incumbent()?;
//! println!("x = {:?}, risk {}", best.x, best.risk);
//! # Ok::<(), bo_bayes::optimizer::Error>(())
//! ```
//!
//! This crate holds no files, clock, terminal, GPU or global random generator. Everything inside is
//! *maximised*; a problem to be minimised is turned round where it enters ([`optimizer`]).
//! Random numbers derive from (seed, iteration, purpose), see [`stream`].

pub mod acquisition;
pub mod compress;
pub mod design;
pub mod environment;
pub mod gp;
pub mod incumbent;
pub mod kernel;
pub mod linalg;
pub mod maximize;
pub mod optimizer;
pub mod pool;
pub mod risk;
pub mod sobol;
pub mod space;
pub mod stream;
pub mod synthetic;
pub mod viability;

#[cfg(test)]
mod reference;
