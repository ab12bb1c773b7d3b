//! Every sink, with every log mode, on shells of this machine: what may be shown is there, and a secret never is.

use std::fmt::{Debug, Write as _};
use std::sync::{Arc, Mutex};

use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use super::REDACTED;
use crate::command::{LogMode, ShellCommand};
use crate::context::{OttoContext, open_context};
use crate::error::Result;
use crate::lab::{Cred, HostSpec, Lab};
use crate::result::CommandStatus;

/// The password of one host, which shells have to quote, and the passphrase of another of the same lab.
const SECRETS: [&str; 2] = ["s3cr'et-of-r1", "pass phrase of r2"];

fn lab() -> Lab {
    let host = |id: &str, cred: Cred| HostSpec::local(id).cred(cred);
    Lab::builder("bench")
        .host(host("r1", Cred::new("admin").password(SECRETS[0])))
        .host(host("r2", Cred::new("root").key_file("/k").passphrase(SECRETS[1])))
        .build()
        .unwrap()
}

/// All that is logged, as text.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<String>>);

impl Subscriber for Log {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        struct Fields<'t>(&'t mut String);
        impl Visit for Fields<'_> {
            fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
                let _ = write!(self.0, " {}={value:?}", field.name());
            }
        }
        let mut text = self.0.lock().unwrap();
        event.record(&mut Fields(&mut text));
        text.push('\n');
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// What ran, and all that was written of it for people: transcripts, log, and the errors and `Debug` of the results.
struct Written {
    statuses: Vec<CommandStatus>,
    text: String,
}

async fn written(work: impl AsyncFnOnce(&OttoContext) -> Result<Vec<CommandStatus>>) -> Written {
    let folder = tempfile::tempdir().unwrap();
    let log = Log::default();
    let listening = tracing::subscriber::set_default(log.clone());
    let ctx = open_context(lab()).output_dir(folder.path()).log_command_output(true).open().await.unwrap();
    let statuses = work(&ctx).await.unwrap();
    ctx.close().await.unwrap();
    drop(listening);
    let mut text = log.0.lock().unwrap().clone();
    for file in std::fs::read_dir(folder.path()).unwrap() {
        text.push_str(&std::fs::read_to_string(file.unwrap().path()).unwrap());
    }
    for status in &statuses {
        let _ = write!(text, "{status:?}{:?}", status.ok().err());
    }
    for secret in SECRETS {
        assert!(!text.contains(secret) && !text.contains(r"s3cr'\''et"), "{secret} is in:\n{text}");
    }
    Written { statuses, text }
}

/// Writes the first secret in two pieces and the second over the end of a line, and fails.
const SCRIPT: &str = "echo begin-of-output; printf \"s3cr'\"; sleep 0.2; printf 'et-of-r1 pass '; sleep 0.2; \
                      printf 'phrase of r2\\n'; : command 's3cr'\\''et-of-r1'; (exit 3)";

/// As each way to run takes it.
async fn each_way(ctx: &OttoContext, command: ShellCommand, seen: &mut Vec<String>) -> Result<Vec<CommandStatus>> {
    let (one, two) = (ctx.get_host("r1")?, ctx.get_host("r2")?);
    let session = two.open_session("named").await?;
    let terminal = command.clone().terminal();
    let alone = one.oneshot(command.clone()).on_output(|line| seen.push(line.to_owned())).await?;
    Ok(vec![alone, one.run(command).await?.only()?, session.run(terminal).await?.only()?])
}

#[tokio::test]
async fn normal_shows_command_and_output_without_secrets() {
    let mut seen = Vec::new();
    let written = written(async |ctx| each_way(ctx, ShellCommand::new(SCRIPT), &mut seen).await).await;
    for status in &written.statuses {
        assert_eq!(status.retcode, Some(3), "{status:?}");
        assert_eq!(status.output, format!("begin-of-output\n{} {}", SECRETS[0], SECRETS[1]), "the test sees all of it");
    }
    assert_eq!(seen, ["begin-of-output".to_owned(), format!("{} {}", SECRETS[0], SECRETS[1])]);
    let text = written.text;
    assert!(text.contains(&format!("{REDACTED} {REDACTED}\n")), "{text}");
    assert!(text.contains(&format!(": command '{REDACTED}'")), "{text}");
    assert!(text.matches("begin-of-output\n").count() >= 3, "{text}");
}

#[tokio::test]
async fn quiet_shows_the_command_alone() {
    let mut seen = Vec::new();
    let command = ShellCommand::new(format!("{SCRIPT}; echo x >&2; false")).log(LogMode::Quiet);
    let written = written(async |ctx| each_way(ctx, command, &mut seen).await).await;
    let text = written.text;
    // Once in the command's own text wherever that is shown, and never as a line of output.
    assert!(text.contains("$ echo begin-of-output") && text.contains("`echo begin-of-output"), "{text}");
    assert!(!text.lines().any(|line| line.ends_with("begin-of-output")), "{text}");
    assert_eq!(seen.len(), 3);
}

#[tokio::test]
async fn never_shows_nothing() {
    let mut seen = Vec::new();
    let command = ShellCommand::new(SCRIPT).log(LogMode::Never);
    let written = written(async |ctx| {
        let mut statuses = each_way(ctx, command.clone(), &mut seen).await?;
        let host = ctx.get_host("r1")?;
        // What was not run, and what was cancelled, is not shown either.
        statuses.extend(host.run([ShellCommand::new("exit 4"), command.clone()]).await?.statuses);
        let _ = tokio::time::timeout(std::time::Duration::from_millis(100), host.run(command.clone())).await;
        let _ = tokio::time::timeout(std::time::Duration::from_millis(100), host.oneshot(command)).await;
        let refused = host.run(ShellCommand::new("begin-of-output \0").log(LogMode::Never)).await.unwrap_err();
        assert!(!format!("{refused:?}").contains("begin-of"), "{refused:?}");
        Ok(statuses)
    })
    .await;
    assert!(!written.text.contains("begin-of") && !written.text.contains("command '"), "{}", written.text);
    assert!(written.text.contains("(not logged)") && written.text.contains("$ exit 4"), "{}", written.text);
}

#[tokio::test]
async fn errors_of_expect_and_dry_runs_show_no_secret() {
    written(async |ctx| {
        let host = ctx.get_host("r1")?;
        host.send(format!("echo {}\n", crate::host::sh_quote(SECRETS[1]))).await?;
        let error = host.expect(format!("never {}", SECRETS[1])).timeout("500ms").await.unwrap_err();
        let text = format!("{error:?}");
        assert!(!text.contains(SECRETS[1]), "{text}");
        assert!(text.contains(&format!("`never {REDACTED}` did not appear")), "{text}");
        assert!(text.contains(&format!("| {REDACTED}")), "{text}");
        // The data is still there as it came.
        assert!(host.expect("phrase of r2").await?.ends_with(SECRETS[1]));

        let dry = open_context(lab()).dry_run(true).open().await?;
        let host = dry.get_host("r2")?;
        let run = host.run(SCRIPT);
        let (debug, text) = (format!("{run:?}"), format!("{:?}", run.await?.ok().unwrap_err()));
        assert!(debug.contains(REDACTED) && text.contains(REDACTED), "{debug} {text}");
        assert!(!debug.contains("''et") && !text.contains("''et"), "{debug} {text}");
        host.oneshot(SCRIPT).await?;
        host.expect(SECRETS[0]).await?;
        Ok(Vec::new())
    })
    .await;
}
