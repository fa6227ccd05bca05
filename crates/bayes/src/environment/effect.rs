//! What the features of an environment do not say: an effect of its own on every value seen there.
//!
//! Two photographs with the same brightness and blur can still be of very different difficulty. The
//! value seen in environment j is taken as `y = u_j + g(x, w_j)`; the Gaussian process models g, and u
//! is estimated beforehand by the one-way random-effects model (Searle, Casella & McCulloch, *Variance
//! Components*, 1992, ch. 3): group means drawn towards the grand mean by how often each was seen.

/// Mean square between environments over that within, from which on effects are believed.
const CLEAR: f64 = 2.0;

/// Shrunken effects u_j of `count` environments, in the unit of `values`, from `values[i]` seen in
/// environment `seen[i]` (`None`: not one of a finite set).
///
/// `u_j = n_j s / (n_j s + v) * (mean of j - mean)` with v the variance within and s that between
/// environments by the analysis of variance. All 0 while environments were seen less than twice on
/// average, or do not differ clearly (F below 2), or any value has none.
pub fn effects(values: &[f64], seen: &[Option<usize>], count: usize) -> Vec<f64> {
    let none = vec![0.0; count];
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let (mut sums, mut numbers) = (vec![0.0; count], vec![0.0; count]);
    for (value, environment) in values.iter().zip(seen) {
        let Some(j) = environment.filter(|j| *j < count) else {
            return none;
        };
        sums[j] += value - mean;
        numbers[j] += 1.0;
    }
    let groups = numbers.iter().filter(|n| **n > 0.0).count() as f64;
    if groups < 2.0 || n < 2.0 * groups {
        return none;
    }
    let means: Vec<f64> = sums
        .iter()
        .zip(&numbers)
        .map(|(sum, n): (&f64, &f64)| if *n > 0.0 { sum / n } else { 0.0 })
        .collect();
    let within = values
        .iter()
        .zip(seen.iter().flatten())
        .map(|(value, j)| (value - mean - means[*j]).powi(2))
        .sum::<f64>()
        / (n - groups);
    let between = means
        .iter()
        .zip(&numbers)
        .map(|(m, n)| n * m * m)
        .sum::<f64>()
        / (groups - 1.0);
    if !between.is_finite() || between <= CLEAR * within {
        return none;
    }
    let squares: f64 = numbers.iter().map(|n| n * n).sum();
    let typical = (n - squares / n) / (groups - 1.0);
    let variance = (between - within) / typical;
    means
        .iter()
        .zip(&numbers)
        .map(|(m, n)| {
            if *n > 0.0 {
                m * n * variance / (n * variance + within)
            } else {
                0.0
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clear_differences_are_found_and_shrunken() {
        // Two environments, one better by 1; within each, -0.1 and 0.1.
        let values = [0.4, 0.6, -0.6, -0.4];
        let seen = [Some(0), Some(0), Some(2), Some(2)];
        let found = effects(&values, &seen, 3);
        // within = 0.04 / 2, between = 1, typical n = 2, variance 0.49: 0.5 * 0.98 / (0.98 + 0.02)
        assert!((found[0] - 0.49).abs() < 1e-12 && (found[2] + 0.49).abs() < 1e-12);
        assert_eq!(found[1], 0.0, "never seen: nothing is known");
    }

    #[test]
    fn nothing_is_claimed_without_evidence() {
        let seen = [Some(0), Some(1), Some(0), Some(1)];
        assert_eq!(effects(&[0.0, 0.1, 1.0, 1.1], &seen, 2), [0.0, 0.0]);
        assert_eq!(effects(&[1.0, 2.0], &[Some(0), Some(1)], 2), [0.0, 0.0]);
        assert_eq!(effects(&[1.0, 2.0], &[None, None], 1), [0.0]);
        assert_eq!(effects(&[], &[], 2), [0.0, 0.0]);
        let constant = effects(&[3.0; 4], &seen, 2);
        assert!(constant.iter().all(|u| *u == 0.0));
    }
}
