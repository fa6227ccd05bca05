//! What another program has evaluated: a checkpoint of the weld-line optimiser that `bo` replaces, or a table (CSV), also as
//! Optuna writes it.

use std::fmt;
use std::path::Path;

use bo_vision::feature::FEATURE_NAMES;
use bo_vision::pipeline::PARAMETERS;
use serde::Deserialize;

use super::space_files::environments;
use crate::bounded;
use crate::exit::Failure;

/// How a file is to be read.
#[derive(Clone, Debug, Default)]
pub struct Reading {
    /// Columns that are environment variables.
    pub w: Vec<String>,
    /// The value by which a failed evaluation is marked.
    pub failed_value: Option<f64>,
}

/// Evaluations as another program left them.
#[derive(Clone, Debug, PartialEq)]
pub struct Foreign {
    /// What the file is, in words.
    pub kind: String,
    /// Names of the decision parameters, with the range that is known beside the values seen.
    pub x: Vec<(String, Option<[f64; 2]>)>,
    /// Names of the environment variables.
    pub w: Vec<String>,
    /// One for each evaluation, at least one.
    pub rows: Vec<Row>,
}

/// One evaluation.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// As written, in the order of [`Foreign::x`].
    pub x: Vec<String>,
    /// In the order of [`Foreign::w`]; finite.
    pub w: Vec<f64>,
    /// Finite; `None` when it failed.
    pub value: Option<f64>,
}

/// A checkpoint of the original: rows of 8 parameters in natural units and 6 features.
#[derive(Deserialize)]
struct Original {
    iteration: u64,
    #[serde(rename = "train_X_full")]
    train_x: Vec<Vec<f64>>,
    #[serde(rename = "train_Y")]
    train_y: Vec<Number>,
}

/// `train_Y` is a column, or a list.
#[derive(Deserialize)]
#[serde(untagged)]
enum Number {
    Alone(f64),
    Column([f64; 1]),
}

impl Foreign {
    /// Reads a file: JSON is taken for a checkpoint of the original, anything else for CSV.
    ///
    /// # Errors
    /// [`Failure::Input`] naming the file, the row and what is expected.
    pub fn read(path: &Path, reading: &Reading) -> Result<Self, Failure> {
        let expected = "import takes the original's checkpoints {iteration, train_X_full, train_Y} and tables (CSV) with a column `value`, \
                        one for each parameter, and --w NAME for each environment variable; Optuna's trials_dataframe().to_csv(..) is one";
        let refuse = |reason: String| Failure::input(path, reason, expected);
        let text =
            bounded::read_text(path, bounded::TABLE).map_err(|error| refuse(error.to_string()))?;
        let read = match text.trim_start().starts_with('{') {
            true => original(&text),
            false => table(&text, &reading.w),
        };
        let mut foreign = read.map_err(refuse)?;
        if foreign.rows.is_empty() {
            return Err(refuse("it holds no evaluation".to_owned()));
        }
        if let Some(mark) = reading.failed_value {
            for row in &mut foreign.rows {
                row.value = row.value.filter(|value| *value != mark);
            }
        }
        if let Some(name) = twice(&foreign) {
            return Err(refuse(format!("two columns are called {name:?}")));
        }
        Ok(foreign)
    }

    /// Evaluations that failed.
    pub fn failed(&self) -> usize {
        self.rows.iter().filter(|row| row.value.is_none()).count()
    }

    /// Values that are exactly 0, by which some programs mark a failure.
    pub fn zeros(&self) -> usize {
        let zero = |row: &&Row| row.value == Some(0.0);
        self.rows.iter().filter(zero).count()
    }
}

impl fmt::Display for Foreign {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (rows, x) = (self.rows.len(), self.x.len());
        write!(f, "{}: {rows} evaluations of {x} parameters", self.kind)?;
        match (self.w.len(), environments(self)) {
            (0, _) => {}
            (w, Some(points)) => write!(f, " in {} environments of {w} variables", points.len())?,
            (w, None) => write!(f, " over {w} environment variables")?,
        }
        match self.failed() {
            0 => Ok(()),
            failed => write!(f, ", {failed} of which failed"),
        }
    }
}

