//! A shell that answers: one command at a time, and finding back to the prompt when a command was stopped.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::io;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use tokio::task::coop::consume_budget;
use tokio::time::timeout;

use super::answers::Answers;
use super::capture::Lines;
use super::execution::{Execution, Sink};
use super::frame::{self, Dialect, Frame, Marker, Nonce, Streams, Wires};
use super::interactive::Interactive;
use super::line::{self, Line};
use super::outlet::{Seek, Track};
use super::verdict::said_by_the_guard;
use crate::transport::{Ending, Incoming, Inlet, Interrupt, Outlet, Transport};

/// How long to wait for a stopped command's shell to be back, before the next, harder means.
const PATIENCE: Duration = Duration::from_millis(400);

/// The same on a line, where question and answer queue behind all that was written.
const PATIENCE_ON_LINE: Duration = Duration::from_millis(700);

/// How long an idle shell takes to answer, before it is asked again.
const ANSWER: Duration = Duration::from_millis(150);

/// How long a terminal has to be silent for what it last wrote to count as the end, for patterns with `$`.
pub(crate) const SILENCE: Duration = Duration::from_millis(50);

/// How a command's frame was left.
#[derive(Debug)]
pub(crate) enum End {
    /// The end marker came.
    Seen,
    /// The shell ended first.
    Shell(Ending),
}

/// How a shell was found after its command was stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Recovery {
    /// It answers, and what it ran in the foreground is gone.
    Alive,
    /// It had to be killed; `proven` when all its processes were seen to be gone.
    Killed { proven: bool },
}

/// A shell after its handshake.
#[derive(Debug)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own about the shell")]
pub(crate) struct Live {
    pub(crate) transport: Box<dyn Transport>,
    pub(crate) dialect: Dialect,
    /// Set when one line carries everything.
    pub(crate) line: Option<Line>,
    /// A carriage return at the end of what was read, of which it is not known yet whether the terminal added it.
    held_return: bool,
    /// Whether its `exit` writes the word, as that of an interactive bash does.
    pub(crate) says_exit: bool,
    /// What still has to be written. It outlives a caller that was dropped while writing.
    queue: VecDeque<(Inlet, Vec<u8>, usize)>,
    pub(super) scratch: Vec<u8>,
    /// The command whose end was not seen yet. Still set when the next caller comes: that one's was dropped.
    pub(crate) running: Option<Execution>,
    /// On a line: what came while no command ran, as far as it may tell of the shell's end.
    pub(super) idle: Option<Track>,
    /// The loop that reads commands from the terminal, while `send` and `expect` are in use.
    pub(crate) interactive: Option<Interactive>,
    /// Whether a marker has to say that a command has begun.
    pub(super) marks: bool,
    /// Whether its last frame ended by its own end marker, so that nothing of otto's is on its way in the main outlet.
    clean: bool,
    /// The sign that the last command had begun, if it is still to be read beside its output.
    pub(super) sign: Option<Seek>,
    /// Where its descriptors are.
    pub(super) wires: Wires,
    pub(crate) last_code: i32,
    pub(crate) errexit: bool,
    verbose: bool,
    /// Whether a command was stopped here, so that something of it may run on.
    pub(crate) suspect: bool,
    /// Whether something could not be written, ever.
    pub(crate) undelivered: bool,
    pub(crate) ended: Option<Ending>,
}

impl Live {
    /// Over a transport whose shell has said nothing yet.
    pub(super) fn new(transport: Box<dyn Transport>) -> Self {
        Self {
            transport,
            dialect: Dialect::Posix,
            line: None,
            held_return: false,
            says_exit: false,
            queue: VecDeque::new(),
            scratch: Vec::new(),
            running: None,
            idle: None,
            interactive: None,
            marks: true,
            clean: true,
            sign: None,
            wires: Wires::default(),
            last_code: 0,
            errexit: false,
            verbose: false,
            suspect: false,
            undelivered: false,
            ended: None,
        }
    }

    /// Puts bytes into the queue; [`step`](Self::step) writes them.
    pub(crate) fn write(&mut self, inlet: Inlet, bytes: Vec<u8>) {
        self.queue.push_back((inlet, bytes, 0));
    }

