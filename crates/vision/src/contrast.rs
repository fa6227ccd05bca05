//! Contrast enhancement before the network: local equalisation of lightness, blended with the original.
//!
//! [`enhance`] measures how dark and how blurred the image is ([`Enhancement::measure`]), equalises
//! the slightly smoothed L of L*a*b* in tiles with a limit on slope ([`equalise`], CLAHE: Zuiderveld,
//! Graphics Gems IV, 1994), mixes it with L by the strength found, and keeps a and b. Deterministic;
//! one thread.

use image::RgbImage;

/// Version of the enhancement, part of the key under which its results are kept.
pub const VERSION: &str = "contrast 1";

/// Mean grey at and below which an image counts as dark, and from which as bright; 0..255.
const DARK_TO_BRIGHT: (f32, f32) = (70.0, 170.0);

/// Sharpness at and below which an image counts as blurred, and from which as sharp; see [`Enhancement`].
const BLURRED_TO_SHARP: (f32, f32) = (2e-3, 6e-3);

/// How strongly an image is to be enhanced.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Enhancement {
    /// Share of the equalised lightness in the result, 0.15 (bright) .. 0.9 (dark and blurred):
    /// 0.15 + 0.75 dark (0.5 + 0.5 blurred), both smooth steps in 0..1 of mean grey and of sharpness
    /// (variance of the Laplacian / mean² times 255 / (mean + 12.8)).
    pub strength: f32,
    /// Largest height of a tile's histogram, in multiples of its mean height: 2 + 10 strength.
    pub clip: f32,
    /// Tiles along each side: 8 (bright), 6 or 4 (dark).
    pub tiles: usize,
}

impl Enhancement {
    /// What suits an image with these grey values (0..255, row-major, `width` to a row).
    pub fn measure(grey: &[f32], width: usize) -> Self {
        let mean =
            (grey.iter().map(|v| f64::from(*v)).sum::<f64>() / grey.len().max(1) as f64) as f32;
        let sharpness =
            laplacian_variance(grey, width) / (mean * mean + 1e-6) * 255.0 / (mean + 12.8);
        let dark = smooth(1.0 - within(mean, DARK_TO_BRIGHT));
        let blurred = 1.0 - smooth(within(sharpness, BLURRED_TO_SHARP));
        let strength = (0.15 + 0.75 * dark * (0.5 + 0.5 * blurred)).clamp(0.0, 1.0);
        let tiles = (8.0 - 4.0 * dark).round() as usize;
        Self {
            strength,
            clip: 2.0 + 10.0 * strength,
            tiles: tiles.next_multiple_of(2),
        }
    }
}

/// Place of `value` between the ends of `range`, clamped to 0..1.
fn within(value: f32, (low, high): (f32, f32)) -> f32 {
    ((value - low) / (high - low)).clamp(0.0, 1.0)
}

/// 3 t² - 2 t³.
fn smooth(t: f32) -> f32 {
    t * t * (3.0 - 2.0 * t)
}

fn laplacian_variance(grey: &[f32], width: usize) -> f32 {
    let height = grey.len() / width.max(1);
    if width < 3 || height < 3 {
        return 0.0;
    }
    let (mut sum, mut squares) = (0.0f64, 0.0f64);
    for y in 1..height - 1 {
        for x in 1..width - 1 {
            let i = y * width + x;
            let v = f64::from(
                grey[i - 1] + grey[i + 1] + grey[i - width] + grey[i + width] - 4.0 * grey[i],
            );
            sum += v;
            squares += v * v;
        }
    }
    let count = ((width - 2) * (height - 2)) as f64;
    (squares / count - (sum / count).powi(2)) as f32
}

