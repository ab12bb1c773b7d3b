//! [`Holder`]: who has a lease, for those who wait for it.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::machine::ProcessId;

/// Who has a lease, or waits for one.
///
/// ```
/// use otto::reservations::Holder;
/// let holder = Holder::of_this_process("alice", "test bgp::converges");
/// assert_eq!((&*holder.user, holder.pid), ("alice", std::process::id()));
/// assert!(holder.to_string().starts_with("alice (test bgp::converges, pid "));
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Holder {
    /// On whose behalf: `--as-user`, else the user of the operating system.
    pub user: String,
    /// The name of the machine it runs on.
    pub machine: String,
    /// Its process there.
    pub pid: u32,
    /// The run that it is part of, which all processes of one run of nextest share.
    pub run: Option<String>,
    /// The page of the CI job, where the environment names one.
    pub job_url: Option<String>,
    /// What for: the test.
    pub purpose: String,
    /// The process itself; absent where the system does not tell, or in a record of another tool.
    #[serde(default)]
    pub(super) process: Option<ProcessId>,
}

impl Holder {
    /// This process, for `user`. The run and the job come from the environment (`NEXTEST_RUN_ID`; what GitHub, GitLab,
    /// Jenkins, Buildkite, `CircleCI`, Azure and Drone set).
    pub fn of_this_process(user: impl Into<String>, purpose: impl Into<String>) -> Self {
        let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
        Self {
            user: user.into(),
            machine: rustix::system::uname().nodename().to_string_lossy().into_owned(),
            pid: std::process::id(),
            run: variable("NEXTEST_RUN_ID"),
            job_url: job_url(variable),
            purpose: purpose.into(),
            process: ProcessId::own(),
        }
    }
}

/// The page of the CI job that these variables describe.
fn job_url(variable: impl Fn(&str) -> Option<String>) -> Option<String> {
    let github = || {
        let (server, repository) = (variable("GITHUB_SERVER_URL")?, variable("GITHUB_REPOSITORY")?);
        Some(format!("{server}/{repository}/actions/runs/{}", variable("GITHUB_RUN_ID")?))
    };
    let azure = || {
        let (server, project) = (variable("SYSTEM_TEAMFOUNDATIONCOLLECTIONURI")?, variable("SYSTEM_TEAMPROJECT")?);
        Some(format!("{server}{project}/_build/results?buildId={}", variable("BUILD_BUILDID")?))
    };
    let direct = ["CI_JOB_URL", "BUILDKITE_BUILD_URL", "CIRCLE_BUILD_URL", "DRONE_BUILD_LINK", "BUILD_URL"];
    github().or_else(|| direct.iter().find_map(|name| variable(name))).or_else(azure)
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (", self.user)?;
        if !self.purpose.is_empty() {
            write!(f, "{}, ", self.purpose)?;
        }
        write!(f, "pid {} on {}", self.pid, self.machine)?;
        if let Some(url) = &self.job_url {
            write!(f, ", {url}")?;
        }
        f.write_str(")")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_job_is_what_the_environment_names() {
        let job = |set: &[(&str, &str)]| {
            job_url(|name| set.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned()))
        };
        assert_eq!(job(&[]), None);
        assert_eq!(job(&[("CI_JOB_URL", "https://gitlab/1")]).as_deref(), Some("https://gitlab/1"));
        let github = [("GITHUB_SERVER_URL", "https://g"), ("GITHUB_REPOSITORY", "o/r"), ("GITHUB_RUN_ID", "7")];
        assert_eq!(job(&github).as_deref(), Some("https://g/o/r/actions/runs/7"));
        assert_eq!(job(&github[..2]), None);
    }
}
