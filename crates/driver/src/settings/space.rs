//! The space file: decision parameters x, what is known of which may be evaluated, environments w, direction.
//!
//! Central type: [`SpaceFile`]. Parameters keep the order of the file. Every error names the file, the
//! key, its line and the values allowed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bo_bayes::environment::{Continuous, Environments, Finite, Marginal};
use bo_bayes::optimizer::{Direction, Problem};
use bo_bayes::space::{Domain, Parameter, Scale, Space};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

mod constraint;
mod observations;

pub use constraint::Constraints;
pub use observations::Earlier;
use observations::observations;

use super::nearest;
use crate::bounded;
use crate::exit::Failure;

/// A space file as the optimiser and a command objective need it.
#[derive(Clone, Debug, PartialEq)]
pub struct SpaceFile {
    /// Space, environments, direction.
    pub problem: Problem,
    /// What x must meet; not in the problem's space yet, since a program may have to be asked.
    pub constraints: Constraints,
    /// For each parameter its choices as the program gets them (a number stays a number); empty for
    /// numeric parameters.
    pub choices: Vec<Vec<serde_json::Value>>,
    /// What was evaluated elsewhere: the run begins with it.
    pub earlier: Vec<Earlier>,
    /// Content hashes of the space file and of its tables: environments, observations.
    pub hashes: BTreeMap<String, String>,
    /// All as they were read, by the same names: enough to read it again.
    pub texts: BTreeMap<String, String>,
}

/// Names of the space file and of its tables in [`SpaceFile::hashes`] and [`SpaceFile::texts`].
const SPACE: &str = "space";
const ENVIRONMENTS: &str = "environments";
const OBSERVATIONS: &str = "observations";

/// Keys of one table, with the file for messages.
struct Section<'a> {
    path: &'a Path,
    text: &'a str,
    /// As written: `x.rate`; empty at the top.
    name: String,
    table: &'a DeTable<'a>,
}

/// Reads a space file; where it or its table is gone, what a run has `kept` of it ([`SpaceFile::texts`]) stands for it.
/// Also the files that are gone.
///
/// # Errors
/// [`Failure::Input`] naming file, key, line and what is allowed.
pub fn read_space_or(
    path: &Path,
    kept: &BTreeMap<String, String>,
) -> Result<(SpaceFile, Vec<PathBuf>), Failure> {
    let mut gone = Vec::new();
    let mut read = |name: &str, file: &Path| match (
        bounded::read_text(file, bounded::TABLE),
        kept.get(name),
    ) {
        (Err(error), Some(kept)) if error.kind() == std::io::ErrorKind::NotFound => {
            gone.push(file.to_owned());
            Ok(kept.clone())
        }
        (read, _) => read,
    };
    let text = read(SPACE, path).map_err(|error| {
        Failure::input(
            path,
            error,
            "give --space a readable file; `bo init` writes one",
        )
    })?;
    let file = parse(path, &text, &mut |name, table| read(name, table))?;
    Ok((file, gone))
}

/// Reads a space file that must be there.
///
/// # Errors
/// As [`read_space_or`].
#[cfg(any(test, fuzzing))]
pub fn read_space(path: &Path) -> Result<SpaceFile, Failure> {
    read_space_or(path, &BTreeMap::new()).map(|(file, _)| file)
}

/// Reads a table.
type ReadTable<'r> = &'r mut dyn FnMut(&Path) -> std::io::Result<String>;

