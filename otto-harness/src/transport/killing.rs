//! The script that kills process groups on a host and looks at them until they are gone.

use std::fmt::Write as _;

/// Script for `sh -c`: ends with 0 when every process of these groups was seen to be gone. A zombie is gone: who reaps it
/// is not our business.
///
/// What `kill` says does not count: it fails in the same way for a group that is gone and for one that we may not kill. So
/// `/proc` decides, and where there is none, nothing is proven. There is no single quote in it, no `!`, and one line.
pub(super) fn script(groups: &[u32]) -> String {
    format!(
        "kill -s KILL -- {negative} 2>/dev/null; [ -r /proc/self/stat ] || exit 2; n=0; while :; do kill -s KILL -- {negative}; alive=; \
         for f in /proc/[0-9]*/stat; do read -r line <$f || continue; set -- ${{line##*) }}; \
         case \" {plain} \" in *\" $3 \"*) [ \"$1\" = Z ] || alive=y;; esac; done; \
         [ -z \"$alive\" ] && exit 0; \
         n=$((n+1)); [ $n -ge 20 ] && exit 1; sleep 0.05 || sleep 1; done 2>/dev/null",
        negative = list(groups, "-"),
        plain = list(groups, ""),
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
    use std::os::unix::process::CommandExt as _;
    use std::process::{Command, Stdio};
    use std::time::{Duration, Instant};

    use super::*;

    fn ends_with(shell: &[&str], groups: &[u32]) -> Option<i32> {
        let status = Command::new(shell[0]).args(&shell[1..]).arg("-c").arg(script(groups)).status();
        status.expect("the shell runs").code()
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
            assert_eq!(ends_with(shell, &groups), Some(0), "{shell:?}");
            assert!(began.elapsed() < Duration::from_secs(10), "{shell:?}: {:?}", began.elapsed());
            for child in &mut children {
                assert!(child.try_wait().expect("it is ours").is_some(), "{shell:?}");
            }
            assert_eq!(ends_with(shell, &groups), Some(0), "{shell:?}: those that are gone");
        }
    }
}
