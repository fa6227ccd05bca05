//! The environments of a finite set, as `run.json` and checkpoints hold them; in memory a table, since there may be
//! thousands.

use std::sync::Arc;

use bo_vision::texts::Texts;
use serde::{Deserialize, Serialize, Serializer};

/// Environments in their order: a name, the values of the variables and a probability each; on disk a list of
/// [`EnvironmentRecord`].
#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(try_from = "Vec<Owned>")]
pub struct Environments {
    names: Texts,
    /// Row by row.
    w: Arc<[f64]>,
    /// All sum to 1.
    weights: Arc<[f64]>,
}

/// An environment of a finite set.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct EnvironmentRecord<'e> {
    /// Its name: an image's file name, a row's number.
    pub name: &'e str,
    /// Its variables, in order.
    pub w: &'e [f64],
    /// Its probability; all sum to 1.
    pub weight: f64,
}

#[derive(Deserialize)]
struct Owned {
    name: String,
    w: Vec<f64>,
    weight: f64,
}

impl Environments {
    /// Of these names, values (row by row) and probabilities.
    ///
    /// # Panics
    /// If there are not as many names and rows as probabilities.
    pub fn new(names: Texts, w: Arc<[f64]>, weights: Arc<[f64]>) -> Self {
        assert_eq!(names.len(), weights.len(), "a name for each environment");
        assert!(
            w.len().is_multiple_of(weights.len().max(1)),
            "as many values for each environment"
        );
        Self { names, w, weights }
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.weights.len()
    }

    /// Whether there is none: a continuous law, or ordinary optimisation.
    pub fn is_empty(&self) -> bool {
        self.weights.is_empty()
    }

    /// The name of environment `row`, if there are more than that.
    pub fn name(&self, row: usize) -> Option<&str> {
        self.names.get(row)
    }

    /// The environments in their order.
    pub fn iter(&self) -> impl Iterator<Item = EnvironmentRecord<'_>> {
        let width = self.w.len() / self.len().max(1);
        let rows = self.names.iter().zip(self.weights.iter()).enumerate();
        rows.map(move |(row, (name, &weight))| EnvironmentRecord {
            name,
            w: &self.w[row * width..][..width],
            weight,
        })
    }
}

impl TryFrom<Vec<Owned>> for Environments {
    type Error = String;

    fn try_from(records: Vec<Owned>) -> Result<Self, String> {
        let width = records.first().map_or(0, |first| first.w.len());
        let other = |record: &Owned| record.w.len() != width;
        if let Some(row) = records.iter().position(other) {
            let found = records[row].w.len();
            return Err(format!(
                "environment {row} has {found} values, the first has {width}"
            ));
        }
        Ok(Self {
            names: records.iter().map(|record| &record.name).collect(),
            w: records
                .iter()
                .flat_map(|record| &record.w)
                .copied()
                .collect(),
            weights: records.iter().map(|record| record.weight).collect(),
        })
    }
}

impl Serialize for Environments {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_is_a_list_of_records_on_disk_and_ragged_ones_are_refused() {
        let names = ["a.png", "b.png"].into_iter().collect();
        let w = [0.1, -0.0, 1.0, 5e-324];
        let table = Environments::new(names, w.into(), [0.25, 0.75].into());
        let text = serde_json::to_string(&table).unwrap();
        let expected = r#"[{"name":"a.png","w":[0.1,-0.0],"weight":0.25},{"name":"b.png","w":[1.0,5e-324],"weight":0.75}]"#;
        assert_eq!(text, expected);
        let back: Environments = serde_json::from_str(&text).unwrap();
        assert!(
            back.w
                .iter()
                .zip(w)
                .all(|(a, b)| a.to_bits() == b.to_bits())
        );
        assert_eq!((back.name(1), back.name(2)), (Some("b.png"), None));
        let ragged = text.replace("1.0,", "");
        let error = serde_json::from_str::<Environments>(&ragged).unwrap_err();
        assert!(
            error.to_string().contains("environment 1 has 1 values"),
            "{error}"
        );
        assert!(
            serde_json::from_str::<Environments>("[]")
                .unwrap()
                .is_empty()
        );
    }
}
