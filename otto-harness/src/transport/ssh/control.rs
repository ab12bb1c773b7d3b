//! Signals to process groups, by commands of their own.
//!
//! SSH has a request for that, but OpenSSH denies it to root, older ones do not know it, and none answers it.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::timeout;

use crate::transport::killing;

use super::connect;
use super::connection::Connection;

/// How long a command of this kind may take in all when somebody waits for it.
pub(super) const PROMPT: Duration = Duration::from_millis(1500);
/// And when nobody does.
pub(super) const BACKGROUND: Duration = Duration::from_secs(10);

/// Sends a signal to process groups; whether there was any of them.
pub(super) async fn signal(connection: &Arc<Connection>, name: &str, groups: &[u32]) -> bool {
    run(connection, format!("exec sh -c 'kill -s {name} -- {}'", killing::list(groups, "-")), PROMPT).await == Some(0)
}

/// Kills process groups; whether all were seen to be gone.
pub(super) async fn kill(connection: &Arc<Connection>, groups: &[u32], limit: Duration) -> bool {
    run(connection, format!("exec sh -c '{}'", killing::groups(groups)), limit).await == Some(0)
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
