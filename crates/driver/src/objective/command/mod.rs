//! Any program as objective: a line of JSON in, a line of JSON out.
//!
//! Central type: [`Command`]. The program is started without a shell in its own process group. `once` starts
//! it for each evaluation, `server` keeps it and restarts it when it dies. Whatever goes wrong is a
//! failure with its reason; out-of-memory asks again at a smaller scale, a transient failure again
//! after a pause.

mod answer;
mod constraint;
mod last_words;
mod line;
mod process;
mod stray;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::{Duration, Instant};

use bo_memory::cgroup;
use serde_json::{Map, Value, json};

use self::answer::{Answer, Trouble, find_answer};
pub use self::last_words::LAST_WORDS;
use self::last_words::LastWords;
use self::process::{Process, Said};
pub use self::stray::end_orphans;
use super::{Description, Objective, Opened, Outcome, Request, Started, Status, Surroundings};
use crate::exit::Failure;
use crate::settings::{CommandMode, Earlier, Means, Origin, SpaceFile};

/// Share of the memory asked for that the next attempt after an out-of-memory may use.
const SHRINK: f64 = 0.75;
/// Attempts at smaller and smaller scales: 1, 0.75, 0.56, 0.42, 0.32.
const SCALES: u32 = 5;
/// Pauses before the next attempt after a transient failure, seconds.
const PAUSES: [f64; 4] = [0.5, 1.0, 2.0, 4.0];

/// A program as objective.
struct Command {
    words: Vec<String>,
    /// Where it is started; empty = where this process is.
    folder: PathBuf,
    mode: CommandMode,
    timeout: Option<Duration>,
    file: SpaceFile,
    surroundings: Surroundings,
    server: Option<(Process, LastWords)>,
    /// Evaluations the running server has answered.
    served: u64,
    /// Of the constraint programs.
    trouble: constraint::Trouble,
}

/// How one attempt ended.
enum Attempt {
    Value(f64),
    Failed(Status, String),
    /// Asked for less memory.
    Oom(String),
    /// Worth another try after a pause.
    Transient(String),
    /// The server died in the middle, having worked before: worth a fresh one.
    ServerDied(String),
    Stopped,
}

impl Attempt {
    /// A failure with what the program said last.
    fn with(self, last: &LastWords) -> Self {
        match self {
            Self::Failed(status, reason) => Self::Failed(status, reason + &last.told()),
            other => other,
        }
    }
}

/// Opens a program as objective; it is not started yet, but must be there.
///
/// # Errors
/// A folder or a program that is not there.
pub fn open(
    words: &[String],
    mode: CommandMode,
    file: SpaceFile,
    means: &Means,
    surroundings: Surroundings,
) -> Result<Opened, Failure> {
    let program = words.first().map_or("", String::as_str);
    let refused = |reason: String, remedy: &str| Failure::Setting {
        key: "command".into(),
        origin: Origin::Flag("--command".into()),
        reason,
        remedy: remedy.into(),
    };
    let folder = means.command_folder.clone().unwrap_or_default();
    if !(folder.as_os_str().is_empty() || folder.is_dir()) {
        return Err(refused(
            format!(
                "the folder that it is started in is gone: {}",
                folder.display()
            ),
            &format!(
                "go to the folder where its files are now and repeat it there: --command {}",
                shell_words::quote(&shell_words::join(words))
            ),
        ));
    }
    if !on_path(program, &folder) {
        let place = match folder.as_os_str().is_empty() {
            true => "here".to_owned(),
            false => format!("in {}", folder.display()),
        };
        return Err(refused(
            format!("no program {program:?} {place} or on the PATH"),
            "give its path, or make it executable (chmod +x)",
        ));
    }
    let mut problem = file.problem.clone();
    let trouble = constraint::Trouble::default();
    if let Some(condition) = constraint::condition(&file, &folder, &surroundings, &trouble) {
        problem.space = problem.space.under(condition);
    }
    let objective = Command {
        words: words.to_vec(),
        folder,
        mode,
        timeout: means.timeout.map(Duration::from_secs_f64),
        file,
        surroundings,
        server: None,
        served: 0,
        trouble,
    };
    let earlier = objective.file.earlier.clone();
    let notices = match earlier.iter().filter(|one| one.value.is_none()).count() {
        _ if earlier.is_empty() => Vec::new(),
        0 => vec![format!("{} evaluations done elsewhere", earlier.len())],
        failed => vec![format!(
            "{} evaluations done elsewhere, {failed} of which failed",
            earlier.len()
        )],
    };
    Ok(Opened {
        problem,
        earlier,
        objective: Box::new(objective),
        notices,
    })
}

