//! `[observations]` of a space file: what was evaluated elsewhere, as a table with a column for each parameter (`NAME` or
//! `x.NAME`), one for each environment variable (`NAME` or `w.NAME`; or `environment`: name or number), and `value`, empty
//! where an evaluation failed.

use bo_bayes::environment::{Environments, Finite};
use bo_bayes::optimizer::{Problem, Query};
use bo_bayes::space::Domain;

use super::{ReadTable, Section};
use crate::exit::Failure;

/// Columns of `bo export` that say nothing about (x, w) and the value.
const PASSED_OVER: [&str; 6] = ["id", "iteration", "status", "reason", "attempt", "seconds"];
/// Largest difference of a variable from that of its environment, as a share of the larger of it and 1: what a table loses
/// that was written in decimals.
const SAME: f64 = 1e-9;

/// One evaluation done elsewhere.
#[derive(Clone, Debug, PartialEq)]
pub struct Earlier {
    /// Where.
    pub query: Query,
    /// In the user's sign; `None` when it failed.
    pub value: Option<f64>,
    /// Share of the whole work that gave the value, where it was less than all of it.
    pub scale: Option<f64>,
}

/// What the columns of a table are.
struct Columns {
    x: Vec<usize>,
    /// Of each variable; empty where `environment` stands for them.
    w: Vec<usize>,
    environment: Option<usize>,
    value: usize,
    scale: Option<usize>,
}

/// The table that a section names, with its text.
///
/// # Errors
/// [`Failure::Input`] naming table, row and column.
pub(super) fn observations(
    section: &Section<'_>,
    problem: &Problem,
    read: ReadTable<'_>,
) -> Result<(Vec<Earlier>, String), Failure> {
    let (table, text) =
        section.table_file("evaluations, as bo export or bo import write it", read)?;
    let all = parse(&text, problem).map_err(|reason| {
        Failure::input(
            &table,
            reason,
            "first line: names of parameters, of environment variables, and value; then one line for each evaluation",
        )
    })?;
    Ok((all, text))
}

fn parse(text: &str, problem: &Problem) -> Result<Vec<Earlier>, String> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(text.as_bytes());
    let header = reader.headers().map_err(|error| error.to_string())?;
    let columns = Columns::of(header, problem)?;
    let mut all = Vec::new();
    for record in reader.records() {
        let record = record.map_err(|error| error.to_string())?;
        let line = record.position().map_or(0, csv::Position::line);
        let earlier = columns.read(&record, problem);
        all.push(earlier.map_err(|reason| format!("line {line}, {reason}"))?);
    }
    if all.is_empty() {
        return Err("it holds no evaluation".to_owned());
    }
    Ok(all)
}

impl Columns {
    fn of(header: &csv::StringRecord, problem: &Problem) -> Result<Self, String> {
        let mut seen = std::collections::BTreeSet::new();
        if let Some(name) = header.iter().find(|name| !seen.insert(*name)) {
            return Err(format!("two columns are called {name:?}"));
        }
        let ours = header.iter().any(|name| name.starts_with("x."));
        let at = |name: &str| header.iter().position(|column| column == name);
        let named = |prefix: &str, name: &str| match ours {
            true => format!("{prefix}{name}"),
            false => name.to_owned(),
        };
        let needed = |name: &str| at(name).ok_or_else(|| format!("column {name} is missing"));
        let parameters = problem.space.parameters();
        let variables = problem.environments.names();
        let finite = matches!(problem.environments, Environments::Finite(_));
        let environment = at("environment").filter(|_| finite);
        let known = |name: &str| {
            let parameter = parameters.iter().any(|p| named("x.", &p.name) == name);
            let other = name == "value" || name == "scale" || (finite && name == "environment");
            let variable = variables.iter().any(|v| named("w.", v) == name);
            parameter || variable || other || (ours && PASSED_OVER.contains(&name))
        };
        if let Some(other) = header.iter().find(|name| !known(name)) {
            return Err(format!(
                "column {other:?} is neither a parameter nor a variable of the space file"
            ));
        }
        Ok(Self {
            x: parameters
                .iter()
                .map(|p| needed(&named("x.", &p.name)))
                .collect::<Result<_, _>>()?,
            w: match environment {
                Some(_) => Vec::new(),
                None => variables
                    .iter()
                    .map(|v| needed(&named("w.", v)))
                    .collect::<Result<_, _>>()?,
            },
            environment,
            value: needed("value")?,
            scale: at("scale"),
        })
    }

