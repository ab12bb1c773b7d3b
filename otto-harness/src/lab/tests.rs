//! What lab files may say, and what is said about those that say something else.

mod bad_input;
mod guide;
mod otto_sh;
mod profiles;
mod schema;
mod secrets;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{HostKeyCheck, HostSpec, Lab, LabCatalog, ProjectConfig, Term};
use crate::error::ErrorKind;

fn refused(text: &str) -> String {
    let error = Lab::from_toml(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lab);
    error.to_string()
}

fn refused_json(text: &str) -> String {
    let error = Lab::from_json(text).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lab);
    error.to_string()
}

/// A file of one good lab, with `line` in its host.
fn host_with(line: &str) -> String {
    format!("lab = \"bench\"\n[[hosts]]\nid = \"a\"\nip = \"10.0.0.1\"\n{line}\n")
}

fn written(folder: &Path, name: &str, text: impl AsRef<[u8]>) -> std::path::PathBuf {
    let path = folder.join(name);
    fs::write(&path, text).unwrap();
    path
}

fn has(text: &str, parts: &[&str]) {
    for part in parts {
        assert!(text.contains(part), "{part:?} is not in:\n{text}");
    }
}

#[test]
fn a_full_host_is_read() {
    let lab = Lab::from_toml(
        r#"
lab = "bench"
resources = ["rack3"]
[[hosts]]
id = "router1"
ip = "10.0.0.1"
port = 2222
user = "admin"
creds = [{ login = "admin", password = "pw" }, { login = "root" }]
host_key = "ssh-ed25519 AAAA"
hop = "bastion"
resources = ["router1"]
tags = ["arch=arm", "smoke"]
os_type = "unix"
[hosts.ssh_options]
connect_timeout = 2.5
keepalive_count_max = 4
compression_algs = ["none"]
[[hosts]]
id = "bastion"
ip = "bastion.example.org"
[[hosts]]
id = "console"
term = "telnet"
ip = "::1"
[hosts.telnet_options]
port = 4001
login = false
login_prompt = "login: "
write_chunk_size = 16
[[hosts]]
id = "here"
term = "local"
"#,
    )
    .unwrap();
    assert_eq!(lab.hosts().map(|host| &*host.id).collect::<Vec<_>>(), ["router1", "bastion", "console", "here"]);
    let router = lab.host("router1").unwrap();
    assert_eq!((router.port, router.term, router.login()), (Some(2222), Term::Ssh, Some("admin")));
    assert_eq!(router.creds[0].password.as_ref().unwrap().expose(), "pw");
    assert_eq!(router.host_key.as_deref(), Some("ssh-ed25519 AAAA"));
    assert_eq!(router.host_key_check, HostKeyCheck::Strict);
    assert_eq!(router.ssh_options.connect_timeout, Some(std::time::Duration::from_millis(2500)));
    assert_eq!(router.ssh_options.keepalive_count_max, Some(4));
    assert!(router.ssh_options.extra.contains_key("compression_algs"));
    assert_eq!(router.extra["os_type"], "unix");
    assert_eq!(router.labs, ["bench"]);
    assert_eq!(router.origin().as_deref(), Some("<toml>:4:1"));
    assert_eq!(router.origins_of("ssh_options.connect_timeout").collect::<Vec<_>>(), ["<toml>:16:19"]);
    let console = lab.host("console").unwrap();
    assert_eq!((console.port, console.term), (Some(4001), Term::Telnet));
    assert_eq!(console.telnet_options.login.login_prompt.as_deref(), Some("login: "));
    assert!(console.telnet_options.no_login);
    assert_eq!(console.telnet_options.extra["write_chunk_size"], 16);
    assert!(!format!("{lab:?} {router:?}").contains("\"pw\""), "no secret in Debug");
}