/// Whether a program of that name can be started in `folder`.
fn on_path(program: &str, folder: &Path) -> bool {
    let runs = |path: &Path| {
        path.is_file() && rustix::fs::access(path, rustix::fs::Access::EXEC_OK).is_ok()
    };
    if program.contains('/') {
        return runs(&folder.join(program));
    }
    std::env::var_os("PATH")
        .is_some_and(|path| std::env::split_paths(&path).any(|folder| runs(&folder.join(program))))
}

/// The answer with this id in what a program printed, for tests of the reader.
#[cfg(any(test, fuzzing))]
pub fn answer_in(output: &[u8], id: u64) -> Option<Answer> {
    let mut last = None;
    line::each_line(output, |line| {
        last = find_answer(&line, id).or_else(|| last.take());
        true
    });
    last
}

impl Objective for Command {
    fn evaluate(&mut self, request: &Request) -> Outcome {
        let id = usize::try_from(request.id).ok();
        let earlier = id.and_then(|id| self.file.earlier.get(id));
        if let Some(earlier) = earlier.filter(|_| !self.surroundings.measures) {
            return known(earlier);
        }
        let (mut attempt, mut scale, mut ooms, mut transients, mut deaths) =
            (request.attempt, 1.0, 0, 0, 0);
        loop {
            match self.attempt(request, attempt, scale) {
                Attempt::Value(value) if scale < 1.0 => return Outcome::Reduced { value, scale },
                Attempt::Value(value) => return Outcome::Value(value),
                Attempt::Stopped => return Outcome::Stopped,
                Attempt::Failed(status, reason) => return Outcome::Failed { status, reason },
                Attempt::Oom(reason) => {
                    ooms += 1;
                    if ooms == SCALES {
                        let reason = format!("out of memory, also at scale {scale:.2}: {reason}");
                        return Outcome::Failed {
                            status: Status::Oom,
                            reason,
                        };
                    }
                    self.log(
                        request,
                        &format!(
                            "out of memory at scale {scale:.2} ({reason}); trying a smaller one"
                        ),
                    );
                    scale *= SHRINK;
                }
                Attempt::Transient(reason) => {
                    let Some(pause) = PAUSES.get(transients) else {
                        let reason = format!(
                            "transient failure {} times, the last: {reason}",
                            transients + 1
                        );
                        return Outcome::Failed {
                            status: Status::Failed,
                            reason,
                        };
                    };
                    transients += 1;
                    self.log(
                        request,
                        &format!("transient failure ({reason}); again in {pause} s"),
                    );
                    if !self.pause(Duration::from_secs_f64(*pause)) {
                        return Outcome::Stopped;
                    }
                }
                Attempt::ServerDied(reason) => {
                    deaths += 1;
                    if deaths == 2 {
                        return Outcome::Failed {
                            status: Status::Failed,
                            reason,
                        };
                    }
                    self.log(request, &format!("{reason}; starting a fresh one"));
                }
            }
            attempt += 1;
        }
    }

    fn asks(&self) -> bool {
        !self.file.constraints.programs.is_empty()
    }

