//! Many short texts in one block: names and hashes of thousands of images.

use std::sync::Arc;

/// Texts in their order, one after the other in one block, which clones share.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Texts {
    block: Arc<str>,
    ends: Arc<[u32]>,
}

impl Texts {
    /// How many there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// Text `number`, if there are more than that.
    pub fn get(&self, number: usize) -> Option<&str> {
        let end = *self.ends.get(number)? as usize;
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        Some(&self.block[start as usize..end])
    }

    /// The texts in their order.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        (0..self.len()).filter_map(|number| self.get(number))
    }
}

impl<T: AsRef<str>> FromIterator<T> for Texts {
    /// # Panics
    /// If they take 4 GiB or more together.
    fn from_iter<I: IntoIterator<Item = T>>(texts: I) -> Self {
        let (mut block, mut ends) = (String::new(), Vec::new());
        for text in texts {
            block.push_str(text.as_ref());
            ends.push(u32::try_from(block.len()).expect("names and hashes take less than 4 GiB"));
        }
        Self {
            block: block.into(),
            ends: ends.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_come_back_in_order_empty_ones_too() {
        let texts: Texts = ["", "é", "", "ab"].into_iter().collect();
        assert_eq!(texts.iter().collect::<Vec<_>>(), ["", "é", "", "ab"]);
        assert_eq!((texts.get(3), texts.get(4)), (Some("ab"), None));
    }
}
