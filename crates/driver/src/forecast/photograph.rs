//! What looking at one image takes of host memory at least, for the plan and for the run alike.

use bo_vision::pipeline::{OF_A_PIXEL, OF_A_PIXEL_DETECTED};
use serde::Serialize;

/// Bytes of a pixel held while edges are found in an image alone: enhanced, and its logit.
const BESIDE: u64 = 3 + 4;

/// Bytes that a run which has opened its images takes more than a process which only plans it: code and libraries that it has
/// come through, stacks, pages of the heap. Measured: 3.6 to 5 MB.
pub const OPENED: u64 = 5 << 20;

/// An image that is looked at, alone.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Photograph {
    /// Columns and rows.
    pub size: (u32, u32),
    /// Its labels name regions; else lines are detected in the whole of it.
    pub has_regions: bool,
}

impl Photograph {
    /// Its pixels.
    pub fn pixels(&self) -> u64 {
        u64::from(self.size.0) * u64::from(self.size.1)
    }

    /// Bytes held of it while edges are found in it, by what takes `finder` beside.
    pub fn seen(&self, finder: u64) -> u64 {
        BESIDE * self.pixels() + finder
    }

    /// Bytes that what looks at the whole of it takes, before and after edges are found: contrast and voters, or detection.
    pub fn whole(&self) -> u64 {
        let of_a_pixel = match self.has_regions {
            true => OF_A_PIXEL,
            false => OF_A_PIXEL_DETECTED,
        };
        of_a_pixel * self.pixels()
    }

    /// What looks at the whole of it, in words.
    pub fn looks(&self) -> &'static str {
        match self.has_regions {
            true => "contrast and voters",
            false => "detection in the whole image",
        }
    }

    /// Bytes that it takes at its peak, where edges are found in `finder` bytes beside.
    pub fn peak(&self, finder: u64) -> u64 {
        self.seen(finder).max(self.whole())
    }

    /// What takes most then, in words; edges are found by `name`.
    pub fn most(&self, finder: u64, name: &str) -> String {
        if self.seen(finder) > self.whole() {
            return format!("the least that {name} takes, and what is held of the image");
        }
        match self.has_regions {
            true => "decoding, contrast and voters look at the whole of it",
            false => "its labels name no regions, so that lines are detected in the whole of it",
        }
        .to_owned()
    }
}
