//! Ladders on the CPU, with failures that are not real.

use std::sync::Arc;

use candle_core::Device;

use super::*;
use crate::edge::Compact;

fn images(count: usize) -> Vec<RgbImage> {
    let one = |i: u32| {
        RgbImage::from_fn(48, 40, move |x, y| {
            image::Rgb([(x * 5 + i) as u8, (y * 7) as u8, (x * y + 3 * i) as u8])
        })
    };
    (0..count as u32).map(one).collect()
}

/// Of these images as the network reads them.
fn size() -> Size {
    EdgeModel::Compact.padded(40, 48)
}

/// What is known of the one size of image that was seen.
fn safe(ladder: &Ladder) -> Safe {
    *ladder.safe().values().next().unwrap()
}

fn compact() -> Box<dyn EdgeNetwork> {
    Box::new(Compact::shipped(&Device::Cpu).unwrap())
}

/// A photograph that is worth cutting.
fn large() -> RgbImage {
    RgbImage::from_fn(640, 420, |x, y| image::Rgb([x as u8, y as u8, 7]))
}

/// A ladder and the steps it told.
fn ladder(allowed: u64) -> (Ladder, Arc<Mutex<Vec<Step>>>) {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&steps);
    let ladder = Ladder::new(
        compact(),
        move |_| allowed,
        move |step| {
            told.lock().unwrap().push(step.clone());
        },
    );
    (ladder, steps)
}

fn batches(steps: &Mutex<Vec<Step>>) -> Vec<usize> {
    let steps = steps.lock().unwrap();
    let to = |step: &Step| match step {
        Step::SmallerBatch { to, .. } | Step::LargerBatch { to, .. } => Some(*to),
        _ => None,
    };
    steps.iter().filter_map(to).collect()
}

/// A failure in words of the device's driver, as candle hands them on.
fn said(words: &str) -> EdgeError {
    EdgeError::Tensor(candle_core::Error::Msg(words.into()))
}

