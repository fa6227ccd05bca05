//! A table of numbers in one block that whoever clones it shares: thousands of environments are held once.

use std::ops::Index;
use std::sync::Arc;

/// `len` rows of `width` numbers each. A clone shares the block.
#[derive(Clone, Debug, PartialEq)]
pub struct Rows {
    width: usize,
    len: usize,
    values: Arc<[f64]>,
}

impl Rows {
    /// The rows in their order.
    ///
    /// # Panics
    /// If one has another length than `width`.
    pub fn new<R: AsRef<[f64]>>(width: usize, rows: impl IntoIterator<Item = R>) -> Self {
        let (mut len, mut values) = (0, Vec::new());
        for row in rows {
            let row = row.as_ref();
            assert_eq!(row.len(), width, "row {len} of a table");
            values.extend_from_slice(row);
            len += 1;
        }
        Self {
            width,
            len,
            values: values.into(),
        }
    }

    /// Number of rows.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is no row.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Numbers in a row.
    pub fn width(&self) -> usize {
        self.width
    }

    /// The rows in their order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &[f64]> + Clone {
        (0..self.len).map(|row| &self[row])
    }

    /// All numbers, row by row; a clone of the block shares it.
    pub fn values(&self) -> &Arc<[f64]> {
        &self.values
    }
}

impl Index<usize> for Rows {
    type Output = [f64];

    fn index(&self, row: usize) -> &[f64] {
        assert!(row < self.len, "row {row} of {}", self.len);
        &self.values[row * self.width..][..self.width]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_in_order_and_a_clone_shares_them() {
        let rows = Rows::new(2, [[1.0, 2.0], [3.0, 4.0]]);
        assert_eq!(rows.iter().collect::<Vec<_>>(), [[1.0, 2.0], [3.0, 4.0]]);
        assert!(std::ptr::eq(&rows.clone()[1], &rows[1]));
        // without environment variables there is one row of no number
        let none = Rows::new(0, [[0.0; 0]]);
        assert_eq!((none.len(), none[0].len()), (1, 0));
    }
}
