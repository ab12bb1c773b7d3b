//! otto-sh's own lab files, of all forms that they have had.

use super::{has, refused_json};
use crate::lab::{Lab, Term};

const FRUITS: &str = include_str!("../../../testdata/otto-sh/fruits.json");
const TECH1: &str = include_str!("../../../testdata/otto-sh/tech1.json");
const TECH2: &str = include_str!("../../../testdata/otto-sh/tech2.json");
const GETTING_STARTED: &str = include_str!("../../../testdata/otto-sh/getting-started.json");
const INVENTORY: &str = include_str!("../../../testdata/otto-sh/inventory.json");

/// The lab of that name in a file with this text.
fn lab(text: &str, name: &str) -> Lab {
    let folder = tempfile::tempdir().unwrap();
    let file = super::written(folder.path(), "lab.json", text);
    Lab::load(name, [file]).unwrap()
}

fn ids(lab: &Lab) -> Vec<&str> {
    lab.hosts().map(|host| &*host.id).collect()
}

#[test]
fn the_flat_form_is_read() {
    let fruits = Lab::from_json(FRUITS).unwrap();
    assert_eq!(fruits.name(), "fruits");
    assert_eq!(ids(&fruits), ["orange_seed", "apple_seed", "grape_seed"]);
    assert_eq!(fruits.host("grape_seed").unwrap().extra["docker_capable"], true);
    assert_eq!(fruits.host("apple_seed").unwrap().creds.len(), 2);

    let veggies = lab(TECH1, "veggies");
    assert_eq!(ids(&veggies), ["carrot_seed", "tomato_seed"]);
    assert_eq!(veggies.host("tomato_seed").unwrap().term, Term::Telnet, "the first of its menu");
    let [link] = veggies.links() else { panic!("{:?}", veggies.links()) };
    assert_eq!((&*link.protocol, link.ends[1].host.as_str()), ("udp", "tomato_seed"));

    let embedded = lab(TECH1, "embedded");
    assert_eq!(ids(&embedded), ["basil_seed", "sprout", "sprout-cov"]);
    assert!(embedded.links().is_empty(), "its ends are in another lab");
    let sprout = embedded.host("sprout-cov").unwrap();
    assert_eq!((sprout.term, sprout.port), (Term::Telnet, Some(2323)), "a firmware's console is on telnet");
    assert_eq!(sprout.extra["toolchain"]["lcov"], "/usr/bin/lcov");
    assert_eq!(sprout.telnet_options.extra["write_chunk_delay"], 0.015);
}

#[test]
fn the_form_with_elements_is_read() {
    let alt = Lab::from_json(TECH2).unwrap();
    assert_eq!((alt.name(), ids(&alt)), ("unix_alt", vec!["alt1", "alt2", "alt3"]));
    assert!(alt.resources().iter().eq(["alt1", "alt2", "alt3"]));

    let unix = lab(GETTING_STARTED, "unix");
    assert_eq!(ids(&unix), ["test1", "test2"]);
    assert_eq!(unix.metadata("unix").unwrap()["description"], "unix regression bed");
    let test1 = unix.host("test1").unwrap();
    assert_eq!(test1.resources, ["test1-chassis"], "those of the element are the host's");
    assert_eq!(test1.extra["element"]["metadata"]["role"], "hub");
    assert_eq!(test1.creds[2].extra["proxy"], "sudo-root");
    assert_eq!(unix.host("test2").unwrap().resources, ["test2-console"]);

    assert_eq!(ids(&lab(GETTING_STARTED, "busybox")), ["test1", "bb1161-qemu"]);
    let both = lab(GETTING_STARTED, "unix+embedded");
    assert_eq!(ids(&both), ["test1", "test2", "test4", "zephyr37-lfs", "zephyr37-nofs"]);
    assert_eq!(both.host("zephyr37-nofs").unwrap().term, Term::Console);
    assert!(both.resources().iter().eq(["embedded-bench", "unix-bench"]));
}

#[test]
fn what_stands_in_an_inventory_is_missed_by_name() {
    has(
        &refused_json(INVENTORY),
        &["<json>:16:17: the host has no `ip`, and the inventory that has it as \"test1\" is not read by otto"],
    );
    has(&refused_json("[{\"ip\": \"h\"}]"), &["<json>:1:1: a lab file has to be a table, and this is a list: write"]);
}

#[test]
fn elements_are_checked() {
    let element = |text: &str| format!("{{\"labs\": {{\"unix\": {{}}, \"unix.a\": {{}}}}, \"elements\": [{text}]}}");
    let good = |labs: &str| element(&format!(r#"{{"name": "x", "labs": [{labs}], "hosts": [{{"ip": "h"}}]}}"#));
    for (labs, expected) in [("\"unix\"", "unix"), (r#""unix(\\..*)?""#, "unix"), (r#""unix\\.a""#, "unix.a")] {
        assert_eq!(ids(&lab(&good(labs), expected)), ["x"], "{labs}");
    }
    for (text, what) in [
        (
            r#"{"name": "x", "labs": ["linux"], "hosts": [{"ip": "h"}]}"#,
            "is in no lab: its patterns match none of unix, unix.a",
        ),
        (r#"{"name": "x", "labs": ["u("], "hosts": [{"ip": "h"}]}"#, "the pattern `u(` is not a regex"),
        (r#"{"name": "x", "hosts": [{"ip": "h"}]}"#, "the element has no `labs`"),
        (r#"{"name": "--", "labs": ["unix"], "hosts": [{"ip": "h"}]}"#, "no letter or digit"),
        (r#"{"labs": ["unix"], "hosts": [{"ip": "h"}]}"#, "the element has no `name`"),
        (r#"{"name": "x", "labs": ["unix"], "hosts": []}"#, "at least one"),
        (r#"{"name": "x", "labs": ["unix"]}"#, "the element has no `hosts`"),
        (r#"{"name": "x", "labs": ["unix"], "hosts": [{"ip": "h", "labs": ["a"]}]}"#, "`labs` is said by the element"),
        (
            r#"{"name": "x", "labs": ["unix"], "hosts": [{"ip": "h"}]}, {"name": "X", "labs": ["unix"], "hosts": [{"ip": "i", "board": "b"}]}"#,
            "the element `X` stands twice",
        ),
        (
            r#"{"name": "x", "labs": ["unix"], "hosts": [{"ip": "h"}], "id": -1}"#,
            "`id` has to be a whole number from 0 up",
        ),
        (
            r#"{"nam": "x", "labs": ["unix"], "hosts": [{"ip": "h"}]}"#,
            "an element has no field `nam`: did you mean `name`?",
        ),
        ("3", "an element has to be a table, and this is a number"),
    ] {
        has(&refused_json(&element(text)), &["<json>:1:", what]);
    }
}
