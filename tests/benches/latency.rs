//! How long `run("true")` takes and what CPU time, as a ratio to the least that any program could do on the same kind of
//! stream: `cargo bench -p otto-tests --bench latency`.
//!
//! Two floors for each stream, bare loops that write a line to the same shell and read one. The *bare* one writes
//! `true; echo $?`, which promises nothing: a command could read the next one from its input, or take the output away. The
//! *like* one has the shell do what a `run` promises and no more: an empty input, output and errors where they belong
//! whatever the shell's own are, the code, text that is quoted. Over SSH the floors are loops over a channel of russh. Floors
//! and otto take turns in batches; a figure is the median of the batches' means. With `OTTO_PEERS=<venv>`, asyncssh and
//! otto-sh follow, in the same run.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

mod common;

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use common::{Any, Bare, Batch, SHELL, Times, over, peers};
use otto::Host;
use otto_tests::sshd::Sshd;

const BATCHES: usize = 30;
const EACH: u32 = 100;

const BARE: &str = "true; echo $?\n";
const LIKE: &str = "\\command eval 'true' </dev/null >&8 2>&1;\\command printf '%s %s\\n' \"$?\" \"$-\">&8\n";

fn main() -> Any<()> {
    // `cargo test --benches` and `cargo test --workspace` build and run benches with `--test`: nothing to measure then.
    if std::env::args().any(|argument| argument == "--test") {
        return Ok(());
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        println!("run(\"true\"), {BATCHES} batches of {EACH} in turn; microseconds each, median (least – most)");
        local().await?;
        ssh().await
    })
}

/// A shell on a pipe and a loop that blocks.
struct Pipe {
    child: Child,
    to: ChildStdin,
    from: BufReader<ChildStdout>,
}

impl Pipe {
    fn start() -> Any<Self> {
        let mut child = Command::new("sh")
            .args(["-c", &format!("exec 8>&1; exec {}", SHELL.join(" "))])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()?;
        let to = child.stdin.take().ok_or("no stdin")?;
        let from = BufReader::new(child.stdout.take().ok_or("no stdout")?);
        Ok(Self { child, to, from })
    }

    fn batch(&mut self, line: &str, times: &mut Times) -> Any<()> {
        let batch = Batch::start();
        let mut answer = String::new();
        for _ in 0..EACH {
            self.to.write_all(line.as_bytes())?;
            answer.clear();
            self.from.read_line(&mut answer)?;
        }
        times.add(&batch, EACH);
        Ok(())
    }
}

async fn otto(host: &Host, times: &mut Times) -> Any<()> {
    let batch = Batch::start();
    for _ in 0..EACH {
        if !host.run("true").await?.is_ok() {
            return Err("`true` failed".into());
        }
    }
    times.add(&batch, EACH);
    Ok(())
}

async fn local() -> Any<()> {
    let (mut pipe, host) = (Pipe::start()?, Host::local());
    let (mut bare, mut like, mut ours) = (Times::default(), Times::default(), Times::default());
    for _ in 0..BATCHES {
        pipe.batch(BARE, &mut bare)?;
        pipe.batch(LIKE, &mut like)?;
        otto(&host, &mut ours).await?;
    }
    host.close().await?;
    drop(pipe.to);
    pipe.child.wait()?;
    print("local, to a pipe", &bare, &like, &ours);
    peers(&["local"])
}

async fn ssh() -> Any<()> {
    let server = Sshd::start();
    let (mut floor, host) = (Bare::connect(&server).await?, over(&server));
    let (mut bare, mut like, mut ours) = (Times::default(), Times::default(), Times::default());
    for _ in 0..BATCHES {
        for (line, times) in [(BARE, &mut bare), (LIKE, &mut like)] {
            let batch = Batch::start();
            for _ in 0..EACH {
                floor.ask(line).await?;
            }
            times.add(&batch, EACH);
        }
        otto(&host, &mut ours).await?;
    }
    host.close().await?;
    print("ssh, to a bare channel", &bare, &like, &ours);
    let (port, key) = (server.port().to_string(), server.key_file().display().to_string());
    peers(&["ssh", &port, server.user(), &key])
}

fn print(what: &str, bare: &Times, like: &Times, ours: &Times) {
    println!("{what}");
    println!("  bare floor {}", bare.shown());
    println!("  like floor {}", like.shown());
    println!("  otto       {}", ours.shown());
    println!(
        "  ratio {:.2} to the bare floor, {:.2} to the like one",
        ours.wall() / bare.wall(),
        ours.wall() / like.wall()
    );
}
