//! Pictures of what was looked for, found and missed, for people to look at.
//!
//! Central type [`Overlay`]: the image as it is on the left, drawn upon on the right.

use image::{Rgb, RgbImage};

use crate::geometry::{Point, Rect, Segment};

/// Covered parts of true lines: green.
pub const COVERED: [u8; 3] = [0, 230, 60];
/// Missed parts of true lines: magenta.
pub const MISSED: [u8; 3] = [255, 0, 255];
/// Detected lines: red.
pub const FOUND: [u8; 3] = [255, 40, 30];
/// Regions: yellow.
pub const REGION: [u8; 3] = [230, 210, 0];
/// Corner points: cyan.
pub const CORNER: [u8; 3] = [0, 220, 255];

/// A picture in two halves.
#[derive(Clone, Debug)]
pub struct Overlay {
    canvas: RgbImage,
    /// Width of the image, where the right half begins.
    shift: f32,
    /// Width of a stroke in pixels: 1 at a diagonal of 800.
    stroke: f32,
}

impl Overlay {
    /// The image twice, side by side.
    pub fn new(image: &RgbImage) -> Self {
        let (width, height) = image.dimensions();
        let mut canvas = RgbImage::new(2 * width, height);
        image::imageops::replace(&mut canvas, image, 0, 0);
        image::imageops::replace(&mut canvas, image, i64::from(width), 0);
        Self {
            canvas,
            shift: width as f32,
            stroke: ((width as f32).hypot(height as f32) / 800.0).max(1.0),
        }
    }

    /// A straight line.
    pub fn line(&mut self, segment: &Segment, color: [u8; 3]) {
        let steps = (2.0 * segment.length()).ceil().clamp(1.0, 1e6) as usize;
        for step in 0..=steps {
            let t = step as f32 / steps as f32;
            self.dot(
                segment.p0.x + t * (segment.p1.x - segment.p0.x),
                segment.p0.y + t * (segment.p1.y - segment.p0.y),
                color,
            );
        }
    }

    /// A true line: covered within `radius` of a detected one, or missed.
    pub fn truth(&mut self, line: &Segment, detected: &[Segment], radius: f32) {
        let steps = (2.0 * line.length()).ceil().clamp(1.0, 1e6) as usize;
        for step in 0..=steps {
            let t = step as f32 / steps as f32;
            let point = Point::new(
                line.p0.x + t * (line.p1.x - line.p0.x),
                line.p0.y + t * (line.p1.y - line.p0.y),
            );
            let near = detected.iter().any(|found| found.distance(point) < radius);
            self.dot(point.x, point.y, if near { COVERED } else { MISSED });
        }
    }

    /// A region's border.
    pub fn region(&mut self, bounds: Rect) {
        let (left, top) = (bounds.left as f32, bounds.top as f32);
        let (right, bottom) = (bounds.right as f32 - 1.0, bounds.bottom as f32 - 1.0);
        let corners = [(left, top), (right, top), (right, bottom), (left, bottom)];
        for (k, (x, y)) in corners.iter().enumerate() {
            let (to_x, to_y) = corners[(k + 1) % 4];
            self.line(&Segment::new(*x, *y, to_x, to_y), REGION);
        }
    }

    /// A cross.
    pub fn corner(&mut self, point: Point) {
        let arm = 5.0 * self.stroke;
        let Point { x, y } = point;
        self.line(&Segment::new(x - arm, y - arm, x + arm, y + arm), CORNER);
        self.line(&Segment::new(x - arm, y + arm, x + arm, y - arm), CORNER);
    }

    /// The picture.
    pub fn into_image(self) -> RgbImage {
        self.canvas
    }

    /// A square of the stroke's width around a point of the image; nothing outside it.
    fn dot(&mut self, x: f32, y: f32, color: [u8; 3]) {
        let reach = (self.stroke / 2.0).floor() as i64;
        let (x, y) = (x.round() as i64, y.round() as i64);
        for row in y - reach..=y + reach {
            for column in x - reach..=x + reach {
                let inside = (0..self.shift as i64).contains(&column)
                    && (0..i64::from(self.canvas.height())).contains(&row);
                if inside {
                    let column = column as u32 + self.shift as u32;
                    self.canvas.put_pixel(column, row as u32, Rgb(color));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn covered_and_missed_parts_are_told_apart_and_nothing_is_drawn_outside() {
        let mut overlay = Overlay::new(&RgbImage::new(40, 30));
        let found = Segment::new(0.0, 10.0, 20.0, 10.0);
        overlay.truth(&Segment::new(-9.0, 10.0, 60.0, 10.0), &[found], 3.0);
        overlay.corner(Point::new(39.0, 0.0));
        overlay.region(Rect::whole(40, 30));
        let image = overlay.into_image();
        assert_eq!(image.get_pixel(50, 10).0, COVERED);
        assert_eq!(image.get_pixel(70, 10).0, MISSED);
        let left = image.enumerate_pixels().filter(|(x, ..)| *x < 40);
        assert!(left.into_iter().all(|(.., pixel)| pixel.0 == [0; 3]));
    }
}
