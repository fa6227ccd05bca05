//! Writes generated scenes as PNG files to look at, and all of them on one contact sheet.
//!
//! `cargo run -p bo-vision --example scenes -- FOLDER [COUNT [SEED]]`: `sceneNNN.png`, `edgesNNN.png`, and
//! `sheet.png` with true lines in green and regions in blue, six scenes a row at a third of their size.
#![expect(clippy::print_stdout, reason = "a program that prints a time")]

use std::path::PathBuf;
use std::time::{Duration, Instant};

use bo_vision::scene::{HEIGHT, Scene, WIDTH};
use image::imageops::{FilterType, overlay, resize};
use image::{Rgb, RgbImage};
use imageproc::drawing::{draw_hollow_rect_mut, draw_line_segment_mut};
use imageproc::rect::Rect;

/// Scenes in a row of the sheet.
const COLUMNS: u32 = 6;
/// How much smaller a scene is on the sheet.
const REDUCTION: u32 = 3;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut words = std::env::args().skip(1);
    let folder = PathBuf::from(words.next().ok_or("usage: scenes FOLDER [COUNT [SEED]]")?);
    let count: u32 = words.next().map_or(Ok(24), |word| word.parse())?;
    let seed = words.next().map_or(Ok(0), |word| word.parse())?;
    std::fs::create_dir_all(&folder)?;
    let (width, height) = (WIDTH / REDUCTION, HEIGHT / REDUCTION);
    let mut sheet = RgbImage::new(width * COLUMNS, height * count.div_ceil(COLUMNS));
    let mut spent = Duration::ZERO;
    for index in 0..count {
        let start = Instant::now();
        let scene = Scene::generate(seed, u64::from(index));
        spent += start.elapsed();
        scene
            .image
            .save(folder.join(format!("scene{index:03}.png")))?;
        scene
            .edges
            .save(folder.join(format!("edges{index:03}.png")))?;
        let small = marked(
            &resize(&scene.image, width, height, FilterType::Triangle),
            &scene,
        );
        let (column, row) = (index % COLUMNS, index / COLUMNS);
        overlay(
            &mut sheet,
            &small,
            i64::from(column * width),
            i64::from(row * height),
        );
    }
    sheet.save(folder.join("sheet.png"))?;
    println!(
        "{:.1} ms per scene",
        spent.as_secs_f64() * 1e3 / f64::from(count.max(1))
    );
    Ok(())
}

/// The reduced image with regions and true lines drawn on it.
fn marked(small: &RgbImage, scene: &Scene) -> RgbImage {
    let mut marked = small.clone();
    let scale = REDUCTION as f32;
    for region in &scene.regions {
        let bounds = region.bounds;
        let corner = (
            (bounds.left / REDUCTION) as i32,
            (bounds.top / REDUCTION) as i32,
        );
        let size = (
            (bounds.width() / REDUCTION).max(1),
            (bounds.height() / REDUCTION).max(1),
        );
        draw_hollow_rect_mut(
            &mut marked,
            Rect::at(corner.0, corner.1).of_size(size.0, size.1),
            Rgb([60, 110, 255]),
        );
        let (a, b) = (region.line.p0, region.line.p1);
        draw_line_segment_mut(
            &mut marked,
            (a.x / scale, a.y / scale),
            (b.x / scale, b.y / scale),
            Rgb([60, 220, 80]),
        );
    }
    marked
}
