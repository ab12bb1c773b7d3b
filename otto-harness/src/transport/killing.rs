//! Scripts that kill what runs on a host, and look at it until it is gone.

use std::fmt::Write as _;

/// Script for `sh -c`: ends with 0 when every process of these groups was seen to be gone, and of the sessions that have their
/// numbers: on a terminal a shell of its session may lead a group of its own. A zombie is gone: who reaps it
/// is not our business.
///
/// What `kill` says does not count: it fails in the same way for a group that is gone and for one that we may not kill. So
/// `/proc` decides, and where there is none, nothing is proven. There is no single quote in it, no `!`, and one line.
pub(super) fn groups(groups: &[u32]) -> String {
    format!(
        "kill -s KILL -- {negative} 2>/dev/null; [ -r /proc/self/stat ] || exit 2; n=0; while :; do kill -s KILL -- {negative}; alive=; \
         for f in /proc/[0-9]*/stat; do read -r line <$f || continue; set -- ${{line##*) }}; \
         case \" {plain} \" in *\" $3 \"*|*\" $4 \"*) [ \"$1\" = Z ] && continue; alive=y; \
         f=${{f%/stat}}; kill -s KILL ${{f#/proc/}};; esac; done; \
         [ -z \"$alive\" ] && exit 0; \
         n=$((n+1)); [ $n -ge 20 ] && exit 1; sleep 0.05 || sleep 1; done 2>/dev/null",
        negative = list(groups, "-"),
        plain = list(groups, ""),
    )
}

/// As [`groups`], for every process of a session, whatever groups they are in.
pub(super) fn session(session: u32) -> String {
    format!(
        "[ -r /proc/self/stat ] || exit 2; n=0; while :; do alive=; \
         for f in /proc/[0-9]*/stat; do read -r line <$f || continue; set -- ${{line##*) }}; \
         [ \"$4\" = {session} ] || continue; [ \"$1\" = Z ] && continue; alive=y; \
         f=${{f%/stat}}; kill -s KILL ${{f#/proc/}}; done; \
         [ -z \"$alive\" ] && exit 0; \
         n=$((n+1)); [ $n -ge 20 ] && exit 1; sleep 0.05 || sleep 1; done 2>/dev/null"
    )
}

/// The groups as words, each with this sign.
pub(super) fn list(groups: &[u32], sign: &str) -> String {
    groups.iter().fold(String::new(), |mut text, group| {
        let space = if text.is_empty() { "" } else { " " };
        // Writing to a string cannot fail.
        let _ = write!(text, "{space}{sign}{group}");
        text
    })
}

#[cfg(test)]
mod tests {
    use std::io::BufRead as _;
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    fn ends_with(shell: &[&str], script: String) -> Option<i32> {
        let status = Command::new(shell[0]).args(&shell[1..]).arg("-c").arg(script).status();
        status.expect("the shell runs").code()
    }

    #[test]
    fn a_session_is_killed_with_all_its_groups() {
        for shell in [&["bash"][..], &["dash"], &["busybox", "ash"]] {
            // With job control, so that the one in the background has a group of its own.
            let mut child = Command::new("setsid");
            child.args(["bash", "-c", "trap '' HUP INT TERM; set -m; sleep 600 & echo $!; sleep 600"]);
            let mut child =
                child.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0).spawn().expect("setsid runs");
            let mut line = String::new();
            std::io::BufReader::new(child.stdout.take().expect("a pipe"))
                .read_line(&mut line)
                .expect("it says the pid");
            let stat = |pid: &str| std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            let background = stat(line.trim());
            let fields: Vec<&str> = background.rsplit(") ").next().unwrap_or_default().split(' ').collect();
            assert_ne!(fields[2], fields[3], "it is in a group of its own: {background}");
            let id = fields[3].parse().expect("a session");
            assert_eq!(ends_with(shell, session(id)), Some(0), "{shell:?}");
            let after = stat(line.trim());
            assert!(after.is_empty() || after.contains(") Z "), "{shell:?}: {after}");
            child.wait().expect("it is ours");
        }
    }

    #[test]
    fn a_group_whose_leader_leads_the_session_goes_with_the_others_of_it() {
        for shell in [&["bash"][..], &["dash"], &["busybox", "ash"]] {
            let mut child = Command::new("setsid");
            child.args(["bash", "-c", "set -m; (trap '' HUP INT TERM; sleep 600) & echo $$ $!; wait"]);
            let mut child = child.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().expect("setsid runs");
            let mut line = String::new();
            std::io::BufReader::new(child.stdout.take().expect("a pipe")).read_line(&mut line).expect("it says both");
            let (leader, other) = line.trim().split_once(' ').expect("two numbers");
            assert_eq!(ends_with(shell, super::groups(&[leader.parse().expect("a number")])), Some(0), "{shell:?}");
            let after = std::fs::read_to_string(format!("/proc/{other}/stat")).unwrap_or_default();
            assert!(after.is_empty() || after.contains(") Z "), "{shell:?}: {after}");
            child.wait().expect("it is ours");
        }
    }

    #[test]
    fn groups_are_killed_by_any_shell_and_seen_to_be_gone() {
        for shell in [&["bash"][..], &["dash"], &["busybox", "ash"]] {
            let mut children: Vec<_> = (0..2)
                .map(|_| {
                    let mut child = Command::new("sh");
                    child.args(["-c", "trap '' HUP INT TERM; sleep 600 & sleep 600"]);
                    child.process_group(0).stdin(Stdio::null()).spawn().expect("sh runs")
                })
                .collect();
            let groups: Vec<u32> = children.iter().map(std::process::Child::id).collect();
            let began = Instant::now();
            // The parents are zombies then, because nobody has waited for them.
            assert_eq!(ends_with(shell, super::groups(&groups)), Some(0), "{shell:?}");
            assert!(began.elapsed() < Duration::from_secs(10), "{shell:?}: {:?}", began.elapsed());
            for child in &mut children {
                assert!(child.try_wait().expect("it is ours").is_some(), "{shell:?}");
            }
            assert_eq!(ends_with(shell, super::groups(&groups)), Some(0), "{shell:?}: those that are gone");
        }
    }
}