/// The image with its contrast enhanced; an empty image as it is.
pub fn enhance(rgb: &RgbImage) -> RgbImage {
    let (width, height) = (rgb.width() as usize, rgb.height() as usize);
    if width == 0 || height == 0 {
        return rgb.clone();
    }
    let pixels = rgb.as_raw().as_chunks::<3>().0;
    let mut grey: Vec<f32> = pixels
        .iter()
        .map(|p| 0.299 * f32::from(p[0]) + 0.587 * f32::from(p[1]) + 0.114 * f32::from(p[2]))
        .collect();
    smooth_plane(&mut grey, width);
    let how = Enhancement::measure(&grey, width);
    drop(grey);
    let tables = Tables::new();
    // computed here and again at the end: kept, they would be three numbers a pixel
    let mut lightness: Vec<f32> = pixels
        .iter()
        .map(|p| (116.0 * tables.cube_roots(*p)[1] - 16.0) * 2.55)
        .collect();
    smooth_plane(&mut lightness, width);
    let levels: Vec<u8> = lightness
        .iter()
        .map(|l| (l + 0.5).clamp(0.0, 255.0) as u8)
        .collect();
    let equal = equalise(&levels, width, how.tiles, how.clip);
    drop(levels);
    for (l, e) in lightness.iter_mut().zip(&equal) {
        *l += how.strength * (e - *l);
    }
    drop(equal);
    let mut out = Vec::with_capacity(3 * pixels.len());
    for (p, mixed) in pixels.iter().zip(&lightness) {
        let f = tables.cube_roots(*p);
        let shift = (mixed / 2.55 + 16.0) / 116.0 - f[1];
        out.extend(tables.pixel([f[0] + shift, f[1] + shift, f[2] + shift]));
    }
    RgbImage::from_raw(rgb.width(), rgb.height(), out).expect("three bytes a pixel")
}

/// 3x3 Gaussian of deviation 0.8 px, borders repeated; in place, with three lines beside the plane.
fn smooth_plane(plane: &mut [f32], width: usize) {
    let side = (-0.5f32 / 0.64).exp();
    let (a, b) = (side / (1.0 + 2.0 * side), 1.0 / (1.0 + 2.0 * side));
    let across =
        |line: &[f32], out: &mut Vec<f32>| {
            out.clear();
            out.extend((0..width).map(|x| {
                a * (line[x.saturating_sub(1)] + line[(x + 1).min(width - 1)]) + b * line[x]
            }));
        };
    let height = plane.len() / width;
    let line = |y: usize| y * width..(y + 1) * width;
    let (mut above, mut here, mut below) = (Vec::new(), Vec::new(), Vec::new());
    across(&plane[line(0)], &mut here);
    above.clone_from(&here);
    for y in 0..height {
        across(&plane[line((y + 1).min(height - 1))], &mut below);
        let sums = above.iter().zip(&here).zip(&below);
        for (out, ((above, here), below)) in plane[line(y)].iter_mut().zip(sums) {
            *out = a * (above + below) + b * here;
        }
        std::mem::swap(&mut above, &mut here);
        std::mem::swap(&mut here, &mut below);
    }
}

/// Contrast-limited adaptive histogram equalisation of 8-bit levels (row-major, `width` to a row).
///
/// The image is cut into `tiles` x `tiles` parts (fewer where it has fewer pixels). Each part's
/// histogram is cut at `clip` times its mean height, what was cut is spread evenly over all levels,
/// and the running sum maps levels to 0..255. A pixel takes the bilinear mixture of the maps of the
/// four nearest parts. With `clip` 1 every map is the identity, up to rounding.
pub fn equalise(levels: &[u8], width: usize, tiles: usize, clip: f32) -> Vec<f32> {
    let height = levels.len() / width.max(1);
    let (columns, rows) = (tiles.clamp(1, width.max(1)), tiles.clamp(1, height.max(1)));
    let part = |i: usize, parts: usize, size: usize| i * size / parts..(i + 1) * size / parts;
    let mut maps = Vec::with_capacity(rows * columns);
    for ty in 0..rows {
        for tx in 0..columns {
            let mut histogram = [0.0f32; 256];
            let (ys, xs) = (part(ty, rows, height), part(tx, columns, width));
            let area = (ys.len() * xs.len()) as f32;
            for y in ys {
                levels[y * width..][xs.clone()]
                    .iter()
                    .for_each(|l| histogram[usize::from(*l)] += 1.0);
            }
            maps.push(map(&mut histogram, area, clip));
        }
    }
    let (across, down) = (mixes(columns, width), mixes(rows, height));
    let mut out = Vec::with_capacity(levels.len());
    for (line, &(y0, y1, fy)) in levels.chunks_exact(width.max(1)).zip(&down) {
        for (level, &(x0, x1, fx)) in line.iter().zip(&across) {
            let at = |ty: usize, tx: usize| maps[ty * columns + tx][usize::from(*level)];
            let above = at(y0, x0) + fx * (at(y0, x1) - at(y0, x0));
            let below = at(y1, x0) + fx * (at(y1, x1) - at(y1, x0));
            out.push(above + fy * (below - above));
        }
    }
    out
}

