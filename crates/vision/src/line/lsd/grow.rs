//! Regions of pixels whose level lines run alike, and the rectangle of each.
//!
//! Central type [`Grower`]. A region that fills its rectangle too thinly, as a bend does, is grown again under a smaller
//! tolerance and then cut down around its seed; what is cut off goes free, once.

use super::field::LevelLines;
use super::rectangle::Rectangle;

/// Cosine of the angle by which a pixel's level line may differ from its region's: 22.5 degrees.
pub(super) const TOLERANCE: f32 = 0.923_879_5;

/// Least share of a rectangle that its region fills.
const DENSITY: f32 = 0.7;

/// By how much the radius of a region that is too thin shrinks a step.
const SHRINK: f32 = 0.75;

/// What became of a pixel.
#[derive(Clone, Copy, PartialEq)]
enum Pixel {
    Free,
    /// In the region that is growing, or in one before.
    Taken,
    /// In a region before, and cut off.
    Released,
    /// Taken a second time: goes free no more.
    TakenAgain,
}

/// Grows regions one after another.
pub(super) struct Grower<'a> {
    field: &'a LevelLines,
    pixels: Vec<Pixel>,
    region: Vec<usize>,
    /// Regions below this many pixels are never meaningful.
    least: usize,
    taken: usize,
}

impl<'a> Grower<'a> {
    pub(super) fn new(field: &'a LevelLines) -> Self {
        Self {
            field,
            pixels: vec![Pixel::Free; field.width * field.height],
            region: Vec::new(),
            least: Rectangle::least_pixels(field).max(3),
            taken: 0,
        }
    }

    /// Pixels taken into a region so far, those taken several times counted so often.
    #[cfg(test)]
    pub(super) fn taken(&self) -> usize {
        self.taken
    }

    /// The rectangle of the region around `seed`; `None` if it is taken, or too small or bent a region.
    pub(super) fn rectangle(&mut self, seed: usize) -> Option<Rectangle> {
        self.grow(seed, TOLERANCE);
        let rectangle = self.dense(seed);
        if rectangle.is_none() && self.region.len() >= self.least {
            let grown = std::mem::take(&mut self.region);
            self.release(&grown);
        }
        rectangle
    }

    /// The rectangle of the grown region, refined until it is dense.
    fn dense(&mut self, seed: usize) -> Option<Rectangle> {
        let mut rectangle = self.fitted()?;
        if rectangle.density(self.region.len()) >= DENSITY {
            return Some(rectangle);
        }
        let tolerance = self.spread(seed, rectangle.width());
        let grown = std::mem::take(&mut self.region);
        self.release(&grown);
        self.grow(seed, tolerance);
        rectangle = self.fitted()?;
        let centre = self.field.point(seed);
        let distance = |p: crate::geometry::Point| (p.x - centre.x).hypot(p.y - centre.y);
        let axis = rectangle.axis();
        let mut radius = distance(axis.p0).max(distance(axis.p1));
        while rectangle.density(self.region.len()) < DENSITY {
            radius *= SHRINK;
            let field = self.field;
            let (kept, cut) = std::mem::take(&mut self.region)
                .into_iter()
                .partition(|index| distance(field.point(*index)) <= radius);
            self.region = kept;
            self.release(&cut);
            rectangle = self.fitted()?;
        }
        Some(rectangle)
    }

    /// Takes the free pixels that connect to `seed`, each aligned with those before it.
    fn grow(&mut self, seed: usize, tolerance: f32) {
        self.region.clear();
        let Some([mut x, mut y]) = self.field.direction(seed).filter(|_| self.take(seed)) else {
            return;
        };
        self.region.push(seed);
        let (width, height) = (self.field.width, self.field.height);
        let mut next = 0;
        while next < self.region.len() {
            let (column, row) = (self.region[next] % width, self.region[next] / width);
            next += 1;
            for row in row.saturating_sub(1)..(row + 2).min(height) {
                for column in column.saturating_sub(1)..(column + 2).min(width) {
                    let index = row * width + column;
                    if matches!(self.pixels[index], Pixel::Taken | Pixel::TakenAgain) {
                        continue;
                    }
                    let Some([u, v]) = self.field.direction(index) else {
                        continue;
                    };
                    if u * x + v * y >= tolerance * x.hypot(y) && self.take(index) {
                        self.region.push(index);
                        x += u;
                        y += v;
                    }
                }
            }
        }
    }

    /// The rectangle of the region; `None` if it is too small or as wide as long.
    fn fitted(&self) -> Option<Rectangle> {
        let enough = self.region.len() >= self.least;
        enough.then(|| Rectangle::around(self.field, &self.region))?
    }

    /// Cosine of twice the standard deviation of level lines from that of `seed`, among the region's pixels at most
    /// `reach` from it.
    fn spread(&self, seed: usize, reach: f32) -> f32 {
        let Some([x, y]) = self.field.direction(seed) else {
            return TOLERANCE;
        };
        let centre = self.field.point(seed);
        let (mut sum, mut squares, mut count) = (0.0_f64, 0.0_f64, 0.0_f64);
        for &index in &self.region {
            let point = self.field.point(index);
            if (point.x - centre.x).hypot(point.y - centre.y) > reach {
                continue;
            }
            if let Some([u, v]) = self.field.direction(index) {
                let angle = f64::from((x * v - y * u).atan2(x * u + y * v));
                (sum, squares, count) = (sum + angle, squares + angle * angle, count + 1.0);
            }
        }
        let mean = sum / count;
        let deviation = (squares / count - mean * mean).max(0.0).sqrt();
        ((2.0 * deviation).min(std::f64::consts::PI).cos() as f32).max(TOLERANCE)
    }

    fn take(&mut self, index: usize) -> bool {
        self.pixels[index] = match self.pixels[index] {
            Pixel::Free => Pixel::Taken,
            Pixel::Released => Pixel::TakenAgain,
            Pixel::Taken | Pixel::TakenAgain => return false,
        };
        self.taken += 1;
        true
    }

    fn release(&mut self, pixels: &[usize]) {
        for &index in pixels {
            if self.pixels[index] == Pixel::Taken {
                self.pixels[index] = Pixel::Released;
            }
        }
    }
}
