//! How the output plane is cut into tiles of 4 x 4, and runs of tiles into pieces of one row.
//!
//! Central type [`Grid`].

use super::super::extent::Extent;

/// Side of a tile of the output; it sees six rows and columns of the image.
pub(super) const TILE: usize = 4;

/// Side of what a tile sees.
pub(super) const SEEN: usize = 6;

/// Products of a tile.
pub(super) const POINTS: usize = SEEN * SEEN;

/// Tiles of one plane, numbered row by row.
#[derive(Clone, Copy)]
pub(super) struct Grid {
    pub(super) columns: usize,
    pub(super) tiles: usize,
}

/// Tiles beside each other.
#[derive(Clone, Copy)]
pub(super) struct Piece {
    /// Row of the grid.
    pub(super) row: usize,
    /// First column of the grid.
    pub(super) column: usize,
    /// Number of tiles.
    pub(super) tiles: usize,
    /// Tiles of the run before this piece.
    pub(super) before: usize,
}

impl Grid {
    pub(super) fn new(e: &Extent) -> Self {
        let columns = e.ow.div_ceil(TILE);
        Self {
            columns,
            tiles: columns * e.oh.div_ceil(TILE),
        }
    }

    /// The pieces of tiles `first..end`, in order.
    pub(super) fn pieces(self, first: usize, end: usize) -> impl Iterator<Item = Piece> {
        let mut at = first;
        std::iter::from_fn(move || {
            let column = at % self.columns;
            let tiles = (self.columns - column).min(end - at);
            let piece = Piece {
                row: at / self.columns,
                column,
                tiles,
                before: at - first,
            };
            at += tiles;
            (tiles > 0).then_some(piece)
        })
    }
}
