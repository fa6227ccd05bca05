//! Contrast enhancement before the network: local equalisation of lightness, blended with the original.
//!
//! [`enhance`] measures how dark and how blurred the image is ([`Enhancement::measure`]), equalises
//! the slightly smoothed L of L*a*b* in tiles with a limit on slope ([`equalise`], CLAHE: Zuiderveld,
//! Graphics Gems IV, 1994), mixes it with L by the strength found, and keeps a and b. Deterministic;
//! one thread.

use std::sync::LazyLock;

use image::RgbImage;
use multiversion::multiversion;

use crate::whole::whole;

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
    // its cube roots are computed here and again at the end: kept, they would be three numbers a pixel
    let mut lightness = vec![0.0; pixels.len()];
    for (out, pixels) in lightness.chunks_mut(BLOCK).zip(pixels.chunks(BLOCK)) {
        TABLES.lightness(pixels, out);
    }
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
    let mut out = vec![0; 3 * pixels.len()];
    let parts = out.as_chunks_mut::<3>().0.chunks_mut(BLOCK);
    let given = pixels.chunks(BLOCK).zip(lightness.chunks(BLOCK));
    for (out, (pixels, lightness)) in parts.zip(given) {
        TABLES.recolour(pixels, lightness, out);
    }
    RgbImage::from_raw(rgb.width(), rgb.height(), out).expect("three bytes a pixel")
}

/// 3x3 Gaussian of deviation 0.8 px, borders repeated; in place, with three lines beside the plane.
fn smooth_plane(plane: &mut [f32], width: usize) {
    let side = (-0.5f32 / 0.64).exp();
    let weights = (side / (1.0 + 2.0 * side), 1.0 / (1.0 + 2.0 * side));
    let height = plane.len() / width;
    let line = |y: usize| y * width..(y + 1) * width;
    let [mut above, mut here, mut below] = [(); 3].map(|()| vec![0.0; width]);
    smooth_across(&plane[line(0)], weights, &mut here);
    above.copy_from_slice(&here);
    for y in 0..height {
        smooth_across(&plane[line((y + 1).min(height - 1))], weights, &mut below);
        smooth_down([&above, &here, &below], weights, &mut plane[line(y)]);
        std::mem::swap(&mut above, &mut here);
        std::mem::swap(&mut here, &mut below);
    }
}

/// `out` is a line smoothed along itself, by the weights beside and in the middle.
#[multiversion(targets("x86_64+avx2"))]
fn smooth_across(line: &[f32], (a, b): (f32, f32), out: &mut [f32]) {
    let last = line.len() - 1;
    let one = |left: f32, here: f32, right: f32| a * (left + right) + b * here;
    out[0] = one(line[0], line[0], line[1.min(last)]);
    for (out, near) in out[1..].iter_mut().zip(line.windows(3)) {
        *out = one(near[0], near[1], near[2]);
    }
    out[last] = one(line[last.saturating_sub(1)], line[last], line[last]);
}

/// `out` is the middle of three lines smoothed with the other two.
#[multiversion(targets("x86_64+avx2"))]
fn smooth_down([above, here, below]: [&[f32]; 3], (a, b): (f32, f32), out: &mut [f32]) {
    let sums = above.iter().zip(here).zip(below);
    for (out, ((above, here), below)) in out.iter_mut().zip(sums) {
        *out = a * (above + below) + b * here;
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
            let mut counts = [0u32; 256];
            let (ys, xs) = (part(ty, rows, height), part(tx, columns, width));
            let area = (ys.len() * xs.len()) as f32;
            for y in ys {
                levels[y * width..][xs.clone()]
                    .iter()
                    .for_each(|l| counts[usize::from(*l)] += 1);
            }
            maps.push(map(&mut counts.map(|count| count as f32), area, clip));
        }
    }
    let (across, down) = (mixes(columns, width), mixes(rows, height));
    let mut out = Vec::with_capacity(levels.len());
    for (line, &(y0, y1, fy)) in levels.chunks_exact(width.max(1)).zip(&down) {
        let (upper, lower) = (
            &maps[y0 * columns..][..columns],
            &maps[y1 * columns..][..columns],
        );
        out.extend(line.iter().zip(&across).map(|(level, &(x0, x1, fx))| {
            let level = usize::from(*level);
            let mixed = |maps: &[[f32; 256]]| {
                let (left, right) = (maps[x0][level], maps[x1][level]);
                left + fx * (right - left)
            };
            let (above, below) = (mixed(upper), mixed(lower));
            above + fy * (below - above)
        }));
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

/// A curve over 0..1: values at multiples of 1 / [`FINE`], each with the step to the next.
type Curve = [[f32; 2]; FINE + 1];

/// sRGB to the cube roots of relative XYZ (D65) and back, by tables.
struct Tables {
    linear: [f32; 256],
    root: Curve,
    gamma: Curve,
}

/// The same for all images; no piece of the heap, which counts what stays.
static TABLES: LazyLock<Tables> = LazyLock::new(Tables::new);

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
            let value = |i: usize| f(i as f64 / FINE as f64) as f32;
            std::array::from_fn(|i| [value(i), value(i + 1) - value(i)])
        };
        Self {
            linear: std::array::from_fn(|i| linear(i as f64 / 255.0) as f32),
            root: fine(&root),
            gamma: fine(&gamma),
        }
    }

    /// L* of pixels, at most a [`BLOCK`] of them, in 255ths of its 100.
    fn lightness(&self, pixels: &[[u8; 3]], out: &mut [f32]) {
        let mut planes = [[0.0; BLOCK]; 3];
        self.linear(pixels, &mut planes);
        lightness(self, &planes, out);
    }

    /// Pixels with another L*, in 255ths of its 100, and their own a* and b*.
    fn recolour(&self, pixels: &[[u8; 3]], lightness: &[f32], out: &mut [[u8; 3]]) {
        let mut planes = [[0.0; BLOCK]; 3];
        self.linear(pixels, &mut planes);
        recolour(self, &mut planes, lightness);
        for (k, out) in out.iter_mut().enumerate() {
            *out = [0, 1, 2].map(|channel| planes[channel][k] as u8);
        }
    }

    /// The channels of pixels without their curve.
    fn linear(&self, pixels: &[[u8; 3]], out: &mut Planes) {
        for (k, pixel) in pixels.iter().enumerate() {
            for channel in 0..3 {
                out[channel][k] = self.linear[usize::from(pixel[channel])];
            }
        }
    }
}

