//! From what is known of a death to a verdict in one sentence.

use bo_memory::device::DeviceFault;

use crate::event::Phase;
use crate::exit::DIED;
use crate::record::Heartbeat;

/// What is known.
#[derive(Clone, Debug, Default)]
pub struct Signs {
    /// A parent saw it end; otherwise parent and worker are both gone.
    pub watched: bool,
    /// Signal that ended the worker.
    pub signal: Option<i32>,
    /// Exit code.
    pub code: Option<i32>,
    /// The parent ended it because its loop made no step for so many seconds.
    pub hung: Option<u64>,
    /// Out-of-memory kills counted by the kernel: in its last seconds if it was watched, else ever.
    pub kills: Option<u64>,
    /// Largest resident size seen in the last minutes, in bytes.
    pub resident: u64,
    /// Most it may have held, in bytes.
    pub limit: Option<u64>,
    /// What the kernel's log says of it; `None` where it may not be read.
    pub kernel: Option<Vec<String>>,
    /// Last lines on its stderr.
    pub words: Vec<String>,
    /// The machine was started anew since.
    pub restarted: bool,
    /// What it told its parent last before its loop began, in words.
    pub told: Option<String>,
    /// Last beat.
    pub last: Option<Heartbeat>,
    /// Last lines of the log.
    pub log: Vec<String>,
}

/// What it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// One sentence.
    pub sentence: String,
    /// The evaluation under way is to blame.
    pub own: bool,
    /// One of several under way is to blame.
    pub shared: bool,
    /// What it rests on.
    pub evidence: Vec<String>,
}

const SIGILL: i32 = 4;
const SIGABRT: i32 = 6;
const SIGBUS: i32 = 7;
const SIGFPE: i32 = 8;
const SIGKILL: i32 = 9;
const SIGSEGV: i32 = 11;

/// Exit code of a Rust panic.
const PANIC: i32 = 101;

/// Lines of stderr in the evidence.
const WORDS: usize = 6;

/// Judges.
pub fn judge(signs: &Signs) -> Verdict {
    let place = match (&signs.last, &signs.told) {
        (Some(beat), _) => format!(" {}", step(beat)),
        (None, Some(told)) => format!(" {told}"),
        (None, None) => " before its first step".to_owned(),
    };
    let (what, own) = if signs.watched {
        cause(signs)
    } else {
        unwatched(signs)
    };
    let evaluating = signs
        .last
        .as_ref()
        .filter(|beat| own && beat.phase == Phase::Evaluate);
    // with several under way nothing tells which of them it was
    let several = evaluating
        .map(|beat| beat.under_way)
        .filter(|&count| count > 1);
    let next = several.map_or_else(String::new, |count| {
        format!(", one of {count} under way: each is tried alone next")
    });
    Verdict {
        sentence: format!("{what},{place}{next}"),
        own: evaluating.is_some() && several.is_none(),
        shared: several.is_some(),
        evidence: evidence(signs),
    }
}

/// Why a worker died whose end its parent saw, and whether that is its own doing.
fn cause(signs: &Signs) -> (String, bool) {
    if signs.hung.is_some() {
        return ("it hung".to_owned(), true);
    }
    if let Some(fault) = gpu_fault(signs) {
        return (fault, true);
    }
    let said = |words: &str| signs.words.iter().find(|line| line.contains(words));
    match (signs.signal, signs.code) {
        (Some(SIGKILL), _) if killed_by_kernel(signs) => {
            ("out of memory: the kernel killed it".to_owned(), true)
        }
        (Some(SIGKILL), _) if full(signs).is_some() => (
            "out of memory, by all signs: killed while it held all there is".to_owned(),
            true,
        ),
        (Some(SIGKILL), _) => (
            "killed from outside (SIGKILL), by whom is not known".to_owned(),
            false,
        ),
        (Some(SIGSEGV), _) => ("a segmentation fault (SIGSEGV)".to_owned(), true),
        (Some(SIGBUS), _) => ("a bus error (SIGBUS)".to_owned(), true),
        (Some(SIGABRT), _) if said("has overflowed its stack").is_some() => {
            ("a stack overflow (SIGABRT)".to_owned(), true)
        }
        (Some(SIGABRT), _) => match said("memory allocation of") {
            Some(line) => (format!("out of memory: {} (SIGABRT)", line.trim()), true),
            None => (
                "it gave up (SIGABRT): an abort in it or in a native library".to_owned(),
                true,
            ),
        },
        (Some(SIGILL | SIGFPE), _) => ("a fault in native code".to_owned(), true),
        (Some(signal), _) => (format!("ended from outside by signal {signal}"), false),
        (None, Some(PANIC)) => ("a panic: a bug in bo".to_owned(), true),
        (None, code) => (
            format!("it ended with code {}", code.unwrap_or_default()),
            false,
        ),
    }
}

