//! OS profiles, a file's defaults, links, and where a field comes from.

use super::{has, refused, written};
use crate::lab::{Lab, ProjectConfig, Term};

#[test]
fn the_host_comes_first_then_its_profile_then_the_file() {
    let lab = Lab::from_toml(
        r#"
lab = "bench"
[defaults]
user = "root"
tags = ["all"]
[defaults.telnet_options]
cols = 100
rows = 30
[os_profiles.board]
base = "zephyr"
filesystem = "none"
[os_profiles.board.telnet_options]
cols = 200
connect_timeout = 3
[os_profiles.new-board]
base = "board"
filesystem = "fat-ram"
[[hosts]]
id = "b1"
ip = "10.0.0.1"
os_type = "new-board"
user = "admin"
[hosts.telnet_options]
rows = 5
[[hosts]]
id = "b2"
ip = "10.0.0.2"
"#,
    )
    .unwrap();
    let board = lab.host("b1").unwrap();
    assert_eq!((board.term, board.user.as_deref(), &*board.tags), (Term::Telnet, Some("admin"), &["all".into()][..]));
    assert_eq!((board.telnet_options.cols, board.telnet_options.rows), (Some(200), Some(5)));
    assert_eq!(board.telnet_options.connect_timeout, Some(std::time::Duration::from_secs(3)));
    assert_eq!(board.extra["filesystem"], "fat-ram");
    assert_eq!(board.extra["os_type"], "new-board", "and not what that is based on");
    let origin = |field: &str| board.origins_of(field).next().unwrap();
    assert_eq!(origin("filesystem"), "<toml>:17:14");
    assert_eq!(origin("telnet_options.cols"), "<toml>:13:8");
    assert_eq!(origin("telnet_options.rows"), "<toml>:24:8");
    assert_eq!(origin("tags"), "<toml>:5:8");
    let other = lab.host("b2").unwrap();
    assert_eq!((other.term, other.user.as_deref(), other.telnet_options.cols), (Term::Ssh, Some("root"), Some(100)));
}

#[test]
fn profiles_of_otto_toml_serve_all_files_and_paths_stay_with_theirs() {
    let folder = tempfile::tempdir().unwrap();
    let labs = folder.path().join("labs");
    std::fs::create_dir(&labs).unwrap();
    let text = "[lab]\npaths = ['labs']\n[os_profiles.appliance]\nbase = 'unix'\nknown_hosts = 'keys'\nport = 99999\n";
    written(folder.path(), "otto.toml", text);
    written(&labs, "a.toml", "lab = 'a'\n[[hosts]]\nid = 'x'\nip = 'h'\nos_type = 'appliance'\n");
    let load = || ProjectConfig::above(folder.path()).unwrap().catalog().load("a");
    has(&load().unwrap_err().to_string(), &["otto.toml:6:8: `port` has to be a whole number from 1 to 65535"]);
    written(folder.path(), "otto.toml", text.replace("99999", "2222"));
    let lab = load().unwrap();
    let host = lab.host("x").unwrap();
    assert_eq!((host.port, host.known_hosts.as_deref()), (Some(2222), Some(&*folder.path().join("keys"))));
    assert!(host.origins_of("port").next().unwrap().ends_with("otto.toml:6:8"));
    assert!(host.origins_of("ip").next().unwrap().ends_with("a.toml:4:6"));
}

