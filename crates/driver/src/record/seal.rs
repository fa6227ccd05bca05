//! The seal of a JSON object: its format, its version and a checksum.
//!
//! A sealed object is one line `{"format":"bo/evaluation","version":1, <fields>,"crc":"0123abcd"}`. The
//! CRC is CRC-32 (IEEE), in eight lower-case hexadecimal digits, of all bytes before `,"crc":`.
//! Numbers survive a round trip bit for bit: shortest form out, correctly rounded in.

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// Length of `,"crc":"0123abcd"}`.
const TAIL: usize = 18;

/// A type that files hold.
pub trait Sealed: Serialize + DeserializeOwned {
    /// Its name in files.
    const FORMAT: &'static str;
    /// The version written; readers take this and all older ones.
    const VERSION: u32;
}

/// Why bytes were not accepted.
#[derive(Debug, Error)]
pub enum SealError {
    /// Not one complete sealed object.
    #[error("cut short or not a sealed object ({length} bytes)")]
    Cut {
        /// Bytes found.
        length: usize,
    },
    /// The checksum does not fit.
    #[error("checksum {found} written, {computed:08x} computed")]
    Checksum {
        /// As written.
        found: String,
        /// Over the bytes found.
        computed: u32,
    },
    /// Another kind of object.
    #[error("format {found:?} where {expected:?} belongs")]
    Format {
        /// As written.
        found: String,
        /// What was to be read.
        expected: &'static str,
    },
    /// Written by a newer program.
    #[error("{format} version {found}, this program reads up to {known}: use the newer bo")]
    Version {
        /// The format.
        format: &'static str,
        /// As written.
        found: u32,
        /// The newest known.
        known: u32,
    },
    /// Not the JSON that belongs here.
    #[error("not readable: {0}")]
    Json(#[from] serde_json::Error),
}

impl SealError {
    /// The bytes are not those that were written. Otherwise they are whole and somebody else's: of a newer program, of
    /// another kind; those are never mended.
    pub fn is_damage(&self) -> bool {
        matches!(self, Self::Cut { .. } | Self::Checksum { .. })
    }
}

#[derive(Deserialize)]
struct Header {
    format: String,
    version: u32,
}

/// Serialises and seals; no newline. `value` must serialise to a JSON object.
///
/// # Errors
/// When the value cannot be serialised.
pub fn seal<T: Sealed>(value: &T) -> Result<String, SealError> {
    let body = serde_json::to_string(value)?;
    let fields = body
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
        .ok_or(SealError::Cut { length: body.len() })?;
    let mut sealed = format!(
        "{{\"format\":\"{}\",\"version\":{}{}{fields}",
        T::FORMAT,
        T::VERSION,
        if fields.is_empty() { "" } else { "," },
    );
    let crc = crc32fast::hash(sealed.as_bytes());
    sealed.push_str(&format!(",\"crc\":\"{crc:08x}\"}}"));
    Ok(sealed)
}

/// Checks the seal alone: that these bytes are what was written.
///
/// # Errors
/// [`SealError::Cut`], [`SealError::Checksum`].
pub fn whole(bytes: &[u8]) -> Result<(), SealError> {
    let cut = || SealError::Cut {
        length: bytes.len(),
    };
    let start = bytes.len().checked_sub(TAIL).ok_or_else(cut)?;
    let (body, tail) = bytes.split_at(start);
    let digits = tail
        .strip_prefix(b",\"crc\":\"")
        .and_then(|rest| rest.strip_suffix(b"\"}"))
        .and_then(|digits| std::str::from_utf8(digits).ok())
        .ok_or_else(cut)?;
    let computed = crc32fast::hash(body);
    if digits != format!("{computed:08x}") {
        return Err(SealError::Checksum {
            found: digits.to_owned(),
            computed,
        });
    }
    Ok(())
}

/// Checks the seal and reads the object. Surrounding white space is allowed.
///
/// # Errors
/// [`SealError`], without ever panicking, whatever the bytes are.
pub fn open<T: Sealed>(bytes: &[u8]) -> Result<T, SealError> {
    let bytes = bytes.trim_ascii();
    whole(bytes)?;
    let header: Header = serde_json::from_slice(bytes)?;
    if header.format != T::FORMAT {
        return Err(SealError::Format {
            found: header.format,
            expected: T::FORMAT,
        });
    }
    if header.version > T::VERSION {
        return Err(SealError::Version {
            format: T::FORMAT,
            found: header.version,
            known: T::VERSION,
        });
    }
    Ok(serde_json::from_slice(bytes)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Point {
        x: Vec<f64>,
        name: String,
    }

    impl Sealed for Point {
        const FORMAT: &'static str = "bo/point";
        const VERSION: u32 = 2;
    }

    fn point() -> Point {
        Point {
            x: vec![0.1 + 0.2, -0.0, 5e-324, f64::MAX],
            name: "a \"quoted\" ,\"crc\":\"00000000\"}".into(),
        }
    }

    #[test]
    fn every_cut_and_every_flipped_bit_is_refused() {
        let sealed = seal(&point()).unwrap();
        assert_eq!(open::<Point>(sealed.as_bytes()).unwrap(), point());
        for length in 0..sealed.len() {
            assert!(open::<Point>(&sealed.as_bytes()[..length]).is_err());
        }
        for at in 0..sealed.len() {
            for bit in 0..8 {
                let mut bytes = sealed.clone().into_bytes();
                bytes[at] ^= 1 << bit;
                assert!(open::<Point>(&bytes).is_err(), "byte {at} bit {bit}");
            }
        }
    }

    #[test]
    fn newer_versions_and_other_formats_are_named() {
        let resealed = |text: &str| {
            let body = &text[..text.len() - TAIL];
            format!(
                "{body},\"crc\":\"{:08x}\"}}",
                crc32fast::hash(body.as_bytes())
            )
        };
        let sealed = seal(&point()).unwrap();
        let newer = resealed(&sealed.replace("\"version\":2", "\"version\":3"));
        assert!(matches!(
            open::<Point>(newer.as_bytes()),
            Err(SealError::Version {
                found: 3,
                known: 2,
                ..
            })
        ));
        let other = resealed(&sealed.replace("bo/point", "bo/other"));
        assert!(matches!(
            open::<Point>(other.as_bytes()),
            Err(SealError::Format { .. })
        ));
        let older = resealed(&sealed.replace("\"version\":2", "\"version\":1"));
        assert_eq!(open::<Point>(older.as_bytes()).unwrap(), point());
    }

    proptest! {
        #[test]
        fn numbers_survive_bit_for_bit(bits in proptest::collection::vec(any::<u64>(), 0..20)) {
            let x: Vec<f64> = bits.into_iter().map(f64::from_bits).filter(|v| v.is_finite()).collect();
            let back: Point = open(seal(&Point { x: x.clone(), name: String::new() }).unwrap().as_bytes()).unwrap();
            prop_assert!(x.iter().zip(&back.x).all(|(a, b)| a.to_bits() == b.to_bits()));
        }

        #[test]
        fn any_bytes_are_refused_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(open::<Point>(&bytes).is_err());
        }
    }
}
