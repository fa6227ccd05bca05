//! Generated pictures of overlapping shapes with exact edges, for variety beyond welds.
//!
//! Central type [`ShapeExamples`]. Polygons, ellipses and stripes with flat, graded or textured
//! surfaces are laid over each other; an edge is where the visible surface changes.

use image::{GrayImage, Luma, Rgb, RgbImage};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::{Example, ExampleSource, TrainError};

/// Side of every picture, in pixels.
const SIDE: u32 = 320;

/// Stream of the generator, apart from all others of the same seed.
const STREAM: u64 = 0x7368_6170;

/// Pictures 0 .. count of one seed.
#[derive(Clone, Copy, Debug)]
pub struct ShapeExamples {
    /// Number of pictures.
    pub count: usize,
    /// Seed.
    pub seed: u64,
}

/// Colour of a surface as a function of place.
struct Surface {
    colour: [f32; 3],
    slope: [f32; 2],
    texture: f32,
    wave: [f32; 3],
}

impl Surface {
    fn draw(rng: &mut impl Rng) -> Self {
        let base: f32 = rng.random_range(10.0..245.0);
        let tint: f32 = if rng.random_bool(0.5) { 8.0 } else { 70.0 };
        let graded = rng.random_bool(0.4);
        let mut slope = || {
            if graded {
                rng.random_range(-0.25..0.25)
            } else {
                0.0
            }
        };
        let slope = [slope(), slope()];
        let textured = rng.random_bool(0.4);
        Self {
            colour: [0; 3].map(|_| base + rng.random_range(-tint..tint)),
            slope,
            texture: if textured {
                rng.random_range(2.0..22.0)
            } else {
                0.0
            },
            wave: [
                rng.random_range(-1.2..1.2),
                rng.random_range(-1.2..1.2),
                rng.random_range(0.0..6.0),
            ],
        }
    }

    fn at(&self, x: f32, y: f32) -> [f32; 3] {
        let c = SIDE as f32 / 2.0;
        let light = self.slope[0] * (x - c) + self.slope[1] * (y - c);
        let wave =
            (self.wave[0] * x + self.wave[2]).sin() * (self.wave[1] * y + self.wave[2]).sin();
        self.colour.map(|v| v + light + self.texture * wave)
    }
}

/// Where a surface lies.
enum Shape {
    Polygon(Vec<[f32; 2]>),
    Ellipse {
        centre: [f32; 2],
        radii: [f32; 2],
        turn: f32,
    },
    Stripes {
        normal: [f32; 2],
        period: f32,
        share: f32,
        centre: [f32; 2],
        reach: f32,
    },
}

impl Shape {
    fn draw(rng: &mut impl Rng) -> Self {
        let side = SIDE as f32;
        let centre = [rng.random_range(0.0..side), rng.random_range(0.0..side)];
        let size = side * 0.5 * rng.random_range(0.05f32..1.0).powi(2) + 6.0;
        let turn = rng.random_range(0.0..std::f32::consts::TAU);
        match rng.random_range(0..6) {
            0..3 => {
                let corners = rng.random_range(3..7);
                let corner = |i: usize, rng: &mut dyn FnMut() -> f32| {
                    let angle =
                        turn + (i as f32 + 0.6 * rng()) * std::f32::consts::TAU / corners as f32;
                    let radius = size * (0.4 + 0.8 * rng());
                    [
                        centre[0] + radius * angle.cos(),
                        centre[1] + radius * angle.sin(),
                    ]
                };
                let mut unit = || rng.random_range(0.0..1.0);
                Self::Polygon((0..corners).map(|i| corner(i, &mut unit)).collect())
            }
            3 => {
                let radii = [size, size * rng.random_range(0.1..1.0)];
                Self::Ellipse {
                    centre,
                    radii,
                    turn,
                }
            }
            4 => Self::Ellipse {
                centre,
                radii: [size * 3.0, rng.random_range(1.0..8.0)],
                turn,
            },
            _ => Self::Stripes {
                normal: [turn.cos(), turn.sin()],
                period: rng.random_range(8.0..40.0),
                share: rng.random_range(0.2..0.8),
                centre,
                reach: size,
            },
        }
    }

