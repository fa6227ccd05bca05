//! The zip container of a `.pth` file: finds the pickle, runs it, and hands its tensors their storages.

use std::collections::{BTreeMap, HashMap};
use std::io::{Cursor, Read};

use zip::ZipArchive;

use super::machine::Machine;
use crate::edge::weights::Plain;

/// Most values over all tensors, and most bytes over all storages.
pub(super) const LARGEST: usize = 1 << 28;

/// Longest pickle in bytes: what the machine holds grows with it, and a file compresses a thousandfold.
const LONGEST_PROGRAM: usize = 1 << 23;

/// Why a `.pth` file is refused.
#[derive(Debug, thiserror::Error)]
pub enum PickleError {
    /// The container is damaged or holds no pickle.
    #[error("zip container: {0}")]
    Container(String),
    /// The pickle asks for something a dictionary of tensors does not need.
    #[error("refused at byte {at} of data.pkl: {what}")]
    Refused {
        /// Position in the pickle.
        at: usize,
        /// What it asked for.
        what: String,
    },
    /// A tensor does not fit its storage.
    #[error("tensor {name}: {reason}")]
    Tensor {
        /// The tensor.
        name: String,
        /// What is wrong.
        reason: String,
    },
}

/// All tensors of a `.pth` file: of its entry `state_dict` if it has one, else of its top level.
///
/// # Errors
/// A damaged container, an opcode or a name that is not on the list, tensors that do not fit their storages.
pub fn read(bytes: &[u8]) -> Result<BTreeMap<String, Plain>, PickleError> {
    let container = |e: &dyn std::fmt::Display| PickleError::Container(e.to_string());
    let mut archive = ZipArchive::new(Cursor::new(bytes)).map_err(|e| container(&e))?;
    let names = (0..archive.len())
        .filter_map(|i| Some(archive.by_index(i).ok()?.name().ok()?.into_owned()));
    let names: Vec<String> = names.collect();
    let pickle = names.iter().find(|n| n.ends_with("data.pkl"));
    let pickle = pickle.ok_or_else(|| PickleError::Container("no data.pkl inside".into()))?;
    let folder = pickle.trim_end_matches("data.pkl").to_string();
    let order = format!("{folder}byteorder");
    if names.contains(&order) && entry(&mut archive, &order, 64)?.starts_with(b"big") {
        return Err(PickleError::Container("storages are big-endian".into()));
    }
    let program = entry(&mut archive, pickle, LONGEST_PROGRAM)?;
    let mut machine = Machine::new(&program);
    let top = machine.run()?;
    let mut left = LARGEST;
    let mut storages = HashMap::new();
    let mut tensors = BTreeMap::new();
    for (name, tensor) in machine.tensors(&top)? {
        if !storages.contains_key(&*tensor.storage.key) {
            let file = entry(
                &mut archive,
                &format!("{folder}data/{}", tensor.storage.key),
                left,
            )?;
            left -= file.len();
            storages.insert(tensor.storage.key.to_string(), file);
        }
        let plain = tensor
            .gather(&storages[&*tensor.storage.key])
            .map_err(|reason| PickleError::Tensor {
                name: name.to_string(),
                reason,
            })?;
        tensors.insert(name.to_string(), plain);
    }
    Ok(tensors)
}

fn entry(
    archive: &mut ZipArchive<Cursor<&[u8]>>,
    name: &str,
    limit: usize,
) -> Result<Vec<u8>, PickleError> {
    let file = archive
        .by_name(name)
        .map_err(|e| PickleError::Container(format!("{name}: {e}")))?;
    let mut bytes = Vec::new();
    let read = file.take(limit as u64 + 1).read_to_end(&mut bytes);
    read.map_err(|e| PickleError::Container(format!("{name}: {e}")))?;
    if bytes.len() > limit {
        return Err(PickleError::Container(format!(
            "{name} exceeds {limit} bytes"
        )));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use zip::write::SimpleFileOptions;

    use super::*;

    fn file(entries: &[(&str, &[u8])]) -> Vec<u8> {
        let mut writer = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, bytes) in entries {
            writer
                .start_file(*name, SimpleFileOptions::default())
                .unwrap();
            writer.write_all(bytes).unwrap();
        }
        writer.finish().unwrap().into_inner()
    }

    /// `{"w": two floats at offset 0 of storage 0}`
    const PROGRAM: &[u8] =
        b"\x80\x02}X\x01\0\0\0wctorch._utils\n_rebuild_tensor_v2\n((X\x07\0\0\0storage\
        ctorch\nFloatStorage\nX\x01\0\0\x000X\x03\0\0\0cpuK\x02tQK\0K\x02\x85K\x01\x85\x89}tRs.";

    #[test]
    fn a_small_file_is_read_and_its_faults_are_named() {
        let floats: Vec<u8> = [1.5f32, -2.0]
            .iter()
            .flat_map(|v| v.to_le_bytes())
            .collect();
        let whole = file(&[("a/data.pkl", PROGRAM), ("a/data/0", &floats)]);
        let tensors = read(&whole).unwrap();
        assert_eq!(tensors["w"].values, [1.5, -2.0]);
        let said = |entries: &[(&str, &[u8])]| read(&file(entries)).unwrap_err().to_string();
        let short = said(&[("a/data.pkl", PROGRAM), ("a/data/0", &floats[..4])]);
        assert!(short.contains("tensor w"), "{short}");
        let absent = said(&[("a/data.pkl", PROGRAM)]);
        assert!(absent.contains("a/data/0"), "{absent}");
        let big = said(&[
            ("a/data.pkl", PROGRAM),
            ("a/byteorder", b"big"),
            ("a/data/0", &floats),
        ]);
        assert!(big.contains("big-endian"), "{big}");
        assert!(said(&[("b", b"")]).contains("no data.pkl"));
    }

    #[test]
    fn a_program_that_unpacks_to_too_much_is_refused_before_it_runs() {
        let bomb = file(&[("a/data.pkl", &vec![b']'; LONGEST_PROGRAM + 1])]);
        assert!(bomb.len() < 1 << 16);
        let said = read(&bomb).unwrap_err().to_string();
        assert!(said.contains("exceeds"), "{said}");
    }
}