/// The map of one tile.
fn map(histogram: &mut [f32; 256], area: f32, clip: f32) -> [f32; 256] {
    let limit = (clip * area / 256.0).max(1.0);
    let mut cut = 0.0;
    for height in histogram.iter_mut() {
        cut += (*height - limit).max(0.0);
        *height = height.min(limit);
    }
    let mut sum = 0.0;
    let mut map = [0.0; 256];
    for (out, height) in map.iter_mut().zip(histogram) {
        sum += *height + cut / 256.0;
        *out = sum * 255.0 / area;
    }
    map
}

/// For each pixel along a side: the two nearest tiles and the share of the second.
fn mixes(tiles: usize, size: usize) -> Vec<(usize, usize, f32)> {
    let length = size as f32 / tiles as f32;
    (0..size)
        .map(|i| {
            let at = ((i as f32 + 0.5) / length - 0.5).clamp(0.0, (tiles - 1) as f32);
            let low = at as usize;
            (low, (low + 1).min(tiles - 1), at - low as f32)
        })
        .collect()
}

/// Entries of the tables of curves; between them values are interpolated.
const FINE: usize = 4096;

/// sRGB to the cube roots of relative XYZ (D65) and back, by tables.
struct Tables {
    linear: [f32; 256],
    root: Vec<f32>,
    gamma: Vec<f32>,
}

/// Relative XYZ from linear sRGB, each row divided by the white point's coordinate.
const TO_XYZ: [[f32; 3]; 3] = [
    [0.433_953, 0.376_219, 0.189_828],
    [0.212_671, 0.715_160, 0.072_169],
    [0.017_758, 0.109_477, 0.872_765],
];

/// The inverse of [`TO_XYZ`].
const FROM_XYZ: [[f32; 3]; 3] = [
    [3.079_933, -1.537_15, -0.542_782],
    [-0.921_235, 1.875_992, 0.045_244],
    [0.052_891, -0.204_043, 1.151_152],
];

impl Tables {
    fn new() -> Self {
        let linear = |v: f64| {
            if v <= 0.04045 {
                v / 12.92
            } else {
                ((v + 0.055) / 1.055).powf(2.4)
            }
        };
        let gamma = |v: f64| {
            if v <= 0.003_130_8 {
                12.92 * v
            } else {
                1.055 * v.powf(1.0 / 2.4) - 0.055
            }
        };
        let root = |v: f64| {
            if v > 0.008_856 {
                v.cbrt()
            } else {
                7.787 * v + 16.0 / 116.0
            }
        };
        let fine = |f: &dyn Fn(f64) -> f64| {
            (0..=FINE + 1)
                .map(|i| f(i as f64 / FINE as f64) as f32)
                .collect()
        };
        Self {
            linear: std::array::from_fn(|i| linear(i as f64 / 255.0) as f32),
            root: fine(&root),
            gamma: fine(&gamma),
        }
    }

    fn look_up(table: &[f32], value: f32) -> f32 {
        let at = value.clamp(0.0, 1.0) * FINE as f32;
        let low = at as usize;
        table[low] + (at - low as f32) * (table[low + 1] - table[low])
    }