    fn trouble(&self) -> Option<String> {
        let trouble = self.trouble.lock();
        trouble.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn worker(&self) -> Option<Box<dyn Objective + Send>> {
        Some(Box::new(Self {
            words: self.words.clone(),
            folder: self.folder.clone(),
            mode: self.mode,
            timeout: self.timeout,
            file: self.file.clone(),
            surroundings: self.surroundings.clone(),
            server: None,
            served: 0,
            trouble: self.trouble.clone(),
        }))
    }

    fn stop(&mut self) {
        if let Some((server, _)) = self.server.take() {
            server.end();
        }
    }

    fn describe(&self) -> Description {
        let environments = match &self.file.problem.environments {
            bo_bayes::environment::Environments::Finite(finite) => finite.labels(),
            _ => Vec::new(),
        };
        Description {
            kind: "command".into(),
            environments,
            hashes: self.file.hashes.clone(),
            texts: self.file.texts.clone(),
            notes: BTreeMap::from([("program".to_owned(), shell_words::join(&self.words))]),
        }
    }
}

/// The outcome of an evaluation done elsewhere.
fn known(earlier: &Earlier) -> Outcome {
    match (earlier.value, earlier.scale) {
        (Some(value), Some(scale)) => Outcome::Reduced { value, scale },
        (Some(value), None) => Outcome::Value(value),
        (None, _) => Outcome::Failed {
            status: Status::Elsewhere,
            reason: "failed where it was done, before this run".into(),
        },
    }
}

impl Command {
    fn log(&self, request: &Request, text: &str) {
        (self.surroundings.log)(&format!("evaluation {}: {text}", request.id));
    }

