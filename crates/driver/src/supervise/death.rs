//! From what is known of a death to a verdict in one sentence.

use crate::event::Phase;
use crate::record::Heartbeat;

/// What is known.
#[derive(Clone, Debug, Default)]
pub struct Signs {
    /// Signal that ended the worker.
    pub signal: Option<i32>,
    /// Exit code.
    pub code: Option<i32>,
    /// The parent ended it because its loop made no step for so many seconds.
    pub hung: Option<u64>,
    /// Out-of-memory kills counted by the kernel meanwhile.
    pub kills: Option<u64>,
    /// Largest resident size seen in the last minutes, in bytes.
    pub resident: u64,
    /// Most it may have held, in bytes.
    pub limit: Option<u64>,
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

/// Judges.
pub fn judge(signs: &Signs) -> Verdict {
    let mut evidence = Vec::new();
    let place = match &signs.last {
        Some(beat) => {
            evidence.push(format!("last step: {}", step(beat)));
            format!(" {}", step(beat))
        }
        None => " before its first step".to_owned(),
    };
    if let Some(signal) = signs.signal {
        evidence.push(format!("ended by signal {signal}"));
    }
    if let Some(code) = signs.code {
        evidence.push(format!("exit code {code}"));
    }
    let kills = signs.kills.unwrap_or(0);
    if kills > 0 {
        evidence.push(format!(
            "the kernel counted {kills} out-of-memory kill(s) meanwhile"
        ));
    }
    let full = signs.limit.filter(|&limit| signs.resident > limit / 10 * 9);
    if let Some(limit) = full {
        evidence.push(format!(
            "{} MB resident of at most {} MB",
            signs.resident >> 20,
            limit >> 20
        ));
    }
    let allocation = signs
        .log
        .iter()
        .any(|line| line.contains("memory allocation of"));
    let (what, own) = match (signs.hung, signs.signal, signs.code) {
        (Some(seconds), _, _) => {
            evidence.push(format!("no step of the loop for {seconds} s"));
            ("it hung".to_owned(), true)
        }
        (_, Some(SIGKILL), _) if kills > 0 => {
            ("out of memory: the kernel killed it".to_owned(), true)
        }
        (_, Some(SIGKILL), _) if full.is_some() => (
            "out of memory, by all signs: killed while it held all there is".to_owned(),
            true,
        ),
        (_, Some(SIGKILL), _) => (
            "killed from outside (SIGKILL), by whom is not known".to_owned(),
            false,
        ),
        (_, Some(SIGSEGV), _) => ("a memory fault (SIGSEGV)".to_owned(), true),
        (_, Some(SIGBUS), _) => ("a memory fault (SIGBUS)".to_owned(), true),
        (_, Some(SIGABRT), _) if allocation => {
            ("out of memory: an allocation failed".to_owned(), true)
        }
        (_, Some(SIGABRT), _) => (
            "it gave up (SIGABRT): stack overflow, failed allocation or a native library"
                .to_owned(),
            true,
        ),
        (_, Some(SIGILL | SIGFPE), _) => ("a fault in native code".to_owned(), true),
        (_, Some(signal), _) => (format!("ended from outside by signal {signal}"), false),
        (_, None, Some(PANIC)) => ("a panic: a bug in bo".to_owned(), true),
        (_, None, Some(code)) => (format!("it ended with code {code}"), false),
        (_, None, None) => (
            "it ended with its parent, how is not known: both killed, or the machine stopped"
                .to_owned(),
            false,
        ),
    };
    let evaluating = signs
        .last
        .as_ref()
        .is_some_and(|beat| beat.phase == Phase::Evaluate);
    Verdict {
        sentence: format!("{what},{place}"),
        own: own && evaluating,
        evidence,
    }
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
mod tests {
    use super::*;

    fn evaluating() -> Option<Heartbeat> {
        Some(Heartbeat {
            pid: 1,
            beat: 9,
            time: 0,
            iteration: 13,
            phase: Phase::Evaluate,
            id: Some(27),
            attempt: 0,
            x: vec![1.0],
            w: Vec::new(),
            environment: Some("scene_07".into()),
            waits: false,
            resident: 0,
            ended: false,
        })
    }

    #[test]
    fn each_death_has_its_name_and_its_blame() {
        let dead = |signal, code| Signs {
            signal,
            code,
            last: evaluating(),
            ..Signs::default()
        };
        let cases = [
            (dead(Some(SIGKILL), None), "outside", false),
            (
                Signs {
                    kills: Some(1),
                    ..dead(Some(SIGKILL), None)
                },
                "memory",
                true,
            ),
            (
                Signs {
                    resident: 95 << 20,
                    limit: Some(100 << 20),
                    ..dead(Some(SIGKILL), None)
                },
                "memory",
                true,
            ),
            (dead(Some(SIGSEGV), None), "fault", true),
            (dead(Some(SIGABRT), None), "SIGABRT", true),
            (dead(None, Some(PANIC)), "panic", true),
            (
                Signs {
                    hung: Some(600),
                    ..dead(Some(SIGKILL), None)
                },
                "hung",
                true,
            ),
            (dead(Some(1), None), "signal 1", false),
        ];
        for (signs, word, own) in cases {
            let verdict = judge(&signs);
            assert!(verdict.sentence.contains(word), "{}", verdict.sentence);
            assert!(
                verdict
                    .sentence
                    .contains("evaluating 27 (scene_07) in iteration 13")
            );
            assert_eq!(verdict.own, own, "{}", verdict.sentence);
        }
        // a fault outside an evaluation is not the evaluation's
        let mut fitting = dead(Some(SIGSEGV), None);
        fitting.last.as_mut().unwrap().phase = Phase::Fit;
        assert!(!judge(&fitting).own);
    }
}
