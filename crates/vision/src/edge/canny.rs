//! Canny's edges at every threshold at once: an edge finder without layers, weights or training.
//!
//! Central type [`Canny`]. Canny keeps a pixel at the thresholds (t / 2, t) where pixels of gradient m >= t / 2 join it to
//! one of m >= t. The largest such t is the pixel's *strength*, so that one map holds the edges of every pair of thresholds
//! of that ratio, and cutting it where a parameter says is running Canny there. What joins a pixel may lie anywhere in
//! the image: there are no tiles of this one.
//!
//! J. Canny, A computational approach to edge detection, IEEE PAMI 8 (1986); strengths by the tree of components that union-find
//! makes of pixels in falling order, as in C. Berger et al., Effective component tree computation, ICIP 2007.

use image::imageops::grayscale;
use image::{GrayImage, RgbImage};

use super::finder::EdgeFinder;
use super::network::{EdgeError, EdgeMap, EdgeNetwork, LogitScale};
use crate::canny::thinned;

/// Name of the method, of which the fingerprint is made.
const METHOD: &str = "canny 1";

/// Strength at which the logit is 0: that of the best pair of thresholds on the photographs of `experiments/edge`.
const EVEN: f32 = 50.0;

/// Strength that stands for none: below every gradient that is not 0, which are at least 1.
const NONE: f32 = 0.5;

/// Bytes of a pixel that it holds at most beside the image and its logits: gradient, order, tree, the way to its roots, and
/// strength, where every pixel lies on an edge, less the logits that come after them.
const OF_A_PIXEL: u64 = 16;

/// Canny's edge finder. Logit = log2(strength / 50), the strength in Sobel's units (up to 1141) of the grey image, blurred
/// by a Gaussian of 1.4 pixels; so one more is a threshold twice as high, and they run from -6.6, where there is no edge, to 4.5.
pub struct Canny {
    fingerprint: String,
}

impl Default for Canny {
    fn default() -> Self {
        Self {
            fingerprint: blake3::hash(METHOD.as_bytes()).to_hex()[..32].to_string(),
        }
    }
}

impl EdgeNetwork for Canny {
    fn logits(&self, rgb: &RgbImage) -> Result<EdgeMap, EdgeError> {
        let (width, height) = rgb.dimensions();
        if width == 0 || height == 0 {
            return Err(EdgeError::EmptyImage { width, height });
        }
        let gradients = gradients(&grayscale(rgb));
        let squares = strengths(&gradients, width as usize);
        drop(gradients);
        let logit = |square: u32| match square {
            0 => (NONE / EVEN).log2(),
            _ => 0.5 * (square as f32 / (EVEN * EVEN)).log2(),
        };
        let logits = squares.into_iter().map(logit).collect();
        EdgeMap::checked(self.name(), width, height, logits)
    }

    fn name(&self) -> &str {
        EdgeFinder::Canny.name()
    }

    /// Doublings of the threshold spread as the logits do for which this scale was made.
    fn scale(&self) -> LogitScale {
        LogitScale::WIDENED
    }

    fn least(&self, (width, height): (u32, u32)) -> Result<u64, EdgeError> {
        Ok(u64::from(width) * u64::from(height) * OF_A_PIXEL)
    }

    fn fingerprint(&self) -> &str {
        &self.fingerprint
    }
}

/// Squares of Sobel's gradient where it is not below its neighbours' across the edge, 0 elsewhere and on the border; row by row.
fn gradients(grey: &GrayImage) -> Vec<u32> {
    let (width, height) = (grey.width() as usize, grey.height() as usize);
    let mut squares = vec![0; width * height];
    thinned(grey, |y, line| {
        for (out, &square) in squares[y * width..].iter_mut().zip(line) {
            *out = square as u32;
        }
    });
    squares
}

/// Squares of the strengths of pixels whose gradients have these squares, 0 where that is 0.
///
/// t(p) = max over the components C of {m >= l} that hold p, over all levels l, of min(max of m in C, 2 l). Those components are
/// the nodes of a tree: taken in falling order, a pixel joins the components beside it, and the node that it makes of them holds
/// for its level; a node made before its level is complete lies below the one that completes it, which counts no less.
fn strengths(thinned: &[u32], width: usize) -> Vec<u32> {
    let mut order: Vec<u32> = (0..thinned.len() as u32)
        .filter(|&at| thinned[at as usize] > 0)
        .collect();
    order.sort_unstable_by_key(|&at| std::cmp::Reverse(thinned[at as usize]));
    // the node above each pixel's, itself for a root; and the way there, cut short as it is walked
    let mut above: Vec<u32> = vec![u32::MAX; thinned.len()];
    let mut roots = above.clone();
    let mut strength = vec![0; thinned.len()];
    for &at in &order {
        let index = at as usize;
        (above[index], roots[index]) = (at, at);
        let mut peak = thinned[index];
        // pixels of the border are 0, so that none of these lies outside
        for beside in [
            index - width - 1,
            index - width,
            index - width + 1,
            index - 1,
            index + 1,
            index + width - 1,
            index + width,
            index + width + 1,
        ] {
            if roots[beside] == u32::MAX {
                continue;
            }
            let root = root(&mut roots, beside as u32);
            if root != at {
                (above[root as usize], roots[root as usize]) = (at, at);
                peak = peak.max(strength[root as usize]);
            }
        }
        strength[index] = peak;
    }
    drop(roots);
    for &at in order.iter().rev() {
        let index = at as usize;
        let own = strength[index].min(4 * thinned[index]);
        strength[index] = match above[index] {
            root if root == at => own,
            parent => own.max(strength[parent as usize]),
        };
    }
    strength
}

