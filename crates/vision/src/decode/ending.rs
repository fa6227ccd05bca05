//! Whether a JPEG file goes on to its end: decoders fill up what is missing, and a copy that was broken off looks whole.

use std::io::{BufRead, Result};

/// Bytes behind 0xFF: the beginning of a file, its end, a byte of data that is 0xFF itself.
const BEGIN: u8 = 0xD8;
/// See [`BEGIN`].
const END: u8 = 0xD9;
/// See [`BEGIN`].
const DATA: u8 = 0x00;

/// True of a JPEG without its end. What comes after the end is not looked at, nor is an end inside a segment: a thumbnail has
/// its own. False of every other format, which tell by checksum or size.
///
/// # Errors
/// What the reader answers.
pub fn breaks_off(mut reader: impl BufRead) -> Result<bool> {
    if !reader.fill_buf()?.starts_with(&[0xFF, BEGIN]) {
        return Ok(false);
    }
    loop {
        if reader.skip_until(0xFF)? == 0 {
            return Ok(true);
        }
        match byte_after_fill(&mut reader)? {
            None => return Ok(true),
            Some(END) => return Ok(false),
            // data, and markers without a segment: restarts among data, and the beginning
            Some(DATA | 0x01 | 0xD0..=0xD7 | BEGIN) => {}
            Some(_) => {
                let mut length = [0; 2];
                for byte in &mut length {
                    let Some(read) = next(&mut reader)? else {
                        return Ok(true);
                    };
                    *byte = read;
                }
                skip(
                    &mut reader,
                    usize::from(u16::from_be_bytes(length)).saturating_sub(2),
                )?;
            }
        }
    }
}

fn next(reader: &mut impl BufRead) -> Result<Option<u8>> {
    let byte = reader.fill_buf()?.first().copied();
    reader.consume(usize::from(byte.is_some()));
    Ok(byte)
}

/// The first byte that is not 0xFF, which may stand before a marker as often as it likes.
fn byte_after_fill(reader: &mut impl BufRead) -> Result<Option<u8>> {
    loop {
        match next(reader)? {
            Some(0xFF) => {}
            other => return Ok(other),
        }
    }
}

fn skip(reader: &mut impl BufRead, mut bytes: usize) -> Result<()> {
    while bytes > 0 {
        let there = reader.fill_buf()?.len().min(bytes);
        if there == 0 {
            break;
        }
        reader.consume(there);
        bytes -= there;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use image::{ImageFormat, RgbImage};

    use super::*;

    #[test]
    fn a_jpeg_cut_anywhere_breaks_off_and_one_with_something_behind_does_not() {
        let image = RgbImage::from_fn(70, 50, |x, y| image::Rgb([(x * y) as u8, x as u8, y as u8]));
        let mut written = std::io::Cursor::new(Vec::new());
        image.write_to(&mut written, ImageFormat::Jpeg).unwrap();
        let mut bytes = written.into_inner();
        let off = |bytes: &[u8]| breaks_off(bytes).unwrap();
        assert!(!off(&bytes));
        for length in 2..bytes.len() {
            assert!(off(&bytes[..length]), "{length} of {}", bytes.len());
        }
        bytes.extend(b"something behind\xFF");
        assert!(!off(&bytes));
        // a thumbnail with an end of its own, and nothing after it
        let inner = [
            &[0xFF, 0xD8, 0xFF, 0xE1, 0, 6][..],
            &[0xFF, 0xD8, 0xFF, 0xD9],
        ]
        .concat();
        assert!(off(&inner));
        assert!(!off(&[inner.as_slice(), &[0xFF, 0xFF, 0xD9]].concat()));
        for other in [&b""[..], b"\xFF", b"BM", b"\x89PNG\r\n\x1a\n"] {
            assert!(!off(other));
        }
    }
}
