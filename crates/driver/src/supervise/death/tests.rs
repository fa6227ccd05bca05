//! Each kind of death with its name and its blame.

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
        under_way: 1,
        resident: 0,
        ended: false,
    })
}

#[test]
fn last_words_are_those_that_nothing_else_holds() {
    let lines = |lines: &[&str]| lines.iter().map(|&line| line.to_owned()).collect();
    let signs = Signs {
        words: lines(&[
            "iteration 3/9",
            "",
            "has overflowed its stack",
            "   0: main",
        ]),
        log: lines(&["2026-01-31T23:59:59Z iteration 3/9"]),
        ..Signs::default()
    };
    assert!(last_words(&signs).eq(["has overflowed its stack"]));
}

#[test]
fn each_death_has_its_name_and_its_blame() {
    let dead = |signal, code| Signs {
        watched: true,
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
        (
            Signs {
                words: vec!["thread 'main' (7) has overflowed its stack".into()],
                ..dead(Some(SIGABRT), None)
            },
            "stack overflow",
            true,
        ),
        (
            Signs {
                words: vec!["memory allocation of 64 bytes failed".into()],
                ..dead(Some(SIGABRT), None)
            },
            "out of memory: memory allocation of 64 bytes failed",
            true,
        ),
        (
            Signs {
                kernel: Some(vec!["NVRM: Xid (PCI:0000:01:00): 31, pid=1".into()]),
                ..dead(Some(SIGABRT), None)
            },
            "a GPU fault: NVRM: Xid (PCI:0000:01:00): 31",
            true,
        ),
        (
            Signs {
                words: vec!["CUDA_ERROR_ILLEGAL_ADDRESS".into()],
                ..dead(None, Some(PANIC))
            },
            "a GPU fault: CUDA_ERROR_ILLEGAL_ADDRESS, a kernel reached outside its memory",
            true,
        ),
        (
            Signs {
                words: vec!["  DriverError(CUDA_ERROR_ECC_UNCORRECTABLE, \"...\")".into()],
                ..dead(None, Some(i32::from(DIED)))
            },
            "a GPU fault: CUDA_ERROR_ECC_UNCORRECTABLE, its memory has an error that ECC cannot correct",
            true,
        ),
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
        (
            Signs {
                watched: false,
                ..dead(None, None)
            },
            "together",
            false,
        ),
        (
            Signs {
                watched: false,
                restarted: true,
                ..dead(None, None)
            },
            "started anew",
            false,
        ),
        (
            Signs {
                watched: false,
                log: vec!["2026-01-01 bo[1] panicked at x.rs:1:2:".into()],
                ..dead(None, None)
            },
            "a panic",
            true,
        ),
        (
            Signs {
                watched: false,
                kernel: Some(vec!["Out of memory: Killed process 1 (bo)".into()]),
                ..dead(None, None)
            },
            "the kernel killed it",
            true,
        ),
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
        assert!(!verdict.shared);
    }
    // neither another process's panic nor an objective's is the worker's
    for line in [
        "2026-01-01 bo[2] panicked at x.rs:1:2:",
        "2026-01-01 thread 'main' panicked at o.rs:1:2:",
    ] {
        let signs = Signs {
            watched: false,
            log: vec![line.into()],
            ..dead(None, None)
        };
        let verdict = judge(&signs);
        assert!(!verdict.own && verdict.sentence.contains("together"));
        assert!(!verdict.evidence.iter().any(|found| found.contains("panic")));
    }
    // with several evaluations under way it is one of theirs
    let mut several = dead(Some(SIGSEGV), None);
    several.last.as_mut().unwrap().under_way = 2;
    let verdict = judge(&several);
    assert!(verdict.shared && !verdict.own);
    assert!(
        verdict.sentence.contains("one of 2 under way"),
        "{}",
        verdict.sentence
    );
    // unless it came from outside
    several.signal = Some(SIGKILL);
    assert!(!judge(&several).shared);
    // a fault outside an evaluation is not the evaluation's
    let mut fitting = dead(Some(SIGSEGV), None);
    fitting.last.as_mut().unwrap().phase = Phase::Fit;
    assert!(!judge(&fitting).own);
}
