//! The short form of fuzzing: every file of the corpus, some thousand mutations of them, and what is large or deep.

use std::fs;
use std::path::Path;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng as _, SeedableRng as _};

type Reader = fn(&[u8]);

/// Every reader with the number of mutations tried.
const READERS: [(&str, Reader, u64); 11] = [
    ("settings", super::settings, 300),
    ("space", super::space, 300),
    ("csv", super::csv, 300),
    ("labels", super::labels, 300),
    ("weights", super::weights, 300),
    ("image", super::image, 300),
    ("reply", super::reply, 300),
    ("lines", super::lines, 100),
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

/// One to four changes: a byte, a cut, a piece twice, a number that is too large.
fn mutated(bytes: &[u8], random: &mut ChaCha8Rng) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=random.next_u32() % 4 {
        let at = random.next_u32() as usize % bytes.len().max(1);
        let length = random.next_u32() as usize % 32;
        match random.next_u32() % 5 {
            _ if bytes.is_empty() => bytes.push(random.next_u32() as u8),
            0 => bytes[at] = random.next_u32() as u8,
            1 => bytes.truncate(at),
            2 => drop(bytes.drain(at..(at + length).min(bytes.len()))),
            3 => {
                let piece = bytes[at..(at + length).min(bytes.len())].to_vec();
                bytes.splice(at..at, piece);
            }
            _ => {
                let numbers: [&[u8]; 5] = [
                    b"1e999",
                    b"-1",
                    b"18446744073709551615",
                    b"null",
                    b"\xFF\xFF\xFF\xFF",
                ];
                bytes.splice(
                    at..at,
                    numbers[random.next_u32() as usize % 5].iter().copied(),
                );
            }
        }
    }
    bytes
}

#[test]
fn no_reader_panics_on_the_corpus_or_on_mutations_of_it() {
    for (name, read, rounds) in READERS {
        let files = corpus(name);
        assert!(!files.is_empty(), "{name} has no corpus");
        files.iter().for_each(|file| read(file));
        let mut random = ChaCha8Rng::seed_from_u64(7);
        for round in 0..rounds {
            read(&mutated(&files[round as usize % files.len()], &mut random));
        }
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
