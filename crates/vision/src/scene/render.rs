//! One generated scene: layout, surface, light, defects and camera put together.

use image::{GrayImage, Luma, RgbImage};

use super::camera::Camera;
use super::draw::{Draw, Purpose};
use super::joint::Joint;
use super::layout::{HEIGHT, Layout, WIDTH};
use super::plane::Plane;
use super::{defect, light, texture};
use crate::geometry::{Rect, Segment};
use crate::source::{LineKind, Region};

/// A generated weld scene with everything that is known about it.
#[derive(Clone, Debug)]
pub struct Scene {
    /// The photograph, [`WIDTH`] x [`HEIGHT`], 8-bit RGB.
    pub image: RgbImage,
    /// The true lines, each in the region of interest where it is to be found.
    pub regions: Vec<Region>,
    /// Physical edges (joints, rims of plates, toes of beads, chisel marks), 255 on an edge, antialiased, about 1.5 px
    /// wide. Shadows, scratches, marks and glare are not edges. For training an edge network.
    pub edges: GrayImage,
    /// 0 (easy) .. 1 (hard).
    pub difficulty: f32,
}

impl Scene {
    /// Generates scene `index` of the collection `seed`; the same two numbers give the same bits anywhere.
    ///
    /// Difficulties of consecutive scenes are spread evenly over [0, 1], so that in any 24 of them at
    /// least 8 lie above 0.6.
    pub fn generate(seed: u64, index: u64) -> Self {
        let stream = |purpose| Draw::new(seed, index, purpose);
        let layout = Layout::draw(&mut stream(Purpose::Layout), index);
        let mut surface = texture::reflectance(&layout, &mut stream(Purpose::Texture));
        let mut edges = Plane::filled(WIDTH as usize, HEIGHT as usize, 0.0);

        let mut defects = stream(Purpose::Defect);
        defect::scratch(&layout, &mut defects, &mut surface);
        let mut joints = stream(Purpose::Joint);
        for line in layout.others() {
            Joint::draw(&mut joints, line, layout.difficulty, false)
                .paint(&mut surface, &mut edges);
        }
        for (line, faintness) in layout.truths().into_iter().zip(layout.faintness) {
            Joint::draw(&mut joints, line, faintness, true).paint(&mut surface, &mut edges);
        }
        defect::chisel(
            &layout,
            &mut stream(Purpose::Mark),
            &mut surface,
            &mut edges,
        );
        defect::spatter(&layout, &mut defects, &mut surface);
        light::illuminate(&layout, &mut stream(Purpose::Light), &mut surface);
        defect::glare(&layout, &mut defects, &mut surface);

        let mut camera = stream(Purpose::Camera);
        let image = Camera::draw(&mut camera, layout.difficulty).expose(&mut camera, &surface);
        let edges = GrayImage::from_fn(WIDTH, HEIGHT, |x, y| {
            Luma([(edges.values[(y * WIDTH + x) as usize] * 255.0 + 0.5) as u8])
        });
        let regions = regions(&layout, &mut stream(Purpose::Region));
        Self {
            image,
            regions,
            edges,
            difficulty: layout.difficulty,
        }
    }
}

/// A box around each true line, wider than the line on every side and by a different amount on each.
fn regions(layout: &Layout, draw: &mut Draw) -> Vec<Region> {
    let kinds = [
        LineKind::LongitudinalLeft,
        LineKind::LongitudinalRight,
        LineKind::Fillet,
        LineKind::Collar,
    ];
    kinds
        .into_iter()
        .zip(layout.truths())
        .map(|(kind, line)| Region {
            bounds: bounds(&line, draw),
            kind,
            line,
        })
        .collect()
}

fn bounds(line: &Segment, draw: &mut Draw) -> Rect {
    let (a, b) = (line.p0, line.p1);
    let (wide, tall) = ((a.x - b.x).abs(), (a.y - b.y).abs());
    // across the line there is more room than along it
    let (mx, my) = if tall > wide {
        ((24.0, 42.0), (4.0, 22.0))
    } else {
        ((4.0, 22.0), (24.0, 42.0))
    };
    let low = |value: f32, margin: f32| (value - margin).max(0.0) as u32;
    let high = |value: f32, margin: f32, limit: u32| ((value + margin) as u32 + 1).min(limit);
    Rect {
        left: low(a.x.min(b.x), draw.within(mx.0, mx.1)),
        top: low(a.y.min(b.y), draw.within(my.0, my.1)),
        right: high(a.x.max(b.x), draw.within(mx.0, mx.1), WIDTH),
        bottom: high(a.y.max(b.y), draw.within(my.0, my.1), HEIGHT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_numbers_give_the_same_bits() {
        let (one, two) = (Scene::generate(3, 5), Scene::generate(3, 5));
        assert_eq!(one.image, two.image);
        assert_eq!(one.edges, two.edges);
        assert_eq!(one.regions, two.regions);
        assert_ne!(one.image, Scene::generate(4, 5).image);
        assert_ne!(one.image, Scene::generate(3, 6).image);
    }

    #[test]
    fn at_least_eight_of_the_default_scenes_are_hard() {
        for seed in 0..3 {
            let hard = (0..24)
                .filter(|&index| Scene::generate(seed, index).difficulty > 0.6)
                .count();
            assert!(hard >= 8, "{hard} hard scenes under seed {seed}");
        }
    }

    #[test]
    fn every_region_holds_its_line_and_lies_in_the_image() {
        for index in 0..16 {
            for region in Scene::generate(7, index).regions {
                let bounds = region.bounds;
                assert!(bounds.right <= WIDTH && bounds.bottom <= HEIGHT);
                for end in [region.line.p0, region.line.p1] {
                    assert!(end.x >= bounds.left as f32 && end.x <= bounds.right as f32 - 1.0);
                    assert!(end.y >= bounds.top as f32 && end.y <= bounds.bottom as f32 - 1.0);
                }
            }
        }
    }
}
