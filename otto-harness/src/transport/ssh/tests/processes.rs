//! Processes of their own.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::transport::{Connector, Ending, Exec};

use super::super::SshConnector;
use super::super::testbed::Sshd;
use super::{exec, output, to_end};

#[tokio::test(flavor = "multi_thread")]
async fn a_process_gets_its_input_and_gives_output_errors_and_code() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    let mut process = connector
        .exec(Exec { command: "cat; echo oops >&2; exit 7".into(), stdin: vec![0xff; 3 << 20], merge: false })
        .await
        .unwrap();
    let (seen, ending) = to_end(&mut process).await;
    assert_eq!((seen.out.len(), &*seen.err), (3 << 20, &b"oops\n"[..]));
    assert!(seen.out.iter().all(|byte| *byte == 0xff));
    assert_eq!(ending, Ending { code: Some(7), ..Ending::default() });

    let mut process =
        connector.exec(Exec { merge: true, ..exec("for i in 1 2 3; do echo o$i; echo e$i >&2; done") }).await.unwrap();
    assert_eq!(to_end(&mut process).await.0.out(), "o1\ne1\no2\ne2\no3\ne3\n");

    let mut process = connector.exec(exec("kill -TERM $$")).await.unwrap();
    assert_eq!(to_end(&mut process).await.1.signal.as_deref(), Some("TERM"));

    // A process that does not read its input.
    let mut process = connector.exec(Exec { stdin: vec![b'x'; 16 << 20], ..exec("exec true") }).await.unwrap();
    assert_eq!(to_end(&mut process).await.1.code, Some(0));
    connector.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_in_the_background_does_not_delay_the_end() {
    let sshd = Sshd::start();
    let connector = SshConnector::new(sshd.target());
    let started = Instant::now();
    let mut process = connector.exec(exec("sleep 30 & echo there")).await.unwrap();
    let (seen, ending) = to_end(&mut process).await;
    assert_eq!((seen.out().as_str(), ending.code), ("there\n", Some(0)));
    assert!(started.elapsed() < Duration::from_secs(3));
}

#[tokio::test(flavor = "multi_thread")]
async fn forty_processes_at_once_are_all_served() {
    for config in ["", "MaxSessions 2"] {
        let sshd = Sshd::with(config);
        let connector = Arc::new(SshConnector::new(sshd.target()));
        let mut all = tokio::task::JoinSet::new();
        for index in 0..40 {
            let connector = Arc::clone(&connector);
            all.spawn(
                async move { assert_eq!(output(&connector, &format!("echo {index}")).await, format!("{index}\n")) },
            );
        }
        while let Some(done) = all.join_next().await {
            done.unwrap();
        }
        assert_eq!(sshd.log().matches("Accepted publickey").count(), 1, "one connection");
        connector.close().await;
    }
}
