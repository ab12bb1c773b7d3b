//! The lab files of `docs/guides/a-lab-for-a-team.md` are labs, and what the page says of them is so.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::written;
use crate::lab::{Lab, Need, Term};

#[test]
fn the_labs_of_the_guide_load() {
    let folder = tempfile::tempdir().unwrap();
    let guide = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/guides/labs");
    for name in ["bench.toml", "boards.toml"] {
        std::fs::copy(guide.join(name), folder.path().join(name)).unwrap();
    }
    for (inner, name) in [("keys", "lab"), ("secrets", "console")] {
        std::fs::create_dir(folder.path().join(inner)).unwrap();
        let file = written(&folder.path().join(inner), name, "hunter2\n");
        std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
    }
    let lab = Lab::load("bench+boards", [folder.path()]).unwrap();
    assert!(lab.warnings().is_empty(), "{:?}", lab.warnings());
    assert_eq!(lab.host("router1").unwrap().login(), Some("lab"));
    assert_eq!(lab.host("console1").unwrap().creds.len(), 1, "its own, instead of the file's");
    assert_eq!((lab.host("board2").unwrap().term, lab.host("board2").unwrap().login()), (Term::Telnet, Some("root")));
    assert_eq!(lab.links()[0].name.as_deref(), Some("core"));

    let boards = Lab::load("boards", [folder.path()]).unwrap();
    let needs = [("dut", "tag:arch=arm"), ("peer", "tag:poe")];
    let needs: Vec<_> = needs.iter().map(|(name, need)| Need::new(need).unwrap().bound_to(*name).unwrap()).collect();
    let choice = boards.choose(&needs).unwrap();
    assert_eq!(choice.bindings().collect::<Vec<_>>(), [("dut", "board1"), ("peer", "board3")]);

    // The page's report of mistakes is what otto says.
    let wrong = std::fs::read_to_string(guide.join("bench.toml")).unwrap();
    let wrong = wrong.replacen("hop = \"gate\"\nresources", "hop = \"gaet\"\nresuorces", 1);
    let file = written(folder.path(), "bench.toml", wrong);
    let report =
        Lab::load("bench", [&file]).unwrap_err().report(false).replace(&*file.to_string_lossy(), "labs/bench.toml");
    let page = include_str!("../../../../docs/guides/a-lab-for-a-team.md");
    assert!(page.contains(&report), "the page does not say:\n{report}");
}