/// The same where nobody saw it: parent and worker ended together, or there was no parent.
fn unwatched(signs: &Signs) -> (String, bool) {
    let panicked = panic(signs).is_some();
    if signs
        .kernel
        .iter()
        .flatten()
        .any(|line| line.contains("Killed process"))
    {
        ("out of memory: the kernel killed it".to_owned(), true)
    } else if signs
        .kernel
        .iter()
        .flatten()
        .any(|line| line.contains("segfault at"))
    {
        (
            "a segmentation fault (SIGSEGV), with nobody watching".to_owned(),
            true,
        )
    } else if panicked {
        (
            "a panic: a bug in bo, with nobody watching".to_owned(),
            true,
        )
    } else if signs.restarted {
        ("the machine stopped or was started anew".to_owned(), false)
    } else {
        (
            "killed from outside together with whatever watched it, by all signs (SIGKILL of both, or a stopped container)"
                .to_owned(),
            false,
        )
    }
}

/// The worker's own panic in the log, told from an objective's and from those of earlier workers.
fn panic(signs: &Signs) -> Option<&String> {
    let begins = format!("{} panicked at", Heartbeat::mark(signs.last.as_ref()?.pid));
    let mut lines = signs.log.iter().rev();
    lines.find(|line| line.contains(&begins))
}

/// The kernel says that it killed the worker, or one of its group, for want of memory.
fn killed_by_kernel(signs: &Signs) -> bool {
    let told = signs
        .kernel
        .iter()
        .flatten()
        .any(|line| line.contains("Killed process"));
    told || signs.kills.unwrap_or(0) > 0
}

/// An error of the GPU that the worker did not survive, from the driver's or its own words.
fn gpu_fault(signs: &Signs) -> Option<String> {
    let xid = signs
        .kernel
        .iter()
        .flatten()
        .find(|line| line.contains("Xid"));
    if let Some(line) = xid {
        return Some(format!("a GPU fault: {}", line.trim()));
    }
    let ended = [PANIC, i32::from(DIED)].map(Some).contains(&signs.code);
    let died = signs.signal.is_some_and(|signal| signal != SIGKILL) || ended;
    let mut faults = signs.words.iter().filter_map(|line| DeviceFault::of(line));
    let lost = faults.find(|fault| matches!(fault, DeviceFault::Lost(_)));
    match lost.filter(|_| died)? {
        fault @ DeviceFault::Lost(status) => {
            Some(format!("a GPU fault: {status}, {}", fault.meaning()))
        }
        DeviceFault::OutOfMemory => None,
    }
}

/// The limit, if the worker came near it.
fn full(signs: &Signs) -> Option<u64> {
    signs.limit.filter(|&limit| signs.resident > limit / 10 * 9)
}

/// Everything that is known, a line each.
fn evidence(signs: &Signs) -> Vec<String> {
    let mut all = Vec::new();
    all.extend(
        signs
            .last
            .as_ref()
            .map(|beat| format!("last step: {}", step(beat))),
    );
    all.extend(
        signs
            .signal
            .map(|signal| format!("ended by signal {signal}")),
    );
    all.extend(signs.code.map(|code| format!("exit code {code}")));
    all.extend(
        signs
            .hung
            .map(|seconds| format!("no step of the loop for {seconds} s")),
    );
    match signs.kills {
        Some(kills) if kills > 0 => {
            let when = if signs.watched {
                "in its last seconds"
            } else {
                "in this group so far"
            };
            all.push(format!(
                "the kernel counted {kills} out-of-memory kill(s) {when}"
            ));
        }
        Some(_) => all.push("the kernel counted no out-of-memory kill".to_owned()),
        None => all.push("out-of-memory kills are not counted here".to_owned()),
    }
    if let Some(limit) = full(signs) {
        let (resident, limit) = (signs.resident >> 20, limit >> 20);
        all.push(format!("{resident} MB resident of at most {limit} MB"));
    }
    match &signs.kernel {
        Some(lines) => all.extend(lines.iter().map(|line| format!("kernel: {line}"))),
        None => all.push("the kernel's log may not be read here".to_owned()),
    }
    if !signs.watched {
        let anew = if signs.restarted { "was" } else { "was not" };
        all.push(format!(
            "the machine {anew} started anew since the last step"
        ));
        all.extend(panic(signs).map(|line| format!("log: {line}")));
    }
    let last = last_words(signs);
    all.extend(last.map(|line| format!("its last words: {line}")));
    all
}

/// The last lines of stderr that the log does not hold, without the frames of a backtrace, which are indented.
fn last_words(signs: &Signs) -> impl Iterator<Item = &str> {
    let new = |line: &&str| {
        let logged = || signs.log.iter().any(|logged| logged.ends_with(line));
        !line.is_empty() && !line.starts_with(' ') && !logged()
    };
    let lines: Vec<&str> = signs.words.iter().map(String::as_str).filter(new).collect();
    let surplus = lines.len().saturating_sub(WORDS);
    lines.into_iter().skip(surplus)
}

/// Where the loop was, in words.
fn step(beat: &Heartbeat) -> String {
    let doing = match beat.phase {
        Phase::Fit => "while fitting the model",
        Phase::Acquire => "while choosing what to evaluate",
        Phase::Evaluate => "while evaluating",
        Phase::Record => "while recording",
    };
    let what = match (beat.id, &beat.environment) {
        (Some(id), Some(name)) => format!(" {id} ({name})"),
        (Some(id), None) => format!(" {id}"),
        _ => String::new(),
    };
    format!("{doing}{what} in iteration {}", beat.iteration)
}

#[cfg(test)]
mod tests;
