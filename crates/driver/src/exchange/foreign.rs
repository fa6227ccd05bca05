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
    /// Rows that are none: not brought to their end, or without a value of every parameter.
    pub left_out: usize,
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
    /// Share of the whole work that gave the value, as written; empty for all of it.
    pub scale: String,
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
        let remedy = "bo import --help says what is read";
        let refuse = |reason: String| Failure::input(path, reason, remedy);
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
            if foreign.rows.iter().all(|row| row.value != Some(mark)) {
                return Err(refuse(format!("no value is {mark} (--failed-value)")));
            }
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
            0 => {}
            failed => write!(f, ", {failed} of which failed")?,
        }
        match self.left_out {
            0 => Ok(()),
            left => write!(
                f,
                "; {left} left out that did not come to their end, or had no value of every parameter"
            ),
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
    } = serde_json::from_str(text).map_err(|error| match text.contains("train_X_full") {
        true => error.to_string(),
        false => "JSON, but no checkpoint of the original (train_X_full is missing); of a run of ours, give bo export --format csv".to_owned(),
    })?;
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
            scale: String::new(),
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
        left_out: 0,
    })
}

/// How columns are named.
#[derive(Clone, Copy, PartialEq)]
enum Naming {
    /// `x.NAME`, `w.NAME`, as bo writes them; others say nothing about (x, w) and the value but `status`.
    Ours,
    /// `params_NAME`, `user_attrs_NAME`; of the others only `value` and `state` count.
    Optuna,
    /// All but `value` and what --w names are parameters.
    Plain,
}

/// Columns of a table, and what they are called.
struct Columns {
    x: Vec<(usize, String)>,
    w: Vec<(usize, String)>,
    value: usize,
    /// How an evaluation ended, where that is told.
    state: Option<usize>,
    /// Share of the whole work, in tables of ours.
    scale: Option<usize>,
}

/// Columns of row numbers, as pandas writes them.
const NUMBERS: [&str; 2] = ["", "Unnamed: 0"];

fn table(text: &str, w: &[String]) -> Result<Foreign, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?.clone();
    let begins = |prefix: &str| header.iter().any(|name| name.starts_with(prefix));
    let naming = match () {
        () if begins("x.") => Naming::Ours,
        () if begins("params_") => Naming::Optuna,
        () => Naming::Plain,
    };
    let columns = Columns::of(&header, w, naming)?;
    let (mut rows, mut left_out) = (Vec::new(), 0);
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        match columns.read(&record) {
            Ok(Some(row)) => rows.push((line, row)),
            Ok(None) => left_out += 1,
            Err(reason) => return Err(format!("line {line}, {reason}")),
        }
    }
    for (column, (_, name)) in columns.x.iter().enumerate() {
        mistyped(&rows, column).map_or(Ok(()), |(line, cell)| {
            Err(format!(
                "line {line}, column {name}: {cell:?} is not a finite number, as most of the column are"
            ))
        })?;
    }
    let names = |columns: Vec<(usize, String)>| columns.into_iter().map(|(_, name)| name);
    Ok(Foreign {
        kind: match naming {
            Naming::Ours => "a table of bo's".to_owned(),
            Naming::Optuna => "a table of Optuna's".to_owned(),
            Naming::Plain => "a table".to_owned(),
        },
        x: names(columns.x).map(|name| (name, None)).collect(),
        w: names(columns.w).collect(),
        rows: rows.into_iter().map(|(_, row)| row).collect(),
        left_out,
    })
}

/// A cell that is no number in a column that holds more numbers than other texts, with its line.
fn mistyped(rows: &[(u64, Row)], column: usize) -> Option<(u64, &str)> {
    let number = |cell: &str| cell.parse().is_ok_and(f64::is_finite);
    let cells = rows
        .iter()
        .map(|(line, row)| (*line, row.x[column].as_str()));
    let (numbers, others): (Vec<_>, Vec<_>) = cells.partition(|(_, cell)| number(cell));
    others
        .first()
        .copied()
        .filter(|_| numbers.len() > others.len())
}

