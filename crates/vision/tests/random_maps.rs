//! Ten thousand random maps: nothing panics, nothing leaves its region, the same input gives the same
//! output, and the work of region growing is bounded by the pixels.

use bo_vision::geometry::{Point, Rect, Segment};
use bo_vision::orientation::{BANK_WELD, LogitCrop, Orientation};
use bo_vision::pipeline::{LineParameters, PARAMETERS, Scratch, Seen, detect, evaluate};
use bo_vision::region::{Growth, GrowthSettings};
use bo_vision::source::Truth;
use half::f16;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// A map of up to 40 x 40 pixels: noise, blocks, stripes, a field with odd values, or one value.
fn map(random: &mut ChaCha8Rng) -> (u32, u32, Vec<f32>) {
    let (width, height) = (
        random.random_range(0..40_u32),
        random.random_range(0..40_u32),
    );
    let kind = random.random_range(0..5);
    let (a, b) = (
        random.random_range(-4..5_i32),
        random.random_range(-4..5_i32),
    );
    let odd = [
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        f32::MAX,
        f32::MIN_POSITIVE,
        -0.0,
        1e30,
    ];
    let mut logits = Vec::new();
    for y in 0..height as i32 {
        for x in 0..width as i32 {
            let noise = random.random::<f32>();
            logits.push(match kind {
                0 => noise * 30.0 - 23.0,
                1 => ((x / 7 + y / 5) % 2) as f32 * 12.0 - 6.0,
                2 => ((a * x + b * y).rem_euclid(9)) as f32 * 2.0 - 8.0 + noise,
                3 if noise < 0.1 => odd[random.random_range(0..odd.len())],
                3 => noise * 10.0 - 5.0,
                _ => 1.5,
            });
        }
    }
    (width, height, logits)
}

fn parameters(random: &mut ChaCha8Rng) -> LineParameters {
    LineParameters::from_values(
        &PARAMETERS.map(|p| p.low + random.random::<f64>() * (p.high - p.low)),
    )
}

fn point(random: &mut ChaCha8Rng) -> Point {
    Point::new(
        random.random_range(-20.0..60.0),
        random.random_range(-20.0..60.0),
    )
}

fn rect(random: &mut ChaCha8Rng) -> Rect {
    let [left, top, right, bottom] = [0; 4].map(|_| random.random_range(0..50));
    Rect {
        left,
        top,
        right,
        bottom,
    }
}

/// Bits, so that NaN equals itself.
fn bits(segments: impl Iterator<Item = Segment>) -> Vec<[u32; 4]> {
    segments
        .map(|s| [s.p0.x, s.p0.y, s.p1.x, s.p1.y].map(f32::to_bits))
        .collect()
}

#[test]
fn growing_survives_any_map_and_does_bounded_work() {
    let (mut crop, mut orientation, mut used) = (
        LogitCrop::default(),
        Orientation::default(),
        Growth::default(),
    );
    for seed in 0..10_000 {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (width, height, logits) = map(&mut random);
        crop.read_f32(&logits, width, Rect::whole(width, height));
        orientation.compute(&crop, &BANK_WELD);
        let settings = GrowthSettings {
            threshold: random.random_range(-23.0..7.0),
            similarity: random.random_range(-0.5..0.99),
            least_pixels: random.random_range(0..20),
        };
        let first = used.segments(&crop, &orientation, &settings);
        let work = used.expanded();
        let second = Growth::default().segments(&crop, &orientation, &settings);
        assert_eq!(
            bits(first.iter().map(|s| s.segment)),
            bits(second.iter().map(|s| s.segment)),
            "seed {seed}"
        );
        let (pixels, seeds) = (logits.len(), logits.len().div_ceil(4));
        assert!(
            work <= pixels + seeds,
            "seed {seed}: {work} pixels expanded of {pixels}"
        );
    }
}

#[test]
fn detection_survives_any_map_region_and_setting() {
    let mut used = Scratch::default();
    for seed in 0..10_000 {
        let mut random = ChaCha8Rng::seed_from_u64(1 << 32 | seed);
        let (width, height, logits) = map(&mut random);
        let voters = (0..random.random_range(0..4)).map(|_| Segment {
            p0: point(&mut random),
            p1: point(&mut random),
        });
        let seen = Seen {
            width,
            height,
            voters: voters.collect(),
            logits: logits.iter().map(|l| f16::from_f32(*l)).collect(),
        };
        let parameters = parameters(&mut random);
        let regions: Vec<Rect> = (0..random.random_range(0..3))
            .map(|_| rect(&mut random))
            .collect();
        let found = detect(&seen, &regions, &parameters, &mut used);
        assert_eq!(
            found,
            detect(&seen, &regions, &parameters, &mut Scratch::default()),
            "seed {seed}"
        );
        for line in &found {
            let Some(region) = line.region else { continue };
            let bounds = regions[region];
            for end in [line.segment.p0, line.segment.p1] {
                let (left, top) = (bounds.left as f32, bounds.top as f32);
                let (right, bottom) = (
                    bounds.right.min(width) as f32,
                    bounds.bottom.min(height) as f32,
                );
                let inside =
                    (left - 0.01..right).contains(&end.x) && (top - 0.01..bottom).contains(&end.y);
                assert!(inside, "seed {seed}: {end:?} outside {bounds:?}");
            }
        }
        let truth = Truth::Segments(vec![Segment {
            p0: point(&mut random),
            p1: point(&mut random),
        }]);
        let score = evaluate(&seen, &truth, &parameters, &mut used);
        for value in [score.lp, score.precision, score.f] {
            assert!((0.0..=1.0).contains(&value), "seed {seed}: {score:?}");
        }
    }
}

#[test]
fn the_work_grows_with_the_pixels_and_no_faster() {
    for side in [100_u32, 200, 400] {
        // every pixel takes part and joins its neighbours' region until that is full
        let logits: Vec<f32> = (0..side * side).map(|i| (i % side % 3) as f32).collect();
        let mut crop = LogitCrop::default();
        crop.read_f32(&logits, side, Rect::whole(side, side));
        let mut orientation = Orientation::default();
        orientation.compute(&crop, &BANK_WELD);
        let mut growth = Growth::default();
        let settings = GrowthSettings {
            threshold: -23.0,
            similarity: -1.0,
            least_pixels: 5,
        };
        growth.segments(&crop, &orientation, &settings);
        assert!(
            growth.expanded() <= (side * side) as usize * 5 / 4,
            "{side}: {}",
            growth.expanded()
        );
    }
}