/// A name that stands twice.
fn twice(foreign: &Foreign) -> Option<&str> {
    let mut names: Vec<&str> = foreign.x.iter().map(|(name, _)| name.as_str()).collect();
    names.extend(foreign.w.iter().map(String::as_str));
    names.sort_unstable();
    let pair = names.windows(2).find(|pair| pair[0] == pair[1]);
    pair.map(|pair| pair[0])
}

fn original(text: &str) -> Result<Foreign, String> {
    let Original {
        iteration,
        train_x,
        train_y,
    } = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if train_x.len() != train_y.len() {
        return Err(format!(
            "{} rows of train_X_full, {} of train_Y",
            train_x.len(),
            train_y.len()
        ));
    }
    let (dx, dw) = (PARAMETERS.len(), FEATURE_NAMES.len());
    let mut rows = Vec::with_capacity(train_y.len());
    for (number, (row, y)) in (1..).zip(train_x.iter().zip(train_y)) {
        if row.len() != dx + dw {
            return Err(format!(
                "row {number} of train_X_full has {} numbers, the original's have {dx} parameters and {dw} features",
                row.len()
            ));
        }
        let (x, w) = row.split_at(dx);
        rows.push(Row {
            x: x.iter().map(f64::to_string).collect(),
            w: w.to_vec(),
            value: Some(match y {
                Number::Alone(y) | Number::Column([y]) => y,
            }),
        });
    }
    Ok(Foreign {
        kind: format!("a checkpoint of the original, iteration {iteration}"),
        x: PARAMETERS
            .iter()
            .map(|p| (p.name.to_owned(), Some([p.low, p.high])))
            .collect(),
        w: FEATURE_NAMES.map(str::to_owned).to_vec(),
        rows,
    })
}

/// Columns of a table.
struct Columns {
    x: Vec<usize>,
    w: Vec<usize>,
    value: usize,
    /// Optuna's: only what is COMPLETE has a value.
    state: Option<usize>,
}

fn table(text: &str, w: &[String]) -> Result<Foreign, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let optuna = header.iter().any(|name| name.starts_with(PARAMS));
    let columns = Columns::of(&header, w, optuna)?;
    let name = |column: &usize| bare(&header[*column], optuna).to_owned();
    let mut rows = Vec::new();
    for (number, record) in (1..).zip(reader.records()) {
        let record = record.map_err(|error| error.to_string())?;
        let row = columns.read(&record, &header);
        rows.push(row.map_err(|reason| format!("row {number}, {reason}"))?);
    }
    Ok(Foreign {
        kind: match optuna {
            true => "a table of Optuna's".to_owned(),
            false => "a table".to_owned(),
        },
        x: columns
            .x
            .iter()
            .map(|column| (name(column), None))
            .collect(),
        w: columns.w.iter().map(name).collect(),
        rows,
    })
}

/// Before the names of parameters in Optuna's tables.
const PARAMS: &str = "params_";
/// Before the names of what a program noted of a trial there: environment variables, for instance.
const ATTRIBUTES: &str = "user_attrs_";
/// Columns that are neither parameter nor value, in tables of ours and of others.
const PASSED_OVER: [&str; 8] = [
    "",
    "id",
    "iteration",
    "status",
    "reason",
    "scale",
    "attempt",
    "seconds",
];

/// The name without what Optuna puts before it.
fn bare(name: &str, optuna: bool) -> &str {
    let short = name.strip_prefix(PARAMS).or(name.strip_prefix(ATTRIBUTES));
    short.filter(|_| optuna).unwrap_or(name)
}

