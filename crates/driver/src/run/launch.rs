//! From checked settings to a run: `bo run` and `bo resume` without their terminals.

use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use bo_memory::host;
use bo_vision::decode::is_decoding;

use super::Setup;
use super::allowance::afford;
use super::choices::choices;
use super::locate::{Base, Located, Place, locate};
use super::provenance;
use super::session::GAVE_UP;
use super::start::{begin, proceed};
use super::stop::{End, StopFlag};
use super::trust::{foreign, keeps, manifest_of, recorded_settings, trusted, trusted_settings};
use crate::event::{Level, Reporter, RunEvent};
use crate::exit::Failure;
use crate::objective::{self, Started, Surroundings};
use crate::plan;
use crate::quantity::typed;
use crate::record::{
    AttemptLine, Heartbeat, History, Holder, Lock, Log, Manifest, RecordError, RunDirectory,
    StartedJournal, checkpoint_files, holds_run, holds_sweep, now,
};
use crate::settings::{ObjectiveSettings, Origin, RawSettings, Settings};
use crate::supervise::{Step, tell};

/// What a run shares with the world around it.
#[derive(Clone, Default)]
pub struct World {
    /// Asks to stop.
    pub stop: StopFlag,
    /// `log.txt`.
    pub log: Arc<Log>,
    /// Nothing is changed, not even the cache.
    reads_only: bool,
    /// Where programs that were started are noted.
    started: Arc<Mutex<Option<StartedJournal>>>,
}

impl World {
    /// One that changes nothing.
    pub fn reading() -> Self {
        Self {
            reads_only: true,
            ..Self::default()
        }
    }

    /// What an objective gets of it.
    pub fn surroundings(&self, settings: &Settings) -> Surroundings {
        let (log, started) = (Arc::clone(&self.log), Arc::clone(&self.started));
        Surroundings {
            stop: self.stop.clone(),
            log: Arc::new(move |line| log.say(line)),
            started: Arc::new(move |program: Started| {
                let mut journal = started.lock().unwrap_or_else(PoisonError::into_inner);
                if let Some(journal) = journal.as_mut() {
                    journal.note(&AttemptLine {
                        id: program.id,
                        attempt: program.attempt,
                        iteration: None,
                        pid: std::process::id(),
                        process_group: Some(program.process_group),
                        birth: program.birth,
                        death: None,
                        own: false,
                        shared: false,
                        started: now(),
                    });
                }
            }),
            measures: false,
            reads_only: self.reads_only,
            cache: match &settings.means().cache {
                Some(cache) => cache.clone(),
                None => settings.out().join("cache"),
            },
        }
    }

    /// Points log and notes at a run's directory.
    fn attach(&self, directory: &RunDirectory) -> Result<(), Failure> {
        self.log.attach(directory.path())?;
        let (log, before) = (Arc::clone(&self.log), std::panic::take_hook());
        std::panic::set_hook(Box::new(move |panic| {
            if !is_decoding() {
                // marked: an objective's words stand in the same log
                log.say(&format!("{} {panic}", Heartbeat::mark(std::process::id())));
            }
            before(panic);
        }));
        let journal = StartedJournal::open(directory.path(), directory.fence())?;
        *self.started.lock().unwrap_or_else(PoisonError::into_inner) = Some(journal);
        Ok(())
    }
}

/// `bo run`: a new run in a directory that holds none.
///
/// # Errors
/// Any [`Failure`]; a stop by signal is an [`End`].
pub fn start(
    settings: &Settings,
    world: &World,
    reporter: &mut dyn Reporter,
) -> Result<End, Failure> {
    let out = settings.out();
    free(out)?;
    let setup = prepare(settings, world, reporter)?;
    afford(&setup)?;
    std::fs::create_dir_all(out)
        .map_err(|error| Failure::input(out, error, "give --out a directory that can be made"))?;
    begin(setup, out, &|directory| world.attach(directory), reporter)
}

/// Whether a run can begin in `out`; another process that works there comes before a run that lies there.
///
/// # Errors
/// [`Failure::Held`], [`Failure::HoldsRun`].
pub fn free(out: &Path) -> Result<(), Failure> {
    if let Some(holder) = Lock::holder(out) {
        return Err(held(out, holder));
    }
    if holds_run(out) {
        return Err(RecordError::HoldsRun {
            path: out.to_owned(),
        }
        .into());
    }
    if holds_sweep(out) {
        return Err(Failure::input(
            out,
            "holds a sweep, whose runs are the folders in it",
            "give --out another name",
        ));
    }
    if out.exists() && !out.is_dir() {
        return Err(Failure::input(
            out,
            "is a file; a run needs a directory",
            "give --out another name",
        ));
    }
    Ok(())
}

/// So many worker threads for this process, where a number was given and checked.
pub fn workers(threads: Option<usize>) {
    if let Some(threads) = threads {
        // a pool that exists already keeps its size: results do not depend on it
        let _ = rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global();
    }
}

