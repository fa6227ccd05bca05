//! The eight parameters of detection: names, ranges, defaults, and the settings that values of them make.
//!
//! Central type [`LineParameters`].

/// Name, range and default of one tunable parameter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ParameterRange {
    /// Name in settings and records.
    pub name: &'static str,
    /// Smallest value.
    pub low: f64,
    /// Largest value.
    pub high: f64,
    /// Value that the original pipeline used.
    pub default: f64,
}

const fn range(name: &'static str, low: f64, high: f64, default: f64) -> ParameterRange {
    ParameterRange {
        name,
        low,
        high,
        default,
    }
}

/// The eight parameters, in the order of [`LineParameters::from_values`]. The number in a name is
/// the preset: 1 = Q, 2 = QG.
pub const PARAMETERS: [ParameterRange; 8] = [
    range("edgeThresh1", -23.0, 7.0, -3.0),
    range("simThresh1", 0.5, 0.99, 0.98),
    range("pixelRatio1", 0.01, 0.15, 0.05),
    range("edgeThresh2", -23.0, 7.0, 1.0),
    range("simThresh2", 0.5, 0.99, 0.75),
    range("pixelRatio2", 0.01, 0.15, 0.05),
    range("ransac_weight_q", 1.0, 20.0, 5.0),
    range("ransac_weight_qg", 1.0, 20.0, 5.0),
];

/// Settings of the pipeline. Index 0 is preset Q, 1 is preset QG.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LineParameters {
    /// Pixels whose edge logit exceeds this may belong to a line.
    pub edge_threshold: [f32; 2],
    /// Cosine of the orientation features above which a neighbour joins a region.
    pub similarity: [f32; 2],
    /// Smallest region, as a share of the region of interest's diagonal in pixels.
    pub pixel_ratio: [f32; 2],
    /// Weight of the preset's pixels in the line fit.
    pub ransac_weight: [f32; 2],
}

impl LineParameters {
    /// The parameters from `values` in the order of [`PARAMETERS`], in natural units.
    pub fn from_values(values: &[f64; 8]) -> Self {
        let v = values.map(|value| value as f32);
        Self {
            edge_threshold: [v[0], v[3]],
            similarity: [v[1], v[4]],
            pixel_ratio: [v[2], v[5]],
            ransac_weight: [v[6], v[7]],
        }
    }
}

impl Default for LineParameters {
    /// What the original pipeline used.
    fn default() -> Self {
        Self::from_values(&PARAMETERS.map(|parameter| parameter.default))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_carry_the_names_ranges_and_defaults_of_the_original() {
        for parameter in PARAMETERS {
            assert!(parameter.low <= parameter.default && parameter.default <= parameter.high);
        }
        let default = LineParameters::default();
        assert_eq!(default.edge_threshold, [-3.0, 1.0]);
        assert_eq!(default.similarity, [0.98, 0.75]);
        assert_eq!(
            (default.pixel_ratio, default.ransac_weight),
            ([0.05; 2], [5.0; 2])
        );
    }
}
