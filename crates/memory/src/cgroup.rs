//! Memory limits that a container or a service manager sets: cgroup v2 and v1.
//!
//! A limit anywhere on the path from this process' group to the root binds, so the whole path is
//! read and the tightest one counts.

use std::fs;
use std::path::{Path, PathBuf};

/// v1 writes "no limit" as a number near 2^63; anything above this is none.
const UNLIMITED: u64 = 1 << 60;

/// Tightest memory limit on this process' cgroups, in bytes; `None` without one.
pub fn limit() -> Option<u64> {
    let groups = Groups::of_self()?;
    groups.smallest("memory.max", "memory.limit_in_bytes")
}

/// Bytes charged to this process' cgroup; `None` without a memory controller.
pub fn in_use() -> Option<u64> {
    Groups::of_self()?.nearest("memory.current", "memory.usage_in_bytes")
}

/// How often the kernel killed a process of this group for want of memory; `None` where not told.
pub fn kills() -> Option<u64> {
    let groups = Groups::of_self()?;
    groups
        .paths("memory.events", "memory.oom_control")
        .find_map(|path| {
            let text = fs::read_to_string(path).ok()?;
            let line = text
                .lines()
                .find_map(|line| line.strip_prefix("oom_kill "))?;
            line.trim().parse().ok()
        })
}

/// Where the groups of a process are: folder of the hierarchy and path inside it.
struct Groups {
    v2: Option<(PathBuf, PathBuf)>,
    v1: Option<(PathBuf, PathBuf)>,
}

impl Groups {
    fn of_self() -> Option<Self> {
        let text = fs::read_to_string("/proc/self/cgroup").ok()?;
        Some(Self::parse(&text, Path::new("/sys/fs/cgroup")))
    }

    /// Lines are `id:controllers:/path`; v2 has id 0 and no controllers.
    fn parse(text: &str, root: &Path) -> Self {
        let mut groups = Self { v2: None, v1: None };
        for line in text.lines() {
            let mut parts = line.splitn(3, ':');
            let (Some(_), Some(controllers), Some(path)) =
                (parts.next(), parts.next(), parts.next())
            else {
                continue;
            };
            let inside = PathBuf::from(path.trim_start_matches('/'));
            if controllers.is_empty() {
                groups.v2 = Some((root.to_path_buf(), inside));
            } else if controllers.split(',').any(|name| name == "memory") {
                groups.v1 = Some((root.join("memory"), inside));
            }
        }
        groups
    }

    /// Files of one name from the group up to the root of its hierarchy, v1 first.
    fn paths(&self, v2: &str, v1: &str) -> impl Iterator<Item = PathBuf> {
        let mut all = Vec::new();
        for (place, file) in [(&self.v1, v1), (&self.v2, v2)] {
            let Some((root, inside)) = place else {
                continue;
            };
            // inside a container the path may name folders that only the host sees
            for folder in inside.ancestors() {
                all.push(root.join(folder).join(file));
            }
        }
        all.into_iter()
    }

    fn numbers(&self, v2: &str, v1: &str) -> impl Iterator<Item = u64> {
        self.paths(v2, v1)
            .filter_map(|path| fs::read_to_string(path).ok()?.trim().parse().ok())
    }

    fn smallest(&self, v2: &str, v1: &str) -> Option<u64> {
        self.numbers(v2, v1)
            .filter(|&limit| limit < UNLIMITED)
            .min()
    }

    fn nearest(&self, v2: &str, v1: &str) -> Option<u64> {
        self.numbers(v2, v1).next()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("bo-memory-{name}-{}", std::process::id()));
        fs::remove_dir_all(&path).ok();
        fs::create_dir_all(&path).unwrap();
        path
    }

    #[test]
    fn tightest_limit_on_the_path_of_v2_counts() {
        let root = folder("v2");
        fs::create_dir_all(root.join("user/run")).unwrap();
        fs::write(root.join("user/memory.max"), "4096\n").unwrap();
        fs::write(root.join("user/run/memory.max"), "max\n").unwrap();
        let groups = Groups::parse("0::/user/run\n", &root);
        assert_eq!(
            groups.smallest("memory.max", "memory.limit_in_bytes"),
            Some(4096)
        );
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn unlimited_v1_is_no_limit_and_hidden_folders_are_passed_over() {
        let root = folder("v1");
        fs::create_dir_all(root.join("memory")).unwrap();
        let limit = root.join("memory/memory.limit_in_bytes");
        fs::write(&limit, "9223372036854771712\n").unwrap();
        let groups = Groups::parse("5:cpu:/a\n4:memory:/docker/abc\n", &root);
        assert_eq!(groups.smallest("memory.max", "memory.limit_in_bytes"), None);
        fs::write(&limit, "1048576\n").unwrap();
        assert_eq!(
            groups.smallest("memory.max", "memory.limit_in_bytes"),
            Some(1 << 20)
        );
        fs::remove_dir_all(root).unwrap();
    }
}
