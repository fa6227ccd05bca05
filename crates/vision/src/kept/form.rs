//! The bytes of an entry: header, logits, voters, checksum.

use half::f16;

use super::KeptKey;
use crate::geometry::Segment;
use crate::pipeline::Seen;

/// First bytes of every file; the digit is the version of the form.
const MAGIC: &[u8; 8] = b"bo-kept1";

/// Magic, key, width, height and number of voters.
const HEADER: usize = 8 + 32 + 12;

/// The entry of `key` as bytes.
pub(super) fn encode(seen: &Seen, key: &KeptKey) -> Vec<u8> {
    let mut bytes =
        Vec::with_capacity(HEADER + seen.logits.len() * 2 + seen.voters.len() * 16 + 32);
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(key.digest().as_bytes());
    for number in [seen.width, seen.height, seen.voters.len() as u32] {
        bytes.extend_from_slice(&number.to_le_bytes());
    }
    for logit in &seen.logits {
        bytes.extend_from_slice(&logit.to_le_bytes());
    }
    for v in &seen.voters {
        for number in [v.p0.x, v.p0.y, v.p1.x, v.p1.y] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
    }
    let sum = blake3::hash(&bytes);
    bytes.extend_from_slice(sum.as_bytes());
    bytes
}

/// The entry that the bytes hold; in words what does not fit if they are not those of `key`.
pub(super) fn decode(bytes: &[u8], key: &KeptKey) -> Result<Seen, String> {
    let Some((body, sum)) = bytes
        .split_last_chunk::<32>()
        .filter(|(body, _)| body.len() >= HEADER)
    else {
        return Err(format!("only {} bytes", bytes.len()));
    };
    if &body[..8] != MAGIC {
        return Err("written by another version".into());
    }
    if blake3::hash(body).as_bytes() != sum {
        return Err("checksum differs".into());
    }
    if body[8..40] != key.digest().as_bytes()[..] {
        return Err("belongs to another image or network".into());
    }
    let words = body[40..HEADER].as_chunks::<4>().0;
    let [width, height, voters] = [0, 1, 2].map(|i| u32::from_le_bytes(words[i]));
    let split = width as usize * height as usize * 2;
    let rest = &body[HEADER..];
    if rest.len() != split + voters as usize * 16 {
        return Err("length differs from what the header says".into());
    }
    let (logits, voters) = rest.split_at(split);
    let logits = logits
        .as_chunks::<2>()
        .0
        .iter()
        .map(|b| f16::from_le_bytes(*b))
        .collect();
    let number = |b: &[u8; 16], i: usize| f32::from_le_bytes(b.as_chunks::<4>().0[i]);
    let segment =
        |b: &[u8; 16]| Segment::new(number(b, 0), number(b, 1), number(b, 2), number(b, 3));
    let voters = voters.as_chunks::<16>().0.iter().map(segment).collect();
    Ok(Seen {
        width,
        height,
        logits,
        voters,
    })
}