/// Its memory is full.
fn full() -> EdgeError {
    said(r#"DriverError(CUDA_ERROR_OUT_OF_MEMORY, "out of memory")"#)
}

#[test]
fn batches_fall_by_a_quarter_and_logits_stay() {
    let all = images(40);
    let refs: Vec<&RgbImage> = all.iter().collect();
    let network = compact();
    let (ladder, steps) = ladder(u64::MAX);
    let start = Safe {
        batch: 16,
        ..Safe::default()
    };
    let ladder = ladder
        .remembering([(size(), start)])
        .with_failures(Box::new(|attempt| (attempt.batch > 6).then(full)));
    let maps = ladder.all(&refs).unwrap();
    assert_eq!(batches(&steps), [12, 8, 6]);
    assert_eq!((safe(&ladder).batch, safe(&ladder).failed), (6, Some(8)));
    for (image, map) in all.iter().zip(&maps) {
        assert_eq!(map, &network.logits(image).unwrap());
    }
}

#[test]
fn with_room_batches_rise_by_a_quarter_but_never_to_what_failed() {
    let all = images(120);
    let refs: Vec<&RgbImage> = all.iter().collect();
    let (ladder, steps) = ladder(u64::MAX);
    let start = Safe {
        batch: 4,
        failed: Some(7),
        ..Safe::default()
    };
    ladder.remembering([(size(), start)]).all(&refs).unwrap();
    assert_eq!(batches(&steps), [5, 6]);
}

#[test]
fn the_first_batch_fills_its_share_of_the_budget() {
    let all = images(12);
    let refs: Vec<&RgbImage> = all.iter().collect();
    let bytes = |n| bytes(EdgeModel::Compact, n, size()).unwrap();
    let budget = 5 * bytes(1);
    let (ladder, steps) = ladder(budget);
    ladder.all(&refs).unwrap();
    let batch = safe(&ladder).batch;
    let share = |n| bytes(n) as f64 / budget as f64;
    assert!(share(batch) <= 0.85 && share(batch + 1) > 0.85, "{batch}");
    let confirmed = Step::Confirmed {
        batch,
        bytes: bytes(batch),
        allowed: budget,
    };
    assert_eq!(steps.lock().unwrap()[..], [confirmed]);
}

#[test]
fn batches_rise_by_a_quarter_until_they_fill_their_share_of_the_budget() {
    let bytes = |batch| bytes(EdgeModel::Compact, batch, size()).unwrap() as f64;
    let all = images(700);
    let refs: Vec<&RgbImage> = all.iter().collect();
    // one image more would be above 85 %
    for (largest, share) in [(8, 0.80), (14, 0.84)] {
        let budget = bytes(largest) / share;
        let (ladder, steps) = ladder(budget as u64);
        let start = Safe {
            batch: 2,
            ..Safe::default()
        };
        let ladder = ladder.remembering([(size(), start)]);
        ladder.all(&refs).unwrap();
        let rise = [3, 4, 5, 6, 7, 8, 10, 12, 14];
        let rise: Vec<usize> = rise.into_iter().filter(|to| *to <= largest).collect();
        assert_eq!(batches(&steps), rise);
        let share = bytes(safe(&ladder).batch) / budget;
        assert!(
            (0.70..=0.85).contains(&share),
            "{largest} images are {share}"
        );
    }
}

#[test]
fn tiles_grow_again_once_memory_has_come_back() {
    let image = RgbImage::from_fn(520, 64, |x, y| image::Rgb([x as u8, y as u8, 7]));
    let plain = compact().logits(&image).unwrap();
    let whole = EdgeModel::Compact.padded(64, 520);
    let calls = Arc::new(Mutex::new((0, Vec::new())));
    let seen = Arc::clone(&calls);
    let (ladder, steps) = ladder(u64::MAX);
    // memory is short for the first ten images
    let ladder = ladder.with_failures(Box::new(move |attempt| {
        let mut seen = seen.lock().unwrap();
        let call = seen.0;
        if attempt.window == whole {
            seen.1.push(call);
        }
        (attempt.window == whole && call < 10).then(full)
    }));
    for _ in 0..27 {
        assert_eq!(ladder.logits(&image).unwrap(), plain);
        calls.lock().unwrap().0 += 1;
    }
    // tried again after 8 images in tiles, and as that failed after 16
    assert_eq!(calls.lock().unwrap().1, [0, 8, 24, 25, 26]);
    assert_eq!(steps.lock().unwrap().last(), Some(&Step::Whole));
    assert_eq!(ladder.safe(), BTreeMap::new());
}

#[test]
fn each_size_of_image_has_a_batch_of_its_own_and_what_is_safe_is_begun_with() {
    let all = images(30);
    let refs: Vec<&RgbImage> = all.iter().collect();
    let large = RgbImage::new(160, 160);
    let (first, _) = ladder(10 * bytes(EdgeModel::Compact, 1, size()).unwrap());
    first.all(&refs).unwrap();
    assert!(first.batch((48, 40), 30).unwrap() > first.batch(large.dimensions(), 30).unwrap());
    let (second, steps) = ladder(u64::MAX);
    let second = second.remembering(first.safe());
    let known = second.batch((48, 40), 30).unwrap();
    assert_eq!(known, safe(&first).batch);
    assert_eq!(second.at_most(2).batch((48, 40), 30).unwrap(), 2);
    assert_eq!(
        steps.lock().unwrap()[..],
        [Step::Remembered { batch: known }]
    );
}

#[test]
fn an_image_above_the_budget_is_tiled_with_the_same_logits() {
    let image = large();
    let (ladder, steps) = ladder(40_000_000);
    let map = ladder.logits(&image).unwrap();
    assert_eq!(map, compact().logits(&image).unwrap());
    assert!(matches!(
        steps.lock().unwrap()[..],
        [Step::Tiled { tiles: 2.., .. }]
    ));
}

#[test]
fn out_of_memory_far_below_the_budget_an_image_is_tiled_until_it_fits() {
    let image = large();
    let pixels = |window: Size| window.0 * window.1;
    // three quarters of the whole and a little; below, margins are most of each tile
    let most = 220_000;
    let (ladder, steps) = ladder(u64::MAX);
    let ladder = ladder.with_failures(Box::new(move |attempt| {
        (pixels(attempt.window) > most).then(full)
    }));
    assert_eq!(
        ladder.logits(&image).unwrap(),
        compact().logits(&image).unwrap()
    );
    let windows: Vec<usize> = steps
        .lock()
        .unwrap()
        .iter()
        .filter_map(|step| match step {
            Step::Tiled { window, .. } => Some(pixels(*window)),
            _ => None,
        })
        .collect();
    assert!(
        windows.is_sorted_by(|a, b| a > b) && *windows.last().unwrap() <= most,
        "{windows:?}"
    );
    // the next image begins where this one fitted
    let cuts = safe(&ladder).cuts;
    ladder.logits(&image).unwrap();
    assert_eq!(safe(&ladder).cuts, cuts);
}

#[test]
fn a_lost_device_is_no_want_of_memory_and_no_step_down() {
    let (ladder, steps) = ladder(u64::MAX);
    let lost =
        r#"DriverError(CUDA_ERROR_ECC_UNCORRECTABLE, "uncorrectable ECC error encountered")"#;
    let ladder = ladder.with_spare(compact());
    let ladder = ladder.with_failures(Box::new(move |_| Some(said(lost))));
    let error = ladder.logits(&images(1)[0]).unwrap_err();
    assert!(
        error.is_device_lost() && !error.is_out_of_memory(),
        "{error}"
    );
    assert!(steps.lock().unwrap().is_empty() && !ladder.is_on_cpu());
}

#[test]
fn no_window_is_tried_twice_and_below_the_smallest_it_is_an_error_of_its_own() {
    for allowed in [u64::MAX, 1 << 20] {
        let windows = Arc::new(Mutex::new(Vec::new()));
        let tried = Arc::clone(&windows);
        let (ladder, _) = ladder(allowed);
        let ladder = ladder.with_failures(Box::new(move |attempt| {
            tried.lock().unwrap().push(attempt.window);
            Some(full())
        }));
        let error = ladder.logits(&large()).unwrap_err();
        assert!(error.is_out_of_memory(), "{error}");
        let windows = windows.lock().unwrap();
        let bytes = |window: &Size| bytes(EdgeModel::Compact, 1, *window).unwrap();
        assert!(
            windows.is_sorted_by(|a, b| bytes(a) > bytes(b)),
            "{windows:?}"
        );
        let size = EdgeModel::Compact.padded(420, 640);
        let smallest = Tiles::smallest(EdgeModel::Compact, size).unwrap();
        let last = smallest.window(size.0, size.1);
        assert_eq!(windows.last(), Some(&last));
        let EdgeError::NothingSmaller { rows, columns, .. } = error else {
            panic!("{error}")
        };
        assert_eq!((rows, columns), last);
    }
}

#[test]
fn from_a_device_without_room_for_the_smallest_tile_the_cpu_goes_on() {
    let steps = Arc::new(Mutex::new(Vec::new()));
    let told = Arc::clone(&steps);
    // a stand-in for a device: the first network fails, the spare one on the CPU does not
    let calls = Mutex::new(0);
    let ladder = Ladder::new(
        compact(),
        |_| u64::MAX,
        move |step| {
            told.lock().unwrap().push(step.clone());
        },
    )
    .with_spare(compact())
    .with_failures(Box::new(move |_| {
        *calls.lock().unwrap() += 1;
        (*calls.lock().unwrap() <= 1).then(full)
    }));
    let image = &images(1)[0];
    assert_eq!(
        ladder.logits(image).unwrap(),
        compact().logits(image).unwrap()
    );
    assert_eq!(steps.lock().unwrap()[..], [Step::OnCpu]);
}