impl Columns {
    fn of(header: &csv::StringRecord, w: &[String], optuna: bool) -> Result<Self, String> {
        let at = |wanted: &str| header.iter().position(|name| bare(name, optuna) == wanted);
        let w: Vec<usize> = w
            .iter()
            .map(|name| at(name).ok_or_else(|| format!("column {name} (--w) is missing")))
            .collect::<Result<_, _>>()?;
        let value = at("value").ok_or("column value is missing")?;
        let decides = |column: &usize| {
            let name = &header[*column];
            let other = *column == value || w.contains(column) || PASSED_OVER.contains(&name);
            !other && (!optuna || name.starts_with(PARAMS))
        };
        let x: Vec<usize> = (0..header.len()).filter(decides).collect();
        if x.is_empty() {
            return Err("no column is a parameter".to_owned());
        }
        Ok(Self {
            x,
            w,
            value,
            state: at("state").filter(|_| optuna),
        })
    }

    fn read(&self, record: &csv::StringRecord, header: &csv::StringRecord) -> Result<Row, String> {
        let cell = |column: usize| record.get(column).unwrap_or_default();
        let number = |column: usize| {
            let (name, text) = (&header[column], cell(column));
            let value = text.parse().ok().filter(|value: &f64| value.is_finite());
            value.ok_or_else(|| format!("column {name}: {text:?} is not a finite number"))
        };
        if let Some(column) = self.x.iter().find(|column| cell(**column).is_empty()) {
            return Err(format!("column {}: empty", &header[*column]));
        }
        let ended = self.state.is_none_or(|column| cell(column) == "COMPLETE");
        let failed = !ended || ["", "nan", "NaN"].contains(&cell(self.value));
        Ok(Row {
            x: self
                .x
                .iter()
                .map(|&column| cell(column).to_owned())
                .collect(),
            w: self
                .w
                .iter()
                .map(|&column| number(column))
                .collect::<Result<_, _>>()?,
            value: match failed {
                true => None,
                false => Some(number(self.value)?),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optunas_table_is_known_by_its_names() {
        let text = ",number,value,datetime_start,params_lr,params_opt,user_attrs_light,state\n\
                    0,0,0.5,2026,1e-3,adam,0.25,COMPLETE\n\
                    1,1,,2026,1e-2,sgd,0.75,FAIL\n";
        let read = table(text, &["light".to_owned()]).unwrap();
        let names: Vec<&str> = read.x.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["lr", "opt"]);
        assert_eq!(read.w, ["light"]);
        assert_eq!(read.rows[0].x, ["1e-3", "adam"]);
        assert_eq!(read.rows[0].w, [0.25]);
        assert_eq!(read.rows[0].value, Some(0.5));
        assert_eq!(read.rows[1].value, None);
    }

    #[test]
    fn the_original_is_read_with_its_names_in_both_forms_of_y() {
        let row = "[1,2,3,4,5,6,7,8,0.1,0.2,0.3,0.4,0.5,0.6]";
        for y in ["[[0.5],[0]]", "[0.5,0]"] {
            let text = format!(r#"{{"iteration":3,"train_X_full":[{row},{row}],"train_Y":{y}}}"#);
            let read = original(&text).unwrap();
            assert_eq!(read.x[0], ("edgeThresh1".to_owned(), Some([-23.0, 7.0])));
            assert_eq!(read.w[0], "brightness");
            assert_eq!(read.rows[1].x[7], "8");
            assert_eq!((read.zeros(), read.failed()), (1, 0));
        }
        let short = r#"{"iteration":3,"train_X_full":[[1]],"train_Y":[1]}"#;
        assert!(original(short).unwrap_err().contains("row 1"));
    }

    #[test]
    fn what_is_missing_is_named() {
        for (text, expected) in [
            ("a,b\n1,2\n", "value is missing"),
            ("value\n1\n", "no column is a parameter"),
            ("a,value\n,2\n", "row 1, column a: empty"),
            ("a,value\n1,x\n", "row 1, column value"),
        ] {
            let reason = table(text, &[]).unwrap_err();
            assert!(reason.contains(expected), "{text}\n{reason}");
        }
    }
}
