//! Whole numbers of floats in loops over many of them.

/// Largest distance from 0 of what [`whole`] takes.
pub(crate) const MOST: f32 = 4_194_303.0;

/// A whole `value` within [`MOST`] as an integer. `as i32` asks each value whether it fits, one by one; this compiles to vector
/// instructions: 1.5 · 2^23 is where the last bit of a float stands for 1.
#[inline(always)]
pub(crate) fn whole(value: f32) -> i32 {
    const SHIFT: f32 = 12_582_912.0;
    (value + SHIFT).to_bits() as i32 - SHIFT.to_bits() as i32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_numbers_stay_what_they_are() {
        for value in [
            -MOST, -70_001.0, -1.0, -0.0, 0.0, 1.0, 4096.0, 123_456.0, MOST,
        ] {
            assert_eq!(whole(value), value as i32);
        }
    }
}
