//! Lines of a stream, none longer than a limit: a program that never ends its line costs no memory.

use std::io::{BufRead, Read};

/// Longest line kept, in bytes; the rest of a longer one is dropped.
const LIMIT: u64 = 1 << 20;

/// Hands each line to `take` until the stream ends or `take` returns false. Invalid UTF-8 is replaced.
pub fn each_line(stream: impl Read, mut take: impl FnMut(String) -> bool) {
    let mut reader = std::io::BufReader::new(stream);
    let mut bytes = Vec::new();
    loop {
        bytes.clear();
        match reader.by_ref().take(LIMIT).read_until(b'\n', &mut bytes) {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        if bytes.last() != Some(&b'\n')
            && bytes.len() as u64 == LIMIT
            && reader.skip_until(b'\n').is_err()
        {
            return;
        }
        let line = String::from_utf8_lossy(&bytes);
        if !take(line.trim_end_matches(['\n', '\r']).to_owned()) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_endless_line_is_cut_and_the_next_one_is_whole() {
        let mut input = vec![b'a'; (LIMIT + 5) as usize];
        input.extend(b"\nshort\r\nlast");
        let mut lines = Vec::new();
        each_line(&input[..], |line| {
            lines.push(line);
            true
        });
        assert_eq!(lines[0].len() as u64, LIMIT);
        assert_eq!(lines[1..], ["short", "last"]);
    }
}
