//! What a joint of two plates looks like: a dark gap that comes and goes, shade on both sides, a burr
//! that doubles the edge, and tack beads set over it.
//!
//! [`Joint::paint`] changes the reflectance and marks the physical edges in the edge map at the same time.

use super::draw::Draw;
use super::layout::point_at;
use super::plane::{Frame, Plane, bell, clamp01, segment_length, smooth_step};
use crate::geometry::Segment;

/// One joint between two plates.
#[derive(Clone, Debug)]
pub(super) struct Joint {
    line: Segment,
    depth: f32,
    half_gap: f32,
    fade: Fade,
    shade: f32,
    shade_reach: f32,
    burr: Option<Burr>,
    tacks: Vec<Tack>,
}

/// A bright line beside the gap.
#[derive(Clone, Debug)]
struct Burr {
    offset: f32,
    height: f32,
    fade: Fade,
}

/// A short weld bead over the joint.
#[derive(Clone, Debug)]
struct Tack {
    from: f32,
    to: f32,
    half_width: f32,
    tone: f32,
    period: f32,
    phase: f32,
}

/// Strength along a line: knots joined by straight pieces.
#[derive(Clone, Debug)]
struct Fade {
    spacing: f32,
    knots: Vec<f32>,
}

impl Fade {
    fn draw(draw: &mut Draw, length: f32, lowest: f32) -> Self {
        let spacing = draw.within(22.0, 60.0);
        let count = (length / spacing) as usize + 3;
        let knots = (0..count)
            .map(|_| smooth_step(lowest - 0.25, 0.9, draw.unit()).max(lowest))
            .collect();
        Self { spacing, knots }
    }

    fn at(&self, along: f32) -> f32 {
        let t = (along / self.spacing).max(0.0);
        let k = (t as usize).min(self.knots.len() - 2);
        let share = clamp01(t - k as f32);
        self.knots[k] * (1.0 - share) + self.knots[k + 1] * share
    }
}

impl Joint {
    /// Draws the looks of the joint along `line` of the given faintness (0 plain .. 1 hardly seen).
    pub(super) fn draw(draw: &mut Draw, line: Segment, faintness: f32, welded: bool) -> Self {
        let length = segment_length(&line);
        let ease = 1.0 - faintness;
        let depth = draw.within(0.12 + 0.34 * ease, 0.22 + 0.54 * ease);
        let lowest = draw.within(0.30, 0.45 + 0.4 * ease);
        let burr = draw.chance(0.4).then(|| Burr {
            offset: draw.sign() * draw.within(2.2, 6.0),
            height: draw.within(0.03, 0.12),
            fade: Fade::draw(draw, length, 0.0),
        });
        let tacks = if welded {
            let count = draw.count(0, 2);
            (0..count)
                .map(|_| {
                    let size = draw.within(12.0, 32.0);
                    let from = draw.within(0.0, (length - size).max(1.0));
                    Tack {
                        from,
                        to: from + size,
                        half_width: draw.within(1.8, 3.2),
                        tone: draw.within(0.45, 0.8),
                        period: draw.within(3.0, 5.5),
                        phase: draw.unit(),
                    }
                })
                .collect()
        } else {
            Vec::new()
        };
        Self {
            line,
            depth,
            half_gap: draw.within(0.15, 0.5),
            fade: Fade::draw(draw, length, lowest),
            shade: draw.within(0.03, 0.22),
            shade_reach: draw.within(8.0, 26.0),
            burr,
            tacks,
        }
    }

    /// Darkens, brightens and covers `reflectance` along the joint; marks its edges in `edges`.
    pub(super) fn paint(&self, reflectance: &mut Plane, edges: &mut Plane) {
        reflectance.along(&self.line, 40.0, |value, frame| {
            let inside = frame.inside();
            if inside > 0.0 {
                *value *= 1.0 - inside * self.shade * bell(frame.across, self.shade_reach);
                *value *= 1.0 - inside * self.dark(frame);
                if let Some(burr) = &self.burr {
                    let lift = burr.height
                        * burr.fade.at(frame.along)
                        * bell(frame.across - burr.offset, 1.1);
                    *value += inside * lift * (1.0 - *value).max(0.0);
                }
            }
        });
        edges.along(&self.line, 3.0, |value, frame| {
            let covered = self
                .tacks
                .iter()
                .any(|tack| frame.along > tack.from && frame.along < tack.to);
            if !covered {
                *value = value.max(stroke(frame));
            }
        });
        for tack in &self.tacks {
            tack.paint(&self.line, reflectance, edges);
        }
    }

    /// Darkness of the gap at a pixel, 0 .. 1.
    fn dark(&self, frame: Frame) -> f32 {
        let strength = self.depth * self.fade.at(frame.along);
        strength * clamp01(self.half_gap + 0.8 - frame.across.abs()).min(1.0)
    }
}

impl Tack {
    fn paint(&self, line: &Segment, reflectance: &mut Plane, edges: &mut Plane) {
        let length = segment_length(line);
        let part = Segment {
            p0: point_at(line, self.from / length),
            p1: point_at(line, (self.to / length).min(1.0)),
        };
        reflectance.along(&part, self.half_width + 4.0, |value, frame| {
            let p = self.level(frame);
            let cover = clamp01((1.0 - p) * self.half_width * 0.5 + 0.5);
            let wave = (frame.along + 0.4 * frame.across * frame.across / self.half_width)
                / self.period
                + self.phase;
            let saw = wave - wave.floor();
            let ripple = 1.0 - 0.26 * (2.0 * saw - 1.0).abs();
            let crown = 0.62
                + 0.5
                    * bell(
                        frame.across + 0.35 * self.half_width,
                        0.55 * self.half_width,
                    );
            let toe = 1.0 - 0.35 * bell(p - 1.15, 0.22);
            *value = (*value * (1.0 - cover) + self.tone * crown * ripple * cover) * toe;
        });
        edges.along(&part, self.half_width + 3.0, |value, frame| {
            let off = (self.level(frame) - 1.0).abs() * self.half_width * 0.5;
            *value = value.max(clamp01(1.3 - off));
        });
    }

    /// Squared distance from the bead's axis over its half width squared, with round ends: 1 at the toe.
    fn level(&self, frame: Frame) -> f32 {
        let beyond = (-frame.along).max(frame.along - frame.length).max(0.0);
        (frame.across * frame.across + beyond * beyond) / (self.half_width * self.half_width)
    }
}

/// Coverage of a pixel by a stroke about 1.5 pixels wide.
fn stroke(frame: Frame) -> f32 {
    frame.inside() * clamp01(1.25 - frame.across.abs())
}
