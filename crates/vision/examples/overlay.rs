//! Draws what the pipeline sees and finds in some images, as PNG files for looking at.
//!
//! `cargo run --example overlay -- FOLDER INDEX,INDEX,... MODEL WEIGHTS|- x0,..,x7|- [IMAGES LABELS]`.
//! Left: the image with regions (yellow), truth (green), found lines (red). Right: edge logits, black
//! -12 to white 4, with the segments of both presets (red, orange) and the voters (blue).
#![expect(clippy::print_stdout, reason = "a program that prints a table")]

use std::path::{Path, PathBuf};

use bo_vision::edge::EdgeModel;
use bo_vision::folder::FolderSource;
use bo_vision::geometry::Segment;
use bo_vision::kept::KeptLooks;
use bo_vision::line::Detectors;
use bo_vision::pipeline::{LineParameters, PARAMETERS, Scratch, Untimed, detect, evaluate, see};
use bo_vision::scene::SceneSource;
use bo_vision::source::{ImageSource, Truth};
use candle_core::Device;
use image::{Rgb, RgbImage};
use imageproc::drawing::{draw_antialiased_line_segment_mut, draw_hollow_rect_mut};
use imageproc::pixelops::interpolate;

fn line(canvas: &mut RgbImage, segment: &Segment, shift: f32, color: [u8; 3]) {
    let end = |x: f32, y: f32| ((x + shift).round() as i32, y.round() as i32);
    let (a, b) = (
        end(segment.p0.x, segment.p0.y),
        end(segment.p1.x, segment.p1.y),
    );
    draw_antialiased_line_segment_mut(canvas, a, b, Rgb(color), interpolate);
}

fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let [folder, numbers, model, weights, values, rest @ ..] = words.as_slice() else {
        panic!("see the head of the file")
    };
    let model: EdgeModel = model.parse().expect("a model");
    let weights = (weights != "-").then(|| Path::new(weights));
    let network = model.load(weights, &Device::Cpu).expect("weights");
    let mut x = PARAMETERS.map(|parameter| parameter.default);
    for (x, text) in x
        .iter_mut()
        .zip(values.split(',').filter(|text| *text != "-"))
    {
        *x = text.parse().expect("a number");
    }
    let parameters = LineParameters::from_values(&x);
    let source: Box<dyn ImageSource> = match rest {
        [images, labels] => {
            let pair = (PathBuf::from(images), PathBuf::from(labels));
            Box::new(
                FolderSource::open(&[pair], &mut KeptLooks::default())
                    .expect("images")
                    .0,
            )
        }
        _ => Box::new(SceneSource::new(1_000, 0)),
    };
    let mut scratch = Scratch::default();
    for index in numbers
        .split(',')
        .map(|text| text.parse::<usize>().expect("an index"))
    {
        let image = source.load(index).expect("loadable");
        let seen = see(
            image.pixels.clone(),
            network.as_ref(),
            Detectors::Both,
            &Untimed,
        )
        .expect("edges");
        let (width, height) = (seen.width, seen.height);
        let mut canvas = RgbImage::new(2 * width, height);
        for (x, y, pixel) in image.pixels.enumerate_pixels() {
            canvas.put_pixel(x, y, *pixel);
            let logit = seen.logits[(y * width + x) as usize].to_f32();
            let grey = ((logit + 12.0) / 16.0 * 255.0).clamp(0.0, 255.0) as u8;
            canvas.put_pixel(width + x, y, Rgb([grey; 3]));
        }
        for voter in &seen.voters {
            line(&mut canvas, voter, width as f32, [60, 120, 255]);
        }
        let presets = detect(&seen, &[], &parameters, &mut scratch);
        for (number, found) in presets.iter().enumerate() {
            line(
                &mut canvas,
                &found.segment,
                width as f32,
                [255, (number * 37 % 160) as u8, 0],
            );
        }
        let regions = match &image.truth {
            Truth::Regions(regions) => regions.iter().map(|region| region.bounds).collect(),
            Truth::Segments(_) => Vec::new(),
        };
        for bounds in &regions {
            let rect = imageproc::rect::Rect::at(bounds.left as i32, bounds.top as i32)
                .of_size(bounds.width().max(1), bounds.height().max(1));
            draw_hollow_rect_mut(&mut canvas, rect, Rgb([230, 210, 0]));
        }
        let truth: Vec<Segment> = match &image.truth {
            Truth::Regions(regions) => regions.iter().map(|region| region.line).collect(),
            Truth::Segments(lines) => lines.clone(),
        };
        for segment in &truth {
            line(&mut canvas, segment, 0.0, [0, 255, 0]);
        }
        for found in detect(&seen, &regions, &parameters, &mut scratch) {
            line(&mut canvas, &found.segment, 0.0, [255, 0, 0]);
        }
        let score = evaluate(&seen, &image.truth, &parameters, &mut scratch);
        println!("{} {width}x{height}: {score:?}", source.name(index));
        canvas
            .save(Path::new(folder).join(format!("{}.png", source.name(index))))
            .expect("saved");
    }
}
