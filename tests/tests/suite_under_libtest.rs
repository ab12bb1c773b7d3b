//! `harness = false` was forgotten, and the lab is a real one: the tests run all the same, and close their hosts. Each is
//! run by a child of this very binary, as `cargo test` would run it with `OTTO_LAB`.

use std::time::Duration;

use otto_tests::sshd::Sshd;
use otto_tests::suite::{Project, Running};
use rustix::process::Signal;

mod on_bed {
    use std::time::Duration;

    use otto::prelude::*;
    use otto::{Error, ErrorKind, Result};

    /// Leaves a command under way on the host, in the session and beside it.
    async fn occupy(ctx: &OttoContext) -> Result<()> {
        let nap = std::env::var("OTTO_TEST_NAP").unwrap();
        for host in [ctx.get_host("server")?, ctx.get_host("local")?] {
            host.run("true").await?.ok()?;
            tokio::spawn(host.oneshot(&*nap).into_future());
            tokio::spawn(host.run(&*nap).timeout(Duration::from_secs(600)).into_future());
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok(())
    }

    #[otto::test(lab = "bed")]
    #[ignore = "a child of this binary runs it, with a lab"]
    async fn passes(ctx: OttoContext) -> Result<()> {
        occupy(&ctx).await
    }

    #[otto::test(lab = "bed")]
    #[ignore = "a child of this binary runs it, with a lab"]
    async fn fails(ctx: OttoContext) -> Result<()> {
        occupy(&ctx).await?;
        Err(Error::new(ErrorKind::Invalid, "no route to the peer"))
    }

    #[otto::test(lab = "bed")]
    #[ignore = "a child of this binary runs it, with a lab"]
    async fn panics(ctx: OttoContext) {
        occupy(&ctx).await.unwrap();
        panic!("after an await");
    }

    #[otto::test(lab = "bed")]
    #[ignore = "a child of this binary runs it, with a lab"]
    async fn waits(ctx: OttoContext) -> Result<()> {
        occupy(&ctx).await?;
        eprintln!("waiting");
        tokio::time::sleep(Duration::from_secs(600)).await;
        Ok(())
    }
}

fn bed() -> (Sshd, Project) {
    let server = Sshd::start();
    let project = Project::with_labs(&[&server.lab_toml()]);
    (server, project)
}

fn start(project: &Project, filter: &str, lab: &str) -> Running {
    let this = std::env::current_exe().unwrap();
    project.start(this.to_str().unwrap(), &["--ignored", "--nocapture", filter], &[("OTTO_LAB", lab)])
}

#[test]
fn they_run_and_leave_nothing() {
    let (server, project) = bed();
    for (name, code, says) in [
        ("on_bed::passes", 0, "test on_bed::passes ... ok"),
        ("on_bed::fails", 101, "no route to the peer\n"),
        ("on_bed::panics", 101, "after an await"),
    ] {
        start(&project, name, "bed").end().expect(code, &[says]);
        project.assert_nothing_left(&[&server]);
    }
}

#[test]
fn a_signal_closes_the_hosts_and_ends_the_process() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let (server, project) = bed();
        let mut running = start(&project, "on_bed::waits", "bed");
        running.wait_for("waiting\n");
        running.signal(signal);
        let said = running.end();
        said.expect(code, &["interrupted by "]);
        said.within(Duration::from_secs(8));
        project.assert_nothing_left(&[&server]);
    }
}

#[test]
fn without_the_lab_they_do_not_pass() {
    let (server, project) = bed();
    start(&project, "on_bed::passes", "")
        .end()
        .expect(101, &["this test is for lab bed, which is not selected; select with OTTO_LAB=bed"]);
    start(&project, "on_bed::passes", "bde").end().expect(101, &["there is no lab `bde`", "did you mean `bed`?"]);
    project.write("otto.toml", "[lab]\npaths = [\"labs\"]\n[reservations]\nbackend = \"json\"\npath = \"none.json\"\n");
    project.write("labs/lab1.toml", format!("resources = [\"rack3\"]\n{}", server.lab_toml()));
    let before = server.connection_count();
    start(&project, "on_bed::passes", "bed").end().expect(101, &["none.json: "]);
    assert_eq!(server.connection_count(), before);
}
