//! What decisions depend on beyond settings and record: the type of processor (last bits) and the version of the
//! optimiser (everything). Both are notes of `run.json`; a run that goes on under others notes them one after the other.

use std::collections::BTreeMap;

use bo_bayes::optimizer;
use serde_json::Value;

use crate::record::{Manifest, cpu};

/// Note of the type of processor.
const PROCESSOR: &str = "cpu";
/// Note of the version of the optimiser.
const OPTIMISER: &str = "optimiser";
/// Version of the optimiser of runs that do not note it.
const FIRST: &str = "1";

/// The notes of a run that begins here.
pub fn notes() -> BTreeMap<String, Value> {
    BTreeMap::from([
        (PROCESSOR.to_owned(), Value::from(cpu())),
        (OPTIMISER.to_owned(), Value::from(here())),
    ])
}

fn here() -> String {
    optimizer::VERSION.to_string()
}

fn noted(manifest: &Manifest, name: &str) -> Option<String> {
    let note = manifest.notes.get(name).and_then(Value::as_str);
    note.or((name == OPTIMISER).then_some(FIRST))
        .map(str::to_owned)
}

/// What the user should know of a run that goes on under other notes than it has, which are added to those of `now`.
pub fn moved(before: &Manifest, now: &mut Manifest) -> Vec<String> {
    let optimiser = followed(OPTIMISER, before, now).map(|(then, here)| {
        format!(
            "begun by version {then} of the optimiser, this is version {here}: decisions from here on are not those that \
             the earlier one would have made"
        )
    });
    let processor = followed(PROCESSOR, before, now).map(|(then, here)| {
        format!(
            "begun on {then}, this is {here}: decisions from here on may differ in their last bits from those of a run \
             that stayed there"
        )
    });
    optimiser.into_iter().chain(processor).collect()
}

/// Writes "that, then this" where the notes of a name differ; returns both where that is new.
fn followed(name: &str, before: &Manifest, now: &mut Manifest) -> Option<(String, String)> {
    let (then, here) = (noted(before, name)?, noted(now, name)?);
    if then == here {
        return None;
    }
    let known = then.ends_with(&format!(", then {here}"));
    let all = match known {
        true => then.clone(),
        false => format!("{then}, then {here}"),
    };
    now.notes.insert(name.to_owned(), Value::from(all));
    (!known).then_some((then, here))
}

/// Why decisions of this run cannot be computed again here and compared; `None` where they can.
pub fn not_comparable(manifest: &Manifest) -> Option<String> {
    let differs = |name: &str, here: String| noted(manifest, name).filter(|then| *then != here);
    let optimiser = differs(OPTIMISER, here()).map(|then| {
        format!(
            "made by version {then} of the optimiser, this is version {}",
            here()
        )
    });
    optimiser.or_else(|| {
        differs(PROCESSOR, cpu()).map(|then| format!("made on {then}, this is {}", cpu()))
    })
}
