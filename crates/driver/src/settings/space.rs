//! The space file: decision parameters x, what is known of which may be evaluated, environments w, direction.
//!
//! Central type: [`SpaceFile`]. Parameters keep the order of the file. Every error names the file, the
//! key, its line and the values allowed.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bo_bayes::environment::{Continuous, Environments, Marginal};
use bo_bayes::optimizer::{Direction, Problem};
use bo_bayes::space::{Domain, Parameter, Scale, Space};
use toml::de::DeTable;

mod constraint;
mod environments;
mod observations;
mod section;

pub use constraint::Constraints;
use environments::environments;
pub use observations::Earlier;
use observations::observations;
use section::{ReadTable, Section, line_of, number};

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
