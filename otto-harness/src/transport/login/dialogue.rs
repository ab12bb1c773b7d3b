//! The dialogue: what is done about what the host wrote, and when.

use std::future::poll_fn;
use std::io;
use std::pin::pin;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep_until};

use super::Arrived;
use super::screen::{Asked, Screen};
use super::script::LoginScript;
use super::takeover::{COPIES, Takeover};
use crate::error::{Error, ErrorKind, Phase, Result};
use crate::transport::hidden::Hidden;
use crate::transport::{Incoming, Inlet, Transport};

const fn millis(count: u64) -> Duration {
    Duration::from_millis(count)
}

/// How long the host has to be silent behind a question before it is answered: a login that takes its time may throw away
/// what came while it prepared to read, and a prompt may be the middle of a line.
const SETTLED: Duration = millis(40);

/// The same behind a question of which the whole line came in one piece, after another line or an answer of ours: no byte of it
/// is on its way.
const SETTLED_WHOLE: Duration = millis(2);

/// As [`SETTLED`], when a line of ours may make the host ask once more.
const SETTLED_AFTER_WAKING: Duration = millis(300);

/// The silence behind what looks like a shell's prompt.
const AT_A_PROMPT: Duration = millis(80);

/// The same if the whole line came in one piece. A line that is typed too early is typed again.
const AT_A_WHOLE_PROMPT: Duration = millis(5);

/// The silence behind text that is no question, after an answer: a message of the day, or a prompt of an unknown look.
const AFTER_TEXT: Duration = millis(1500);

/// The silence when nothing came after an answer. Longer than the delay by which logins punish a wrong password, because a
/// line typed into the next login would be taken for a user's name.
const AFTER_NOTHING: Duration = millis(6000);

/// The silence behind text that is no question, when a question is still to come.
const BEFORE_A_QUESTION: Duration = millis(10_000);

/// The silences before each waking of a console, and then before it is taken for a shell that shows no prompt.
const WAKING: [Duration; 4] = [millis(700), millis(1500), millis(2500), millis(3000)];

/// The pauses between the copies of the line; the last holds for all that follow. They grow, because a shell whose start-up
/// files take long finds all of them.
const AGAIN: [Duration; COPIES - 1] =
    [millis(200), millis(600), millis(1200), millis(2000), millis(3000), millis(4000), millis(5000)];

/// How long to wait for the greeting of the last copy, when an earlier one's has come.
const LAST_GREETING: Duration = millis(700);

/// The advice when the host asked something that was not understood.
const UNKNOWN_QUESTION: &str =
    "if the last line is a question, give its text as `login_prompt`, `password_prompt` or `shell_prompt`";

/// What to do next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Wait(Instant),
    GiveName,
    GivePassword,
    /// An empty answer, for a password that is asked for somebody else.
    Decline,
    Wake,
    TakeOver,
    Fail(Failure),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Failure {
    Silent,
    Slow,
    NoShell,
    Refused,
    AskedAgain,
    NoName,
    NoPassword,
}

pub(super) struct Dialogue<'a> {
    wire: &'a mut dyn Transport,
    script: &'a LoginScript,
    screen: Screen,
    /// What is still to be written.
    out: Vec<u8>,
    takeover: Takeover,
    began: Instant,
    first_byte: Option<Instant>,
    /// When the host last wrote, or was last answered.
    quiet_since: Instant,
    names: u32,
    passwords: u32,
    declined: bool,
    wakings: usize,
    last_waking: Option<Instant>,
    /// When the first and when the last copy of the line was typed since the last answer, and how many since.
    typed: Option<(Instant, Instant, usize)>,
    greeted: Option<(u32, Arrived, Instant)>,
}

impl<'a> Dialogue<'a> {
    pub(super) fn new(wire: &'a mut dyn Transport, script: &'a LoginScript) -> Self {
        let now = Instant::now();
        Self {
            wire,
            script,
            screen: Screen::default(),
            out: Vec::new(),
            takeover: Takeover::new(),
            began: now,
            first_byte: None,
            quiet_since: now,
            names: 0,
            passwords: 0,
            declined: false,
            wakings: 0,
            last_waking: None,
            typed: None,
            greeted: None,
        }
    }

    pub(super) async fn run(mut self) -> Result<Arrived> {
        loop {
            let now = Instant::now();
            if let Some((copy, arrived, _)) = &self.greeted
                && *copy == self.takeover.copies
            {
                return Ok(arrived.clone());
            }
            let until = match self.next_step(now) {
                Step::Wait(until) => until,
                Step::GiveName => {
                    self.names += 1;
                    let name = self.script.user.clone().unwrap_or_default();
                    self.answer(name.as_bytes());
                    continue;
                }
                Step::GivePassword => {
                    self.passwords += 1;
                    let script = self.script;
                    self.answer(script.password.as_ref().map_or("", Hidden::expose).as_bytes());
                    continue;
                }
                Step::Decline => {
                    self.declined = true;
                    self.answer(b"");
                    continue;
                }
                Step::Wake => {
                    self.wakings += 1;
                    self.last_waking = Some(now);
                    self.out.extend_from_slice(b"\x15\r");
                    continue;
                }
                Step::TakeOver => {
                    let (first, copies) = self.typed.map_or((now, 0), |(first, _, copies)| (first, copies));
                    self.typed = Some((first, now, copies + 1));
                    let copy = self.takeover.next_copy();
                    self.out.extend_from_slice(&copy);
                    continue;
                }
                Step::Fail(failure) => return Err(self.failed(failure)),
            };
            self.listen(until).await?;
        }
    }