/// `table` reads one of that name from a file.
fn parse(
    path: &Path,
    text: &str,
    table: &mut dyn FnMut(&str, &Path) -> std::io::Result<String>,
) -> Result<SpaceFile, Failure> {
    let root = DeTable::parse(text).map_err(|error| {
        let line = error.span().map_or(1, |span| line_of(text, span.start));
        Failure::input(
            path,
            format!("line {line}: {}", error.message()),
            "`bo init` writes one to start from",
        )
    })?;
    let top = Section {
        path,
        text,
        name: String::new(),
        table: root.get_ref(),
    };
    top.allow(&[
        "direction",
        "x",
        "w",
        ENVIRONMENTS,
        OBSERVATIONS,
        "constraint",
    ])?;
    let direction = match top.text_at("direction")? {
        None | Some("maximize") => Direction::Maximize,
        Some("minimize") => Direction::Minimize,
        Some(other) => {
            return Err(top.refuse(
                "direction",
                format!("{other:?}: allowed are maximize and minimize"),
            ));
        }
    };
    let (parameters, choices): (Vec<_>, Vec<_>) = top
        .sections("x")?
        .iter()
        .map(parameter)
        .collect::<Result<Vec<_>, _>>()?
        .into_iter()
        .unzip();
    if parameters.is_empty() {
        return Err(top.refuse(
            "x",
            "no parameter: add a table like [x.rate] with low and high",
        ));
    }
    let space = Space::new(parameters)
        .map_err(|error| Failure::input(path, error, "mend the table [x.…] it names"))?;
    let constraints = Constraints::read(&top, &space)?;
    let mut texts = BTreeMap::from([(SPACE.to_owned(), text.to_owned())]);
    let variables = top.sections("w")?;
    let environments = match top.section(ENVIRONMENTS)? {
        Some(_) if !variables.is_empty() => {
            return Err(top.refuse(
                "environments",
                "there are also [w.…] tables: keep one of the two",
            ));
        }
        Some(section) => {
            let (finite, rows) = environments(&section, &mut |file| table(ENVIRONMENTS, file))?;
            texts.insert(ENVIRONMENTS.to_owned(), rows);
            Environments::Finite(finite)
        }
        None if variables.is_empty() => Environments::None,
        None => {
            let laws = variables
                .iter()
                .map(marginal)
                .collect::<Result<Vec<_>, _>>()?;
            let law = Continuous::new(laws);
            Environments::Continuous(
                law.map_err(|error| Failure::input(path, error, "mend the table [w.…] it names"))?,
            )
        }
    };
    let problem = Problem {
        space,
        environments,
        direction,
    };
    let mut earlier = Vec::new();
    if let Some(section) = top.section(OBSERVATIONS)? {
        let (all, rows) = observations(&section, &problem, &mut |file| table(OBSERVATIONS, file))?;
        texts.insert(OBSERVATIONS.to_owned(), rows);
        earlier = all;
    }
    let hashes = texts
        .iter()
        .map(|(name, text)| (name.clone(), hash(text.as_bytes())));
    Ok(SpaceFile {
        hashes: hashes.collect(),
        texts,
        problem,
        earlier,
        constraints,
        choices,
    })
}

fn hash(bytes: &[u8]) -> String {
    blake3::hash(bytes).to_hex().to_string()
}

fn line_of(text: &str, offset: usize) -> usize {
    text.as_bytes()[..offset.min(text.len())]
        .iter()
        .filter(|byte| **byte == b'\n')
        .count()
        + 1
}

/// One `[x.NAME]` table, with its choices as the program gets them.
fn parameter(section: &Section<'_>) -> Result<(Parameter, Vec<serde_json::Value>), Failure> {
    section.allow(&["low", "high", "scale", "type", "choices"])?;
    let name = section
        .name
        .strip_prefix("x.")
        .unwrap_or(&section.name)
        .to_owned();
    if let Some(choices) = section.choices()? {
        for key in ["low", "high", "scale", "type"] {
            if section.table.contains_key(key) {
                return Err(section.refuse(
                    key,
                    "choices have no range: keep choices alone, or low and high",
                ));
            }
        }
        let labels = choices.iter().map(|value| match value {
            serde_json::Value::String(text) => text.clone(),
            other => other.to_string(),
        });
        return Ok((
            Parameter {
                name,
                domain: Domain::Categorical {
                    choices: labels.collect(),
                },
            },
            choices,
        ));
    }
    let scale = match section.text_at("scale")? {
        None | Some("linear") => Scale::Linear,
        Some("log") => Scale::Log,
        Some(other) => {
            return Err(section.refuse("scale", format!("{other:?}: allowed are linear and log")));
        }
    };
    let (low, high) = (section.required("low")?, section.required("high")?);
    let domain = match section.text_at("type")? {
        None | Some("real" | "float") => Domain::Real { low, high, scale },
        Some("int" | "integer") => {
            let whole = |key: &str, value: f64| match value {
                value if value.fract() == 0.0 && value.abs() < 9e15 => Ok(value as i64),
                _ => Err(section.refuse(
                    key,
                    format!("{value}: an int parameter needs whole numbers"),
                )),
            };
            Domain::Integer {
                low: whole("low", low)?,
                high: whole("high", high)?,
                scale,
            }
        }
        Some(other) => {
            return Err(section.refuse("type", format!("{other:?}: allowed are real and int")));
        }
    };
    if !(low.is_finite() && high.is_finite() && low < high) {
        return Err(section.refuse(
            "high",
            format!("low {low}, high {high}: low must be below high"),
        ));
    }
    if scale == Scale::Log && low <= 0.0 {
        return Err(section.refuse("low", format!("{low}: a log scale needs low above 0")));
    }
    Ok((Parameter { name, domain }, Vec::new()))
}

