//! The memory of the machine's GPUs and who holds it, as NVIDIA's own tool tells.
//!
//! Central function [`table`]. Needs no CUDA in this program: it asks `nvidia-smi`.

use std::io::{ErrorKind, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

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
    /// The tool does not come back: so does a driver that hangs.
    #[error("nvidia-smi gave no answer within {} s: the driver seems to hang; see dmesg, or restart the machine", .0.as_secs())]
    Silent(Duration),
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

/// Longest that the tool may take; with cards that sleep it needs some seconds.
const PATIENCE: Duration = Duration::from_secs(30);

fn ask(query: &str) -> Result<String, GpuError> {
    let mut tool = Command::new("nvidia-smi");
    tool.args([query, "--format=csv,noheader,nounits"]);
    answer(&mut tool, PATIENCE)
}

/// What a tool says, which is ended where that takes longer than `patience`.
fn answer(tool: &mut Command, patience: Duration) -> Result<String, GpuError> {
    let tool = tool.stdin(Stdio::null());
    let tool = tool.stdout(Stdio::piped()).stderr(Stdio::piped());
    let failed = |error: std::io::Error| GpuError::Tool(error.to_string());
    let mut child = tool.spawn().map_err(|error| match error.kind() {
        ErrorKind::NotFound => GpuError::NoDriver,
        _ => failed(error),
    })?;
    // read beside the wait: a tool whose words nobody takes does not end
    let (out, err) = (all_of(child.stdout.take()), all_of(child.stderr.take()));
    let Some(status) = wait(&mut child, patience).map_err(failed)? else {
        // one that hangs in the driver cannot be ended, and is not waited for
        let _ = child.kill();
        return Err(GpuError::Silent(patience));
    };
    let words = |said: thread::JoinHandle<Vec<u8>>| said.join().unwrap_or_default();
    let (out, err) = (words(out), words(err));
    if !status.success() {
        let said = String::from_utf8_lossy(&[out, err].concat())
            .trim()
            .to_owned();
        return Err(GpuError::Tool(said));
    }
    Ok(String::from_utf8_lossy(&out).into_owned())
}

/// All that comes out of a pipe, up to a megabyte.
fn all_of(pipe: Option<impl Read + Send + 'static>) -> thread::JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut said = Vec::new();
        if let Some(pipe) = pipe {
            // what came before a pipe broke is what was said
            let _ = pipe.take(1 << 20).read_to_end(&mut said);
        }
        said
    })
}

/// How it ended; `None` where it still runs.
fn wait(child: &mut Child, patience: Duration) -> std::io::Result<Option<ExitStatus>> {
    let begun = Instant::now();
    loop {
        match child.try_wait()? {
            None if begun.elapsed() < patience => thread::sleep(Duration::from_millis(10)),
            ended => return Ok(ended),
        }
    }
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
    fn a_tool_that_does_not_come_back_is_ended_and_told_of() {
        let sh = |words: &str| {
            let mut tool = Command::new("sh");
            tool.args(["-c", words]);
            tool
        };
        let long = Duration::from_secs(60);
        assert_eq!(answer(&mut sh("echo said"), long).unwrap(), "said\n");
        let failed = answer(&mut sh("echo no card >&2; exit 9"), long);
        assert!(matches!(failed, Err(GpuError::Tool(said)) if said == "no card"));
        let silent = answer(&mut sh("exec sleep 100"), Duration::from_millis(100));
        assert!(matches!(silent, Err(GpuError::Silent(_))), "{silent:?}");
        let missing = answer(&mut Command::new("/nowhere/tool"), long);
        assert!(matches!(missing, Err(GpuError::NoDriver)));
    }

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
