//! Random maps, masks, orientation fields and votes: nothing panics, nothing leaves its region, the same input gives
//! the same output, and the work of region growing is bounded by the pixels.
//!
//! Three thousand of each here; as many as `BO_MASKS` says by `make masks`, which prints the table of
//! `experiments/masks` as well.

use std::io::Write as _;

use bo_vision::geometry::{Point, Rect, Segment};
use bo_vision::line::{FitSettings, Votes, fit_line};
use bo_vision::orientation::{BANK_WELD, DIRECTIONS, LogitCrop, Orientation};
use bo_vision::pipeline::{LineParameters, PARAMETERS, Scratch, Seen, detect, evaluate};
use bo_vision::region::{Growth, GrowthSettings};
use bo_vision::source::Truth;
use half::f16;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// How many of each.
fn count() -> u64 {
    std::env::var("BO_MASKS").map_or(3_000, |text| text.parse().expect("BO_MASKS is a number"))
}

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

/// An orientation field that no map need have: directions by chance, in blocks, flat in places, or odd values.
fn field(random: &mut ChaCha8Rng, width: u32, pixels: usize) -> Vec<[f32; DIRECTIONS]> {
    let kind = random.random_range(0..4);
    let mut one = |index: usize| {
        if kind == 1 && (index as u32 % width / 6).is_multiple_of(2) {
            return [0.0, 1.0, 0.0, 0.0, 0.0, 0.0];
        }
        let raw: [f32; DIRECTIONS] = std::array::from_fn(|_| random.random_range(-1.0..1.0));
        let length = raw.iter().map(|v| v * v).sum::<f32>().sqrt();
        match (kind, random.random_range(0..10)) {
            (2, 0..3) => [0.0; DIRECTIONS],
            (3, 0) => [f32::NAN; DIRECTIONS],
            (3, 1) => [f32::INFINITY; DIRECTIONS],
            (3, 2) => [-f32::MAX; DIRECTIONS],
            _ => raw.map(|v| v / length),
        }
    };
    (0..pixels).map(&mut one).collect()
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
fn growing_survives_any_map_and_field_and_does_bounded_work() {
    let (mut crop, mut orientation, mut used) = (
        LogitCrop::default(),
        Orientation::default(),
        Growth::default(),
    );
    for seed in 0..count() {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        let (width, height, logits) = map(&mut random);
        crop.read_f32(&logits, width, Rect::whole(width, height));
        let settings = GrowthSettings {
            threshold: random.random_range(-23.0..7.0),
            similarity: random.random_range(-0.5..0.99),
            least_pixels: random.random_range(0..20),
        };
        // every second map keeps its own field, the others get one that does not go with it
        if seed.is_multiple_of(2) {
            orientation.compute(&crop, &BANK_WELD);
        } else {
            orientation = Orientation::given(&field(&mut random, width, logits.len()));
        }
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
    for seed in 0..count() {
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
fn fitting_survives_any_votes() {
    for seed in 0..count() {
        let mut random = ChaCha8Rng::seed_from_u64(2 << 32 | seed);
        let bounds = rect(&mut random);
        let settings = FitSettings {
            hypotheses: random.random_range(0..64),
            tolerance: random.random_range(0.1..10.0),
        };
        let weights = [0.0, 1.0, 20.0, 1e-30, 1e30];
        let mut votes = Votes::default();
        let same = point(&mut random);
        for _ in 0..random.random_range(0..60) {
            let at = match random.random_range(0..8) {
                0 => same,
                1 => Point::new(f32::NAN, 3.0),
                2 => Point::new(1e30, -1e30),
                _ => point(&mut random),
            };
            votes.push(at, weights[random.random_range(0..weights.len())]);
        }
        let segments: Vec<Segment> = (0..random.random_range(0..5))
            .map(|_| Segment {
                p0: point(&mut random),
                p1: same,
            })
            .collect();
        let found = fit_line(&votes, &segments, bounds, &settings);
        let again = fit_line(&votes, &segments, bounds, &settings);
        let line =
            |found: &Option<bo_vision::line::FittedLine>| bits(found.iter().map(|f| f.segment));
        assert_eq!(line(&found), line(&again), "seed {seed}");
        let ends = |s: Segment| [s.p0, s.p1];
        let supported = found.iter().filter_map(|f| f.supported).flat_map(ends);
        for end in found.iter().flat_map(|f| ends(f.segment)).chain(supported) {
            let inside = (bounds.left as f32 - 0.01..bounds.right as f32).contains(&end.x)
                && (bounds.top as f32 - 0.01..bounds.bottom as f32).contains(&end.y);
            assert!(inside, "seed {seed}: {end:?} outside {bounds:?}");
        }
    }
}

/// Nanoseconds that this thread has had a processor; 0 where the system does not tell.
fn processor_time() -> u64 {
    std::fs::read_to_string("/proc/thread-self/schedstat")
        .ok()
        .and_then(|text| text.split(' ').next()?.parse().ok())
        .unwrap_or(0)
}

#[test]
fn the_work_grows_with_the_pixels_and_no_faster() {
    let table = std::env::var_os("BO_MASKS").is_some();
    let sides: &[u32] = if table {
        &[250, 500, 1000, 2000, 4000]
    } else {
        &[100, 200, 400]
    };
    for &side in sides {
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
        // the clock of processor time is coarse: small maps are grown often
        let rounds = if table {
            (16_000_000 / (side * side)).max(1)
        } else {
            1
        };
        let begun = processor_time();
        (0..rounds).for_each(|_| drop(growth.segments(&crop, &orientation, &settings)));
        if table {
            let pixels = f64::from(rounds) * f64::from(side * side);
            let each = (processor_time() - begun) as f64 / pixels;
            let line = format!(
                "{side} x {side}: {} expanded, {each:.1} ns a pixel",
                growth.expanded()
            );
            let _ = writeln!(std::io::stderr(), "{line}");
        }
        assert!(
            growth.expanded() <= (side * side) as usize * 5 / 4,
            "{side}: {}",
            growth.expanded()
        );
    }
}
