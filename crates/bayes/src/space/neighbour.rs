//! Neighbours and enumeration of discrete points: steps without relaxation.

use super::{Domain, Space};

impl Space {
    /// Unit points one step away in one discrete parameter: an integer goes to the value before and
    /// the value after, and in a large range also by strides of 2, 4, 8, ... up to an eighth of its values, so that it
    /// is crossed in a few steps; a category goes to each other choice. Real parameters stay as they are.
    pub fn neighbours(&self, unit: &[f64]) -> Vec<Vec<f64>> {
        let mut out = Vec::new();
        for (i, p) in self.parameters().iter().enumerate() {
            let here = p.domain.natural(unit[i]);
            let values: Vec<f64> = match &p.domain {
                Domain::Real { .. } => continue,
                Domain::Integer { .. } => {
                    let longest = p.domain.count().unwrap_or(1) / 8;
                    let strides = (0..u64::BITS).map(|k| 1_u64 << k);
                    strides
                        .take_while(|stride| *stride == 1 || *stride <= longest)
                        .flat_map(|stride| [here - stride as f64, here + stride as f64])
                        .collect()
                }
                Domain::Categorical { choices } => (0..choices.len()).map(|k| k as f64).collect(),
            };
            for v in values
                .into_iter()
                .filter(|v| *v != here && p.domain.contains(*v))
            {
                let mut moved = unit.to_vec();
                moved[i] = p.domain.unit(v);
                out.push(moved);
            }
        }
        out
    }

    /// All points of a fully discrete space as unit points, the last parameter running fastest, if
    /// there are at most `limit`; `None` otherwise.
    pub fn enumerate(&self, limit: u64) -> Option<Vec<Vec<f64>>> {
        let size = self.size().filter(|n| *n <= limit)?;
        Some((0..size).map(|k| self.point_at(k)).collect())
    }

    /// Unit point number `k` of a fully discrete space, in the order of [`Self::enumerate`].
    fn point_at(&self, mut k: u64) -> Vec<f64> {
        let mut unit = vec![0.0; self.dimension()];
        for (u, p) in unit.iter_mut().zip(self.parameters()).rev() {
            let count = p.domain.count().unwrap_or(1);
            let low = if let Domain::Integer { low, .. } = p.domain {
                low as f64
            } else {
                0.0
            };
            *u = p.domain.unit(low + (k % count) as f64);
            k /= count;
        }
        unit
    }
}

#[cfg(test)]
mod tests {
    use crate::space::{Parameter, Space};

    #[test]
    fn neighbours_step_once_in_one_discrete_parameter() {
        let space = Space::new(vec![
            Parameter::real("r", 0.0, 1.0),
            Parameter::integer("k", 1, 4),
            Parameter::categorical("c", ["a", "b", "c"]),
        ])
        .unwrap();
        let here = space.to_unit(&[0.3, 1.0, 2.0]);
        let next: Vec<_> = space
            .neighbours(&here)
            .iter()
            .map(|u| space.from_unit(u))
            .collect();
        assert_eq!(next, [[0.3, 2.0, 2.0], [0.3, 1.0, 0.0], [0.3, 1.0, 1.0]]);
    }

    #[test]
    fn enumeration_visits_every_point_once() {
        let space = Space::new(vec![
            Parameter::integer("k", -1, 3),
            Parameter::categorical("c", ["a", "b"]),
        ])
        .unwrap();
        let all = space.enumerate(10).unwrap();
        let natural: Vec<_> = all.iter().map(|u| space.from_unit(u)).collect();
        assert_eq!(natural.len(), 10);
        assert_eq!(natural[0], [-1.0, 0.0]);
        assert_eq!(natural[9], [3.0, 1.0]);
        assert!(space.enumerate(9).is_none());
    }
}
