//! Where the files of tests go.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::time::SystemTime;
use std::{env, process};

/// The folder of one test inside an output folder, so that tests do not overwrite each other's files.
pub(super) fn of_test(folder: &Path, lab: &str, name: &str) -> PathBuf {
    let safe = |name: &str| name.replace("::", ".").replace(['/', '\0'], "_");
    folder.join(safe(lab)).join(safe(name))
}

/// The output folder of runs that were given none: `otto/<run>` in the build folder. Nothing is made of it before it is
/// needed, which is when a test attaches something.
pub(super) fn default() -> &'static Path {
    static FOLDER: OnceLock<PathBuf> = OnceLock::new();
    FOLDER.get_or_init(in_the_build_folder)
}

fn in_the_build_folder() -> PathBuf {
    let binary = env::current_exe().unwrap_or_default();
    // Cargo puts this file there. Of a binary that was carried to the lab, nothing is known but where it runs.
    let target = binary.ancestors().find(|folder| folder.join("CACHEDIR.TAG").is_file()).map(Path::to_owned);
    let target = target.unwrap_or_else(|| env::current_dir().unwrap_or_default().join("target"));
    target.join("otto").join(run_id())
}

/// The run that this process belongs to: nextest's, which many processes share, else one of its own, sortable by time.
fn run_id() -> &'static str {
    static ID: OnceLock<String> = OnceLock::new();
    ID.get_or_init(|| {
        let of_nextest = env::var("NEXTEST_RUN_ID").ok();
        let is_plain = |id: &String| !id.is_empty() && id.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        of_nextest.filter(is_plain).unwrap_or_else(|| {
            let now = jiff::Timestamp::try_from(SystemTime::now()).unwrap_or_default();
            format!("{}-{}", now.strftime("%Y%m%d-%H%M%S"), process::id())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_test_has_a_folder_in_the_build_folder() {
        let folder = of_test(default(), "bench", "bgp::converges::bench");
        assert!(folder.ends_with("bench/bgp.converges.bench"), "{}", folder.display());
        assert!(folder.ancestors().any(|folder| folder.join("CACHEDIR.TAG").is_file()), "{}", folder.display());
        assert!(of_test(Path::new("o"), "a/b", "../../x").starts_with("o"));
    }
}
