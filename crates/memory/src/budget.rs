//! How much a process may take: what was asked for, held to what the machine and its cgroups allow.
//!
//! Central function [`host()`].

use serde::Serialize;

use crate::host;

/// Share of the machine's memory, or of the tightest cgroup limit, that is taken when nothing is asked
/// for, and at most.
pub const SHARE: f64 = 0.8;

/// Bytes that may be taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Budget {
    /// How many.
    pub bytes: u64,
    /// Whose number it is.
    pub source: Source,
}

/// Where a budget comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Source {
    /// It was asked for.
    Asked,
    /// [`SHARE`] of the machine's memory or of a cgroup's limit, which is less than was asked for or
    /// stands in where nothing was.
    Machine,
    /// Nothing was asked for and the system tells no limit.
    Unknown,
}

/// The host's budget: `asked` bytes, but never more than [`SHARE`] of the limit.
pub fn host(asked: Option<u64>) -> Budget {
    within(asked, host::limit())
}

fn within(asked: Option<u64>, limit: Option<u64>) -> Budget {
    let most = limit.map(|limit| (limit as f64 * SHARE) as u64);
    match (asked, most) {
        (Some(asked), Some(most)) if asked > most => Budget {
            bytes: most,
            source: Source::Machine,
        },
        (Some(bytes), _) => Budget {
            bytes,
            source: Source::Asked,
        },
        (None, Some(bytes)) => Budget {
            bytes,
            source: Source::Machine,
        },
        (None, None) => Budget {
            bytes: u64::MAX,
            source: Source::Unknown,
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tighter_of_request_and_machine_counts() {
        let cases = [
            (Some(100), Some(1000), 100, Source::Asked),
            (Some(900), Some(1000), 800, Source::Machine),
            (None, Some(1000), 800, Source::Machine),
            (Some(900), None, 900, Source::Asked),
            (None, None, u64::MAX, Source::Unknown),
        ];
        for (asked, limit, bytes, source) in cases {
            assert_eq!(within(asked, limit), Budget { bytes, source });
        }
    }
}