    /// f(X/Xn), f(Y/Yn), f(Z/Zn): L* = 116 f(Y) - 16, a* and b* are differences of them.
    fn cube_roots(&self, pixel: [u8; 3]) -> [f32; 3] {
        let rgb = pixel.map(|v| self.linear[usize::from(v)]);
        TO_XYZ.map(|row| {
            Self::look_up(
                &self.root,
                row[0] * rgb[0] + row[1] * rgb[1] + row[2] * rgb[2],
            )
        })
    }

    fn pixel(&self, roots: [f32; 3]) -> [u8; 3] {
        let xyz = roots.map(|f| {
            if f > 0.206_893 {
                f * f * f
            } else {
                (f - 16.0 / 116.0) / 7.787
            }
        });
        FROM_XYZ.map(|row| {
            let linear = row[0] * xyz[0] + row[1] * xyz[1] + row[2] * xyz[2];
            (Self::look_up(&self.gamma, linear) * 255.0 + 0.5) as u8
        })
    }
}

#[cfg(test)]
mod tests {
    use image::Rgb;

    use super::*;

    #[test]
    fn strength_follows_darkness_and_blur() {
        let flat = |grey: f32| Enhancement::measure(&[grey; 100], 10);
        assert_eq!(
            flat(40.0),
            Enhancement {
                strength: 0.9,
                clip: 11.0,
                tiles: 4
            }
        );
        assert_eq!(
            flat(200.0),
            Enhancement {
                strength: 0.15,
                clip: 3.5,
                tiles: 8
            }
        );
        // Half-way between dark and bright the smooth step is one half: 0.15 + 0.75 * 0.5.
        assert!((flat(120.0).strength - 0.525).abs() < 1e-6);
        // A sharp dark image gets half of a blurred one's addition.
        let sharp: Vec<f32> = (0..100)
            .map(|i| if (i / 10 + i) % 2 == 0 { 10.0 } else { 70.0 })
            .collect();
        assert!((Enhancement::measure(&sharp, 10).strength - 0.525).abs() < 1e-6);
    }

    #[test]
    fn one_tile_without_a_limit_is_plain_equalisation() {
        // Four levels, one quarter each: the running sum is 1/4, 1/2, 3/4, 1 of 255.
        let levels = [10u8, 20, 30, 40];
        assert_eq!(
            equalise(&levels, 2, 1, 256.0),
            [63.75, 127.5, 191.25, 255.0]
        );
    }

    #[test]
    fn the_limit_spreads_what_it_cuts() {
        // 256 pixels of one level; the limit is 1 pixel, so 255 are spread: each level gets 255/256.
        let out = equalise(&[100u8; 256], 16, 1, 1.0);
        let expected = 101.0 * 255.0 / 256.0 * 255.0 / 256.0 + 255.0 / 256.0;
        assert!((out[0] - expected).abs() < 1e-2, "{} {expected}", out[0]);
    }

    #[test]
    fn colours_survive_the_way_there_and_back() {
        let tables = Tables::new();
        for pixel in [
            [0, 0, 0],
            [255, 255, 255],
            [12, 200, 99],
            [255, 0, 0],
            [0, 0, 255],
            [128, 127, 3],
        ] {
            let back = tables.pixel(tables.cube_roots(pixel));
            assert!(
                pixel.iter().zip(back).all(|(a, b)| a.abs_diff(b) <= 2),
                "{pixel:?} {back:?}"
            );
        }
    }

    #[test]
    fn a_faint_step_in_a_dark_image_gets_steeper() {
        let image = RgbImage::from_fn(64, 64, |x, y| {
            Rgb([20 + (x / 32 * 10) as u8 + ((x * 7 + y * 3) % 4) as u8; 3])
        });
        let out = enhance(&image);
        assert_eq!(out, enhance(&image));
        let step = |i: &RgbImage| i.get_pixel(40, 30).0[1] as i32 - i.get_pixel(24, 30).0[1] as i32;
        assert!(
            2 * step(&out) > 3 * step(&image),
            "{} {}",
            step(&out),
            step(&image)
        );
        for (width, height) in [(0, 0), (1, 1), (2, 5), (3, 3)] {
            assert_eq!(
                enhance(&RgbImage::new(width, height)).dimensions(),
                (width, height)
            );
        }
    }
}
