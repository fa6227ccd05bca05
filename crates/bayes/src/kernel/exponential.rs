//! The exponential of negative numbers, written so that loops over it use the CPU's wide registers.
//!
//! The C library's `exp` is called one number at a time. This one has no branches and no tables:
//! `e^x = 2^k e^r` with `|r| <= ln 2 / 2` and a Taylor polynomial of degree 13 for `e^r` (error 4e-18
//! before rounding; about one unit in the last place after). The same bits on every instruction set,
//! since no operations are fused.

/// Below this the result would leave the range in which `2^k` is made by adding to the exponent.
pub(super) const LOWEST: f64 = -690.0;

/// Adding and taking away rounds to an integer, which is then found in the low bits.
const ROUND: f64 = 6_755_399_441_055_744.0;
const LN2_HIGH: f64 = 0.693_147_180_369_123_8;
const LN2_LOW: f64 = 1.908_214_929_270_587_7e-10;

/// `e^x` for `x <= 0`; numbers below [`LOWEST`] count as that.
#[inline(always)]
pub(super) fn exp_negative(x: f64) -> f64 {
    let x = if x > LOWEST { x } else { LOWEST };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = (x - k * LN2_HIGH) - k * LN2_LOW;
    let mut sum = 1.0 / 6_227_020_800.0;
    sum = sum * r + 1.0 / 479_001_600.0;
    sum = sum * r + 1.0 / 39_916_800.0;
    sum = sum * r + 1.0 / 3_628_800.0;
    sum = sum * r + 1.0 / 362_880.0;
    sum = sum * r + 1.0 / 40_320.0;
    sum = sum * r + 1.0 / 5_040.0;
    sum = sum * r + 1.0 / 720.0;
    sum = sum * r + 1.0 / 120.0;
    sum = sum * r + 1.0 / 24.0;
    sum = sum * r + 1.0 / 6.0;
    sum = sum * r + 0.5;
    sum = sum * r + 1.0;
    sum = sum * r + 1.0;
    f64::from_bits(sum.to_bits().wrapping_add(shifted.to_bits() << 52))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agrees_with_the_library() {
        assert_eq!(exp_negative(0.0), 1.0);
        for i in 0..200_000 {
            let x = -f64::from(i) * 0.0034;
            let expected = x.exp();
            assert!(
                (exp_negative(x) - expected).abs() <= 4.0 * f64::EPSILON * expected,
                "{x}"
            );
        }
        assert!(exp_negative(-1e9) < 1e-290 && exp_negative(f64::NEG_INFINITY) > 0.0);
    }
}
