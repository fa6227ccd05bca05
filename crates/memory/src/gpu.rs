//! The memory of the machine's GPUs and who holds it, as NVIDIA's own tool tells.
//!
//! Central function [`table`]. Needs no CUDA in this program: it asks `nvidia-smi`.

use std::io::ErrorKind;
use std::process::{Command, Stdio};

use serde::Serialize;
use thiserror::Error;

/// One GPU. Bytes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Gpu {
    /// Its number.
    pub index: u32,
    /// Its name for ever; processes are listed by it.
    pub uuid: String,
    /// What it is.
    pub name: String,
    /// All of its memory; `None`, here and below, where the driver does not tell.
    pub total: Option<u64>,
    /// Taken by programs.
    pub used: Option<u64>,
    /// Kept by the driver.
    pub reserved: Option<u64>,
    /// Neither.
    pub free: Option<u64>,
    /// Who holds memory, the most first.
    pub holders: Vec<Holder>,
}

/// A process that holds memory of a GPU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Holder {
    /// Its id, as the driver sees it (outside a container's own numbering).
    pub pid: u32,
    /// Its program.
    pub program: String,
    /// How much; `None` where the driver does not tell.
    pub bytes: Option<u64>,
}

/// Why nothing is known.
#[derive(Debug, Error)]
pub enum GpuError {
    /// The tool is not there: no NVIDIA driver, so no GPU that this program could use.
    #[error("no GPU: nvidia-smi is not on this machine")]
    NoDriver,
    /// The tool failed.
    #[error("nvidia-smi failed: {0}")]
    Tool(String),
    /// It said something else than expected.
    #[error("nvidia-smi said {0:?}")]
    Answer(String),
}

/// Every GPU of the machine.
///
/// # Errors
/// [`GpuError`].
pub fn table() -> Result<Vec<Gpu>, GpuError> {
    let fields = "index,uuid,name,memory.total,memory.used,memory.free,memory.reserved";
    let gpus = ask(&format!("--query-gpu={fields}"))?;
    let holders = ask("--query-compute-apps=gpu_uuid,pid,used_memory,process_name")?;
    parse(&gpus, &holders)
}

fn ask(query: &str) -> Result<String, GpuError> {
    let answer = Command::new("nvidia-smi")
        .args([query, "--format=csv,noheader,nounits"])
        .stdin(Stdio::null())
        .output()
        .map_err(|error| match error.kind() {
            ErrorKind::NotFound => GpuError::NoDriver,
            _ => GpuError::Tool(error.to_string()),
        })?;
    if !answer.status.success() {
        let said = [answer.stdout, answer.stderr].concat();
        let said = String::from_utf8_lossy(&said).trim().to_owned();
        return Err(GpuError::Tool(said));
    }
    Ok(String::from_utf8_lossy(&answer.stdout).into_owned())
}

fn parse(gpus: &str, holders: &str) -> Result<Vec<Gpu>, GpuError> {
    let mut found = Vec::new();
    for line in gpus.lines().filter(|line| !line.trim().is_empty()) {
        let bad = || GpuError::Answer(line.to_owned());
        let words: Vec<&str> = line.split(',').map(str::trim).collect();
        let [index, uuid, name, total, used, free, reserved] = words[..] else {
            return Err(bad());
        };
        found.push(Gpu {
            index: index.parse().map_err(|_| bad())?,
            uuid: uuid.to_owned(),
            name: name.to_owned(),
            total: mebibytes(total),
            used: mebibytes(used),
            reserved: mebibytes(reserved),
            free: mebibytes(free),
            holders: Vec::new(),
        });
    }
    for line in holders.lines().filter(|line| !line.trim().is_empty()) {
        let bad = || GpuError::Answer(line.to_owned());
        let words: Vec<&str> = line.splitn(4, ',').map(str::trim).collect();
        let [uuid, pid, bytes, program] = words[..] else {
            return Err(bad());
        };
        let holder = Holder {
            pid: pid.parse().map_err(|_| bad())?,
            program: program.to_owned(),
            bytes: mebibytes(bytes),
        };
        if let Some(gpu) = found.iter_mut().find(|gpu| gpu.uuid == uuid) {
            gpu.holders.push(holder);
        }
    }
    for gpu in &mut found {
        gpu.holders
            .sort_by_key(|holder| std::cmp::Reverse(holder.bytes));
    }
    Ok(found)
}

/// The tool's MiB in bytes; `None` for "[N/A]" and its like.
fn mebibytes(text: &str) -> Option<u64> {
    text.parse::<u64>().ok()?.checked_mul(1 << 20)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tools_table_is_read_with_what_it_does_not_know() {
        let gpus = "0, GPU-a, NVIDIA RTX 2060, 6144, 1500, 4400, 244\n\
                    1, GPU-b, NVIDIA H200, 143771, 4, 143156, [N/A]\n\
                    2, GPU-c, NVIDIA GB10, [N/A], [N/A], [N/A], [N/A]\n";
        let holders = "GPU-a, 42, 300, /usr/bin/python3, -m train\nGPU-a, 7, [N/A], Xorg\n\
                       GPU-a, 9, 1000, bo\n";
        let found = parse(gpus, holders).unwrap();
        assert_eq!(found.len(), 3);
        assert_eq!(
            (found[2].total, found[2].used, found[2].free),
            (None, None, None)
        );
        assert_eq!(
            (found[0].total, found[0].reserved),
            (Some(6144 << 20), Some(244 << 20))
        );
        assert_eq!(found[1].reserved, None);
        let pids: Vec<u32> = found[0].holders.iter().map(|holder| holder.pid).collect();
        assert_eq!(pids, [9, 42, 7]);
        assert_eq!(found[0].holders[1].program, "/usr/bin/python3, -m train");
        assert!(parse("No devices were found\n", "").is_err());
        assert!(parse("", "").unwrap().is_empty());
    }
}