    fn answer(&mut self, text: &[u8]) {
        self.out.extend_from_slice(text);
        self.out.push(b'\r');
        self.screen.answered();
        self.quiet_since = Instant::now();
        self.typed = None;
    }

    fn next_step(&self, now: Instant) -> Step {
        let limits = &self.script.limits;
        let within = |deadline: Instant, step: Step| match step {
            Step::Wait(until) => Step::Wait(until.min(deadline)),
            other => other,
        };
        // A line that has not even left this side cannot be answered; only the limits count.
        let step =
            if self.out.is_empty() { self.step_when_written(now) } else { Step::Wait(now + Duration::from_secs(60)) };
        let (deadline, failure) = match (self.typed, self.first_byte) {
            (Some((first, ..)), _) => (first + limits.shell, Failure::NoShell),
            (None, Some(first)) => (first + limits.login, Failure::Slow),
            (None, None) => (self.began + limits.banner, Failure::Silent),
        };
        if now >= deadline { Step::Fail(failure) } else { within(deadline, step) }
    }

    fn step_when_written(&self, now: Instant) -> Step {
        // A host that writes on and on is never silent, but a refusal and a greeting are seen in its text all the same.
        let answered = self.names + self.passwords > 0;
        let after = |silence: Duration, step: Step| {
            let due = self.quiet_since + silence;
            if now >= due { step } else { Step::Wait(due) }
        };
        if let Some((_, _, when)) = self.greeted {
            // Copies are read in the order typed: once the last has greeted, none is left that could replace the shell
            // under a session.
            let typed = self.typed.map_or(when, |(_, last, _)| last);
            let due = when.max(typed) + LAST_GREETING;
            return if now >= due { Step::TakeOver } else { Step::Wait(due) };
        }
        let settled = match (self.wakings, self.screen.is_whole()) {
            (0, true) => SETTLED_WHOLE,
            (0, false) => SETTLED,
            _ => SETTLED_AFTER_WAKING,
        };
        match self.screen.asked(self.script, answered) {
            Asked::Refused => Step::Fail(Failure::Refused),
            Asked::Name | Asked::Password if self.passwords > 0 => after(settled, Step::Fail(Failure::AskedAgain)),
            Asked::Name if self.script.user.is_none() => after(settled, Step::Fail(Failure::NoName)),
            // A line that woke a login may have been its first, empty answer.
            Asked::Name if self.names == 0 || (self.names == 1 && self.wakings > 0) => after(settled, Step::GiveName),
            Asked::Name => after(settled, Step::Fail(Failure::AskedAgain)),
            // Whose password? Not our user's: a line of ours, or somebody before us, was taken for a name.
            Asked::Password if self.names == 0 && self.script.user.is_some() && !self.declined => {
                if self.wakings > 0 || self.typed.is_some() {
                    after(settled, Step::Decline)
                } else {
                    after(settled, self.give_password())
                }
            }
            Asked::Password => after(settled, self.give_password()),
            _ if self.typed.is_some() => self.once_more(now),
            Asked::Command if self.wakings == 0 && self.screen.is_whole() => after(AT_A_WHOLE_PROMPT, Step::TakeOver),
            Asked::Command => after(AT_A_PROMPT, Step::TakeOver),
            // It answers to Enter, asks nothing, and was not expected to: a shell with a prompt of its own kind.
            Asked::Unknown if self.wakings > 0 && !self.script.has_answers() => after(AFTER_TEXT, Step::TakeOver),
            _ if !answered && self.script.wake => self.wake_or_take_over(now),
            Asked::Nothing if answered => after(AFTER_NOTHING, Step::TakeOver),
            Asked::Nothing => Step::Wait(now + Duration::from_secs(60)),
            Asked::Unknown if !answered && self.script.has_answers() => after(BEFORE_A_QUESTION, Step::TakeOver),
            Asked::Unknown => after(AFTER_TEXT, Step::TakeOver),
        }
    }

    fn give_password(&self) -> Step {
        if self.script.password.is_some() { Step::GivePassword } else { Step::Fail(Failure::NoPassword) }
    }

    fn wake_or_take_over(&self, now: Instant) -> Step {
        let since = self.last_waking.map_or(self.quiet_since, |waking| waking.max(self.quiet_since));
        let due = since + WAKING[self.wakings.min(WAKING.len() - 1)];
        if now < due {
            Step::Wait(due)
        } else if self.wakings < WAKING.len() - 1 {
            Step::Wake
        } else {
            Step::TakeOver
        }
    }

