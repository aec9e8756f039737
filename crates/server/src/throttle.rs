//! How long a limit of processor time held this process up, as its control group tells.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where control groups are mounted.
const ROOT: &str = "/sys/fs/cgroup";

/// How long all processes of this one's control group were kept from running by its limit of processor time, since the group was
/// made; nothing where no file says.
pub fn cpu_throttled() -> Option<Duration> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    let statistics =
        candidates(&groups, Path::new(ROOT)).into_iter().find_map(|file| fs::read_to_string(file).ok())?;
    throttled(&statistics)
}

/// The files that may tell, best first.
///
/// In a container the group's path may be that of the host while only the container's own group is mounted, so the mount itself
/// is looked at last.
fn candidates(groups: &str, root: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for line in groups.lines() {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else { continue };
        let inside = path.trim_start_matches('/');
        // Version 2 has one hierarchy and names no controller.
        if controllers.is_empty() {
            files.push(root.join(inside));
        } else if controllers.split(',').any(|name| name == "cpu") {
            files.extend([root.join(controllers).join(inside), root.join("cpu").join(inside)]);
        }
    }
    files.extend([root.to_owned(), root.join("cpu,cpuacct"), root.join("cpu")]);
    files.into_iter().map(|folder| folder.join("cpu.stat")).collect()
}

/// Version 2 counts microseconds, version 1 nanoseconds under another name.
fn throttled(statistics: &str) -> Option<Duration> {
    let number = |name: &str| {
        let mut lines = statistics.lines().filter_map(|line| line.split_once(' '));
        lines.find(|(key, _)| *key == name)?.1.trim().parse().ok()
    };
    let microseconds = number("throttled_usec").map(Duration::from_micros);
    microseconds.or_else(|| number("throttled_time").map(Duration::from_nanos))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_versions_are_read_and_a_group_without_a_limit_says_nothing() {
        let two = "usage_usec 5000\nnr_periods 9\nnr_throttled 3\nthrottled_usec 1500\n";
        assert_eq!(throttled(two), Some(Duration::from_micros(1500)));
        let one = "nr_periods 9\nnr_throttled 3\nthrottled_time 2500000\n";
        assert_eq!(throttled(one), Some(Duration::from_micros(2500)));
        assert_eq!(throttled("usage_usec 5000\n"), None);
    }

    #[test]
    fn the_groups_own_file_comes_before_that_of_the_mount() {
        let files = |groups| candidates(groups, Path::new("/c"));
        assert_eq!(files("0::/pod/a\n")[..2], [PathBuf::from("/c/pod/a/cpu.stat"), "/c/cpu.stat".into()]);
        assert_eq!(files("0::/\n")[0], PathBuf::from("/c/cpu.stat"));
        let old = files("5:cpu,cpuacct:/pod/a\n3:cpuset:/\n");
        assert_eq!(
            old[..2],
            [PathBuf::from("/c/cpu,cpuacct/pod/a/cpu.stat"), "/c/cpu/pod/a/cpu.stat".into()]
        );
        assert!(
            old.contains(&PathBuf::from("/c/cpu/cpu.stat"))
                && !old.iter().any(|file| file.starts_with("/c/cpuset"))
        );
    }
}
