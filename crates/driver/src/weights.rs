//! What to type where a file of weights, or the name of its network, is not what was meant.
//!
//! Central function [`remedy`], which looks into the file for what it does hold.

use std::path::Path;

use bo_vision::edge::{
    Adapter, EdgeError, EdgeFinder, EdgeModel, WeightError, WeightFault, Weights,
};

use crate::exit::Failure;
use crate::quantity::typed;
use crate::settings::nearest;

/// By which flag a file of weights was named.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// `--weights`, beside `--edge-model`.
    Weights,
    /// `--start` of `bo train edge`, which trains the compact network alone.
    Start,
}

/// That the file at `path` is not what is asked for; where the error is not the file's own, with `otherwise` as the next step.
pub fn refused(path: &Path, error: &EdgeError, by: By, otherwise: &str) -> Failure {
    match error {
        EdgeError::Weights(error) => Failure::input(path, &error.fault, remedy(error, by)),
        error => Failure::input(path, error, otherwise),
    }
}

/// The next step after a file of weights was refused.
pub fn remedy(error: &WeightError, by: By) -> String {
    match error.fault {
        WeightFault::Unreadable(_) => {
            let flag = match by {
                By::Weights => "weights",
                By::Start => "start",
            };
            format!("type --{flag} with the path of a file that can be read")
        }
        WeightFault::NotWhole(_) => "copy or download the file again".to_owned(),
        WeightFault::NotFinite { .. } => {
            "the training that wrote it had failed: give an earlier file, or another".to_owned()
        }
        WeightFault::Malformed(_) | WeightFault::Missing { .. } | WeightFault::Misshapen { .. } => {
            by_content(&error.path, by)
        }
    }
}

fn by_content(path: &Path, by: By) -> String {
    if Adapter::open(path).is_ok() {
        let file = typed(path);
        return match by {
            By::Weights => {
                format!("this is an adapter: type --adapter {file} in place of --weights")
            }
            By::Start => format!(
                "this is an adapter, which is not trained on: bo run --adapter {file} takes it"
            ),
        };
    }
    let weights = Weights::open(path).map(|weights| weights.without_prefix("module."));
    match (weights.ok().and_then(|weights| EdgeModel::of(&weights)), by) {
        (Some(model), By::Weights) => {
            format!("the file holds weights of {model}: type --edge-model {model}")
        }
        (Some(model), By::Start) => format!(
            "the file holds weights of {model}, and bo train edge trains the compact network alone: type bo adapt --edge-model \
             {model} --weights {}",
            typed(path)
        ),
        (None, By::Start) => {
            "the file holds no network that is known: give --start weights of the compact network"
                .to_owned()
        }
        (None, By::Weights) => format!(
            "the file holds no network that is known: give a .safetensors or .pth file with all tensors of {}",
            EdgeModel::ALL.map(EdgeModel::name).join(", ")
        ),
    }
}

/// The next step after a name that `--edge-model` does not know.
pub fn meant(name: &str) -> String {
    match nearest(&name.to_lowercase(), EdgeFinder::ALL.map(EdgeFinder::name)) {
        Some(near) => format!("type --edge-model {near}, if that is what was meant"),
        None => "type one of these names, or leave out --edge-model for the network that ships"
            .to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_in_a_name_is_met_with_the_name() {
        assert!(meant("Dexined").starts_with("type --edge-model dexined"));
        assert!(meant("pidinet_tiny").starts_with("type --edge-model pidinet-tiny"));
        assert!(meant("resnet").contains("one of these names"));
    }
}
