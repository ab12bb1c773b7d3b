//! What the end of an attempt says of the test.

use super::record::Verdict;
use super::report::End;

impl Verdict {
    /// Of an attempt that was judged a failure.
    pub(super) fn of_failure(end: &End) -> Self {
        match end {
            End::LeaseLost(_) => Self::ReservationLost,
            End::Interrupted(_) | End::Stuck { signal: Some(_), .. } => Self::Interrupted,
            End::TimedOut(_) | End::Late { .. } | End::SetupTimedOut { .. } | End::Stuck { vanished: false, .. } => {
                Self::TimedOut
            }
            End::Done(Err(fault)) | End::Setup(fault) if fault.infrastructure => Self::Infrastructure,
            // One that was skipped has failed by its checks, or because a fixture of it did not close.
            End::Done(_) | End::Panicked(_) | End::Setup(_) | End::Skipped(_) | End::Stuck { .. } => Self::Failed,
        }
    }
}

impl End {
    /// Whether what it left behind may still be at work on the hosts, or the run is over: nothing is tried again.
    pub(super) fn is_last(&self) -> bool {
        matches!(self, Self::Interrupted(_) | Self::LeaseLost(_) | Self::Stuck { .. })
    }
}
