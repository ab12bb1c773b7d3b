//! How long each part of a test may take, and who said so.

use std::fmt;
use std::time::Duration;

use super::registry::TestCase;
use super::watchdog::Phase;

/// What making the context and the fixtures may take. Hosts connect on first use.
const SETUP: Duration = Duration::from_secs(30);
/// The limit of a body that has none of its own and is given none.
const BODY: Duration = Duration::from_secs(300);
/// What closing may take. nextest kills 10 s after SIGTERM.
const TEARDOWN: Duration = Duration::from_secs(8);
/// What of the teardown's budget the hosts are left with, whatever the fixtures take.
const HOSTS: Duration = Duration::from_secs(3);

/// The limits of a whole run: flags and variables.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Limits {
    pub(super) setup: Option<Duration>,
    pub(super) test: Option<Duration>,
    pub(super) teardown: Option<Duration>,
}

/// Who set a budget.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Source {
    Attribute,
    Run,
    Default,
}

/// Whose budget it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Owner {
    Test,
    Lab,
}

/// How long a part of a test may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Budget {
    pub(super) limit: Duration,
    part: Phase,
    source: Source,
    owner: Owner,
}

/// The three budgets of a test.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budgets {
    pub(super) setup: Budget,
    pub(super) body: Budget,
    pub(super) teardown: Budget,
}

impl Budgets {
    /// Those of a test in a run. Its own limits are the more exact statement, so they win over those of the run.
    pub(super) fn of(case: &TestCase, run: Limits) -> Self {
        let budget = |part, own: Option<Duration>, run: Option<Duration>, default| {
            let source = match (own, run) {
                (Some(_), _) => Source::Attribute,
                (None, Some(_)) => Source::Run,
                (None, None) => Source::Default,
            };
            Budget { limit: own.or(run).unwrap_or(default), part, source, owner: Owner::Test }
        };
        Self {
            setup: budget(Phase::Setup, case.setup, run.setup, SETUP),
            body: budget(Phase::Body, case.timeout, run.test, BODY),
            teardown: budget(Phase::Teardown, case.teardown, run.teardown, TEARDOWN),
        }
    }

    /// Those of what belongs to a lab and to no test.
    pub(super) fn of_lab(run: Limits) -> (Budget, Budget) {
        let budget = |part, run: Option<Duration>, default| Budget {
            limit: run.unwrap_or(default),
            part,
            source: if run.is_some() { Source::Run } else { Source::Default },
            owner: Owner::Lab,
        };
        (budget(Phase::Setup, run.setup, SETUP), budget(Phase::Teardown, run.teardown, TEARDOWN))
    }
}

impl Budget {
    /// What of a teardown's budget its fixtures may use; the rest is the hosts'.
    pub(super) fn for_fixtures(&self) -> Duration {
        self.limit.saturating_sub(HOSTS.min(self.limit / 2))
    }
}

/// Which budget it is, who set it, and where it can be changed.
impl fmt::Display for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (part, option, flag, variable) = match self.part {
            Phase::Setup => ("setup", "setup", "--setup-timeout", "OTTO_SETUP_TIMEOUT"),
            Phase::Body => ("test", "timeout", "--timeout", "OTTO_TIMEOUT"),
            Phase::Fixtures | Phase::Teardown => {
                ("teardown", "teardown", "--teardown-timeout", "OTTO_TEARDOWN_TIMEOUT")
            }
        };
        let limit = self.limit;
        match (self.source, self.owner) {
            (Source::Attribute, _) => {
                write!(f, "the {part} budget is {limit:?}, by `{option} = \"…\"` in its #[otto::test]")
            }
            (Source::Run, Owner::Lab) => write!(f, "the {part} budget is {limit:?}, by {flag} or {variable}"),
            (Source::Default, Owner::Lab) => {
                write!(f, "the {part} budget is {limit:?} unless {flag} or {variable} sets another")
            }
            (Source::Run, Owner::Test) => write!(
                f,
                "the {part} budget is {limit:?}, by {flag} or {variable}; `{option} = \"…\"` in its #[otto::test] sets another"
            ),
            (Source::Default, Owner::Test) => write!(
                f,
                "the {part} budget is {limit:?} unless {flag}, {variable} or `{option} = \"…\"` in its #[otto::test] sets \
                 another"
            ),
        }
    }
}
