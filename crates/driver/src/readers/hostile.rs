//! The short form of fuzzing: every file of the corpus, mutations of each that shrink when one is refused badly, and what is
//! large or deep.

use std::fs;
use std::path::Path;

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngSeed, TestRunner};

type Reader = fn(&[u8]);

/// Every reader with the number of mutations tried.
const READERS: [(&str, Reader, u32); 15] = [
    ("settings", super::settings, 300),
    ("space", super::space, 300),
    ("csv", super::csv, 300),
    ("observations", super::observations, 300),
    ("labels", super::labels, 300),
    ("weights", super::weights, 300),
    ("image", super::image, 300),
    ("reply", super::reply, 300),
    ("lines", super::lines, 100),
    ("regions", super::regions, 300),
    ("batches", super::batches, 300),
    ("training", super::training, 300),
    ("run_files", super::run_files, 100),
    ("checkpoint", super::checkpoint, 100),
    ("resume", super::resume, 5),
];

/// Files that the fuzzer starts from, and each finding it ever made.
fn corpus(reader: &str) -> Vec<Vec<u8>> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../fuzz/corpus")
        .join(reader);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

/// A change of bytes, at a place in them.
#[derive(Clone, Debug)]
enum Change {
    Byte(Index, u8),
    Cut(Index),
    /// A piece of so many bytes is left out.
    Without(Index, usize),
    /// A piece stands twice.
    Twice(Index, usize),
    /// A number that is too large, or none.
    Number(Index, &'static [u8]),
}

fn change() -> impl Strategy<Value = Change> {
    let numbers: Vec<&[u8]> = vec![
        b"1e999",
        b"-1",
        b"18446744073709551615",
        b"null",
        b"\xFF\xFF\xFF\xFF",
    ];
    prop_oneof![
        any::<(Index, u8)>().prop_map(|(at, byte)| Change::Byte(at, byte)),
        any::<Index>().prop_map(Change::Cut),
        (any::<Index>(), 0..32_usize).prop_map(|(at, length)| Change::Without(at, length)),
        (any::<Index>(), 0..32_usize).prop_map(|(at, length)| Change::Twice(at, length)),
        (any::<Index>(), prop::sample::select(numbers))
            .prop_map(|(at, number)| Change::Number(at, number)),
    ]
}

impl Change {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let place = |at: &Index| at.index(bytes.len() + 1);
        let piece = |at: &Index, length: usize| place(at)..(place(at) + length).min(bytes.len());
        match self {
            Self::Byte(at, byte) if !bytes.is_empty() => {
                let at = at.index(bytes.len());
                bytes[at] = *byte;
            }
            Self::Byte(_, byte) => bytes.push(*byte),
            Self::Cut(at) => bytes.truncate(place(at)),
            Self::Without(at, length) => drop(bytes.drain(piece(at, *length))),
            Self::Twice(at, length) => {
                let piece = piece(at, *length);
                let copy = bytes[piece.clone()].to_vec();
                bytes.splice(piece.start..piece.start, copy);
            }
            Self::Number(at, number) => {
                let at = place(at);
                bytes.splice(at..at, number.iter().copied());
            }
        }
    }
}

#[test]
fn every_reader_takes_or_refuses_whatever_became_of_a_good_file() {
    for (name, read, cases) in READERS {
        let files = corpus(name);
        assert!(!files.is_empty(), "{name} has no corpus");
        files.iter().for_each(|file| read(file));
        let mut runner = TestRunner::new(ProptestConfig {
            cases,
            rng_seed: RngSeed::Fixed(7),
            failure_persistence: None,
            ..ProptestConfig::default()
        });
        let mutated = (any::<Index>(), prop::collection::vec(change(), 1..5)).prop_map(
            move |(file, changes)| {
                let mut bytes = file.get(&files).clone();
                changes.iter().for_each(|change| change.apply(&mut bytes));
                bytes
            },
        );
        let held = runner.run(&mutated, |bytes| {
            // a panic is a refusal that fails the property
            read(&bytes);
            Ok(())
        });
        held.unwrap_or_else(|error| panic!("{name}: {error}"));
    }
}

#[test]
fn deep_nesting_and_long_input_are_refused_not_followed() {
    let deep = |open: &str, times: usize| open.repeat(times).into_bytes();
    let long = b"0.5,".repeat(500_000);
    for (name, read, _) in READERS {
        if name == "resume" {
            continue;
        }
        for bytes in [
            deep("[", 100_000),
            deep("{\"a\":", 100_000),
            deep("a = [", 1)
                .into_iter()
                .chain(deep("[", 100_000))
                .collect(),
            deep("a = {b = ", 1)
                .into_iter()
                .chain(deep("{b = ", 100_000))
                .collect(),
            deep("[a.", 1)
                .into_iter()
                .chain(deep("a.", 100_000))
                .collect(),
            long.clone(),
            vec![0; 1 << 20],
            Vec::new(),
        ] {
            read(&bytes);
        }
    }
}
