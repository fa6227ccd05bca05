//! Scrambled Sobol points in the unit cube (Owen scrambling by hashing, Burley 2020), for any dimension.
//!
//! A point is a pure function of (index, dimension, seed), so points can be taken in any order.

use sobol_burley::NUM_DIMENSIONS;

/// Most points one sequence holds.
pub const MAX_POINTS: u32 = 1 << 16;

/// Coordinate `dimension` of point `index` of the sequence scrambled by `seed`; strictly inside
/// (0, 1), so that an inverse distribution function is finite there.
///
/// Dimensions beyond what Sobol tables hold come from a sequence of their own with another seed; an
/// index beyond [`MAX_POINTS`] likewise.
pub fn coordinate(index: u64, dimension: usize, seed: u32) -> f64 {
    let (block, dimension) = (
        dimension as u32 / NUM_DIMENSIONS,
        dimension as u32 % NUM_DIMENSIONS,
    );
    let (round, index) = (
        (index / u64::from(MAX_POINTS)) as u32,
        (index % u64::from(MAX_POINTS)) as u32,
    );
    let seed = seed
        .wrapping_add(block.wrapping_mul(0x9e37_79b9))
        .wrapping_add(round.wrapping_mul(0x85eb_ca6b));
    f64::from(sobol_burley::sample(index, dimension, seed)) + 2f64.powi(-25)
}

/// Point `index` in `dimensions` dimensions.
pub fn point(index: u64, dimensions: usize, seed: u32) -> Vec<f64> {
    (0..dimensions)
        .map(|d| coordinate(index, d, seed))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_sixteenth_of_each_axis_holds_one_of_sixteen_points() {
        for d in [0, 5, 300] {
            let mut cells: Vec<_> = (0..16)
                .map(|i| (coordinate(i, d, 7) * 16.0) as usize)
                .collect();
            cells.sort_unstable();
            assert_eq!(cells, (0..16).collect::<Vec<_>>());
        }
    }
}
