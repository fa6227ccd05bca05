//! The random numbers of a scene.
//!
//! [`Draw`] is a ChaCha8 stream chosen by (seed, scene, purpose), so that a change in one part of the
//! generator leaves the draws of all others alone. Only `+ - * /` and `sqrt` are used on what it
//! returns, here and in the whole generator: the same scene comes out on every platform.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

use crate::geometry::Point;

/// What a stream of random numbers is used for; each purpose has a stream of its own.
#[derive(Clone, Copy, Debug)]
pub(super) enum Purpose {
    /// Where the plates stand, and how hard the scene is.
    Layout = 0,
    /// Tones of the plates, brush marks, mill scale.
    Texture = 1,
    /// Gaps, beads and burrs along the joints.
    Joint = 2,
    /// Gradients and shadows.
    Light = 3,
    /// Glare, spatter, scratches, marks.
    Defect = 4,
    /// Blur, gain, noise.
    Camera = 5,
    /// Regions of interest.
    Region = 6,
    /// Rows of chisel marks.
    Mark = 7,
}

/// Number of streams set aside for each scene.
const PURPOSES: u64 = 16;

/// A stream of random numbers.
pub(super) struct Draw(ChaCha8Rng);

impl Draw {
    /// The stream of scene `index` under `seed` for `purpose`.
    pub(super) fn new(seed: u64, index: u64, purpose: Purpose) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        rng.set_stream(index.wrapping_mul(PURPOSES).wrapping_add(purpose as u64));
        Self(rng)
    }

    /// Uniform on [0, 1).
    pub(super) fn unit(&mut self) -> f32 {
        (self.0.next_u32() >> 8) as f32 / (1u32 << 24) as f32
    }

    /// Uniform on [low, high).
    pub(super) fn within(&mut self, low: f32, high: f32) -> f32 {
        low + (high - low) * self.unit()
    }

    /// True with probability `share`.
    pub(super) fn chance(&mut self, share: f32) -> bool {
        self.unit() < share
    }

    /// +1 or -1.
    pub(super) fn sign(&mut self) -> f32 {
        if self.chance(0.5) { 1.0 } else { -1.0 }
    }

    /// A whole number in `low..=high`.
    pub(super) fn count(&mut self, low: u32, high: u32) -> u32 {
        (self.within(low as f32, high as f32 + 1.0) as u32).min(high)
    }

    /// Roughly normal, mean 0, standard deviation 1: the sum of 12 uniforms.
    pub(super) fn normal(&mut self) -> f32 {
        (0..12).map(|_| self.unit()).sum::<f32>() - 6.0
    }

    /// A unit vector, all directions about equally likely.
    pub(super) fn direction(&mut self) -> Point {
        loop {
            let (x, y) = (self.within(-1.0, 1.0), self.within(-1.0, 1.0));
            let squared = x * x + y * y;
            if squared > 0.01 && squared <= 1.0 {
                let length = squared.sqrt();
                return Point::new(x / length, y / length);
            }
        }
    }

    /// `count` random bytes.
    pub(super) fn bytes(&mut self, count: usize) -> Vec<u8> {
        let mut bytes = vec![0; count];
        self.0.fill_bytes(&mut bytes);
        bytes
    }
}