/// One `[w.NAME]` table.
fn marginal(section: &Section<'_>) -> Result<(String, Marginal), Failure> {
    section.allow(&["low", "high", "mean", "sd"])?;
    let name = section
        .name
        .strip_prefix("w.")
        .unwrap_or(&section.name)
        .to_owned();
    let normal = section.table.contains_key("mean") || section.table.contains_key("sd");
    if normal {
        if let Some(key) = ["low", "high"]
            .into_iter()
            .find(|key| section.table.contains_key(*key))
        {
            return Err(
                section.refuse(key, "either low and high (uniform) or mean and sd (normal)")
            );
        }
        let (mean, sd) = (section.required("mean")?, section.required("sd")?);
        if !(mean.is_finite() && sd.is_finite() && sd > 0.0) {
            return Err(section.refuse("sd", format!("mean {mean}, sd {sd}: sd must be above 0")));
        }
        return Ok((name, Marginal::Normal { mean, sd }));
    }
    let (low, high) = (section.required("low")?, section.required("high")?);
    if !(low.is_finite() && high.is_finite() && low < high) {
        return Err(section.refuse(
            "high",
            format!("low {low}, high {high}: low must be below high"),
        ));
    }
    Ok((name, Marginal::Uniform { low, high }))
}

/// `[environments]`: a table with a column for each variable; `weight` holds probabilities, `name` names. With its text.
fn environments(section: &Section<'_>, read: ReadTable<'_>) -> Result<(Finite, String), Failure> {
    section.allow(&["file"])?;
    let Some(file) = section.text_at("file")? else {
        return Err(section.refuse(
            "file",
            "missing: name a CSV file with a column for each variable",
        ));
    };
    let table: PathBuf = section.path.parent().unwrap_or(Path::new("")).join(file);
    let text = read(&table).map_err(|error| {
        Failure::input(
            &table,
            error,
            format!("named by {}: environments.file", section.path.display()),
        )
    })?;
    let wrong = |reason: String| {
        Failure::input(
            &table,
            reason,
            "first line: names of variables; then one line of numbers each",
        )
    };
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header: Vec<String> = reader
        .headers()
        .map_err(|error| wrong(error.to_string()))?
        .iter()
        .map(str::to_owned)
        .collect();
    let is_variable = |column: &str| column != "weight" && column != "name";
    let (mut points, mut weights, mut labels) = (Vec::new(), Vec::new(), Vec::new());
    for (row, record) in reader.records().enumerate() {
        let record = record.map_err(|error| wrong(error.to_string()))?;
        let mut point = Vec::new();
        for (column, cell) in header.iter().zip(&record) {
            if column == "name" {
                labels.push(cell.to_owned());
                continue;
            }
            let value: f64 = cell
                .parse()
                .ok()
                .filter(|value: &f64| value.is_finite())
                .ok_or_else(|| {
                    wrong(format!(
                        "row {}, column {column}: {cell:?} is not a finite number",
                        row + 1
                    ))
                })?;
            if column == "weight" {
                weights.push(value)
            } else {
                point.push(value)
            }
        }
        points.push(point);
    }
    let names: Vec<String> = header
        .into_iter()
        .filter(|column| is_variable(column))
        .collect();
    let given = |list: Vec<f64>| (!list.is_empty()).then_some(list);
    let labels = (!labels.is_empty()).then_some(labels);
    let finite = Finite::new(names, points, given(weights), labels)
        .map_err(|error| wrong(error.to_string()))?;
    Ok((finite, text))
}

