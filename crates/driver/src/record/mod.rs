//! The durable form of a run: what lies in its directory and how it gets there.
//!
//! Types of this module are what files hold; they mirror the live types and are never the same. Every
//! line and every file is sealed ([`seal`]): format, version, CRC. [`journal::Journal`] appends lines that count
//! once they are synced; [`replace()`] writes whole files that appear complete or not at all;
//! [`RunDirectory`] knows the names; [`Lock`] keeps two processes apart.

mod aside;
mod attempt;
mod birth;
mod checkpoint;
mod cpu;
mod decision;
mod directory;
mod environments;
mod error;
mod evaluation;
mod hashes;
mod heartbeat;
mod history;
mod journal;
mod lease;
mod lock;
mod log;
mod manifest;
mod memory;
#[cfg(test)]
mod mutation;
mod postmortem;
mod replace;
mod result;
mod seal;
mod writeback;

pub use attempt::{AttemptLine, StartedJournal};
pub use birth::Birth;
pub use checkpoint::{Checkpoint, INTERRUPTED, checkpoint_files, damaged_checkpoints, newest_good};
pub use cpu::cpu;
pub use decision::{
    DecisionLine, HyperRecord, IncumbentRecord, Member, ModelRecord, StandardizerRecord,
};
pub use directory::{
    RunDirectory, SWEEP, TRAINING, holds_run, holds_sweep, holds_training, read_sealed, sources,
};
pub use environments::Environments;
pub use error::{RecordError, free_beside};
pub use evaluation::{ELSEWHERE, EvaluationLine, same_bits};
pub use hashes::Hashes;
pub use heartbeat::{Heart, Heartbeat};
pub use history::{Attempts, History, Program};
pub use lock::{Holder, Lock, now};
pub use log::Log;
pub use manifest::{Differences, Manifest, ParameterRecord, RangeRecord};
pub use memory::{MemoryLine, memory_damage, memory_lines, spent};
pub use postmortem::Postmortem;
pub use replace::replace;
pub use result::{HistoryEntry, IncumbentResult, RunResult, Truth};
#[cfg(test)]
pub use seal::{Sealed, seal};
