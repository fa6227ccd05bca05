//! Image files to pixels: jpg, png and bmp, recognised by content.
//!
//! The size is read from the header first, so that a file that claims 50,000 x 50,000 pixels is refused
//! before any memory is taken for it. An EXIF orientation is applied, as viewers and labelling tools do. A decoder that
//! panics over a damaged file, as zune-jpeg 0.5.15 does over some, is one that refuses it.

mod ending;

use std::cell::Cell;
use std::fs::File;
use std::io::BufReader;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

use image::{DynamicImage, GrayImage, ImageDecoder, ImageFormat, ImageReader, Limits, RgbImage};

/// Largest number of pixels that is decoded: 100 million, 300 MB as RGB.
pub const PIXEL_LIMIT: u64 = 100_000_000;

/// Largest file that is read, in bytes: a decoder may take the whole of it into memory.
pub const BYTE_LIMIT: u64 = 1 << 30;

/// Most bytes a decoder may take before the size is known: room for one row and for metadata, which a
/// file may hold compressed a thousandfold.
const HEADER_LIMIT: u64 = 64 << 20;

/// Why a file gave no pixels.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// The file cannot be opened or read.
    #[error("read: {0}")]
    Io(#[from] std::io::Error),
    /// The content is none of the known formats.
    #[error("its content is no jpg, png or bmp")]
    UnknownFormat,
    /// More bytes than [`BYTE_LIMIT`].
    #[error("{bytes} bytes exceed the limit of {limit}")]
    Bytes {
        /// Size of the file.
        bytes: u64,
        /// Largest allowed size.
        limit: u64,
    },
    /// More pixels than [`PIXEL_LIMIT`], or none at all.
    #[error("{width} x {height} pixels are outside 1..={limit}")]
    Size {
        /// Columns by the header.
        width: u32,
        /// Rows by the header.
        height: u32,
        /// Largest allowed number of pixels.
        limit: u64,
    },
    /// The content is damaged.
    #[error("does not decode: {}", .0.to_string().trim_end())]
    Damaged(#[from] image::ImageError),
    /// The content is damaged, in a way that its decoder does not expect.
    #[error("does not decode: its decoder stumbles over it")]
    Stumbled,
}

thread_local! {
    static DECODING: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is inside a decoder. A panic there is an error of the file, [`DecodeError::Stumbled`]: a hook for
/// panics has nothing to tell.
pub fn is_decoding() -> bool {
    DECODING.get()
}

/// What a decoder makes of a file.
fn guarded<T>(decode: impl FnOnce() -> image::ImageResult<T>) -> Result<T, DecodeError> {
    DECODING.set(true);
    // whatever the decoder has half done is dropped with it
    let decoded = catch_unwind(AssertUnwindSafe(decode));
    DECODING.set(false);
    match decoded {
        Ok(decoded) => Ok(decoded?),
        Err(_) => Err(DecodeError::Stumbled),
    }
}

/// Decodes the file to 8-bit RGB, upright by its EXIF orientation.
///
/// # Errors
/// See [`DecodeError`]; the size is checked before pixels are allocated.
pub fn decode(path: &Path) -> Result<RgbImage, DecodeError> {
    upright(path).map(DynamicImage::into_rgb8)
}

/// Decodes the file to 8-bit grey, upright by its EXIF orientation.
///
/// # Errors
/// As [`decode`].
pub fn decode_grey(path: &Path) -> Result<GrayImage, DecodeError> {
    upright(path).map(DynamicImage::into_luma8)
}

/// Number of pixels by the header; none is decoded.
///
/// # Errors
/// As [`decode`], but for damage behind the header.
pub fn pixel_count(path: &Path) -> Result<u64, DecodeError> {
    opened(path).map(|(_, pixels)| pixels)
}

/// True of a JPEG that lacks its end: it decodes, and what is missing is made up. False of a file that cannot be read, which
/// decoding tells.
pub fn broken_off(path: &Path) -> bool {
    let file = File::open(path).map(BufReader::new);
    file.and_then(ending::breaks_off).unwrap_or(false)
}

fn upright(path: &Path) -> Result<DynamicImage, DecodeError> {
    let (mut decoder, pixels) = opened(path)?;
    let mut limits = Limits::no_limits();
    // up to four channels of 16 bits, once more for the decoder's own rows
    limits.max_alloc = Some(pixels * 16 + (64 << 20));
    decoder.set_limits(limits)?;
    let orientation = guarded(|| decoder.orientation())?;
    let mut image = guarded(|| DynamicImage::from_decoder(decoder))?;
    image.apply_orientation(orientation);
    Ok(image)
}

/// A decoder that has read the header, and the number of pixels, which is allowed.
fn opened(path: &Path) -> Result<(impl ImageDecoder, u64), DecodeError> {
    let file = File::open(path)?;
    let bytes = file.metadata()?.len();
    if bytes > BYTE_LIMIT {
        return Err(DecodeError::Bytes {
            bytes,
            limit: BYTE_LIMIT,
        });
    }
    let mut reader = ImageReader::new(BufReader::new(file)).with_guessed_format()?;
    if !matches!(
        reader.format(),
        Some(ImageFormat::Jpeg | ImageFormat::Png | ImageFormat::Bmp)
    ) {
        return Err(DecodeError::UnknownFormat);
    }
    // no limit on width and height: our own check of the size comes first and says more
    let mut limits = Limits::no_limits();
    limits.max_alloc = Some(HEADER_LIMIT);
    reader.limits(limits);
    let decoder = guarded(|| reader.into_decoder())?;
    let (width, height) = decoder.dimensions();
    let pixels = u64::from(width) * u64::from(height);
    if pixels == 0 || pixels > PIXEL_LIMIT {
        return Err(DecodeError::Size {
            width,
            height,
            limit: PIXEL_LIMIT,
        });
    }
    Ok((decoder, pixels))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn bmp_header(width: i32, height: i32) -> Vec<u8> {
        let mut bytes = b"BM".to_vec();
        bytes.extend(1000u32.to_le_bytes());
        bytes.extend([0; 4]);
        bytes.extend(54u32.to_le_bytes());
        bytes.extend(40u32.to_le_bytes());
        bytes.extend(width.to_le_bytes());
        bytes.extend(height.to_le_bytes());
        bytes.extend(1u16.to_le_bytes());
        bytes.extend(24u16.to_le_bytes());
        bytes.extend([0; 24]);
        bytes
    }

    /// The chunk IHDR with its checksum, as PNG wants it.
    fn png_header(width: u32, height: u32) -> Vec<u8> {
        let mut chunk = b"IHDR".to_vec();
        chunk.extend(width.to_be_bytes());
        chunk.extend(height.to_be_bytes());
        chunk.extend([8, 2, 0, 0, 0]);
        let mut crc = 0xFFFF_FFFFu32;
        for &byte in &chunk {
            crc ^= u32::from(byte);
            for _ in 0..8 {
                crc = if crc & 1 == 1 {
                    (crc >> 1) ^ 0xEDB8_8320
                } else {
                    crc >> 1
                };
            }
        }
        let mut bytes = b"\x89PNG\r\n\x1a\n".to_vec();
        bytes.extend(13u32.to_be_bytes());
        bytes.extend(&chunk);
        bytes.extend((!crc).to_be_bytes());
        bytes.extend([0, 0, 0, 0]);
        bytes.extend(b"IDAT");
        bytes
    }

    #[test]
    fn what_a_decoder_says_ends_with_its_last_word() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.jpg");
        std::fs::write(
            &path,
            [&[0xFF, 0xD8, 0xFF, 0xDB, 0, 5][..], &[7; 300]].concat(),
        )
        .unwrap();
        let said = decode(&path).unwrap_err().to_string();
        assert!(
            said.starts_with("does not decode: ") && said.trim_end() == said,
            "{said:?}"
        );
    }

    #[test]
    fn a_header_of_50000_by_50000_is_refused_by_its_size() {
        let folder = tempfile::tempdir().unwrap();
        for (name, bytes) in [
            ("huge.bmp", bmp_header(50_000, 50_000)),
            ("huge.png", png_header(50_000, 50_000)),
        ] {
            let path = folder.path().join(name);
            File::create(&path).unwrap().write_all(&bytes).unwrap();
            let error = decode(&path).unwrap_err();
            assert!(
                matches!(
                    error,
                    DecodeError::Size {
                        width: 50_000,
                        height: 50_000,
                        ..
                    }
                ),
                "{name}: {error}"
            );
        }
    }

    #[test]
    fn png_and_bmp_come_back_exactly_and_names_do_not_matter() {
        let folder = tempfile::tempdir().unwrap();
        let image = RgbImage::from_fn(7, 5, |x, y| image::Rgb([x as u8, y as u8, 200]));
        let png = folder.path().join("a.png");
        image.save(&png).unwrap();
        assert_eq!(decode(&png).unwrap(), image);
        let bmp = folder.path().join("a.bmp");
        image.save(&bmp).unwrap();
        assert_eq!(decode(&bmp).unwrap(), image);
        let misnamed = folder.path().join("really_png.jpg");
        std::fs::copy(&png, &misnamed).unwrap();
        assert_eq!(decode(&misnamed).unwrap(), image);
    }

    /// Found by fuzzing: a table of zune-jpeg 0.5.15 is read beyond its end.
    #[test]
    fn a_file_over_which_its_decoder_panics_is_an_error() {
        let file = "../../fuzz/corpus/image/panics-in-the-decoder.jpg";
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(file);
        for _ in 0..2 {
            let found = decode(&path);
            assert!(matches!(found, Err(DecodeError::Stumbled)), "{found:?}");
            assert!(!is_decoding());
        }
        assert!(decode_grey(&path).is_err());
    }

    #[test]
    fn text_and_cut_files_are_errors() {
        let folder = tempfile::tempdir().unwrap();
        let text = folder.path().join("a.png");
        std::fs::write(&text, "no image").unwrap();
        assert!(matches!(decode(&text), Err(DecodeError::UnknownFormat)));
        let whole = folder.path().join("b.png");
        RgbImage::from_fn(64, 64, |x, y| image::Rgb([(x * y) as u8, x as u8, y as u8]))
            .save(&whole)
            .unwrap();
        let bytes = std::fs::read(&whole).unwrap();
        std::fs::write(&whole, &bytes[..bytes.len() / 2]).unwrap();
        assert!(decode(&whole).is_err());
        assert!(matches!(
            decode(&folder.path().join("absent.png")),
            Err(DecodeError::Io(_))
        ));
    }
}
