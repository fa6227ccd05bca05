//! Known constraints as the one rule that the optimiser sees.
//!
//! A constraint program is started without a shell when it is first needed. It gets lines `{"x":{name:value}}` and
//! answers each with a line `yes` or `no` (or `true`, `false`), and with no other: whatever else it has to say belongs on
//! its stderr, which goes to the log. It may serve many lines or end after each. Answers are kept, up to [`KEPT`], so that an x is hardly ever asked for twice. Where there
//! is none, the rule says no and the run ends with the reason ([`Trouble`]) before the decision counts.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bo_bayes::space::Condition;
use serde_json::json;

use super::last_words::LastWords;
use super::named;
use super::process::{Process, Said};
use crate::objective::Surroundings;
use crate::settings::SpaceFile;

/// Longest wait for an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Answers that are kept: a decision asks for some thousands. When they are so many, all are forgotten.
const KEPT: usize = 20_000;

/// Why a program gave no answer, once one did not.
pub type Trouble = Arc<Mutex<Option<String>>>;

/// The rule of a space file; `None` where it has no constraints.
pub fn condition(
    file: &SpaceFile,
    folder: &Path,
    surroundings: &Surroundings,
    trouble: &Trouble,
) -> Option<Condition> {
    let constraints = file.constraints.clone();
    if constraints.linear.is_empty() && constraints.programs.is_empty() {
        return None;
    }
    let programs = constraints.programs.iter().map(|words| {
        Mutex::new(Program {
            words: words.clone(),
            folder: folder.to_owned(),
            log: surroundings.log.clone(),
            running: None,
            last: LastWords::default(),
            answers: HashMap::new(),
        })
    });
    let programs: Vec<Mutex<Program>> = programs.collect();
    let (file, trouble) = (file.clone(), Arc::clone(trouble));
    Some(Condition::new(move |x| {
        let linear = constraints.linear.iter().all(|linear| linear.admits(x));
        linear
            && programs.iter().all(|program| {
                let mut program = program.lock().unwrap_or_else(PoisonError::into_inner);
                let mut trouble = trouble.lock().unwrap_or_else(PoisonError::into_inner);
                // Once an answer is missing nothing counts any more: nobody waits for the next.
                trouble.is_none()
                    && program.admits(x, &file).unwrap_or_else(|reason| {
                        *trouble = Some(reason);
                        false
                    })
            })
    }))
}

struct Program {
    words: Vec<String>,
    folder: PathBuf,
    log: Arc<dyn Fn(&str) + Send + Sync>,
    running: Option<Process>,
    /// Of the one that runs, or ran.
    last: LastWords,
    answers: HashMap<Vec<u64>, bool>,
}

impl Program {
    fn admits(&mut self, x: &[f64], file: &SpaceFile) -> Result<bool, String> {
        let key: Vec<u64> = x.iter().map(|v| v.to_bits()).collect();
        if let Some(known) = self.answers.get(&key) {
            return Ok(*known);
        }
        let question = json!({ "x": named(file, x) }).to_string();
        let answer = self.ask(&question).map_err(|why| {
            let last = self.last.told();
            format!(
                "constraint program {}: {why}, asked {question}{last}",
                self.words[0]
            )
        })?;
        if self.answers.len() == KEPT {
            self.answers.clear();
        }
        self.answers.insert(key, answer);
        Ok(answer)
    }

    fn ask(&mut self, question: &str) -> Result<bool, String> {
        let running = self.running.take().filter(Process::is_alive);
        let mut process = match running {
            Some(process) => process,
            None => {
                let (last, log) = LastWords::before(self.log.clone());
                self.last = last;
                Process::start(&self.words, &self.folder, log)
                    .map_err(|error| format!("does not start: {error}"))?
            }
        };
        process.ask(question, false);
        let begun = Instant::now();
        loop {
            match process.hear() {
                Said::Line(line) => match line.trim().to_lowercase().as_str() {
                    answer @ ("yes" | "true" | "no" | "false") => {
                        self.running = Some(process);
                        return Ok(matches!(answer, "yes" | "true"));
                    }
                    "" => {}
                    _ => {
                        process.end();
                        let shown: String = line.trim().chars().take(80).collect();
                        return Err(format!("answered {shown:?}, wanted yes or no"));
                    }
                },
                Said::Ended(_) => {
                    process.end();
                    return Err("ended without a line yes or no".to_owned());
                }
                Said::Nothing if begun.elapsed() >= PATIENCE => {
                    process.end();
                    return Err(format!("no answer within {} s", PATIENCE.as_secs()));
                }
                Said::Nothing => {}
            }
        }
    }
}
