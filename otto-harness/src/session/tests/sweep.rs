//! ^C typed at any moment after a line that starts a program, on every shell and both wirings.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use super::places::{Place, places};
use super::run;
use crate::command::IntoLimit;

/// How long after the line ^C is typed: while the shell still reads it, while it starts the program, and when that runs.
const DELAYS: [u64; 9] = [0, 1, 2, 3, 5, 8, 12, 20, 50];

#[tokio::test(flavor = "multi_thread")]
async fn an_interrupt_at_any_moment_ends_what_was_started() {
    let mut all = tokio::task::JoinSet::new();
    for place in places() {
        all.spawn(async move {
            let mut wrong = String::new();
            for delay in DELAYS {
                for typed_after in [false, true] {
                    if let Err(what) = interrupt_after(place, delay, typed_after).await {
                        let _ = writeln!(wrong, "{place:?} after {delay} ms, more typed: {typed_after}: {what}");
                    }
                }
            }
            wrong
        });
    }
    let wrong = all.join_all().await.concat();
    assert!(wrong.is_empty(), "{wrong}");
}

async fn interrupt_after(place: Place, delay: u64, typed_after: bool) -> Result<(), String> {
    let session = place.session();
    // Its own among those of other runs of this test.
    let sleep = format!("sleep 44.{}{:?}{delay}", std::process::id(), place.shell as u8 * 2 + u8::from(place.line));
    run(&session, "x=1").await;
    let send = async |text: &str| session.send(text).await.map_err(|error| format!("send {text:?}: {error}"));
    send(&format!("{sleep}\n")).await?;
    let start = Instant::now();
    while start.elapsed() < Duration::from_millis(delay) {
        // A timer is as coarse as the moments that are told apart here.
        std::hint::spin_loop();
    }
    send("\u{3}").await?;
    let start = Instant::now();
    if typed_after {
        send("echo ty''ped\n").await?;
        let seen = session.expect(&"typed\\n".into(), 5.0.into_limit().unwrap()).await;
        seen.map_err(|error| format!("expect: {error}"))?;
    }
    let command = format!("echo back $x; pgrep -xf '{sleep}'");
    let status = session.run_cmd(&command.as_str().into(), 5.0.into_limit().unwrap(), None).await;
    let took = start.elapsed();
    let status = status.map_err(|error| format!("{error} in {took:?}"))?;
    session.close().await;
    if status.output == "back 1" && !status.state_lost && took < Duration::from_secs(if typed_after { 4 } else { 2 }) {
        Ok(())
    } else {
        Err(format!("{status:?} in {took:?}"))
    }
}
