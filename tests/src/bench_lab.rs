//! The lab `bench` of `select_fixture`: hosts that are this machine, so that they can be used, and one that is dead.

use crate::suite::Project;

/// Its lab file.
pub const LAB: &str = r#"
lab = "bench"
resources = ["rack3"]
hosts = [
    { id = "router1", term = "local", tags = ["arch=arm"], resources = ["router1"] },
    { id = "router2", term = "local", tags = ["arch=riscv"] },
    { id = "switch1", term = "local" },
    { id = "dns1", term = "local" },
    { id = "dead", ip = "127.0.0.1", port = 1, user = "nobody" },
]
"#;

/// A project with that lab, which is the default.
#[must_use]
pub fn project() -> Project {
    let project = Project::with_labs(&[LAB]);
    project.write("otto.toml", "[lab]\npaths = [\"labs\"]\ndefault = [\"bench\"]\n");
    project
}
