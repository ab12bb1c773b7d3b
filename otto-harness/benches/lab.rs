//! How long a lab of 10,000 hosts takes to read, to merge and to choose from: `cargo bench -p otto-harness --bench lab`.
//!
//! The bound of the project is 150 ms for loading and merging.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

use std::fmt::Write;
use std::hint::black_box;
use std::time::{Duration, Instant};

use otto::lab::{LabCatalog, Need};

const HOSTS: usize = 10_000;
const TIMES: usize = 15;

/// The median of several runs, and the least.
fn measure(what: &str, mut run: impl FnMut()) -> Duration {
    let mut times: Vec<Duration> = (0..TIMES)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed()
        })
        .collect();
    times.sort();
    let ms = |time: Duration| time.as_secs_f64() * 1e3;
    println!("{what:52} median {:8.2} ms, least {:8.2} ms", ms(times[TIMES / 2]), ms(times[0]));
    times[TIMES / 2]
}

fn toml(lab: &str, defaults: &str) -> String {
    let mut text = format!("lab = \"{lab}\"\nsimulated = true\nresources = [\"rack\"]\n{defaults}");
    for host in 0..HOSTS {
        let (high, low) = (host / 250, host % 250);
        write!(
            text,
            "[[hosts]]\nid = \"h{host}\"\nip = \"10.0.{high}.{low}\"\nport = 2222\nuser = \"admin\"\n\
             creds = [{{ login = \"admin\", password = \"pw{host}\" }}]\nresources = [\"h{host}\"]\n\
             tags = [\"arch=arm\", \"row={high}\"]\n"
        )
        .unwrap();
    }
    text
}

fn json(lab: &str) -> String {
    let host = |host: usize| {
        let (high, low) = (host / 250, host % 250);
        format!(
            "{{\"id\":\"h{host}\",\"ip\":\"10.0.{high}.{low}\",\"port\":2222,\"os_type\":\"unix\",\"is_virtual\":true,\
             \"creds\":[{{\"login\":\"admin\",\"password\":\"pw{host}\"}}],\"resources\":[\"h{host}\"],\"labs\":[\"{lab}\"]}}"
        )
    };
    format!("{{\"simulated\": true, \"hosts\":[{}]}}", (0..HOSTS).map(host).collect::<Vec<_>>().join(","))
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let write = |name: &str, text: &str| {
        let path = folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        println!("{name}: {} hosts, {} KiB", HOSTS, text.len() / 1024);
        path
    };
    let first = write("a.toml", &toml("a", ""));
    let second = write("b.toml", &toml("b", ""));
    let filled =
        write("c.toml", &toml("c", "[defaults]\nterm = \"ssh\"\n[defaults.ssh_options]\nconnect_timeout = 3\n"));
    let flat = write("d.json", &json("d"));

    let text = std::fs::read_to_string(&first).unwrap();
    let bare = measure("the toml crate alone, no places, no meaning", || {
        black_box(toml::from_str::<toml::Table>(&text).unwrap());
    });
    let load = |which: &str, paths: &[&std::path::PathBuf]| {
        black_box(LabCatalog::open(paths).load(which).unwrap());
    };
    let one = measure("one TOML file, loaded and merged", || load("a", &[&first]));
    println!("    {:.2} times the toml crate alone", one.as_secs_f64() / bare.as_secs_f64());
    measure("with a table of defaults", || load("c", &[&filled]));
    measure("one JSON file in one line", || load("d", &[&flat]));
    measure("two labs of the same 10,000 hosts, merged", || load("a+b", &[&first, &second]));

    let catalog = LabCatalog::open([&first]);
    measure("the ids of its hosts, for a list of tests", || {
        black_box(catalog.host_ids("a").unwrap());
    });
    let lab = catalog.load("a").unwrap();
    let needs: Vec<Need> =
        (0..4).map(|name| Need::new("tag:arch=arm").unwrap().bound_to(format!("n{name}")).unwrap()).collect();
    measure("four hosts chosen by tag", || {
        black_box(lab.choose(&needs).unwrap());
    });
}
