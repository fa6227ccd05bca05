//! The register of what finds edges, by the names that `--edge-model` accepts.
//!
//! Central type [`EdgeFinder`]: a network, which has layers, weights and training, or Canny, which has none of these.

use std::path::Path;
use std::str::FromStr;

use candle_core::Device;

use super::canny::Canny;
use super::network::{EdgeError, EdgeModel, EdgeNetwork};
use super::precision::Precision;

/// What finds edges.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EdgeFinder {
    /// A network.
    Network(EdgeModel),
    /// Canny at every threshold at once.
    Canny,
}

impl EdgeFinder {
    /// All of them, the default first.
    pub const ALL: [Self; 6] = [
        Self::Network(EdgeModel::Compact),
        Self::Network(EdgeModel::DexiNed),
        Self::Network(EdgeModel::PiDiNet),
        Self::Network(EdgeModel::PiDiNetSmall),
        Self::Network(EdgeModel::PiDiNetTiny),
        Self::Canny,
    ];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Network(model) => model.name(),
            Self::Canny => "canny",
        }
    }

    /// The network that it is.
    ///
    /// # Errors
    /// [`EdgeError::NoNetwork`] for Canny.
    pub fn network(self) -> Result<EdgeModel, EdgeError> {
        match self {
            Self::Network(model) => Ok(model),
            Self::Canny => Err(EdgeError::NoNetwork { name: self.name() }),
        }
    }

    /// Ready for use: a network as [`EdgeModel::load_in`] has it.
    ///
    /// # Errors
    /// As [`EdgeModel::load_in`]; weights, an adapter or a precision for what has no network.
    pub fn load_in(
        self,
        precision: Precision,
        weights: Option<&Path>,
        adapter: Option<&Path>,
        device: &Device,
    ) -> Result<Box<dyn EdgeNetwork>, EdgeError> {
        match self {
            Self::Network(model) => model.load_in(precision, weights, adapter, device),
            Self::Canny if (precision, weights, adapter) == (Precision::Float32, None, None) => {
                Ok(Box::new(Canny::default()))
            }
            Self::Canny => Err(EdgeError::NoNetwork { name: self.name() }),
        }
    }
}

impl Default for EdgeFinder {
    fn default() -> Self {
        Self::Network(EdgeModel::default())
    }
}

impl std::fmt::Display for EdgeFinder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for EdgeFinder {
    type Err = EdgeError;

    fn from_str(name: &str) -> Result<Self, EdgeError> {
        Self::ALL
            .into_iter()
            .find(|finder| finder.name() == name)
            .ok_or_else(|| EdgeError::UnknownModel {
                name: name.into(),
                known: Self::ALL.map(Self::name).join(", "),
            })
    }
}

impl FromStr for EdgeModel {
    type Err = EdgeError;

    fn from_str(name: &str) -> Result<Self, EdgeError> {
        name.parse::<EdgeFinder>()?.network()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_known_and_the_default_is_the_first() {
        for finder in EdgeFinder::ALL {
            assert_eq!(finder.name().parse::<EdgeFinder>().unwrap(), finder);
        }
        assert_eq!(EdgeFinder::default(), EdgeFinder::ALL[0]);
        let networks = EdgeFinder::ALL.iter().filter_map(|f| f.network().ok());
        assert!(networks.eq(EdgeModel::ALL));
        let unknown = "kenny".parse::<EdgeFinder>().unwrap_err().to_string();
        assert!(
            unknown.contains("compact") && unknown.contains("canny"),
            "{unknown}"
        );
    }

    #[test]
    fn canny_takes_neither_weights_nor_an_adapter_nor_a_precision() {
        let load = |precision, weights: Option<&str>, adapter: Option<&str>| {
            let [weights, adapter] = [weights, adapter].map(|file| file.map(Path::new));
            EdgeFinder::Canny.load_in(precision, weights, adapter, &Device::Cpu)
        };
        assert!(load(Precision::Float32, None, None).is_ok());
        for refused in [
            load(Precision::Float16, None, None),
            load(Precision::Float32, Some("w"), None),
            load(Precision::Float32, None, Some("a")),
            "canny".parse::<EdgeModel>().map(|_| unreachable!()),
        ] {
            assert!(matches!(refused, Err(EdgeError::NoNetwork { .. })));
        }
    }
}
