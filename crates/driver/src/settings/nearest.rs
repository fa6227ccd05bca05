//! The known name nearest to a misspelt one.

/// The candidate with the fewest changed letters, if few enough to be what was meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let letters = word.chars().count();
    let limit = (1 + letters / 3).min(letters / 2);
    candidates
        .into_iter()
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(changes, _)| *changes <= limit)
        .min()
        .map(|(_, candidate)| candidate)
}

/// Levenshtein distance in characters.
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, ca) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, cb) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(ca != *cb);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_name_and_nonsense_finds_none() {
        assert_eq!(
            nearest("alhpa", ["alpha", "seed", "iterations"]),
            Some("alpha")
        );
        assert_eq!(
            nearest("iteration", ["alpha", "seed", "iterations"]),
            Some("iterations")
        );
        assert_eq!(nearest("zzzzzz", ["alpha", "seed", "iterations"]), None);
        assert_eq!(nearest("run", ["out", "seed"]), None);
    }
}