impl<'a> Section<'a> {
    fn key(&self, key: &str) -> String {
        if self.name.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.name)
        }
    }

    /// An error about `key`, with its line where it is written.
    fn refuse(&self, key: &str, reason: impl std::fmt::Display) -> Failure {
        let written = self.table.iter().find(|(name, _)| name.get_ref() == key);
        let place = match written {
            Some((name, _)) => format!(
                "line {}: {}",
                line_of(self.text, name.span().start),
                self.key(key)
            ),
            None => self.key(key),
        };
        Failure::input(
            self.path,
            format!("{place}: {reason}"),
            "mend it and run again; `bo init` writes an example",
        )
    }

    /// Refuses keys that are not in `known`.
    fn allow(&self, known: &[&str]) -> Result<(), Failure> {
        for key in self.table.keys() {
            let key: &str = key.get_ref();
            if !known.contains(&key) {
                let hint = match nearest(key, known.iter().copied()) {
                    Some(name) => format!("did you mean {name}? "),
                    None => String::new(),
                };
                return Err(self.refuse(
                    key,
                    format!("unknown key; {hint}allowed are {}", known.join(", ")),
                ));
            }
        }
        Ok(())
    }

    fn value(&self, key: &str) -> Option<&'a DeValue<'a>> {
        self.table.get(key).map(Spanned::get_ref)
    }

    fn text_at(&self, key: &str) -> Result<Option<&'a str>, Failure> {
        match self.value(key) {
            None => Ok(None),
            Some(DeValue::String(text)) => Ok(Some(text)),
            Some(_) => Err(self.refuse(key, "must be a text in quotes")),
        }
    }

    fn required(&self, key: &str) -> Result<f64, Failure> {
        let Some(value) = self.value(key) else {
            return Err(self.refuse(key, "missing; a number is needed"));
        };
        number(value).ok_or_else(|| self.refuse(key, "must be a number"))
    }

    fn choices(&self) -> Result<Option<Vec<serde_json::Value>>, Failure> {
        let Some(value) = self.value("choices") else {
            return Ok(None);
        };
        let refuse = || {
            self.refuse(
                "choices",
                "must be a list of texts or numbers, like [\"adam\", \"sgd\"]",
            )
        };
        let list = value.as_array().ok_or_else(refuse)?;
        let value = |item: &Spanned<DeValue<'_>>| match item.get_ref() {
            DeValue::String(text) => Some(serde_json::Value::from(text.as_ref())),
            DeValue::Boolean(flag) => Some(serde_json::Value::from(*flag)),
            DeValue::Integer(whole) => i64::from_str_radix(whole.as_str(), whole.radix())
                .ok()
                .map(Into::into),
            other => number(other).map(Into::into),
        };
        list.iter()
            .map(|item| value(item).ok_or_else(refuse))
            .collect::<Result<Vec<_>, _>>()
            .map(Some)
    }

    fn section(&self, key: &str) -> Result<Option<Section<'a>>, Failure> {
        match self.value(key) {
            None => Ok(None),
            Some(DeValue::Table(table)) => Ok(Some(Section {
                path: self.path,
                text: self.text,
                name: self.key(key),
                table,
            })),
            Some(_) => Err(self.refuse(key, format!("must be a table: [{}]", self.key(key)))),
        }
    }

    /// The tables inside table `key`, in the order of the file.
    fn sections(&self, key: &str) -> Result<Vec<Section<'a>>, Failure> {
        let Some(outer) = self.section(key)? else {
            return Ok(Vec::new());
        };
        let mut names: Vec<(usize, &str)> = outer
            .table
            .keys()
            .map(|name| (name.span().start, name.get_ref().as_ref()))
            .collect();
        names.sort_unstable();
        names
            .into_iter()
            .filter_map(|(_, name)| outer.section(name).transpose())
            .collect()
    }
}