/// Root of a pixel's component.
fn root(roots: &mut [u32], mut at: u32) -> u32 {
    while roots[at as usize] != at {
        let next = roots[roots[at as usize] as usize];
        roots[at as usize] = next;
        at = next;
    }
    at
}

#[cfg(test)]
mod tests {
    use half::f16;
    use imageproc::edges::canny;

    use super::*;
    use crate::scene::Scene;

    /// High thresholds, of which the low one is half: from where noise is kept to where hardly anything is.
    const HIGHS: [f32; 8] = [1.0, 9.0, 25.0, 50.0, 100.0, 150.0, 301.0, 450.0];

    /// A scene, the same with noise, and blurred noise.
    fn images() -> Vec<RgbImage> {
        let scene = Scene::generate(5, 0).image;
        let noise = |x: u32, y: u32| {
            let h = (x.wrapping_mul(2_654_435_761) ^ y.wrapping_mul(40_503)).wrapping_mul(97);
            (h >> 13) as u8
        };
        let mut rough = scene.clone();
        for (x, y, pixel) in rough.enumerate_pixels_mut() {
            for value in &mut pixel.0 {
                *value = value.saturating_add(noise(x, y) / 4);
            }
        }
        let all = RgbImage::from_fn(97, 61, |x, y| image::Rgb([noise(x, y); 3]));
        vec![scene, rough, all]
    }

    /// Canny as the books have it: from each pixel of at least `high` along neighbours of at least half of that.
    fn plain(thinned: &[u32], width: usize, high: f32) -> Vec<bool> {
        let reaches = |at: usize, limit: f32| thinned[at] as f32 >= limit * limit;
        let mut kept = vec![false; thinned.len()];
        let mut open: Vec<usize> = (0..thinned.len()).filter(|&at| reaches(at, high)).collect();
        while let Some(at) = open.pop() {
            if std::mem::replace(&mut kept[at], true) {
                continue;
            }
            for (dx, dy) in [-1, 0, 1]
                .iter()
                .flat_map(|dy| [-1, 0, 1].map(|dx| (dx, *dy)))
            {
                let beside = at as isize + dy * width as isize + dx;
                if !kept[beside as usize] && reaches(beside as usize, high / 2.0) {
                    open.push(beside as usize);
                }
            }
        }
        kept
    }

    #[test]
    fn cut_at_a_threshold_it_is_canny_there() {
        for image in images() {
            let thinned = gradients(&grayscale(&image));
            let map = Canny::default().logits(&image).unwrap();
            let mut counts = Vec::new();
            for high in HIGHS {
                let kept = plain(&thinned, image.width() as usize, high);
                let cut = (high / EVEN).log2();
                let found: Vec<bool> = map.logits.iter().map(|l| *l >= cut - 1e-6).collect();
                assert!(found == kept, "at {high}");
                counts.push(kept.iter().filter(|kept| **kept).count());
            }
            assert!(
                counts.is_sorted_by(|a, b| a >= b) && counts[0] > 2 * counts[5],
                "{counts:?}"
            );
        }
    }

    /// The gradient and its ridges against another program's: with both thresholds equal nothing is joined.
    #[test]
    fn its_gradient_is_that_of_another_canny() {
        for image in images() {
            let grey = grayscale(&image);
            let thinned = gradients(&grey);
            for high in HIGHS {
                let theirs = canny(&grey, high, high);
                let ours = thinned.iter().map(|m| *m as f32 >= high * high);
                assert!(ours.eq(theirs.iter().map(|v| *v > 0)), "at {high}");
            }
        }
    }

    #[test]
    fn half_precision_moves_a_threshold_by_less_than_half_a_percent() {
        let image = &images()[1];
        let thinned = gradients(&grayscale(image));
        let canny = Canny::default();
        let map = canny.logits(image).unwrap();
        let kept = |logit: f32| f16::from_f32(canny.scale().apply(logit));
        for high in HIGHS {
            let cut = kept((high / EVEN).log2());
            let above = plain(&thinned, image.width() as usize, high * 1.005);
            let below = plain(&thinned, image.width() as usize, high / 1.005);
            for (index, logit) in map.logits.iter().enumerate() {
                let found = kept(*logit) >= cut;
                assert!(found >= above[index] && found <= below[index], "at {high}");
            }
        }
    }

    #[test]
    fn images_without_an_inside_have_no_edges() {
        let none = (NONE / EVEN).log2();
        for (width, height) in [(1, 1), (2, 9), (9, 2), (3, 3)] {
            let image = RgbImage::from_pixel(width, height, image::Rgb([200, 10, 90]));
            let map = Canny::default().logits(&image).unwrap();
            assert_eq!(map.logits, vec![none; (width * height) as usize]);
        }
        let empty = Canny::default().logits(&RgbImage::new(0, 4));
        assert!(matches!(empty, Err(EdgeError::EmptyImage { .. })));
    }
}
