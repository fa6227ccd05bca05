//! Where things stand in a scene: plates, joints between them, and how hard the scene is.
//!
//! A floor plate below, a back plate behind, a longitudinal plate on either side, and a collar plate
//! set against the back plate beside the left longitudinal. The four true lines are the joints that
//! the original labels: the two longitudinals, the fillet between their feet, and the collar's edge.

use super::draw::Draw;
use super::plane::clamp01;
use crate::geometry::{Point, Segment};

/// Columns of a scene.
pub const WIDTH: u32 = 640;
/// Rows of a scene.
pub const HEIGHT: u32 = 480;

/// The plates of a scene and how hard it is.
#[derive(Clone, Debug)]
pub(super) struct Layout {
    /// 0 easy .. 1 hard.
    pub(super) difficulty: f32,
    /// How faint each of the four true joints is, 0 plain .. 1 hardly seen, in the order of [`Layout::truths`].
    pub(super) faintness: [f32; 4],
    /// Left longitudinal, lower to upper end.
    pub(super) left: Segment,
    /// Right longitudinal, lower to upper end.
    pub(super) right: Segment,
    /// Fillet, left to right.
    pub(super) fillet: Segment,
    /// Edge of the collar, lower to upper end.
    pub(super) collar: Segment,
    /// Upper edge of the collar, from the left longitudinal to the collar's edge.
    pub(super) collar_top: Segment,
    /// Joint of the floor and the left longitudinal, from its foot outwards.
    pub(super) left_foot: Segment,
    /// Joint of the floor and the right longitudinal, from its foot outwards.
    pub(super) right_foot: Segment,
    /// Upper edge of the plates where it is in view, left to right.
    pub(super) rim: Option<Segment>,
}

impl Layout {
    /// Draws the layout of scene `index`.
    pub(super) fn draw(draw: &mut Draw, index: u64) -> Self {
        let difficulty = clamp01(radical_inverse(index) + draw.within(-0.06, 0.06));
        let faintness =
            std::array::from_fn(|_| clamp01(1.1 * difficulty - 0.1 + draw.within(-0.25, 0.25)));
        let foot_y = draw.within(320.0, 415.0);
        let left_foot = Point::new(draw.within(95.0, 185.0), foot_y + draw.within(-14.0, 14.0));
        let right_foot = Point::new(draw.within(440.0, 550.0), foot_y + draw.within(-14.0, 14.0));
        let rim_y = draw.within(25.0, 80.0);
        let has_rim = draw.chance(0.5);
        let top_left = if has_rim {
            rim_y + draw.within(-12.0, 12.0)
        } else {
            draw.within(2.0, 14.0)
        };
        let top_right = if has_rim {
            rim_y + draw.within(-12.0, 12.0)
        } else {
            draw.within(2.0, 14.0)
        };
        let left_head = Point::new(left_foot.x + draw.within(-45.0, 40.0), top_left);
        let right_head = Point::new(right_foot.x + draw.within(-40.0, 45.0), top_right);
        let fillet = Segment {
            p0: left_foot,
            p1: right_foot,
        };

        let share = draw.within(0.16, 0.38);
        let collar_foot = point_at(&fillet, share);
        let collar_height = draw.within(110.0, 210.0);
        let left_lean = (left_head.x - left_foot.x) / (left_foot.y - left_head.y);
        let right_lean = (right_head.x - right_foot.x) / (right_foot.y - right_head.y);
        let lean = left_lean + (right_lean - left_lean) * share + draw.within(-0.06, 0.06);
        let collar_head = Point::new(
            collar_foot.x + lean * collar_height,
            collar_foot.y - collar_height,
        );
        let left = Segment {
            p0: left_foot,
            p1: left_head,
        };
        let meet = point_at(
            &left,
            (collar_height + draw.within(-15.0, 15.0)) / (left_foot.y - left_head.y),
        );

        let outwards = |foot: Point, sign: f32, draw: &mut Draw| {
            let reach = 260.0;
            let drop = draw.within(0.25, 0.8);
            Segment {
                p0: foot,
                p1: Point::new(foot.x + sign * reach, foot.y + drop * reach),
            }
        };
        let left_out = outwards(left_foot, -1.0, draw);
        let right_out = outwards(right_foot, 1.0, draw);
        let rim = has_rim.then(|| {
            let slope = (right_head.y - left_head.y) / (right_head.x - left_head.x);
            let y_at = |x: f32| left_head.y + slope * (x - left_head.x);
            Segment::new(0.0, y_at(0.0), WIDTH as f32 - 1.0, y_at(WIDTH as f32 - 1.0))
        });
        Self {
            difficulty,
            faintness,
            left,
            right: Segment {
                p0: right_foot,
                p1: right_head,
            },
            fillet,
            collar: Segment {
                p0: collar_foot,
                p1: collar_head,
            },
            collar_top: Segment {
                p0: meet,
                p1: collar_head,
            },
            left_foot: left_out,
            right_foot: right_out,
            rim,
        }
    }

    /// The four true lines: left, right, fillet, collar.
    pub(super) fn truths(&self) -> [Segment; 4] {
        [self.left, self.right, self.fillet, self.collar]
    }

    /// Edges of the plates that are not among the true lines.
    pub(super) fn others(&self) -> Vec<Segment> {
        let mut others = vec![self.collar_top, self.left_foot, self.right_foot];
        others.extend(self.rim);
        others
    }
}

/// The point at `share` of the way from the first end to the second.
pub(super) fn point_at(segment: &Segment, share: f32) -> Point {
    Point::new(
        segment.p0.x + (segment.p1.x - segment.p0.x) * share,
        segment.p0.y + (segment.p1.y - segment.p0.y) * share,
    )
}

/// Van der Corput's sequence in base 2: any run of scenes holds easy and hard ones alike.
fn radical_inverse(index: u64) -> f32 {
    (index.reverse_bits() >> 40) as f32 / (1u32 << 24) as f32
}