    /// Waits; false when a stop was asked for.
    fn pause(&self, time: Duration) -> bool {
        let end = Instant::now() + time;
        while Instant::now() < end {
            if self.surroundings.stop.asked().is_some() {
                return false;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        true
    }

    /// The line that asks for `request`.
    fn question(&self, request: &Request, attempt: u32, scale: f64) -> String {
        let x = named(&self.file, &request.query.x);
        let names = self.file.problem.environments.names();
        let w: Map<String, Value> = names
            .iter()
            .cloned()
            .zip(request.query.w.iter().map(|w| json!(w)))
            .collect();
        // A seed beyond 2^53 would change in programs whose numbers are doubles.
        let seed = request.seed & ((1 << 53) - 1);
        let scale = if scale == 1.0 { json!(1) } else { json!(scale) };
        json!({"id": request.id, "attempt": attempt, "x": x, "w": w, "seed": seed, "scale": scale})
            .to_string()
    }

    fn attempt(&mut self, request: &Request, attempt: u32, scale: f64) -> Attempt {
        let question = self.question(request, attempt, scale);
        let started = match self.mode {
            CommandMode::Once => None,
            CommandMode::Server => self.server.take().filter(|(server, _)| server.is_alive()),
        };
        let fresh = started.is_none();
        let start = || {
            let (last, log) = LastWords::before(self.surroundings.log.clone());
            Process::start(&self.words, &self.folder, log).map(|process| (process, last))
        };
        let (mut process, last) = match started.map_or_else(start, Ok) {
            Ok(started) => started,
            Err(error) => {
                return Attempt::Failed(
                    Status::Failed,
                    format!("{} does not start: {error}", self.words[0]),
                );
            }
        };
        if fresh {
            self.served = 0;
        }
        let process_group = process.group();
        (self.surroundings.started)(Started {
            id: request.id,
            attempt,
            process_group,
            birth: process.birth(),
        });
        let kills = cgroup::kills();
        process.ask(&question, self.mode == CommandMode::Once);
        match self.mode {
            CommandMode::Once => self.hear_once(process, &last, request.id, kills),
            CommandMode::Server => self.hear_server(process, last, request.id, kills),
        }
    }

    /// Listens until the process has ended; the last answer counts. `kills`: out-of-memory kills before it was asked.
    fn hear_once(
        &self,
        mut process: Process,
        last: &LastWords,
        id: u64,
        kills: Option<u64>,
    ) -> Attempt {
        let begin = Instant::now();
        let mut answer = None;
        let how = loop {
            if let Some(end) = self.overdue(begin) {
                process.end();
                return end.with(last);
            }
            match process.hear() {
                Said::Line(line) => match find_answer(&line, id) {
                    Some(found) => answer = Some(found),
                    None => {
                        (self.surroundings.log)(&line);
                        last.note(&line);
                    }
                },
                Said::Nothing => {}
                Said::Ended(how) => break how,
            }
        };
        process.end();
        match answer {
            // A program that says why and then exits non-zero has said why.
            Some(Answer::Trouble(trouble, reason)) => troubled(trouble, reason),
            Some(Answer::Value(value)) if how.success() => Attempt::Value(value),
            _ if for_want_of_memory(how, kills) => Attempt::Oom(KILLED.to_owned()),
            _ if !how.success() => Attempt::Failed(Status::Failed, ended(how) + &last.told()),
            _ => Attempt::Failed(Status::Failed, no_answer(id, &last.told())),
        }
    }

    /// Listens until the first answer; the process stays.
    fn hear_server(
        &mut self,
        mut process: Process,
        last: LastWords,
        id: u64,
        kills: Option<u64>,
    ) -> Attempt {
        let begin = Instant::now();
        loop {
            if let Some(end) = self.overdue(begin) {
                process.end();
                return end.with(&last);
            }
            match process.hear() {
                Said::Line(line) => match find_answer(&line, id) {
                    Some(answer) => {
                        self.served += 1;
                        self.server = Some((process, last));
                        return match answer {
                            Answer::Value(value) => Attempt::Value(value),
                            Answer::Trouble(trouble, reason) => troubled(trouble, reason),
                        };
                    }
                    None => {
                        (self.surroundings.log)(&line);
                        last.note(&line);
                    }
                },
                Said::Nothing => {}
                Said::Ended(how) => {
                    process.end();
                    if for_want_of_memory(how, kills) {
                        return Attempt::Oom(KILLED.to_owned());
                    }
                    let reason = format!(
                        "the server ended before it answered: {}{}",
                        ended(how),
                        last.told()
                    );
                    return match self.served {
                        0 => Attempt::Failed(Status::Failed, reason),
                        _ => Attempt::ServerDied(reason),
                    };
                }
            }
        }
    }

    /// Whether an attempt that began then has to end now.
    fn overdue(&self, begin: Instant) -> Option<Attempt> {
        if self.surroundings.stop.asked().is_some() {
            return Some(Attempt::Stopped);
        }
        let limit = self.timeout.filter(|limit| begin.elapsed() >= *limit)?;
        let reason = format!(
            "no answer within {} s; ended with all it had started",
            limit.as_secs_f64()
        );
        Some(Attempt::Failed(Status::Timeout, reason))
    }
}

fn troubled(trouble: Trouble, reason: String) -> Attempt {
    match trouble {
        Trouble::Oom => Attempt::Oom(reason),
        Trouble::Transient => Attempt::Transient(reason),
        Trouble::Invalid => Attempt::Failed(Status::Invalid, reason),
        Trouble::Other => Attempt::Failed(Status::Failed, reason),
    }
}

/// Why a program that the kernel killed has no value.
const KILLED: &str = "the kernel killed it for want of memory";

/// Whether the kernel killed it for want of memory: SIGKILL, and its count of such kills, `before` until then, rose.
fn for_want_of_memory(how: process::End, before: Option<u64>) -> bool {
    how == process::End::Signal(9) && before.is_some() && cgroup::kills() > before
}

/// How a process ended, in words.
fn ended(how: process::End) -> String {
    match how {
        process::End::Code(code) => format!("exit code {code}"),
        process::End::Signal(9) => "killed by signal 9 (SIGKILL), by whom is not known".to_owned(),
        process::End::Signal(signal) => format!("killed by signal {signal}"),
    }
}

fn no_answer(id: u64, last_words: &str) -> String {
    let said = match last_words {
        "" => "; it printed nothing",
        said => said,
    };
    format!("no answer: no line like {{\"id\":{id},\"value\":0.5}} on stdout{said}")
}

/// x as a program gets it: whole numbers whole, choices as they were written.
fn named(file: &SpaceFile, x: &[f64]) -> Map<String, Value> {
    let parameters = file.problem.space.parameters();
    let mut named = Map::new();
    for ((parameter, choices), value) in parameters.iter().zip(&file.choices).zip(x) {
        use bo_bayes::space::Domain;
        let written = match &parameter.domain {
            Domain::Real { .. } => json!(value),
            Domain::Integer { .. } => json!(*value as i64),
            Domain::Categorical { .. } => {
                choices.get(*value as usize).cloned().unwrap_or(Value::Null)
            }
        };
        named.insert(parameter.name.clone(), written);
    }
    named
}