/// Opens the objective and puts the optimiser together.
pub(super) fn prepare(
    settings: &Settings,
    world: &World,
    reporter: &mut dyn Reporter,
) -> Result<Setup, Failure> {
    let out = settings.out();
    tell(Step::Open { out });
    workers(settings.means().threads);
    let objective = &settings.study().objective;
    if matches!(
        objective,
        ObjectiveSettings::Problem(_) | ObjectiveSettings::Command { .. }
    ) {
        // where the allocator cannot be told the run is the same run, with more pages
        host::keep_large_apart();
    }
    if let Some(message) = objective::preparing(settings) {
        let level = Level::Info;
        reporter.event(&RunEvent::Notice { level, message });
    }
    let opened = objective::open(settings, world.surroundings(settings))?;
    let settings = settings
        .clone()
        .fitted(&opened.problem.environments, &opened.earlier);
    let choices = choices(settings.study(), &opened.problem, &opened.earlier)?;
    let notices = plan::notices(&opened.problem, &choices);
    for message in opened.notices.into_iter().chain(notices) {
        reporter.event(&RunEvent::Notice {
            level: Level::Info,
            message,
        });
    }
    let asks = opened.objective.asks();
    tell(Step::SetUp { asks });
    let setup = Setup::new(
        &settings,
        opened.problem,
        choices,
        opened.objective,
        world.stop.clone(),
    )?;
    if settings.means().jobs > 1 && setup.workers.is_empty() {
        reporter.event(&RunEvent::Notice {
            level: Level::Info,
            message: "evaluated one at a time, on all cores: --jobs has no effect".into(),
        });
    }
    Ok(setup)
}

/// What `bo resume` was asked.
#[derive(Clone, Debug, Default)]
pub struct ResumeRequest {
    /// A run or a checkpoint.
    pub path: PathBuf,
    /// Another total number of iterations.
    pub iterations: Option<Total>,
    /// Go on in a new directory.
    pub out: Option<PathBuf>,
    /// Means that may change and inputs that have moved, as written.
    pub means: RawSettings,
    /// The command, repeated: needed for a run file of another user.
    pub command: Option<String>,
    /// Record changed inputs instead of refusing them.
    pub accept_changed: bool,
    /// Ask again, in the new directory, what failed since the last evaluation that returned a value.
    pub retry_failed: bool,
}

/// A total number of iterations: `60`, or `+30` more than asked for before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Total {
    /// So many in all.
    Exactly(u64),
    /// So many more.
    More(u64),
}

impl FromStr for Total {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |digits: &str| {
            digits
                .parse()
                .map_err(|_| format!("{text:?}: give a total such as 60, or +30 for 30 more"))
        };
        match text.strip_prefix('+') {
            Some(more) => number(more).map(Self::More),
            None => number(text).map(Self::Exactly),
        }
    }
}

impl Total {
    fn over(self, before: u64) -> u64 {
        match self {
            Self::Exactly(total) => total,
            Self::More(more) => before.saturating_add(more),
        }
    }
}

/// `bo resume`.
///
/// # Errors
/// Any [`Failure`]; a stop by signal is an [`End`].
pub fn resume(
    request: &ResumeRequest,
    world: &World,
    reporter: &mut dyn Reporter,
) -> Result<End, Failure> {
    let foreign = foreign(&request.path);
    let command = request.command.as_deref();
    if let Some(manifest) = manifest_of(&request.path).filter(|_| foreign) {
        // before anything of it is written under our own name
        trusted(&manifest, foreign, command)?;
    }
    let mut located = locate(&request.path, request.out.as_deref())?;
    if request.retry_failed {
        let again;
        (located.history, again) = without_failures(located.history, &request.path)?;
        let (level, message) = (
            Level::Info,
            format!("{again} evaluations that failed are asked again"),
        );
        reporter.event(&RunEvent::Notice { level, message });
    }
    let manifest = &located.history.manifest;
    let recorded = manifest.iterations;
    let total = request
        .iterations
        .map_or(recorded, |total| total.over(recorded));
    if let (Base::Last, Some(result)) = (&located.base, finished(&located))
        && total <= recorded
    {
        // a flag that cannot be is told of also where nothing is left to do by it
        recorded_settings(manifest)?.with_means(&request.means)?;
        let run = typed(located.place.path());
        let beside = match total < recorded {
            true => format!(", more than the {total} asked for"),
            false => String::new(),
        };
        let done = format!(
            "all {recorded} iterations are complete{beside}: nothing to do; for 30 more: bo resume {run} --iterations +30"
        );
        for (level, message) in located
            .history
            .notices
            .iter()
            .map(|notice| (Level::Warning, notice.clone()))
            .chain([(Level::Info, done)])
        {
            reporter.event(&RunEvent::Notice { level, message });
        }
        reporter.event(&RunEvent::Finished(result.clone()));
        return Ok(End::Complete(result));
    }
    let reached = located.history.decisions.len() as u64;
    if total < reached {
        return Err(Failure::Setting {
            key: "iterations".into(),
            origin: Origin::Flag("--iterations".into()),
            reason: format!("{total} in all, but {reached} are recorded already"),
            remedy: format!("type --iterations {reached} or more, or +N for N more"),
        });
    }
    let folder = located.place.path().to_owned();
    let settings = trusted_settings(manifest, foreign, command, request.accept_changed)?
        .at(&folder)
        .with_iterations(total)
        .with_means(&request.means)?;
    if let Place::Here(directory) = &located.place {
        world.attach(directory)?;
    }
    let cache = new_cache(&located.place, &settings);
    let prepared = prepare(&settings, world, reporter).and_then(|setup| {
        unchanged(manifest, &setup.manifest, request.accept_changed)?;
        afford(&setup)?;
        Ok(setup)
    });
    if let (Err(_), Some(cache)) = (&prepared, cache) {
        cache.remove();
    }
    let mut setup =
        prepared.map_err(|failure| not_there(failure, &request.path, &request.means))?;
    for message in provenance::moved(manifest, &mut setup.manifest) {
        let level = Level::Warning;
        reporter.event(&RunEvent::Notice { level, message });
    }
    proceed(
        setup,
        located,
        &|directory| world.attach(directory),
        reporter,
    )
}

