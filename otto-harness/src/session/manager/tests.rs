use std::sync::atomic::AtomicUsize;
use std::time::Instant;

use tokio::time::sleep;

use super::*;
use crate::result::Status;
use crate::transport::local::LocalConnector;
use crate::transport::{Exec, Transport};

/// Local shells, counted, each of which takes a while to open.
#[derive(Debug, Default)]
struct Counting {
    local: LocalConnector,
    opened: AtomicUsize,
    closed: AtomicUsize,
    /// How many of the first attempts fail.
    refused: usize,
    delay: Duration,
}

impl Connector for Counting {
    fn open_shell(&self) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        Box::pin(async {
            let before = self.opened.fetch_add(1, Ordering::SeqCst);
            sleep(self.delay).await;
            if before < self.refused {
                return Err(Error::new(ErrorKind::Connect(crate::Phase::Tcp), format!("refused {before}")));
            }
            self.local.open_shell().await
        })
    }

    fn exec(&self, exec: Exec) -> BoxFuture<'_, Result<Box<dyn Transport>>> {
        self.local.exec(exec)
    }

    fn close(&self) -> BoxFuture<'_, bool> {
        self.closed.fetch_add(1, Ordering::SeqCst);
        self.local.close()
    }
}

fn over(connector: Counting) -> (SessionManager, Arc<Counting>) {
    let connector = Arc::new(connector);
    (SessionManager::new("h", connector.clone()), connector)
}

fn slow() -> Counting {
    Counting { delay: Duration::from_millis(200), ..Counting::default() }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn twenty_tasks_that_open_one_name_get_one_session() {
    let (manager, connector) = over(slow());
    let tasks: Vec<_> = (0..20)
        .map(|_| {
            let manager = manager.clone();
            tokio::spawn(async move { manager.open_session("one").await?.run("echo $$").await?.only() })
        })
        .collect();
    let mut shells = Vec::new();
    for task in tasks {
        shells.push(task.await.unwrap().unwrap().output);
    }
    shells.dedup();
    assert_eq!((shells.len(), connector.opened.load(Ordering::SeqCst)), (1, 1));
    manager.close_all().await.unwrap();
}

#[tokio::test]
async fn different_names_open_side_by_side() {
    let (manager, connector) = over(slow());
    let began = Instant::now();
    let opened = crate::crowd::all((0..20).map(|i| manager.open_session(format!("s{i}")))).await;
    assert!(opened.iter().all(|one| one.as_ref().is_ok_and(HostSession::alive)), "{opened:?}");
    assert!(began.elapsed() < Duration::from_secs(3), "{:?}", began.elapsed());
    assert_eq!(connector.opened.load(Ordering::SeqCst), 20);
    manager.close_all().await.unwrap();
    assert!(!manager.has_live_sessions());
}

#[tokio::test]
async fn who_waited_for_an_attempt_shares_its_error_and_the_next_tries_again() {
    let (manager, connector) = over(Counting { refused: 1, ..slow() });
    let answers = crate::crowd::all((0..5).map(|_| manager.open_session("one"))).await;
    for answer in answers {
        let text = answer.unwrap_err().to_string();
        assert_eq!(text, "h: cannot connect (tcp): refused 0 [session one]");
    }
    assert_eq!(connector.opened.load(Ordering::SeqCst), 1);
    assert!(manager.open_session("one").await.unwrap().alive());
    manager.close_all().await.unwrap();
}

#[tokio::test]
async fn an_open_that_is_dropped_leaves_the_name_to_others() {
    let (manager, _) = over(slow());
    let first = tokio::time::timeout(Duration::from_millis(50), manager.open_session("one")).await;
    assert!(first.is_err());
    let session = manager.open_session("one").await.unwrap();
    assert_eq!(session.run("echo ok").await.unwrap().only().unwrap().output, "ok");
    manager.close_all().await.unwrap();
}

#[tokio::test]
async fn closing_ends_those_who_queue_instead_of_letting_them_open_it_again() {
    let (manager, connector) = over(Counting::default());
    manager.run_cmd("true").await.unwrap();
    let runs = ["sleep 20", "echo two", "echo three"].map(|text| {
        let manager = manager.clone();
        tokio::spawn(async move { manager.run_cmd(text).await })
    });
    let oneshot = manager.clone();
    let oneshot = tokio::spawn(async move { oneshot.oneshot("sleep 20").await.map(|_| ()) });
    sleep(Duration::from_millis(200)).await;
    let began = Instant::now();
    let (one, two) = tokio::join!(manager.close_all(), manager.close_all());
    one.unwrap();
    two.unwrap();
    for run in runs {
        assert_eq!(run.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    }
    assert_eq!(oneshot.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    assert_eq!(connector.opened.load(Ordering::SeqCst), 1);
    assert!(!manager.has_live_sessions());

    assert_eq!(manager.run_cmd("echo again").await.unwrap().only().unwrap().output, "again");
    assert_eq!(connector.opened.load(Ordering::SeqCst), 2);
    manager.close_all().await.unwrap();
}

#[tokio::test]
async fn what_is_retired_opens_nothing_any_more() {
    let (manager, connector) = over(Counting::default());
    manager.retire("over").await.unwrap();
    for error in [manager.run_cmd("true").await.unwrap_err(), manager.send("x").await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Closed);
        assert!(error.to_string().starts_with("h: over [session default]\n  hint: a task that outlives"), "{error}");
    }
    assert!(manager.open_session("one").await.unwrap_err().is_closed());
    assert!(manager.oneshot("true").await.unwrap_err().is_closed());
    assert_eq!(connector.opened.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn the_last_handle_closes_in_the_background() {
    let (manager, connector) = over(Counting::default());
    let session = manager.open_session("one").await.unwrap();
    let pid = session.run("echo $$").await.unwrap().only().unwrap().output;
    drop(manager);
    assert_eq!(session.run("echo $$").await.unwrap().only().unwrap().output, pid);
    drop(session);
    let began = Instant::now();
    let process = std::path::Path::new("/proc").join(pid);
    while process.exists() || connector.closed.load(Ordering::SeqCst) == 0 {
        assert!(began.elapsed() < Duration::from_secs(5), "the shell still runs");
        sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test]
async fn nothing_is_contacted_on_a_dry_run() {
    let connector = Arc::new(Counting::default());
    let manager = SessionManager::with("h", connector.clone(), Audience::default(), Redactor::default(), true);
    let result = manager.run_cmd(["reboot", "halt"]).await.unwrap();
    assert!(result.statuses.iter().all(|one| one.status == Status::NotRun));
    assert_eq!(manager.oneshot("reboot").await.unwrap().status, Status::NotRun);
    manager.open_session("one").await.unwrap().send("x").await.unwrap();
    assert_eq!(manager.expect("x").await.unwrap(), "");
    manager.close_all().await.unwrap();
    assert_eq!((connector.opened.load(Ordering::SeqCst), connector.closed.load(Ordering::SeqCst)), (0, 0));
}