    fn once_more(&self, now: Instant) -> Step {
        let Some((_, last, copies)) = self.typed else { return Step::TakeOver };
        let Some(pause) = AGAIN.get(copies - 1) else { return Step::Wait(now + Duration::from_secs(60)) };
        let due = last + *pause;
        if now >= due { Step::TakeOver } else { Step::Wait(due) }
    }

    /// Writes what is to be written, and reads until something came or the time is up.
    async fn listen(&mut self, until: Instant) -> Result<()> {
        // A host that always has something more must not keep the limits from having their turn.
        consume_budget().await;
        let mut piece = Vec::new();
        let Self { wire, out, .. } = self;
        let mut timer = pin!(sleep_until(until));
        let heard = poll_fn(|cx| {
            let was = out.len();
            write(&mut **wire, out, cx);
            if let Poll::Ready(incoming) = wire.poll_read(cx, &mut piece) {
                return Poll::Ready(Some(incoming));
            }
            let written = was > 0 && out.is_empty();
            if written || timer.as_mut().poll(cx).is_ready() { Poll::Ready(None) } else { Poll::Pending }
        })
        .await;
        let Some(incoming) = heard else { return Ok(()) };
        match incoming {
            Ok(Incoming::Data(_)) => self.heard(&piece),
            Ok(Incoming::Gap(_)) => {}
            Ok(Incoming::Ended(ending)) => return Err(self.error(format!("it ended: {ending}"))),
            Err(error) => return Err(self.error("the wire cannot be read".to_owned()).caused_by(error)),
        }
        Ok(())
    }

    fn heard(&mut self, piece: &[u8]) {
        let now = Instant::now();
        self.quiet_since = now;
        self.first_byte.get_or_insert(now);
        self.screen.push(piece);
        if self.takeover.copies > 0
            && let Some((copy, arrived)) = self.takeover.greeting(self.screen.fresh())
        {
            let is_new = self.greeted.as_ref().is_none_or(|(last, ..)| *last != copy);
            if is_new {
                self.greeted = Some((copy, arrived, now));
            }
        }
    }

    /// How far it came, for errors.
    fn phase(&self) -> Phase {
        match (self.typed, self.screen.is_blank()) {
            (Some(_), _) => Phase::Shell,
            (None, true) => Phase::Banner,
            (None, false) => Phase::Login,
        }
    }

    fn error(&self, message: String) -> Error {
        self.error_in(self.phase(), message)
    }

    fn error_in(&self, phase: Phase, mut message: String) -> Error {
        for line in self.screen.last_lines(self.script, 5) {
            message.push_str("\n  | ");
            message.push_str(&line);
        }
        Error::new(ErrorKind::Connect(phase), message)
    }

    fn failed(&self, failure: Failure) -> Error {
        let whom = self.script.user.as_ref().map_or_else(|| "the login".to_owned(), |user| format!("`{user}`"));
        let limits = &self.script.limits;
        let seconds = |limit: Duration| format!("{:.0} s", limit.as_secs_f64());
        match failure {
            Failure::Silent => {
                let message = format!("the host wrote nothing within {}", seconds(limits.banner));
                self.error_in(Phase::Banner, message).hint("is it switched on, and is this its console?")
            }
            Failure::Slow => {
                let message = format!("no shell came up within {} of the first byte", seconds(limits.login));
                self.error_in(Phase::Login, message).hint(UNKNOWN_QUESTION)
            }
            Failure::NoShell => {
                let message = format!("no shell answered within {}", seconds(limits.shell));
                let error = self.error_in(Phase::Shell, message);
                if self.names + self.passwords == 0 && self.script.has_answers() {
                    return error.hint(UNKNOWN_QUESTION);
                }
                error.hint(
                    "the host needs a `sh`, and start-up files of the account that neither wait for input nor restrict it",
                )
            }
            Failure::Refused | Failure::AskedAgain => {
                let with = match (self.passwords > 0, &self.script.password) {
                    (true, _) => "with the password of the lab file",
                    (false, Some(_)) => "and did not ask for a password",
                    (false, None) => "without a password",
                };
                let message = format!("the host did not let {whom} in {with}");
                self.error_in(Phase::Login, message).hint(
                    "check `user` and `password`; a host that wants a new password, or a second one, has to be set up by hand",
                )
            }
            Failure::NoName => self
                .error_in(Phase::Login, "the host asks for a user name, and there is none to give".to_owned())
                .hint("give it a `user` or `creds` in the lab file"),
            Failure::NoPassword => self
                .error_in(Phase::Login, format!("the host asks for a password for {whom}, and there is none to give"))
                .hint("give it a `password` in `creds` in the lab file"),
        }
    }
}

/// Writes as much as the wire takes now. One that takes no more has ended: the read says how.
fn write(wire: &mut dyn Transport, out: &mut Vec<u8>, cx: &mut Context<'_>) {
    while !out.is_empty() {
        let written: Poll<io::Result<usize>> = wire.poll_write(cx, Inlet::Commands, out);
        match written {
            Poll::Ready(Ok(count)) => {
                // What was written may be a password.
                out[..count].fill(0);
                out.drain(..count);
            }
            Poll::Ready(Err(_)) => out.clear(),
            Poll::Pending => return,
        }
    }
}