/// Pixels that go through the tables together.
const BLOCK: usize = 64;

/// Three numbers of each pixel of a block, which may be filled in part.
type Planes = [[f32; BLOCK]; 3];

/// What a row of a matrix makes of a pixel.
#[inline(always)]
fn product(row: [f32; 3], planes: &Planes, k: usize) -> f32 {
    row[0] * planes[0][k] + row[1] * planes[1][k] + row[2] * planes[2][k]
}

/// The values of a curve.
#[inline(always)]
fn look_up(curve: &Curve, values: &mut [f32; BLOCK]) {
    let mut places = [0; BLOCK];
    for (value, place) in values.iter_mut().zip(&mut places) {
        let at = value.clamp(0.0, 1.0) * FINE as f32;
        let low = at.floor();
        (*value, *place) = (at - low, whole(low));
    }
    for (value, place) in values.iter_mut().zip(places) {
        let [low, step] = curve[(place as usize).min(FINE)];
        *value = low + *value * step;
    }
}

/// f(Y/Yn) of linear channels as lightness: L* = 116 f(Y/Yn) - 16.
#[multiversion(targets("x86_64+avx2"))]
fn lightness(tables: &Tables, planes: &Planes, out: &mut [f32]) {
    let mut roots = std::array::from_fn(|k| product(TO_XYZ[1], planes, k));
    look_up(&tables.root, &mut roots);
    for (out, root) in out.iter_mut().zip(roots) {
        *out = (116.0 * root - 16.0) * 2.55;
    }
}

/// Makes of linear channels those of the pixels with another lightness, plus one half: a* and b* are differences of cube roots, of which
/// all three move by as much as that of Y.
#[multiversion(targets("x86_64+avx2"))]
fn recolour(tables: &Tables, planes: &mut Planes, lightness: &[f32]) {
    let mut roots = TO_XYZ.map(|row| std::array::from_fn(|k| product(row, planes, k)));
    for roots in &mut roots {
        look_up(&tables.root, roots);
    }
    for (k, lightness) in lightness.iter().enumerate() {
        let shift = (lightness / 2.55 + 16.0) / 116.0 - roots[1][k];
        for roots in &mut roots {
            roots[k] += shift;
        }
    }
    for roots in &mut roots {
        for f in roots {
            let cube = *f * *f * *f;
            let straight = (*f - 16.0 / 116.0) / 7.787;
            *f = if *f > 0.206_893 { cube } else { straight };
        }
    }
    *planes = FROM_XYZ.map(|row| std::array::from_fn(|k| product(row, &roots, k)));
    for plane in planes {
        look_up(&tables.gamma, plane);
        for value in plane {
            *value = *value * 255.0 + 0.5;
        }
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
        let pixels = [
            [0, 0, 0],
            [255, 255, 255],
            [12, 200, 99],
            [255, 0, 0],
            [0, 0, 255],
            [128, 127, 3],
        ];
        let mut lightness = [0.0; 6];
        TABLES.lightness(&pixels, &mut lightness);
        let mut back = [[0; 3]; 6];
        TABLES.recolour(&pixels, &lightness, &mut back);
        for (pixel, back) in pixels.iter().zip(back) {
            assert!(
                pixel.iter().zip(back).all(|(a, b)| a.abs_diff(b) <= 2),
                "{pixel:?} {back:?}"
            );
        }
    }

    #[test]
    fn bits_are_those_of_the_version() {
        // what is kept under VERSION stays true: where this changes it must be another
        let image = RgbImage::from_fn(211, 149, |x, y| {
            let grain = (x * 7919 + y * 104_729 + x * y * 31) >> 4;
            let level = |scale: u32| ((x * scale + y * 2) / 5 + grain % 23) as u8;
            Rgb([level(3), level(2), level(5)])
        });
        let hash = blake3::hash(enhance(&image).as_raw()).to_hex();
        assert_eq!(&hash[..16], "99393e2260b4c9e4");
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
