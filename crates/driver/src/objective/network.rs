//! What finds edges, as the settings name it, and in the user's words what is wrong with that.

use bo_vision::edge::{EdgeError, EdgeFinder, EdgeNetwork, Precision};
use candle_core::Device;

use crate::exit::Failure;
use crate::settings::{Origin, Settings, Study};
use crate::weights::{self, By};

/// What the settings name, ready for use on `device`.
///
/// # Errors
/// No such name, or files of weights and adapter that do not belong to it.
pub fn load(settings: &Settings, device: &Device) -> Result<Box<dyn EdgeNetwork>, Failure> {
    let study = settings.study();
    let named = study.edge_model.as_deref().map(str::parse).transpose();
    let finder: EdgeFinder = named
        .map_err(|error| refused(&error, study))?
        .unwrap_or_default();
    let precision = match device.is_cpu() && finder != EdgeFinder::Canny {
        true => Precision::Float32, // also where it stands in for a GPU
        false => study.precision,
    };
    finder
        .load_in(
            precision,
            study.weights.as_deref(),
            study.adapter.as_deref(),
            device,
        )
        .map_err(|error| refused(&error, study))
}

/// Which flag is to blame, and what to type.
fn refused(error: &EdgeError, study: &Study) -> Failure {
    let (key, remedy) = match error {
        EdgeError::UnknownModel { name, .. } => ("edge-model", weights::meant(name)),
        EdgeError::NoWeights { .. } => (
            "edge-model",
            "add --weights FILE, or leave out --edge-model for the network that ships".to_owned(),
        ),
        EdgeError::NoNetwork { .. } => {
            let key = match (&study.weights, &study.adapter) {
                (Some(_), _) => "weights",
                (_, Some(_)) => "adapter",
                _ => "precision",
            };
            let remedy = format!("leave out --{key}, or name its network with --edge-model");
            (key, remedy)
        }
        EdgeError::Adapter(_) => (
            "adapter",
            "give --edge-model and --weights that it was learned beside, or leave out --adapter"
                .to_owned(),
        ),
        EdgeError::Weights(error) => ("weights", weights::remedy(error, By::Weights)),
        _ => (
            "edge-model",
            "name another network, or another --device".to_owned(),
        ),
    };
    Failure::Setting {
        key: key.to_owned(),
        origin: Origin::Flag(format!("--{key}")),
        reason: error.to_string(),
        remedy,
    }
}