    fn holds(&self, x: f32, y: f32) -> bool {
        match self {
            Self::Polygon(corners) => {
                let mut inside = false;
                for (i, a) in corners.iter().enumerate() {
                    let b = corners[(i + 1) % corners.len()];
                    if (a[1] > y) != (b[1] > y)
                        && x < (b[0] - a[0]) * (y - a[1]) / (b[1] - a[1]) + a[0]
                    {
                        inside = !inside;
                    }
                }
                inside
            }
            Self::Ellipse {
                centre,
                radii,
                turn,
            } => {
                let (dx, dy) = (x - centre[0], y - centre[1]);
                let (s, c) = turn.sin_cos();
                ((dx * c + dy * s) / radii[0]).powi(2) + ((dy * c - dx * s) / radii[1]).powi(2)
                    < 1.0
            }
            Self::Stripes {
                normal,
                period,
                share,
                centre,
                reach,
            } => {
                let (dx, dy) = (x - centre[0], y - centre[1]);
                let along = dx * normal[0] + dy * normal[1];
                dx.hypot(dy) < *reach && (along / period).rem_euclid(1.0) < *share
            }
        }
    }
}

impl ExampleSource for ShapeExamples {
    fn len(&self) -> usize {
        self.count
    }

    fn pixels(&self) -> u64 {
        u64::from(SIDE) * u64::from(SIDE)
    }

    fn load(&self, index: usize) -> Result<Example, TrainError> {
        let mut rng = ChaCha8Rng::seed_from_u64(self.seed);
        rng.set_stream(STREAM << 32 | index as u64);
        let layers = rng.random_range(4..28);
        let mut surfaces = vec![Surface::draw(&mut rng)];
        let mut owner = vec![0usize; (SIDE * SIDE) as usize];
        for layer in 1..=layers {
            let shape = Shape::draw(&mut rng);
            surfaces.push(Surface::draw(&mut rng));
            for (i, owner) in owner.iter_mut().enumerate() {
                if shape.holds((i as u32 % SIDE) as f32, (i as u32 / SIDE) as f32) {
                    *owner = layer;
                }
            }
        }
        let colour =
            |x: u32, y: u32| surfaces[owner[(y * SIDE + x) as usize]].at(x as f32, y as f32);
        let image = RgbImage::from_fn(SIDE, SIDE, |x, y| {
            Rgb(colour(x, y).map(|v| v.clamp(0.0, 255.0) as u8))
        });
        let differs = |x: u32, y: u32, other: (u32, u32)| {
            let (a, b) = (
                owner[(y * SIDE + x) as usize],
                owner[(other.1 * SIDE + other.0) as usize],
            );
            let (p, q) = (colour(x, y), colour(other.0, other.1));
            a != b && (0..3).any(|i| (p[i] - q[i]).abs() > 10.0)
        };
        let edges = GrayImage::from_fn(SIDE, SIDE, |x, y| {
            let right = x + 1 < SIDE && differs(x, y, (x + 1, y));
            let below = y + 1 < SIDE && differs(x, y, (x, y + 1));
            Luma([if right || below { 255 } else { 0 }])
        });
        Ok(Example { image, edges })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pictures_differ_by_number_and_repeat_bit_for_bit() {
        let source = ShapeExamples { count: 3, seed: 5 };
        let (a, b) = (source.load(0).unwrap(), source.load(1).unwrap());
        assert_eq!(a.image, source.load(0).unwrap().image);
        assert_ne!(a.image, b.image);
        assert!(a.edges.pixels().any(|p| p.0[0] == 255));
    }
}