#[test]
fn json_and_toml_are_one_schema() {
    let toml = Lab::from_toml("lab='l'\n[[hosts]]\nid='a'\nip='h'\nport=23\nvalid_terms=['telnet']").unwrap();
    let json =
        Lab::from_json(r#"{"lab":"l","hosts":[{"id":"a","ip":"h","port":23,"valid_terms":["telnet"]}]}"#).unwrap();
    let data = |lab: &Lab| {
        let mut host = lab.host("a").unwrap().clone();
        host.place = None;
        host.origins.clear();
        format!("{host:?}")
    };
    assert_eq!(data(&toml), data(&json));
    assert_eq!(toml.host("a").unwrap().term, Term::Telnet);
}

#[test]
fn comments_and_null_are_nothing() {
    Lab::from_json(
        r#"{"$schema": "x", "_note": 1, "lab": "l", "hosts": [{"_a": 1, "_a": 2, "id": "a", "ip": "h", "hop": null}]}"#,
    )
    .unwrap();
}

#[test]
fn every_mistake_is_reported_at_once_with_its_place() {
    let text = refused(
        r#"
lab = "bench"
resorces = []
[[hosts]]
id = "a"
ip = "10.0.0.1"
prot = 22
port = 70000
[[hosts]]
id = "a"
term = "shh"
creds = [{ password = "x" }]
[[hosts]]
ip = "-oProxyCommand=reboot"
tags = "smoke"
"#,
    );
    has(
        &text,
        &[
            "9 mistakes:",
            "<toml>:3:1: a lab file has no field `resorces`: did you mean `resources`?",
            "<toml>:7:1: a host has no field `prot`: did you mean `port`?",
            "<toml>:8:8: `port` has to be a whole number from 1 to 65535, and this is 70000",
            "<toml>:9:1: the host id `a` stands twice: also at <toml>:4:1",
            "<toml>:11:8: `term` cannot be \"shh\"; it is one of ssh, telnet, serial, local, console: did you mean `ssh`?",
            "<toml>:12:10: the entry of `creds` has no `login`",
            "<toml>:13:1: the host has neither `id` nor `element`",
            "<toml>:14:6: the address \"-oProxyCommand=reboot\" is neither an IP address nor a DNS name",
            "<toml>:15:8: `tags` has to be a list of texts, and this is text",
        ],
    );
}

#[test]
fn wrong_types_have_a_place() {
    assert_eq!(refused("lab = 3"), "<toml>:1:7: `lab` has to be text, and this is a number");
    has(&refused("lab = 'x'\nhosts = 3"), &["<toml>:2:9: `hosts` has to be a list of tables"]);
    has(&refused("lab = 'x'\nhosts = [3]"), &["<toml>:2:10: a host has to be a table, and this is a number"]);
    has(&refused("lab = "), &["<toml>:1:", "this is not TOML"]);
    has(&refused("lab = 'x\nid = 'y"), &["<toml>:1:", "this is not TOML"]);
    for (line, what) in [
        ("port = 0", "and this is 0"),
        ("port = \"x\"", "and this is text"),
        ("port = 22.5", "and this is 22.5"),
        ("port = 99999999999999999999", "`port` has to be"),
        ("creds = { admin = \"pw\" }", "`creds` has to be a list of tables"),
        ("creds = [{ login = 3 }]", "`login` has to be text"),
        ("creds = [{ login = \"a\", pasword = \"x\" }]", "did you mean `password`?"),
        ("creds = [{ login = \"a\", password = 3 }]", "`password` has to be text, { env"),
        ("creds = [{ login = \"a\", password = {} }]", "one of `env` and `file`"),
        ("creds = [{ login = \"a\", password = { env = \"A\", file = \"b\" } }]", "one of `env` and `file`"),
        ("creds = [{ login = \"a\", password = { envv = \"A\" } }]", "did you mean `env`?"),
        ("creds = [{ login = \"a\", password = { env = \"\" } }]", "no name of an environment variable"),
        ("user = \"-l\"", "begins with `-`"),
        ("host_key = \"what\"", "SHA256"),
        ("host_key_check = \"strikt\"", "did you mean `strict`?"),
        ("host_key = \"ssh-rsa A\"\nhost_key_check = \"insecure\"", "takes others"),
        ("labs = []", ""),
        ("resources = [\"\"]", "is empty"),
        ("ssh_options = { connect_timeout = 0 }", "above zero"),
        ("ssh_options = { connect_timeout = nan }", "above zero"),
        ("telnet_options = 3", "`telnet_options` has to be a table"),
        ("telnet_options = { login = 1 }", "`login` has to be true or false"),
        (
            "telnet_options = { login_promt = 'x' }",
            "`telnet_options` has no field `login_promt`: did you mean `login_prompt`?",
        ),
        ("telnet_options = { login_prompt = 'x(' }", "`login_prompt` is no regular expression: unclosed group"),
        ("telnet_options = { password_prompt = '' }", "`password_prompt` matches where nothing was written"),
        ("telnet_options = { cols = 0 }", "`cols` has to be a whole number from 1 to 65535"),
        ("term = \"serial\"", "no `device` in its `serial_options`"),
        ("serial_options = { device = 3 }", "`device` has to be text"),
        ("serial_options = { device = \"\" }", "the path of a device"),
        ("serial_options = { baudd = 9600 }", "did you mean `baud`?"),
        ("serial_options = { baud = 0 }", "a whole number from 1"),
        ("serial_options = { data_bits = 9 }", "from 5 to 8"),
        ("serial_options = { stop_bits = 3 }", "from 1 to 2"),
        ("serial_options = { parity = \"odd?\" }", "did you mean `odd`?"),
        ("serial_options = { flow = \"rts\" }", "one of none, rtscts, xonxoff"),
        ("serial_options = { write_chunk = 8 }", "without a `write_pause`"),
        ("serial_options = { write_pause = 0 }", "above zero"),
        ("serial_options = { login_prompt = \"(\" }", "`login_prompt` is no regular expression: unclosed group"),
        ("serial_options = { shell_prompt = \"#*\" }", "`shell_prompt` matches where nothing was written"),
        ("hop = \"b\"", "is no host of the lab"),
        ("hop = \"A\"", "did you mean `a`?"),
        ("hop = \"a\"", "circle: a → a"),
    ] {
        if !what.is_empty() {
            has(&refused(&host_with(line)), &["<toml>:", what]);
        }
    }
}

#[test]
fn names_and_addresses_that_could_be_commands_are_refused() {
    for bad in ["-oProxyCommand=x", "a b", "a\\nb", "$(reboot)", "`x`", "a;b", ""] {
        has(&refused(&format!("lab='l'\n[[hosts]]\nid='a'\nip=\"{bad}\"")), &["<toml>:4:4: the address"]);
        has(&refused(&format!("lab='l'\n[[hosts]]\nid=\"{bad}\"\nip='h'")), &["<toml>:3:4: the host name"]);
        has(&refused(&format!("lab=\"{bad}\"\n[[hosts]]\nid='a'\nip='h'")), &["<toml>:1:5: the lab name"]);
    }
}

#[test]
fn what_is_missing_is_named() {
    has(&refused(""), &["<toml>:1:1: the file is empty"]);
    has(&refused("lab = 'x'"), &["lab `x` has no host"]);
    has(&refused("[[hosts]]\nid = 'a'\nip = 'h'"), &["<toml>:1:1: the host is in no lab"]);
    has(&refused("lab='l'\n[[hosts]]\nid='a'"), &["<toml>:2:1: the host has no `ip`, and ssh needs one"]);
    has(&refused("lab='l'\n[[hosts]]\nid='a'\nterm='telnet'"), &["<toml>:2:1: the host has no `ip`, and telnet needs"]);
    has(&refused("[[hosts]]\nid='a'\nip='h'\nlabs=['x','y']"), &["several labs: x, y"]);
}

#[test]
fn json_mistakes_have_a_place() {
    has(&refused_json(""), &["<json>:1:1: the file is empty"]);
    has(&refused_json("{\"lab\": 3}"), &["<json>:1:9: `lab` has to be text"]);
    has(&refused_json("{\n \"lab\": \"x\",\n}"), &["<json>:3:1: this is not JSON: key must be a string"]);
    has(&refused_json("[]"), &["<json>:1:1: a lab file has to be a table, and this is a list"]);
    has(&refused_json("{\"lab\": \"x\", \"lab\": \"y\"}"), &["<json>:1:14: `lab` stands twice in this table"]);
    has(&refused_json("{} x"), &["<json>:1:4: this is not JSON: trailing characters"]);
    has(&refused_json(r#"{"lab": "\ud800"}"#), &["<json>:1:9: this is not JSON"]);
    has(&refused_json(&("[".repeat(100_000) + &"]".repeat(100_000))), &["nested"]);
    let text = "{\"lab\": \"x\",\n \"hosts\": [\n  {\"id\": \"a\", \"ip\": \"h\", \"prot\": 1},\n  {\"id\": \"a\", \"ip\": \"h\"}]}";
    has(
        &refused_json(text),
        &["<json>:3:26: a host has no field `prot`: did you mean `port`?", "<json>:4:3: the host id `a` stands twice"],
    );
}

#[test]
fn files_that_cannot_be_read_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let load = |path: &Path| Lab::load("bench", [path]).unwrap_err().to_string();
    has(&load(&folder.path().join("no.toml")), &["no.toml: there is no such file or folder"]);
    has(&load(&written(folder.path(), "bytes.toml", b"lab = 'x'\n# \xff")), &["bytes.toml:2:3: the file is not UTF-8"]);
    has(&load(&written(folder.path(), "empty.toml", "\n")), &["empty.toml:1:1: the file is empty"]);
    has(&load(Path::new("/dev/null")), &["/dev/null: this is not a regular file"]);
    let good = written(folder.path(), "bom.toml", format!("\u{feff}{}", host_with("")));
    Lab::load("bench", [&good]).unwrap();
    let good =
        written(folder.path(), "bom.json", "\u{feff}{\"lab\": \"j\", \"hosts\": [{\"id\": \"a\", \"ip\": \"h\"}]}");
    Lab::load("j", [&good]).unwrap();
}

#[test]
fn mistakes_of_several_files_and_missing_secrets_come_together() {
    let folder = tempfile::tempdir().unwrap();
    written(
        folder.path(),
        "a.toml",
        host_with("creds = [{ login = \"x\", password = { env = \"OTTO_TEST_NOT_SET\" } }]"),
    );
    written(folder.path(), "b.toml", "lab = 3");
    written(folder.path(), "notes.txt", "no lab");
    let text = Lab::load("bench", [folder.path()]).unwrap_err().to_string();
    has(&text, &["2 mistakes:", "a.toml:5:36: the environment variable OTTO_TEST_NOT_SET is not set", "b.toml:1:7:"]);
    let catalog = LabCatalog::open([folder.path()]);
    has(&catalog.names().unwrap_err().to_string(), &["b.toml:1:7:"]);
    catalog.load("local").unwrap();
}

#[test]
fn secrets_come_from_files_that_others_cannot_read() {
    let folder = tempfile::tempdir().unwrap();
    let lab = written(folder.path(), "a.toml", host_with("creds = [{ login = \"x\", password = { file = \"pw\" } }]"));
    has(&Lab::load("bench", [&lab]).unwrap_err().to_string(), &["a.toml:5:36: cannot read the secret in", "pw"]);
    let secret = written(folder.path(), "pw", "hunter2\n");
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o644)).unwrap();
    has(&Lab::load("bench", [&lab]).unwrap_err().to_string(), &["can be read by others (mode 0644)", "chmod 600"]);
    fs::set_permissions(&secret, fs::Permissions::from_mode(0o600)).unwrap();
    let lab = Lab::load("bench", [&lab]).unwrap();
    assert_eq!(lab.host("a").unwrap().creds[0].password.as_ref().unwrap().expose(), "hunter2");
    // The secrets of a lab that was not selected do not matter.
    written(folder.path(), "b.toml", host_with("creds=[{login='x', password={env='NO'}}]").replace("bench", "other"));
    Lab::load("bench", [folder.path()]).unwrap();
    assert_eq!(LabCatalog::open([folder.path()]).host_ids("other").unwrap(), ["a"]);
}