#[test]
fn profiles_are_checked() {
    let with = |profiles: &str, os: &str| {
        refused(&format!("lab = 'l'\n{profiles}\n[[hosts]]\nid = 'a'\nip = 'h'\nos_type = '{os}'"))
    };
    has(&with("", "zephir"), &["<toml>:6:11: `os_type` names no OS profile: `zephir`: did you mean `zephyr`?"]);
    has(&with("", "vxworks"), &["`vxworks`: declare it under `[os_profiles]`, with its `base`"]);
    has(&with("[os_profiles.a]\nbase='b'\n[os_profiles.b]\nbase='a'", "a"), &["2 mistakes", "in a circle: a → b → a"]);
    has(
        &with("[os_profiles.a]\nbase='a'", "a"),
        &["<toml>:3:6: OS profiles are based on each other in a circle: a → a"],
    );
    has(
        &with("[os_profiles.a]\nbase='unxi'", "a"),
        &["<toml>:3:6: `base` names no OS profile: `unxi`: did you mean `unix`?"],
    );
    has(&with("[os_profiles.a]\nport=1", "a"), &["the OS profile `a` has no `base`"]);
    has(&with("[os_profiles.a]\nbase='unix'\nprot=1", "unix"), &["<toml>:4:1: a host has no field `prot`"]);
    has(&with("[os_profiles.a]\nbase='unix'\nid='x'", "unix"), &["`id` is of one host: it cannot be shared"]);
    has(&with("[os_profiles.unix]\nbase='unix'", "unix"), &["`unix` is a built-in OS profile"]);
    has(&with("os_profiles = 3", "unix"), &["`os_profiles` has to be a table, and this is a number"]);
    has(&with("os_profiles.a = 3", "unix"), &["the OS profile `a` has to be a table, and this is a number"]);
    has(&with("[defaults]\nprot = 1", "unix"), &["<toml>:3:1: a host has no field `prot`"]);
    let text = with("[os_profiles.a]\nbase='unix'\nport='x'", "a");
    assert_eq!(
        text, "<toml>:4:6: `port` has to be a whole number from 1 to 65535, and this is text",
        "once, in its place"
    );
}

#[test]
fn links_lead_to_hosts() {
    let with = |links: &str| {
        format!("lab = 'l'\nhosts = [{{ id = 'a', ip = 'h' }}, {{ id = 'b', ip = 'i' }}]\nlinks = [{links}]")
    };
    let good =
        Lab::from_toml(&with("{ endpoints = [{ host = 'a' }, { host = 'b' }], protocol = 'UDP', impair = 'a' }"));
    assert_eq!(good.unwrap().links()[0].protocol, "udp");
    for (link, what) in [
        (
            "{ endpoints = [{ host = 'a' }, { host = 'bb' }] }",
            "the link names `bb`, which is no host: did you mean `b`?",
        ),
        ("{ endpoints = [{ host = 'a' }, { host = 'b' }], impair = 'xyz' }", "the link names `xyz`, which is no host"),
        ("{ endpoints = [{ host = 'a' }] }", "a link has two `endpoints`, and this has 1"),
        ("{ endpoints = [{ host = 'a' }, { host = 'a' }] }", "have to differ"),
        ("{ endpoints = [{ host = 'a' }, { hosts = 'b' }] }", "the end of the link has no `host`"),
        ("{ name = 'x' }", "the link has no `endpoints`"),
        ("{ endpoints = 3 }", "`endpoints` has to be a list of tables, and this is a number"),
        ("3", "a link has to be a table"),
    ] {
        has(&refused(&with(link)), &["<toml>:3:", what]);
    }
}

#[test]
fn united_descriptions_say_where_each_field_is_from() {
    let folder = tempfile::tempdir().unwrap();
    written(folder.path(), "a.toml", "lab = 'a'\n[[hosts]]\nid = 'x'\nip = 'h'\ntags = ['s']\n");
    written(folder.path(), "b.toml", "lab = 'b'\n[[hosts]]\nid = 'x'\nip = 'h'\nuser = 'u'\ntags = ['t']\n");
    let lab = Lab::load("a+b", [folder.path()]).unwrap();
    let host = lab.host("x").unwrap();
    let ends = |field: &str| host.origins_of(field).map(|it| it[it.len() - 10..].to_owned()).collect::<Vec<_>>();
    assert_eq!(ends("ip"), ["a.toml:4:6"]);
    assert_eq!(ends("user"), ["b.toml:5:8"]);
    assert_eq!(ends("tags"), ["a.toml:5:8", "b.toml:6:8"]);
}
