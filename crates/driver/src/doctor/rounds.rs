//! Fifteen memory-heavy rounds, past the thirteenth: decide, take much, look at an image, give back. The pipeline that this program
//! replaces died at iteration 13.

use bo_bayes::optimizer::{Observation, Optimizer, Outcome, Settings};
use bo_memory::Ledger;
use bo_vision::edge::{EdgeModel, EdgeNetwork};
use bo_vision::scene::Scene;
use candle_core::Device;

use super::{Answer, Patient, grew, resident};
use crate::quantity::bytes;

const ROUNDS: u64 = 15;
/// From here on nothing may grow.
const WARM: usize = 3;
/// What a round takes for itself, bytes.
const HEAVY: usize = 200_000_000;

const REPORT: &str = "a run of many iterations would run out of memory: please report this line";

pub fn check(_: &Patient) -> Answer {
    match rounds() {
        Err(reason) => Answer::bad(reason, REPORT),
        Ok(held) => {
            let at = |round: usize| bytes(held[round - 1]);
            let found = format!(
                "resident {} after round {WARM}, {} after round 13, {} after round {ROUNDS}",
                at(WARM),
                at(13),
                at(ROUNDS as usize)
            );
            match grew(held[WARM - 1], held[ROUNDS as usize - 1]) {
                false => Answer::good(found),
                true => Answer::bad(found, REPORT),
            }
        }
    }
}

/// Resident bytes after each round.
fn rounds() -> Result<Vec<u64>, String> {
    let text = |error: &dyn std::fmt::Display| error.to_string();
    let toy = bo_bayes::synthetic::by_name("branin_williams").ok_or("no test function")?;
    let mut optimizer =
        Optimizer::new(toy.problem(), Settings::default()).map_err(|error| text(&error))?;
    let network = EdgeModel::default()
        .load(None, &Device::Cpu)
        .map_err(|error| text(&error))?;
    let ledger = Ledger::new();
    let mut asked = optimizer.initial_design();
    let mut held = Vec::new();
    for iteration in 0..=ROUNDS {
        let scope = ledger.scope("round");
        for query in asked {
            let id = optimizer.observations().len() as u64;
            let outcome = Outcome::Value(toy.value(&query.x, &query.w));
            let told = optimizer.tell(Observation {
                id,
                iteration,
                query,
                outcome,
            });
            told.map_err(|error| text(&error))?;
        }
        optimizer.refit(iteration).map_err(|error| text(&error))?;
        asked = vec![
            optimizer
                .decide(iteration + 1)
                .map_err(|error| text(&error))?
                .query,
        ];
        heavy(network.as_ref(), iteration).map_err(|error| text(&error))?;
        drop(scope.close());
        if iteration > 0 {
            ledger.deep_clean();
            held.push(resident());
        }
    }
    Ok(held)
}

/// Takes much, and looks at an image meanwhile.
fn heavy(network: &dyn EdgeNetwork, round: u64) -> Result<(), bo_vision::edge::EdgeError> {
    let much = std::hint::black_box(vec![1_u8; HEAVY]);
    network.logits(&Scene::generate(1, round % 3).image)?;
    drop(much);
    Ok(())
}
