//! The rules on what decides the course of a run.

use bo_vision::edge::Precision;
use bo_vision::line::{Detectors, UnknownDetectors};

use super::Limits;
use super::environment::environment;
use super::objective::objective;
use crate::exit::Failure;
use crate::settings::{
    Acquisition, HighDimension, Kernel, KernelStructure, Look, RawSettings, Risk, Study, Surrogate,
};

/// What decides the course of the run.
///
/// # Errors
/// The first setting that cannot be.
pub fn study(raw: &RawSettings, limits: &Limits<'_>) -> Result<Study, Failure> {
    let alpha = alpha(raw, limits)?;
    let k = raw.k.unwrap_or(1.0);
    if !(k.is_finite() && k >= 0.0) {
        return Err(limits.refuse("k", format!("{k} is not a number from 0 up"), "type --k 1"));
    }
    let n_w = look("n-w", raw.n_w, Look::Count(3), limits)?;
    let initial_w = look("initial-w", raw.initial_w, n_w, limits)?;
    let batch = limits.at_most(
        "batch",
        limits.at_least_one("batch", raw.batch.unwrap_or(1) as u64)?,
        1000,
    )?;
    Ok(Study {
        objective: objective(raw, limits)?,
        iterations: limits.at_most("iterations", raw.iterations.unwrap_or(30), 20_000)?,
        n_initial: n_initial(raw, limits)?,
        n_w,
        initial_w,
        alpha,
        risk: raw.risk.unwrap_or(Risk::Cvar),
        k,
        acquisition: raw.acquisition.unwrap_or(Acquisition::Auto),
        surrogate: Surrogate {
            kernel: raw.kernel.unwrap_or(Kernel::Matern52),
            structure: raw.kernel_structure.unwrap_or(KernelStructure::Joint),
            warp: raw.input_warping.unwrap_or(false),
            noise_per_status: raw.noise_per_status.unwrap_or(false),
        },
        high_dimension: raw.high_dimension.unwrap_or(HighDimension::Plain),
        batch: batch as usize,
        seed: raw.seed.unwrap_or(0),
        environment: environment(raw, limits)?,
        edge_model: raw.edge_model.clone(),
        weights: raw.weights.clone(),
        voters: match &raw.voters {
            Some(name) => name.parse().map_err(|error: UnknownDetectors| {
                limits.refuse("voters", error.to_string(), "type --voters hough")
            })?,
            None => Detectors::default(),
        },
        adapter: raw.adapter.clone(),
        precision: match &raw.precision {
            Some(name) => name.parse().map_err(|reason: String| {
                limits.refuse("precision", reason, "type --precision float32")
            })?,
            None => Precision::default(),
        },
    })
}

/// Points x of the initial design. A program may have none: its space file may name what was evaluated elsewhere.
fn n_initial(raw: &RawSettings, limits: &Limits<'_>) -> Result<usize, Failure> {
    let asked = raw.n_initial.unwrap_or(5) as u64;
    if raw.command.is_none() {
        limits.at_least_one("n-initial", asked)?;
    }
    Ok(limits.at_most("n-initial", asked, 20_000)? as usize)
}

/// The share of worst environments that counts.
fn alpha(raw: &RawSettings, limits: &Limits<'_>) -> Result<f64, Failure> {
    let alpha = raw.alpha.unwrap_or(0.1);
    if !(alpha > 0.0 && alpha <= 1.0) {
        return Err(limits.refuse(
            "alpha",
            format!(
                "{alpha} is outside (0, 1]; it is the share of worst environments that counts"
            ),
            "type --alpha 0.1 for the worst 10 %, --alpha 1 for the mean (BoTorch's alpha is 1 - ours)",
        ));
    }
    Ok(alpha)
}

/// How many environments are looked at.
fn look(
    key: &str,
    look: Option<Look>,
    default: Look,
    limits: &Limits<'_>,
) -> Result<Look, Failure> {
    match look.unwrap_or(default) {
        Look::Count(0) => Err(limits.refuse(
            key,
            "0 environments are too few to decide by".to_owned(),
            &format!("type --{key} 3, or --{key} all"),
        )),
        Look::Count(count) => limits
            .at_most(key, count as u64, 20_000)
            .map(|_| Look::Count(count)),
        all => Ok(all),
    }
}