    fn read(&self, record: &csv::StringRecord, problem: &Problem) -> Result<Earlier, String> {
        let cell = |column: usize| record.get(column).unwrap_or_default();
        let mut x = Vec::new();
        for (parameter, &column) in problem.space.parameters().iter().zip(&self.x) {
            x.push(match &parameter.domain {
                Domain::Categorical { choices } => {
                    let choice = choices.iter().position(|choice| choice == cell(column));
                    choice.ok_or_else(|| {
                        let (name, all) = (&parameter.name, choices.join(", "));
                        format!("column {name}: {:?} is none of {all}", cell(column))
                    })? as f64
                }
                _ => number(cell(column), &parameter.name)?,
            });
        }
        problem.space.check(&x).map_err(|error| error.to_string())?;
        let mut w = Vec::new();
        for (name, &column) in problem.environments.names().iter().zip(&self.w) {
            w.push(number(cell(column), name)?);
        }
        let environment = match (&problem.environments, self.environment) {
            (Environments::Finite(finite), Some(column)) => Some(named(finite, cell(column))?),
            (Environments::Finite(finite), None) => Some(same(finite, &w)?),
            _ => None,
        };
        if let (Environments::Finite(finite), Some(row)) = (&problem.environments, environment) {
            w = finite.points()[row].to_vec();
        }
        let value = match cell(self.value) {
            "" => None,
            text => Some(number(text, "value")?),
        };
        let scale = match self.scale.map(cell) {
            None | Some("") => None,
            Some(text) => match number(text, "scale")? {
                1.0 => None,
                scale if scale > 0.0 && scale < 1.0 => Some(scale),
                scale => {
                    return Err(format!(
                        "column scale: {scale} is no share, above 0 and up to 1"
                    ));
                }
            },
        };
        Ok(Earlier {
            query: Query { x, environment, w },
            value,
            scale,
        })
    }
}

fn number(cell: &str, column: &str) -> Result<f64, String> {
    let value = cell.parse().ok().filter(|value: &f64| value.is_finite());
    value.ok_or_else(|| format!("column {column}: {cell:?} is not a finite number"))
}

/// The environment of that name or number.
fn named(finite: &Finite, cell: &str) -> Result<usize, String> {
    let labels = finite.labels();
    let row = labels.iter().position(|label| label == cell);
    let number = || cell.parse().ok().filter(|row| *row < labels.len());
    row.or_else(number)
        .ok_or_else(|| format!("column environment: there is none called {cell:?}"))
}

/// The environment with these variables.
fn same(finite: &Finite, w: &[f64]) -> Result<usize, String> {
    let alike = |a: &f64, b: &f64| (a - b).abs() <= SAME * a.abs().max(b.abs()).max(1.0);
    let row = finite
        .points()
        .iter()
        .position(|point| point.iter().zip(w).all(|(a, b)| alike(a, b)));
    row.ok_or_else(|| format!("w {w:?}: no environment of the space file has these"))
}

#[cfg(test)]
mod tests {
    use bo_bayes::optimizer::Direction;
    use bo_bayes::space::{Parameter, Space};

    use super::*;

    fn problem() -> Problem {
        let choices = vec!["adam".to_owned(), "sgd".to_owned()];
        let method = Parameter {
            name: "method".into(),
            domain: Domain::Categorical { choices },
        };
        let points = vec![vec![0.1], vec![1.0 / 3.0]];
        let labels = vec!["dim".to_owned(), "bright".to_owned()];
        let finite = Finite::new(vec!["light".into()], points, None, Some(labels));
        Problem {
            space: Space::new(vec![Parameter::real("rate", 0.0, 1.0), method]).unwrap(),
            environments: Environments::Finite(finite.unwrap()),
            direction: Direction::Maximize,
        }
    }

    #[test]
    fn environments_are_known_by_name_or_by_their_variables() {
        let by_name = "id,environment,x.method,x.rate,w.light,value,scale\n0,bright,sgd,0.5,,2,\n1,0,adam,0.25,,,\n2,bright,sgd,0.5,,2,0.75\n";
        let all = parse(by_name, &problem()).unwrap();
        assert_eq!(all[0].query.x, [0.5, 1.0]);
        assert_eq!(all[0].query.environment, Some(1));
        assert_eq!(all[0].query.w, [1.0 / 3.0]);
        assert_eq!((all[0].value, all[0].scale), (Some(2.0), None));
        assert_eq!(all[1].value, None);
        assert_eq!(all[2].scale, Some(0.75));
        let by_value = "rate,method,light,value\n0.5,sgd,0.33333333333,2\n";
        let same = parse(by_value, &problem()).unwrap();
        assert_eq!(same[0], all[0]);
    }

    #[test]
    fn what_cannot_be_is_named_with_row_and_column() {
        for (text, expected) in [
            ("rate,light,value\n", "column method is missing"),
            ("rate,method,light\n", "column value is missing"),
            ("rate,rate,method,light,value\n", "two columns are called"),
            ("rate,method,light,value\n", "no evaluation"),
            ("rate,method,light,value,ratio\n", "\"ratio\" is neither"),
            (
                "rate,method,light,value\n0.5,rms,0.1,1\n",
                "line 2, column method: \"rms\" is none of adam, sgd",
            ),
            (
                "rate,method,light,value\n2,sgd,0.1,1\n",
                "line 2, parameter \"rate\": 2 is outside",
            ),
            (
                "rate,method,light,value\n0.5,sgd,0.2,1\n",
                "no environment of the space file",
            ),
            (
                "rate,method,light,value\n0.5,sgd,0.1,nan\n",
                "line 2, column value",
            ),
            (
                "rate,method,environment,value\n0.5,sgd,dark,1\n",
                "none called \"dark\"",
            ),
        ] {
            let reason = parse(text, &problem()).unwrap_err();
            assert!(reason.contains(expected), "{text}\n{reason}");
        }
    }
}