/// A history without the failures at its end, and how many they are. Those before the last value stay: what was decided since
/// knows of them.
fn without_failures(history: History, path: &Path) -> Result<(History, usize), Failure> {
    let (mut history, again) = history.before_failures();
    if again == 0 {
        return Err(Failure::Setting {
            key: "retry-failed".into(),
            origin: Origin::Flag("--retry-failed".into()),
            reason: "the last evaluation returned a value, and later decisions know of what failed before".into(),
            remedy: format!("go on: bo resume {}; or begin anew with bo run", typed(path)),
        });
    }
    // they are to count again, should they fail again
    history.manifest.notes.remove(GAVE_UP);
    Ok((history, again))
}

/// The cache that opening the objective makes in the folder of a fork, which may be refused after that.
struct NewCache {
    path: PathBuf,
    /// The folder was not there either.
    folder: Option<PathBuf>,
}

fn new_cache(place: &Place, settings: &Settings) -> Option<NewCache> {
    let (Place::Fork(folder), None) = (place, &settings.means().cache) else {
        return None;
    };
    let path = folder.join("cache");
    (!path.exists()).then(|| NewCache {
        path,
        folder: (!folder.exists()).then(|| folder.clone()),
    })
}

impl NewCache {
    /// Nothing begins: leaves nothing behind. Best effort, as it harms nobody.
    fn remove(self) {
        let _ = std::fs::remove_dir_all(&self.path);
        if let Some(folder) = self.folder {
            let _ = std::fs::remove_dir(folder);
        }
    }
}

/// The result of a run that reached its last iteration and saved it.
fn finished(located: &Located) -> Option<crate::record::RunResult> {
    let history = &located.history;
    let result = history.result.clone()?;
    let whole = history.decisions.len() as u64 >= history.manifest.iterations
        && result.evaluations == history.evaluations.len() as u64
        && checkpoint_files(located.place.path())
            .last()
            .is_some_and(|(iteration, _)| *iteration == history.manifest.iterations);
    whole.then_some(result)
}

/// Where inputs of the run at `path` cannot be read that nobody has `named`: how to say where they are now.
pub(super) fn not_there(failure: Failure, path: &Path, named: &RawSettings) -> Failure {
    let Failure::Setting { key, reason, .. } = &failure else {
        return failure;
    };
    let flags = match key.as_str() {
        "images" | "labels" => "--images DIR --labels PATH",
        "weights" => "--weights FILE",
        "adapter" => "--adapter FILE",
        // fewer than a decision looks at: the setting is the run's, what is missing are data
        "n-w" | "initial-w" => {
            return Failure::Setting {
                key: "environments".into(),
                origin: Origin::Record,
                reason: format!("fewer than when the run began: {key} {reason}"),
                remedy: format!(
                    "put back what is missing; images that lie elsewhere now: bo resume {} --images DIR --labels PATH",
                    typed(path)
                ),
            };
        }
        _ => return failure,
    };
    if named.names(key) {
        return failure;
    }
    Failure::Setting {
        key: key.clone(),
        origin: Origin::Record,
        reason: reason.clone(),
        remedy: format!(
            "put it back, or say where it is now: bo resume {} {flags}",
            typed(path)
        ),
    }
}

/// Inputs must be what they were.
fn unchanged(before: &Manifest, now: &Manifest, accept: bool) -> Result<(), Failure> {
    let differences = before.differences(now);
    if differences.is_empty() || accept && differences.problem.is_empty() {
        return Ok(());
    }
    Err(Failure::Setting {
        key: differences.names(),
        origin: Origin::Record,
        reason: "not what it was when the run began".into(),
        remedy: if differences.problem.is_empty() {
            "put it back, or go on with what is there now: --accept-changed".into()
        } else if before.texts.is_empty() {
            keeps(accept)
        } else {
            format!(
                "{}; with the space file and its tables moved away this one goes on with that which it has recorded",
                keeps(accept)
            )
        },
    })
}

fn held(out: &Path, holder: Holder) -> Failure {
    RecordError::Held {
        path: out.to_owned(),
        holder,
    }
    .into()
}