#[test]
fn paths_are_relative_to_their_file() {
    let folder = tempfile::tempdir().unwrap();
    let text = host_with("host_key_check = \"accept-new\"\ncreds = [{ login = \"x\", key_file = \"keys/id\" }]");
    let file = written(folder.path(), "a.toml", text);
    has(
        &Lab::load("bench", [&file]).unwrap_err().to_string(),
        &["a.toml:6:36: `key_file`: there is no file", "keys/id"],
    );
    fs::create_dir(folder.path().join("keys")).unwrap();
    let key = written(&folder.path().join("keys"), "id", "");
    let lab = Lab::load("bench", [&file]).unwrap();
    let host = lab.host("a").unwrap();
    assert_eq!(host.creds[0].key_file.as_deref(), Some(&*key));
    assert_eq!(host.known_hosts.as_deref(), Some(&*folder.path().join("known_hosts")));
}

#[test]
fn labs_merge() {
    let folder = tempfile::tempdir().unwrap();
    let lab = |name: &str, host: &str| format!("lab='{name}'\nresources=['{name}']\n[[hosts]]\nid='shared'\n{host}\n");
    written(folder.path(), "a.toml", lab("a", "ip='10.0.0.1'\nresources=['x']\ntags=['t']"));
    written(folder.path(), "b.toml", lab("b", "ip='10.0.0.1'\nresources=['y']\nport=22\n[[hosts]]\nid='b1'\nip='h'"));
    written(folder.path(), "c.toml", lab("c", "ip='10.0.0.9'\nport=23"));
    written(folder.path(), "d.toml", "[[hosts]]\nid='both'\nip='h'\nlabs=['d','e']");
    let load = |which: &str| Lab::load(which, [folder.path()]);
    let merged = load("a+b").unwrap();
    assert_eq!(merged.name(), "a+b");
    assert_eq!(merged.names().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(merged.hosts().map(|host| &*host.id).collect::<Vec<_>>(), ["shared", "b1"]);
    let host = merged.host("shared").unwrap();
    assert_eq!((&*host.resources, &*host.labs), (&["x".into(), "y".into()][..], &["a".into(), "b".into()][..]));
    assert_eq!(host.port, Some(22));
    assert!(merged.resources().iter().eq(["a", "b"]));
    let text = load("b+c").unwrap_err().to_string();
    has(
        &text,
        &["c.toml:3:1: host `shared` is described twice", "b.toml:3:1", "ip 10.0.0.9 and 10.0.0.1, port 23 and 22"],
    );
    assert_eq!(load("d+e").unwrap().hosts().len(), 1);
    assert_eq!(load("a+a").unwrap().name(), "a");
    assert_eq!(load("a+local").unwrap().host("local").unwrap().term, Term::Local);
    assert_eq!(Lab::load(["a", "b"], [folder.path()]).unwrap().name(), "a+b");
    has(&load("a+").unwrap_err().to_string(), &["an empty name"]);
}

#[test]
fn unknown_labs_list_the_known_ones_nearest_first() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "a.toml", host_with(""));
    let error = Lab::load("bnech", [folder.path()]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Lab);
    has(&error.to_string(), &["there is no lab `bnech`; known labs: bench,", "local", "did you mean `bench`?"]);
    written(folder.path(), "b.toml", host_with("").replace("bench", "local"));
    has(&Lab::load("bench", [folder.path()]).unwrap_err().to_string(), &["`local` is the name of a built-in lab"]);
}

