//! Signals to process groups, by commands of their own.
//!
//! SSH has a request for that, but OpenSSH denies it to root, older ones do not know it, and none answers it.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use super::connect;
use super::connection::Connection;

/// How long a command of this kind may take in all when somebody waits for it.
pub(super) const PROMPT: Duration = Duration::from_millis(1500);
/// And when nobody does.
pub(super) const BACKGROUND: Duration = Duration::from_secs(10);

/// Sends a signal to process groups; whether there was any of them.
pub(super) async fn signal(connection: &Arc<Connection>, name: &str, groups: &[u32]) -> bool {
    run(connection, format!("exec sh -c 'kill -s {name} -- {}'", list(groups, "-")), PROMPT).await == Some(0)
}

/// Kills process groups; whether all were seen to be gone. A zombie is gone: who reaps it is not our business.
pub(super) async fn kill(connection: &Arc<Connection>, groups: &[u32], limit: Duration) -> bool {
    let script = format!(
        "exec sh -c 'n=0; while kill -s KILL -- {negative} 2>/dev/null; do alive=; \
         for f in /proc/[0-9]*/stat; do read -r line <$f || continue; set -- ${{line##*) }}; \
         case \" {plain} \" in *\" $3 \"*) [ \"$1\" = Z ] || alive=y;; esac; done 2>/dev/null; \
         [ -r /proc/self/stat ] || alive=y; [ -z \"$alive\" ] && exit 0; \
         n=$((n+1)); [ $n -ge 20 ] && exit 1; sleep 0.05 2>/dev/null || sleep 1; done; exit 0'",
        negative = list(groups, "-"),
        plain = list(groups, ""),
    );
    run(connection, script, limit).await == Some(0)
}

fn list(groups: &[u32], sign: &str) -> String {
    groups.iter().fold(String::new(), |mut text, group| {
        let space = if text.is_empty() { "" } else { " " };
        let _ = write!(text, "{space}{sign}{group}");
        text
    })
}

/// Runs a script; its exit code if that was seen. It is beyond the budget of channels, because a full one must not keep
/// anything from being killed; where the server has no place for it, it gets a connection of its own.
async fn run(connection: &Arc<Connection>, script: String, limit: Duration) -> Option<i32> {
    let done = async {
        let _turn = connection.control_turn().await;
        let channel = match timeout(limit / 3, connection.open(None)).await {
            Ok(Ok(channel)) => channel,
            _ if !connection.is_alive() => return None,
            _ => connect::dial(connection.target(), 1).await.ok()?.open(None).await.ok()?,
        };
        channel.exec(script).await.ok()?;
        channel.inbox.settled().await;
        channel.inbox.lock().ending().code
    };
    timeout(limit, done).await.ok().flatten()
}
