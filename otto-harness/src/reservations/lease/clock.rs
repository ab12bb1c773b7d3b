//! The clock that leases are measured by: it counts on while the machine sleeps, and nobody can set it.

use std::os::fd::OwnedFd;
use std::time::Duration;

use rustix::time::{
    ClockId, Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, clock_gettime, timerfd_create,
    timerfd_settime,
};
use tokio::io::unix::AsyncFd;

use super::readiness::readable;

/// A moment of `CLOCK_BOOTTIME`, in nanoseconds since the machine was started. It means nothing after the next start.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Moment(pub(super) u64);

impl Moment {
    /// Now. A process that was stopped, or a machine that slept, finds here how long that was.
    pub(super) fn now() -> Self {
        let time = clock_gettime(ClockId::Boottime);
        let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
        Self(seconds * 1_000_000_000 + u64::try_from(time.tv_nsec).unwrap_or(0))
    }

    /// The moment `time` after this one.
    pub(super) fn after(self, time: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(time.as_nanos()).unwrap_or(u64::MAX)))
    }

    /// How long it is from `earlier` to this; zero if that is the later one.
    pub(super) fn since(self, earlier: Self) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }
}

/// Ends at `moment`, or as soon as the process runs again after it.
pub(super) async fn sleep_until(moment: Moment) {
    if let Ok(timer) = timer(moment)
        && timer.readable().await.is_ok()
    {
        return;
    }
    // Without a timer of its own (no file descriptor is left), tokio's, which stands still while the machine sleeps.
    loop {
        let left = moment.since(Moment::now());
        if left.is_zero() {
            return;
        }
        tokio::time::sleep(left.min(Duration::from_millis(250))).await;
    }
}

fn timer(moment: Moment) -> std::io::Result<AsyncFd<OwnedFd>> {
    let timer = timerfd_create(TimerfdClockId::Boottime, TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC)?;
    // Zero would mean that the timer is off.
    let nanos = moment.0.max(1);
    let at = Timespec {
        tv_sec: i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX),
        tv_nsec: i64::try_from(nanos % 1_000_000_000).unwrap_or(0),
    };
    let once = Itimerspec { it_interval: Timespec { tv_sec: 0, tv_nsec: 0 }, it_value: at };
    timerfd_settime(&timer, TimerfdTimerFlags::ABSTIME, &once)?;
    readable(timer)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_sleep_ends_at_its_moment_and_not_before() {
        let start = Moment::now();
        sleep_until(start.after(Duration::from_millis(30))).await;
        assert!(Moment::now().since(start) >= Duration::from_millis(30));
        sleep_until(start).await;
        sleep_until(Moment(0)).await;
    }
}