fn number(value: &DeValue<'_>) -> Option<f64> {
    match value {
        DeValue::Integer(whole) => i64::from_str_radix(whole.as_str(), whole.radix())
            .ok()
            .map(|whole| whole as f64),
        DeValue::Float(float) => float.as_str().parse().ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<SpaceFile, Failure> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("space.toml");
        std::fs::write(&path, text).unwrap();
        std::fs::write(
            folder.path().join("env.csv"),
            "a, b ,weight\n1,2,0.5\n3,4,0.25\n5,6,0.25\n",
        )
        .unwrap();
        read_space(&path)
    }

    #[test]
    fn the_example_of_the_contract_is_read_in_its_own_order() {
        let file = read(
            "direction = \"minimize\"\n[x.rate]\nlow = 1e-5\nhigh = 0.1\nscale = \"log\"\n[x.layers]\nlow = 1\nhigh = 8\n\
             type = \"int\"\n[x.method]\nchoices = [\"adam\", 7]\n[w.t]\nmean = 20.0\nsd = 5\n[w.brightness]\nlow = 0.6\nhigh = 1.4\n",
        )
        .unwrap();
        let names: Vec<_> = file
            .problem
            .space
            .parameters()
            .iter()
            .map(|p| p.name.as_str())
            .collect();
        assert_eq!(names, ["rate", "layers", "method"]);
        assert_eq!(file.problem.direction, Direction::Minimize);
        assert_eq!(file.problem.environments.names(), ["t", "brightness"]);
        assert_eq!(
            file.choices[2],
            [serde_json::json!("adam"), serde_json::json!(7)]
        );
    }

    #[test]
    fn environments_come_from_a_table_with_weights() {
        let file = read("[x.a]\nlow = 0\nhigh = 1\n[environments]\nfile = \"env.csv\"\n").unwrap();
        let Environments::Finite(finite) = &file.problem.environments else {
            panic!()
        };
        assert_eq!(finite.weights()[..], [0.5, 0.25, 0.25]);
        assert_eq!(finite.points()[2], [5.0, 6.0]);
        assert_eq!(file.hashes.len(), 2);
        // the texts alone give the same where the files are gone
        let (again, gone) = read_space_or(Path::new("gone/space.toml"), &file.texts).unwrap();
        assert_eq!(again, file);
        assert_eq!(
            gone,
            [Path::new("gone/space.toml"), Path::new("gone/env.csv")]
        );
    }

    #[test]
    fn mistakes_are_named_with_line_and_allowed_values() {
        for (text, expected) in [
            (
                "[x.a]\nlow = 0\nhigh = 1\nscale = \"lgo\"\n",
                "line 4: x.a.scale: \"lgo\": allowed are linear and log",
            ),
            (
                "[x.a]\nlow = 0\nhihg = 1\n",
                "line 3: x.a.hihg: unknown key; did you mean high?",
            ),
            ("[x.a]\nlow = 1\nhigh = 1\n", "low must be below high"),
            (
                "[x.a]\nlow = 0\nhigh = 1\nscale = \"log\"\n",
                "a log scale needs low above 0",
            ),
            (
                "[x.a]\nlow = 0.5\nhigh = 2\ntype = \"int\"\n",
                "an int parameter needs whole numbers",
            ),
            (
                "direction = \"up\"\n[x.a]\nlow = 0\nhigh = 1\n",
                "allowed are maximize and minimize",
            ),
            ("[w.a]\nlow = 0\nhigh = 1\n", "no parameter"),
            (
                "[x.a]\nlow = 0\nhigh = 1\n[w.b]\nmean = 1\nsd = 0\n",
                "sd must be above 0",
            ),
            ("[x.a]\nchoices = [\"a\", \"a\"]\n", "distinct"),
            ("[x.a]\nlow = 0\n", "x.a.high: missing"),
            ("[x.a\nlow = 0\n", "line 1"),
        ] {
            let message = read(text).unwrap_err().to_string();
            assert!(message.contains(expected), "{text}\n{message}");
        }
    }
}