    /// Writes what is queued as far as it goes, and waits for the next bytes, which are then in `scratch`.
    ///
    /// Cancel-safe: what was read is handed on before the next wait, what was not written stays queued.
    pub(crate) async fn step(&mut self) -> io::Result<Incoming> {
        if let Some(ending) = &self.ended {
            return Ok(Incoming::Ended(ending.clone()));
        }
        // A transport that always has something more would never let a limit around this have its turn.
        consume_budget().await;
        let incoming = poll_fn(|cx| self.poll_step(cx)).await?;
        if let Incoming::Ended(ending) = &incoming {
            self.ended = Some(ending.clone());
        }
        Ok(incoming)
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Incoming>> {
        self.poll_write(cx);
        self.scratch.clear();
        let incoming = ready!(self.transport.poll_read(cx, &mut self.scratch));
        self.came(&incoming);
        Poll::Ready(incoming)
    }

    /// As a step that does not wait; `None` when nothing is there.
    pub(super) fn try_step(&mut self) -> io::Result<Option<Incoming>> {
        self.poll_write(&mut Context::from_waker(Waker::noop()));
        self.scratch.clear();
        let incoming = self.transport.try_read(&mut self.scratch).transpose();
        if let Some(incoming) = &incoming {
            self.came(incoming);
        }
        incoming.transpose()
    }

    fn came(&mut self, incoming: &io::Result<Incoming>) {
        if self.line.is_some_and(|line| !line.stty) && matches!(incoming, Ok(Incoming::Data(_))) {
            self.without_added_returns();
        }
        if let Ok(Incoming::Gap(count)) = incoming {
            // As when more is written than is kept: the newest counts, and the end marker is the newest of all.
            tracing::warn!("{count} bytes of output were not read in time, and are lost");
            if let Some(running) = &mut self.running {
                running.missed();
            }
        }
    }

    /// Takes away the carriage return that a terminal adds before each line feed when it could not be told not to.
    fn without_added_returns(&mut self) {
        if std::mem::take(&mut self.held_return) {
            self.scratch.insert(0, b'\r');
        }
        if self.scratch.ends_with(b"\r") {
            self.scratch.pop();
            self.held_return = true;
        }
        let mut at = 0;
        while let Some(found) = memchr::memmem::find(&self.scratch[at..], b"\r\n") {
            self.scratch.remove(at + found);
            at += found;
        }
    }

    /// An inlet that takes no more belongs to a shell that has ended: the read says how.
    fn poll_write(&mut self, cx: &mut Context<'_>) {
        while let Some((inlet, bytes, at)) = self.queue.front_mut() {
            match self.transport.poll_write(cx, *inlet, &bytes[*at..]) {
                Poll::Ready(Ok(count)) if *at + count < bytes.len() => *at += count,
                Poll::Ready(done) => {
                    self.undelivered |= done.is_err();
                    self.queue.pop_front();
                }
                Poll::Pending => return,
            }
        }
    }

    /// Whether something is still to be written.
    pub(super) fn has_queued(&self) -> bool {
        !self.queue.is_empty()
    }

    /// Writes what is queued, reading nothing.
    pub(crate) async fn flush(&mut self) {
        poll_fn(|cx| {
            self.poll_write(cx);
            if self.queue.is_empty() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Begins a command: its frame is queued, and from now on it is this shell's running command. `drain` says that answers
    /// may be typed for it.
    ///
    /// What lies in the outlets has been read. Where that is all that was written before, output needs no marker at its
    /// beginning, unless something of otto's own may be on its way.
    pub(crate) fn begin(&mut self, text: &str, streams: Streams, drain: bool) {
        let nonce = Nonce::new();
        let Self { dialect, last_code, verbose, line, wires, .. } = *self;
        // A shell whose own output a trap has turned elsewhere says no more beside the output that it has begun.
        self.look_for_sign();
        self.marks |= self.sign.take().is_some();
        let marked = self.marks || streams != Streams::Merged || !self.clean;
        self.transport.heed_errors(streams != Streams::Merged);
        let frame = Frame { dialect, nonce, text, streams, last_code, verbose, drain, marked, wires };
        let text = line.map_or_else(|| frame.render(), |line| line::frame(&frame, line));
        self.running = Some(Execution::new(nonce, streams, drain, line.map(|line| line.exit), marked));
        if marked && streams == Streams::Merged {
            let mut begin = [frame::STOP; 15];
            begin[..14].copy_from_slice(&nonce.marker(Marker::Begin));
            self.transport.let_sleep(&begin);
        }
        self.write(Inlet::Commands, text.into_bytes());
    }

    /// Reads until the running command has ended, typing answers to what it writes on the terminal.
    pub(crate) async fn follow(&mut self, sink: &mut Sink<'_, '_>, answers: &mut Answers) -> io::Result<End> {
        loop {
            let incoming = if answers.may_wait_for_silence() {
                if let Ok(incoming) = timeout(SILENCE, self.step()).await {
                    incoming?
                } else {
                    let typed = answers.when_silent();
                    self.answer(typed);
                    self.step().await?
                }
            } else {
                self.step().await?
            };
            match incoming {
                Incoming::Data(outlet) => {
                    let Some(running) = &mut self.running else { return Ok(End::Seen) };
                    let mut typed = Vec::new();
                    running.feed(outlet, &self.scratch, sink, |bytes| typed.extend(answers.when_written(bytes)));
                    if running.complete() {
                        return Ok(End::Seen);
                    }
                    if let Some(code) = running.exited() {
                        let ending = said_by_the_guard(code);
                        self.ended = Some(ending.clone());
                        return Ok(End::Shell(ending));
                    }
                    if let Some(nonce) = running.ask_to_drain() {
                        // An answer to what it wrote last has nobody to read it.
                        typed = frame::drained(nonce);
                    }
                    self.answer(typed);
                }
                Incoming::Gap(_) => {}
                Incoming::Ended(ending) => return Ok(End::Shell(ending)),
            }
        }
    }

    /// Looks for the sign that the last command had begun, where nobody has looked since it ended.
    fn look_for_sign(&mut self) {
        let Some(mut sign) = self.sign.take() else { return };
        while let Ok(Some(Incoming::Data(outlet))) = self.try_step() {
            if outlet == Outlet::Err && sign.feed(&self.scratch) {
                return;
            }
        }
        self.sign = Some(sign);
    }

    /// What the shell answers to something else than a frame may still be on its way.
    pub(super) fn unclean(&mut self) {
        self.clean = false;
    }

    fn answer(&mut self, typed: Vec<u8>) {
        if !typed.is_empty() {
            self.write(Inlet::Terminal, typed);
        }
    }

    /// Takes the running command off the shell, with what its end marker said: exit code and options.
    pub(crate) fn finish(&mut self) -> Option<(Execution, Option<i32>)> {
        let running = self.running.take()?;
        let mut code = None;
        self.clean = running.complete() && !running.was_probed();
        self.sign = running.owes_sign();
        if let Some(fields) = running.ended() {
            let mut fields = fields.split(' ');
            code = fields.next().and_then(|code| code.parse().ok());
            let options = fields.next().unwrap_or_default();
            (self.errexit, self.verbose) = (options.contains('e'), options.contains('v'));
            self.last_code = code.unwrap_or(130);
        }
        Some((running, code))
    }

    /// Stops the running command and finds back to the prompt: an interrupt, then a question that only an idle shell
    /// answers; then again; then the end of the shell and all it started. Bounded: 3 s.
    pub(crate) async fn recover(&mut self, sink: &mut Sink<'_, '_>) -> Recovery {
        self.suspect = true;
        self.transport.let_sleep(&[]);
        self.transport.heed_errors(true);
        // On a line, what has not been typed yet need not be: until its last line is, nothing of the command runs. And the
        // terminal throws away what it holds when it is interrupted.
        let typed_in_part = self.line.is_some() && self.has_queued();
        if typed_in_part {
            self.queue.clear();
        }
        // Before the frame is read in whole, an interrupt would make the shell forget a part of it and run the rest.
        let begun = typed_in_part
            || timeout(PATIENCE, self.follow_until(sink, |live| live.running.as_ref().is_none_or(Execution::begun)))
                .await
                .is_ok();
        if (begun || self.line.is_some()) && self.ended.is_none() {
            let patience = if self.line.is_some() { PATIENCE_ON_LINE } else { PATIENCE };
            for _ in 0..2 {
                if !self.transport.interrupt(Interrupt::Gentle).await {
                    break;
                }
                if timeout(patience, self.probe(sink)).await.is_ok_and(|answered| answered) {
                    if self.drained(sink).await {
                        return Recovery::Alive;
                    }
                    break;
                }
                if self.ended.is_some() {
                    break;
                }
            }
        }
        Recovery::Killed { proven: self.kill().await }
    }

    /// After an interrupt: makes sure that nothing is left in the terminal of what was typed for the running command.
    async fn drained(&mut self, sink: &mut Sink<'_, '_>) -> bool {
        // The interrupt came through the terminal, which has thrown it away.
        if self.line.is_some() || !self.running.as_ref().is_some_and(Execution::drains) {
            return true;
        }
        let nonce = Nonce::new();
        self.write(Inlet::Commands, frame::drain(self.dialect, self.wires, nonce).into_bytes());
        self.write(Inlet::Terminal, frame::drained(nonce));
        timeout(PATIENCE, self.sees(Seek::new(nonce, Marker::Drained), sink)).await.is_ok_and(|seen| seen)
    }

    /// Reads until the marker was seen; false when the shell ended instead.
    async fn sees(&mut self, mut seek: Seek, sink: &mut Sink<'_, '_>) -> bool {
        loop {
            match self.step().await {
                Ok(Incoming::Data(outlet)) => {
                    self.feed(outlet, sink);
                    if outlet == Outlet::Out && seek.feed(&self.scratch) {
                        return true;
                    }
                    if self.ended.is_some() {
                        return false;
                    }
                }
                Ok(Incoming::Gap(_)) => {}
                Ok(Incoming::Ended(_)) | Err(_) => return false,
            }
        }
    }

    /// Reads, feeding the running command, until the condition holds or the shell ends.
    async fn follow_until(&mut self, sink: &mut Sink<'_, '_>, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            match self.step().await {
                Ok(Incoming::Data(outlet)) => self.feed(outlet, sink),
                Ok(Incoming::Gap(_)) => {}
                Ok(Incoming::Ended(_)) | Err(_) => return,
            }
            if self.ended.is_some() {
                return;
            }
        }
    }

    fn feed(&mut self, outlet: Outlet, sink: &mut Sink<'_, '_>) {
        if let Some(running) = &mut self.running {
            running.feed(outlet, &self.scratch, sink, |_| {});
            if let Some(code) = running.exited() {
                self.ended.get_or_insert_with(|| said_by_the_guard(code));
            }
        }
    }

    /// Asks until the shell answers twice in a row; false when it ended instead. Never ends by itself.
    ///
    /// Twice, because bash that is interrupted while it reads the text of an `eval` may go back to its commands, answer one
    /// line of them, and then go on with the rest of that text.
    pub(super) async fn probe(&mut self, sink: &mut Sink<'_, '_>) -> bool {
        let on_terminal = self.running.as_ref().is_some_and(|running| running.streams().terminal());
        let mut answered_before = false;
        loop {
            // The signal and the question travel on two ways: a moment, so that it does not hit the question.
            if !answered_before && timeout(Duration::from_millis(30), self.follow_until(sink, |_| false)).await.is_ok()
            {
                return false;
            }
            let nonce = Nonce::new();
            if let Some(running) = &mut self.running {
                running.probed(nonce);
            }
            let question = match self.line {
                // Whatever had the terminal may have left it in any state.
                Some(line) => line::probe(self.dialect, nonce, line, on_terminal || self.running.is_none()),
                None => frame::probe(self.dialect, self.wires, nonce, on_terminal),
            };
            self.write(Inlet::Commands, question.into_bytes());
            let answered = timeout(
                if self.line.is_some() { ANSWER * 2 } else { ANSWER },
                self.sees(Seek::new(nonce, Marker::Probe), sink),
            );
            match answered.await {
                Ok(true) if !answered_before => answered_before = true,
                Ok(answer) => return answer,
                Err(_) => answered_before = false,
            }
        }
    }

    /// After a caller was dropped while its command ran.
    pub(crate) async fn settle(&mut self) -> Option<Recovery> {
        self.running.as_ref()?;
        let recovery = self.recover(&mut quiet(Lines::new(None))).await;
        self.finish();
        Some(recovery)
    }

    /// Kills all that runs in the shell, and itself; whether all of it was seen to end.
    pub(crate) async fn kill(&mut self) -> bool {
        timeout(Duration::from_millis(1500), self.transport.interrupt(Interrupt::Kill)).await.unwrap_or(false)
    }

    /// Ends the shell. What a stopped command may have left is killed; false if that could not be seen to end.
    pub(crate) async fn close(mut self) -> bool {
        let proven = if self.running.is_some() || self.suspect { self.kill().await } else { true };
        let _ = timeout(Duration::from_secs(5), self.transport.close()).await;
        proven
    }
}

/// A sink that nobody looks into.
pub(crate) fn quiet(lines: Lines<'_>) -> Sink<'_, 'static> {
    Sink { lines, each: &|_| {} }
}