#[test]
fn hops_have_to_lead_somewhere() {
    let hop = |id: &str, hop: &str| format!("[[hosts]]\nid='{id}'\nip='h'\nhop='{hop}'\n");
    let text = refused(&("lab='l'\n".to_owned() + &hop("a", "b") + &hop("b", "c") + &hop("c", "b")));
    has(&text, &["<toml>:9:5: the hops of host `b` lead round in a circle: b → c → b", "c → b → c"]);
    let text = refused(&("lab='l'\n[[hosts]]\nid='l'\nterm='local'\n".to_owned() + &hop("a", "l")));
    has(&text, &["a local host; a hop has to be an ssh host"]);
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "a.toml", "lab='a'\n".to_owned() + &hop("a", "gate"));
    written(folder.path(), "b.toml", "lab='b'\n[[hosts]]\nid='gate'\nip='h'\n");
    let text = Lab::load("a", [folder.path()]).unwrap_err().to_string();
    has(&text, &["a.toml:5:5:", "`gate`, which is no host of the lab: lab `b` has it"]);
    Lab::load("a+b", [folder.path()]).unwrap();
}

#[test]
fn labs_made_in_code_are_checked_too() {
    let error = Lab::builder("a b")
        .host(HostSpec::ssh("x", "-h").hop("y"))
        .host(HostSpec::ssh("x", "h").port(0))
        .build()
        .unwrap_err()
        .to_string();
    has(&error, &["the lab name \"a b\"", "the address \"-h\"", "port 0", "stands twice", "`y`, which is no host"]);
    has(&Lab::builder("a").build().unwrap_err().to_string(), &["no host"]);
}

