//! Where a feature map lies in the whole of which it is a window.
//!
//! Central type [`View`]. Layers that look only at their neighbourhood need no view; those that
//! resample do, because what a pixel is mixed of depends on the size of the whole.

/// A window into a map of `height` x `width`, beginning at (`top`, `left`); its own size is that of
/// the tensor it goes with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct View {
    /// First row.
    pub top: usize,
    /// First column.
    pub left: usize,
    /// Rows of the whole.
    pub height: usize,
    /// Columns of the whole.
    pub width: usize,
}

impl View {
    /// Everything of a map of this size.
    pub fn whole(height: usize, width: usize) -> Self {
        Self {
            top: 0,
            left: 0,
            height,
            width,
        }
    }

    /// The same window after `times` halvings that drop an odd last row or column. `top` and `left`
    /// must be multiples of 2 to that power.
    pub fn halved(self, times: usize) -> Self {
        Self {
            top: self.top >> times,
            left: self.left >> times,
            height: self.height >> times,
            width: self.width >> times,
        }
    }
}
