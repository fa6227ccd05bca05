//! Region growing on 10,000 masks: its working memory reaches its size early and stays.

use bo_vision::geometry::Rect;
use bo_vision::orientation::{BANK_WELD, LogitCrop, Orientation};
use bo_vision::region::{Growth, GrowthSettings};

use super::{Answer, Patient};
use crate::quantity::bytes;

const MASKS: usize = 10_000;
/// Masks after which the working memory has its size.
const WARM: usize = 10;
/// Side of a mask, pixels.
const SIDE: u32 = 48;

pub fn check(_: &Patient) -> Answer {
    let (mut crop, mut orientation, mut growth) = (
        LogitCrop::default(),
        Orientation::default(),
        Growth::default(),
    );
    let settings = GrowthSettings {
        threshold: 0.0,
        similarity: 0.9,
        least_pixels: 5,
    };
    let bounds = Rect {
        left: 0,
        top: 0,
        right: SIDE,
        bottom: SIDE,
    };
    let (mut warm, mut held, mut found) = (0, 0, 0);
    for number in 0..MASKS {
        crop.read_f32(&mask(number), SIDE, bounds);
        orientation.compute(&crop, &BANK_WELD);
        found += growth.segments(&crop, &orientation, &settings).len();
        held = crop.bytes() + orientation.bytes() + growth.bytes();
        if number == WARM {
            warm = held;
        }
    }
    let text = format!(
        "{MASKS} masks, {found} regions; working memory {} after mask {WARM}, {} after the last",
        bytes(warm as u64),
        bytes(held as u64)
    );
    // more pixels may join one region than in any mask before; twice the size is another matter
    match held > 2 * warm {
        false => Answer::good(text),
        true => Answer::bad(text, "a bug in bo: please report this line"),
    }
}

/// Logits of a stripe at the mask's own place and slope, with one pixel in eight turned over.
fn mask(number: usize) -> Vec<f32> {
    let (offset, slope) = (number % 40, (number / 40) % 5);
    let logit = |at: usize| {
        let (row, column) = (at / SIDE as usize, at % SIDE as usize);
        let on = (row + slope * column / 4).abs_diff(offset) < 3;
        let noise = (at + number).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 61 == 0;
        if on != noise { 2.0 } else { -2.0 }
    };
    (0..(SIDE * SIDE) as usize).map(logit).collect()
}