#[test]
fn otto_toml_is_checked() {
    let folder = tempfile::tempdir().unwrap();
    let inner = folder.path().join("a/b");
    fs::create_dir_all(&inner).unwrap();
    let read = |text: &str| {
        written(folder.path(), "otto.toml", text);
        ProjectConfig::above(&inner).map_err(|error| error.to_string())
    };
    let config = read("[lab]\ndefault=['a+b']\npaths=['labs']\n[reservations]\nbackend='json'\npath='r.json'").unwrap();
    assert_eq!(config.reservations.path.as_deref(), Some(&*folder.path().join("r.json")));
    assert_eq!(config.default_labs, ["a+b"]);
    read("").unwrap();
    has(&read("[lba]").unwrap_err(), &["otto.toml:1:2: otto.toml has no field `lba`: did you mean `lab`?"]);
    has(
        &read("[lab]\npath=['x']").unwrap_err(),
        &["otto.toml:2:1: `[lab]` has no field `path`: did you mean `paths`?"],
    );
    has(&read("[lab]\npaths='x'").unwrap_err(), &["otto.toml:2:7: `paths` has to be a list of texts"]);
    has(&read("[lab]\ndefault=['a b']").unwrap_err(), &["otto.toml:2:10: the lab name"]);
    has(&read("[reservations]\npath='x'").unwrap_err(), &["otto.toml:2:6: `path` names reservations"]);
    has(&read("[reservations]\nbackend='json'").unwrap_err(), &["otto.toml:1:1: the backend \"json\" needs"]);
    has(&read("lab = 3").unwrap_err(), &["otto.toml:1:7: `[lab]` has to be a table"]);
}

#[test]
fn ten_thousand_hosts_are_no_burden() {
    use std::fmt::Write;
    let mut text = "lab = 'big'\n".to_owned();
    for index in 0..10_000 {
        writeln!(text, "[[hosts]]\nid = 'h{index}'\nip = '10.0.{}.{}'", index / 250, index % 250).unwrap();
    }
    let start = std::time::Instant::now();
    assert_eq!(Lab::from_toml(&text).unwrap().hosts().len(), 10_000);
    assert!(start.elapsed() < std::time::Duration::from_secs(5), "{:?}", start.elapsed());
}
