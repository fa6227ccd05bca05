//! [`Corruption`]: what is done to an image, in numbers, and what leaves it alone.

/// Names of the values, in the order of [`Corruption::values`].
pub const CORRUPTION_NAMES: [&str; 5] = ["brightness", "contrast", "blur", "noise", "rotation"];

/// Changes whenever the same values give other pixels.
const VERSION: u32 = 1;

/// What is done to an image. At [`Corruption::NEUTRAL`] pixels and labels stay as they are, bit for bit; a single
/// value at its neutral one leaves its step out.
///
/// Steps in order, on values 0 ..= 255 in single precision, rounded once at the end: rotation, blur, contrast and
/// brightness, noise.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Corruption {
    /// Factor on every value; neutral 1.
    pub brightness: f64,
    /// Factor on the distance from the image's mean value; neutral 1.
    pub contrast: f64,
    /// Standard deviation of a Gaussian in pixels at a diagonal of 800 (640 x 480), in proportion at others; neutral 0.
    pub blur: f64,
    /// Standard deviation of noise added to each channel, as a share of 255; neutral 0.
    pub noise: f64,
    /// Degrees, clockwise as seen, about the middle; the size stays, what comes in at the border is mirrored; neutral 0.
    pub rotation: f64,
    /// Seed of the noise.
    pub seed: u64,
}

impl Corruption {
    /// Leaves everything as it is.
    pub const NEUTRAL: Self = Self {
        brightness: 1.0,
        contrast: 1.0,
        blur: 0.0,
        noise: 0.0,
        rotation: 0.0,
        seed: 0,
    };

    /// Least and greatest value drawn, in the order of [`CORRUPTION_NAMES`].
    pub(super) const RANGES: [(f64, f64); 5] = [
        (0.5, 1.5),
        (0.5, 1.3),
        (0.0, 2.0),
        (0.0, 0.08),
        (-10.0, 10.0),
    ];

    /// The five values, in the order of [`CORRUPTION_NAMES`].
    pub fn values(&self) -> [f64; 5] {
        [
            self.brightness,
            self.contrast,
            self.blur,
            self.noise,
            self.rotation,
        ]
    }

    /// From the five values and a seed.
    pub fn new([brightness, contrast, blur, noise, rotation]: [f64; 5], seed: u64) -> Self {
        Self {
            brightness,
            contrast,
            blur,
            noise,
            rotation,
            seed,
        }
    }

    /// True if nothing changes (the seed then means nothing).
    pub fn is_neutral(&self) -> bool {
        self.values() == Self::NEUTRAL.values()
    }

    /// What the changed pixels depend on, in words; empty if nothing changes.
    pub fn key(&self) -> String {
        if self.is_neutral() {
            return String::new();
        }
        let bits = self
            .values()
            .map(|value| format!("{:016x}", value.to_bits()));
        let seed = if self.noise == 0.0 { 0 } else { self.seed };
        format!("corruption {VERSION} {} seed {seed}", bits.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_tell_apart_what_gives_other_pixels_and_nothing_else() {
        let noisy = Corruption {
            noise: 0.02,
            ..Corruption::NEUTRAL
        };
        let dark = Corruption {
            brightness: 0.7,
            ..Corruption::NEUTRAL
        };
        let seeded = |corruption: Corruption| Corruption {
            seed: 9,
            ..corruption
        };
        assert_eq!(seeded(Corruption::NEUTRAL).key(), "");
        assert_eq!(seeded(dark).key(), dark.key());
        assert_ne!(seeded(noisy).key(), noisy.key());
        assert_ne!(dark.key(), noisy.key());
    }
}
