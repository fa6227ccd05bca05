//! Canny against this machine's budget: it has no layers, and sees one image at a time as a whole.

use std::fmt;

use bo_memory::budget::{self, Budget};
use bo_vision::edge::{Canny, EdgeFinder, EdgeNetwork as _};
use serde::Serialize;

use super::photograph::{OPENED, Photograph};
use super::resident;
use super::work::{source, too_small};
use crate::exit::Failure;
use crate::quantity::bytes;

/// What Canny takes for an image and whether it fits.
#[derive(Clone, Debug, Serialize)]
pub struct CannyForecast {
    format: &'static str,
    version: u32,
    model: &'static str,
    image: Photograph,
    /// This program, its images opened.
    base: u64,
    /// Canny's own, beside the image and its logits.
    own: u64,
    /// What looks at the whole image before and after it.
    whole: u64,
    budget: Budget,
    fits: bool,
}

impl CannyForecast {
    /// Plans for one image against `asked` bytes of host memory, or what the machine allows.
    ///
    /// # Errors
    /// None that a size in use can cause.
    pub fn new(image: Photograph, asked: Option<u64>) -> Result<Self, Failure> {
        let own = Canny::default()
            .least(image.size)
            .map_err(|error| Failure::unexpected("planning Canny", error))?;
        let base = resident() + OPENED;
        let budget = budget::host(asked);
        Ok(Self {
            format: "bo/canny-plan",
            version: 1,
            model: EdgeFinder::Canny.name(),
            image,
            base,
            own,
            whole: image.whole(),
            budget,
            fits: base + image.peak(own) <= budget.bytes,
        })
    }

    /// Refuses what does not fit, with what to type.
    ///
    /// # Errors
    /// It does not fit.
    pub fn check(&self) -> Result<(), Failure> {
        match self.fits {
            true => Ok(()),
            false => Err(too_small(
                self.base + self.image.peak(self.own),
                &format!(" at least ({})", self.image.most(self.own, self.model)),
                self.budget,
                vec!["plan for smaller images".to_owned()],
            )),
        }
    }
}

impl fmt::Display for CannyForecast {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (width, height) = self.image.size;
        writeln!(
            f,
            "{}, looking at {width} x {height} pixels, one image at a time",
            self.model
        )?;
        for (name, held) in [
            ("working memory", self.own),
            ("image and answer", self.image.seen(0)),
            ("this program", self.base),
        ] {
            writeln!(f, "  {name:<20} {:>9}", bytes(held))?;
        }
        let what = self.image.looks();
        writeln!(f, "  before and after it, {what}: {}", bytes(self.whole))?;
        writeln!(
            f,
            "budget {}: {}",
            bytes(self.budget.bytes),
            source(&self.budget)
        )?;
        writeln!(f, "{}", if self.fits { "fits" } else { "does not fit" })
    }
}
