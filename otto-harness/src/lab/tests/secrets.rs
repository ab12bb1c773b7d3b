//! Secrets: where they may be, and that nothing shows them.

use std::os::unix::fs::PermissionsExt;

use super::{host_with, written};
use crate::lab::Lab;
use crate::redact::Redactor;

#[test]
fn a_password_as_text_is_warned_of_unless_the_lab_is_simulated() {
    let folder = tempfile::tempdir().unwrap();
    let text = host_with("creds = [{ login = 'a', password = 'hunter2' }, { login = 'b', password = 'hunter3' }]");
    let file = written(folder.path(), "a.toml", &text);
    let lab = Lab::load("bench", [&file]).unwrap();
    let [warning] = lab.warnings() else { panic!("{:?}", lab.warnings()) };
    assert!(warning.contains("a.toml:5:36: 2 passwords stand in the file as text, this the first"), "{warning}");
    assert!(warning.contains("simulated = true") && !warning.contains("hunter"), "{warning}");
    written(folder.path(), "a.toml", format!("simulated = true\n{text}"));
    assert!(Lab::load("bench", [&file]).unwrap().warnings().is_empty());
    assert!(Lab::from_toml(&text).unwrap().warnings().is_empty(), "text in code is no file that somebody reads");
}

#[test]
fn secret_files_are_read_with_care() {
    let folder = tempfile::tempdir().unwrap();
    let lab = written(folder.path(), "a.toml", host_with("creds = [{ login = 'x', password = { file = 'a pw' } }]"));
    let secret = written(folder.path(), "a pw", "");
    let refused = |mode: u32, text: &[u8]| {
        std::fs::write(&secret, text).unwrap();
        std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(mode)).unwrap();
        Lab::load("bench", [&lab]).unwrap_err().to_string()
    };
    for mode in [0o640, 0o604, 0o660, 0o601] {
        let text = refused(mode, b"hunter2");
        assert!(
            text.contains("can be read by others") && text.contains("`chmod 600 '/") && text.contains("a pw'`"),
            "{text}"
        );
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert!(refused(0o600, b"").contains("is empty"));
    assert!(refused(0o600, b"\n").contains("is empty"));
    assert!(refused(0o600, b"\xff").contains("is not UTF-8"));
    assert!(refused(0o600, &[b'x'; 1 << 17]).contains("is the most"));
    std::fs::remove_file(&secret).unwrap();
    std::fs::create_dir(&secret).unwrap();
    assert!(Lab::load("bench", [&lab]).unwrap_err().to_string().contains("not a regular file"));
}

#[test]
fn the_redactor_knows_the_kept_ones_too() {
    let lab = Lab::from_toml(&host_with(
        "creds = [{ login = 'a', password = 'hunter2', params = { token = 'hunter3' } }]\n\
         power_control = { type = 'pdu', pdu_password = 'hunter4', outlet = 'hunter5' }",
    ))
    .unwrap();
    let redactor = Redactor::of_hosts(lab.hosts());
    assert_eq!(redactor.text("hunter2 hunter3 hunter4 hunter5"), "[redacted] [redacted] [redacted] hunter5");
    let shown = format!("{:?} {:?}", lab, lab.host("a").unwrap());
    assert!(!shown.contains("hunter"), "{shown}");
}

/// However a secret is misplaced, no error, report or `Debug` shows it.
#[test]
fn no_mistake_shows_a_secret() {
    for line in [
        "creds = [{ login = 'a', pasword = 'hunter2' }]",
        "creds = [{ login = 'a', password = ['hunter2'] }]",
        "creds = [{ login = 'a', password = { envv = 'hunter2' } }]",
        "creds = [{ login = 'a', password = { text = 'hunter2' } }]",
        "creds = [{ login = 'a', password = hunter2 }]",
        "creds = [{ login = 'a', password = 'hunter2 }]",
        "creds = [{ login = 'a' password = 'hunter2' }]",
        "creds = [{ login = 'a', password = 'hunter2', port = 1 }]",
        "creds = [{ login = 'a', password = '''\nhunter2''', port = 1 }]",
        "creds = [{ login = 'a', password = '''\nhunter2\n",
        "creds = [{ login = 'a', password = \"hunter2\\q\" }]",
        "creds = { a = 'hunter2' }",
        "creds = 'hunter2'",
        "password = 'hunter2'",
        "port = 'x' # hunter2",
    ] {
        let error = Lab::from_toml(&host_with(line)).unwrap_err();
        let shown = format!("{error} {error:?} {} {} {:?}", error.report(true), error.report(false), error.mistakes());
        assert!(!shown.contains("hunter2"), "{line}:\n{shown}");
    }
    for host in
        [r#""pasword": "hunter2""#, r#""creds": {"a": "hunter2"}"#, r#""creds": [{"login": "a", "password": hunter2}]"#]
    {
        let error =
            Lab::from_json(&format!(r#"{{"lab": "l", "hosts": [{{"id": "a", "ip": "h", {host}}}]}}"#)).unwrap_err();
        let shown = format!("{error} {error:?} {}", error.report(false));
        assert!(!shown.contains("hunter2"), "{host}:\n{shown}");
    }
}
