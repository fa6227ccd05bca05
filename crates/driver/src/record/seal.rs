//! The seal of a JSON object: its format, its version and a checksum.
//!
//! A sealed object is one line `{"format":"bo/evaluation","version":1, <fields>,"crc":"0123abcd"}`. The
//! CRC is CRC-32 (IEEE), in eight lower-case hexadecimal digits, of all bytes before `,"crc":`.
//! Numbers survive a round trip bit for bit: shortest form out, correctly rounded in.

use std::io::{BufWriter, Write};

use crc32fast::Hasher;
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
    /// Where it was to be written took no more.
    #[error(transparent)]
    Write(#[from] std::io::Error),
}

impl From<SealError> for std::io::Error {
    /// What a file answered stays what it was.
    fn from(error: SealError) -> Self {
        match error {
            SealError::Json(error) => error.into(),
            SealError::Write(error) => error,
            other => Self::other(other),
        }
    }
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
    let mut sealed = Vec::new();
    seal_into(value, &mut sealed)?;
    Ok(String::from_utf8(sealed).expect("JSON is text"))
}

/// Serialises and seals into `out`, piece by piece: a checkpoint over thousands of environments is never held as text.
///
/// # Errors
/// When the value cannot be serialised, or what `out` answers.
pub fn seal_into<T: Sealed>(value: &T, out: impl Write) -> Result<(), SealError> {
    let mut sealing = Sealing {
        out,
        crc: Hasher::new(),
        begun: false,
        fields: false,
        last: None,
    };
    let header = format!("{{\"format\":\"{}\",\"version\":{}", T::FORMAT, T::VERSION);
    sealing.emit(header.as_bytes())?;
    let mut buffered = BufWriter::new(sealing);
    serde_json::to_writer(&mut buffered, value)?;
    let sealing = buffered.into_inner().map_err(|error| error.into_error())?;
    sealing.finish()
}

/// Takes an object apart as it is written: its braces are the seal's to open and to close.
struct Sealing<W> {
    out: W,
    crc: Hasher,
    /// The opening brace is behind.
    begun: bool,
    /// A field went out, so the comma before it did.
    fields: bool,
    /// The newest byte, in the end the closing brace.
    last: Option<u8>,
}

impl<W: Write> Sealing<W> {
    fn emit(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        self.crc.update(bytes);
        self.out.write_all(bytes)
    }

    fn emit_fields(&mut self, bytes: &[u8]) -> std::io::Result<()> {
        if !bytes.is_empty() && !std::mem::replace(&mut self.fields, true) {
            self.emit(b",")?;
        }
        self.emit(bytes)
    }

    fn finish(mut self) -> Result<(), SealError> {
        if self.last != Some(b'}') {
            return Err(SealError::Cut { length: 0 });
        }
        let crc = self.crc.finalize();
        Ok(write!(self.out, ",\"crc\":\"{crc:08x}\"}}")?)
    }
}

impl<W: Write> Write for Sealing<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let fields = match bytes.split_first() {
            Some((b'{', rest)) if !self.begun => rest,
            Some(_) if !self.begun => return Err(std::io::Error::other("not an object")),
            _ => bytes,
        };
        self.begun |= !bytes.is_empty();
        if let Some((newest, before)) = fields.split_last() {
            if let Some(last) = self.last.replace(*newest) {
                self.emit_fields(&[last])?;
            }
            self.emit_fields(before)?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
    }
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
    fn a_seal_is_header_fields_and_checksum_and_what_is_no_object_has_none() {
        let value = Point {
            x: vec![0.5; 4000],
            name: "a".into(),
        };
        let fields = serde_json::to_string(&value).unwrap();
        let body = format!(
            "{{\"format\":\"bo/point\",\"version\":2,{}",
            &fields[1..fields.len() - 1]
        );
        let crc = crc32fast::hash(body.as_bytes());
        assert_eq!(
            seal(&value).unwrap(),
            format!("{body},\"crc\":\"{crc:08x}\"}}")
        );

        #[derive(Serialize, Deserialize)]
        struct Nothing {}
        impl Sealed for Nothing {
            const FORMAT: &'static str = "bo/nothing";
            const VERSION: u32 = 1;
        }
        let sealed = seal(&Nothing {}).unwrap();
        assert!(
            sealed.starts_with("{\"format\":\"bo/nothing\",\"version\":1,\"crc\":"),
            "{sealed}"
        );

        #[derive(Serialize, Deserialize)]
        struct List(Vec<u8>);
        impl Sealed for List {
            const FORMAT: &'static str = "bo/list";
            const VERSION: u32 = 1;
        }
        assert!(seal(&List(vec![1])).is_err());
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