impl Columns {
    fn of(header: &csv::StringRecord, w: &[String], naming: Naming) -> Result<Self, String> {
        if let [one] = &header.iter().collect::<Vec<_>>()[..]
            && one.contains([';', '\t'])
        {
            return Err("columns are to be separated by commas".to_owned());
        }
        let mut seen = std::collections::BTreeSet::new();
        if let Some(name) = header.iter().find(|name| !seen.insert(*name)) {
            return Err(format!("two columns are called {name:?}"));
        }
        if w.iter().any(|name| name == "value") {
            return Err("value is no environment variable (--w)".to_owned());
        }
        let at = |wanted: &str| header.iter().position(|name| name == wanted);
        let value = at("value").ok_or("column value is missing")?;
        let (of_x, of_w, state) = match naming {
            Naming::Ours => ("x.", "w.", at("status")),
            Naming::Optuna => ("params_", "user_attrs_", at("state")),
            Naming::Plain => ("", "", None),
        };
        let mut variables = Vec::new();
        for name in w {
            let column = at(&format!("{of_w}{name}"))
                .or_else(|| at(&format!("{of_x}{name}")))
                .ok_or_else(|| format!("column {name} (--w) is missing"))?;
            variables.push((column, name.clone()));
        }
        let mut x = Vec::new();
        for (column, name) in header.iter().enumerate() {
            let taken = column == value || variables.iter().any(|(taken, _)| *taken == column);
            if taken || (naming == Naming::Plain && NUMBERS.contains(&name)) {
                continue;
            }
            if let Some(name) = name.strip_prefix(of_x) {
                x.push((column, name.to_owned()));
            } else if let Some(name) = name.strip_prefix(of_w)
                && naming == Naming::Ours
            {
                variables.push((column, name.to_owned()));
            }
        }
        if x.is_empty() {
            return Err("no column is a parameter".to_owned());
        }
        Ok(Self {
            x,
            w: variables,
            value,
            state,
            scale: at("scale").filter(|_| naming == Naming::Ours),
        })
    }

    /// An evaluation; `None` where it had not ended or lacks a parameter.
    fn read(&self, record: &csv::StringRecord) -> Result<Option<Row>, String> {
        let cell = |column: usize| record.get(column).unwrap_or_default();
        let number = |column: usize, name: &str| {
            let text = cell(column);
            let value = text.parse().ok().filter(|value: &f64| value.is_finite());
            value.ok_or_else(|| format!("column {name}: {text:?} is not a finite number"))
        };
        let state = self.state.map_or("ok", cell);
        if ["RUNNING", "WAITING", "PRUNED"].contains(&state)
            || self.x.iter().any(|(at, _)| cell(*at).is_empty())
        {
            return Ok(None);
        }
        let failed =
            !["ok", "COMPLETE"].contains(&state) || ["", "nan", "NaN"].contains(&cell(self.value));
        Ok(Some(Row {
            x: self.x.iter().map(|(at, _)| cell(*at).to_owned()).collect(),
            w: self
                .w
                .iter()
                .map(|(at, name)| number(*at, name))
                .collect::<Result<_, _>>()?,
            value: match failed {
                true => None,
                false => Some(number(self.value, "value")?),
            },
            scale: self.scale.map(cell).unwrap_or_default().to_owned(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn optunas_table_is_known_by_its_names() {
        let text = ",number,value,datetime_start,params_lr,params_opt,user_attrs_light,state\n\
                    0,0,0.5,2026,1e-3,adam,0.25,COMPLETE\n\
                    1,1,,2026,1e-2,sgd,0.75,FAIL\n\
                    2,2,,2026,1e-2,,0.75,FAIL\n\
                    3,3,,2026,1e-2,sgd,0.75,RUNNING\n";
        let read = table(text, &["light".to_owned()]).unwrap();
        let names: Vec<&str> = read.x.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["lr", "opt"]);
        assert_eq!(read.w, ["light"]);
        assert_eq!(read.rows[0].x, ["1e-3", "adam"]);
        assert_eq!(read.rows[0].w, [0.25]);
        assert_eq!(read.rows[0].value, Some(0.5));
        assert_eq!(read.rows[1].value, None);
        assert_eq!((read.rows.len(), read.left_out), (2, 2));
    }

    #[test]
    fn a_parameter_may_have_any_name() {
        let text = "id,x.value,x.scale,w.status,environment,value,status,scale\n0,1,2,3,dim,4,ok,\n1,1,2,3,dim,4,failed,0.5\n";
        let read = table(text, &[]).unwrap();
        let names: Vec<&str> = read.x.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["value", "scale"]);
        assert_eq!(read.w, ["status"]);
        assert_eq!(read.rows[0].x, ["1", "2"]);
        assert_eq!(read.rows[0].value, Some(4.0));
        assert_eq!(read.rows[1].value, None);
        assert_eq!([&read.rows[0].scale, &read.rows[1].scale], ["", "0.5"]);
        let plain = table("Unnamed: 0,scale,seconds,value\n0,1,2,4\n", &[]).unwrap();
        assert_eq!(plain.x.len(), 2);
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
            ("a,value\n1,x\n", "line 2, column value"),
            ("a,a,value\n1,1,1\n", "two columns are called \"a\""),
            ("a;value\n1;1\n", "separated by commas"),
            ("a,value\n1,1\n2,1\n0.3O,1\n", "line 4, column a: \"0.3O\""),
        ] {
            let reason = table(text, &[]).unwrap_err();
            assert!(reason.contains(expected), "{text}\n{reason}");
        }
    }
}
