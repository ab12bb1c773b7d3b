//! A shell's terminal while no command of `run` has it: typing, reading, and going back to commands.

use std::time::Duration;

use tokio::time::timeout;

use super::capture::Lines;
use super::expect::{Searcher, StreamBuffer};
use super::interactive::Interactive;
use super::line;
use super::live::{Live, SILENCE, quiet};
use super::verdict::said_by_the_guard;
use crate::error::{Error, ErrorKind, Result};
use crate::transport::{Incoming, Inlet, Interrupt, Outlet};

/// How many reads of what lies there already one look makes at the most: 64 of 64 KiB.
const LOOKS: usize = 64;

/// How long the shell may take to begin its loop.
const BEGIN: Duration = Duration::from_secs(10);

/// How long the shell may take to come back after ^C.
const MOMENT: Duration = Duration::from_millis(200);

/// How long ^C may take to show, before it is typed again.
const SHOWS: Duration = Duration::from_millis(200);

/// How long a shell that ^C has brought to its prompt may take to answer, before what still runs is interrupted again; on a
/// line, the second.
const ANSWERS: [Duration; 2] = [Duration::from_millis(300), Duration::from_millis(500)];

/// After ^C on a line, when the shell has said that it is at its prompt and may have got more to do since: how long it has
/// to be silent until it is asked.
const PAUSE: Duration = Duration::from_millis(500);

impl Live {
    /// Reads from the terminal until the pattern was found; `None` when the shell ended first.
    pub(crate) async fn read_until(
        &mut self,
        unread: &mut StreamBuffer,
        searcher: &mut Searcher,
    ) -> Result<Option<String>> {
        let mut silent = false;
        loop {
            if let Some(taken) = unread.search(searcher) {
                return Ok(Some(taken.text().into_owned()));
            }
            let incoming = if silent {
                self.step().await
            } else if let Ok(incoming) = timeout(SILENCE, self.step()).await {
                incoming
            } else {
                if let Some(taken) = unread.search_idle(searcher) {
                    return Ok(Some(taken.text().into_owned()));
                }
                silent = true;
                continue;
            };
            silent = false;
            match incoming {
                Ok(Incoming::Data(outlet)) => self.take_in(outlet, unread),
                Ok(Incoming::Gap(_)) => {}
                Ok(Incoming::Ended(_)) => {
                    let taken = unread.search(searcher).or_else(|| unread.search_idle(searcher));
                    return Ok(taken.map(|taken| taken.text().into_owned()));
                }
                Err(error) => return Err(Error::new(ErrorKind::Io, "reading from the shell failed").caused_by(error)),
            }
        }
    }

    /// Gives what was just read to whom it belongs while no command runs.
    pub(crate) fn take_in(&mut self, outlet: Outlet, unread: &mut StreamBuffer) {
        let terminal = if self.line.is_some() { Outlet::Out } else { Outlet::Terminal };
        if outlet == Outlet::Err && self.sign.as_mut().is_some_and(|sign| sign.feed(&self.scratch)) {
            self.sign = None;
        }
        if outlet != terminal {
            // What a job in the background wrote after its command had ended belongs to nobody.
            return;
        }
        let Some(interactive) = &mut self.interactive else { return unread.append(&self.scratch) };
        interactive.feed(&self.scratch, |bytes| unread.append(bytes));
        if let Some(code) = interactive.exited() {
            self.ended.get_or_insert_with(|| said_by_the_guard(code));
        }
    }

    /// Starts the loop that reads commands from the terminal, unless it runs.
    pub(crate) async fn enter_interactive(&mut self, unread: &mut StreamBuffer) {
        self.look(unread);
        if let Some(before) = self.interactive.as_ref().filter(|interactive| interactive.over()) {
            if before.interrupted() || before.cut_short() {
                let _ = timeout(BEGIN, self.come_back()).await;
            } else {
                self.interactive = None;
            }
        }
        if self.interactive.is_none() {
            self.unclean();
            let (interactive, text) = Interactive::start(self.dialect, self.wires, self.line);
            self.interactive = Some(interactive);
            self.write(Inlet::Commands, text.into_bytes());
            // A ^C that came before the shell has read all of the loop would make it run the rest as commands.
            let _ = timeout(BEGIN, self.interactive_begun(unread)).await;
        }
    }

    /// After ^C was typed: gives the shell a moment to come back to its prompt, because what is typed before that is lost.
    /// When a program takes ^C for itself, the moment passes.
    pub(crate) async fn interrupted_by_hand(&mut self, unread: &mut StreamBuffer) {
        let _ = timeout(MOMENT, async {
            while self.interactive.as_ref().is_some_and(|interactive| !interactive.over()) {
                match self.step().await {
                    Ok(Incoming::Data(outlet)) => self.take_in(outlet, unread),
                    Ok(Incoming::Gap(_)) => {}
                    Ok(Incoming::Ended(_)) | Err(_) => return,
                }
            }
        })
        .await;
    }

    /// When ^C was typed and seems to be lost, types it again, a few times: who typed it has asked for an end of what ran, and
    /// now does something else.
    pub(crate) async fn insist(&mut self, unread: &mut StreamBuffer) {
        while self.ended.is_none() && self.interactive.as_ref().is_some_and(Interactive::unheeded) {
            let shown = timeout(SHOWS, async {
                while self.interactive.as_ref().is_some_and(Interactive::unheeded) {
                    match self.step().await {
                        Ok(Incoming::Data(outlet)) => self.take_in(outlet, unread),
                        Ok(Incoming::Gap(_)) => {}
                        Ok(Incoming::Ended(_)) | Err(_) => return,
                    }
                }
            });
            if shown.await.is_ok() {
                return;
            }
            let dialect = self.dialect;
            let again = self.interactive.as_mut().and_then(|interactive| interactive.typed_again(dialect));
            self.write(Inlet::Terminal, vec![0x03]);
            if let Some(again) = again {
                self.write(Inlet::Commands, again.into_bytes());
            }
        }
    }

    /// After ^C has ended the loop: waits until the shell answers, and takes the loop off it.
    ///
    /// bash that was interrupted just when it had started a program comes back to its commands, and the signal may have missed
    /// that program. Then bash waits for it with the next command, or forgets it and answers. The shell has given up the
    /// line, so what may be left of it is interrupted again.
    ///
    /// Cancel-safe: the next call begins anew.
    async fn come_back(&mut self) {
        let (cut_short, mut again) = self
            .interactive
            .as_ref()
            .map_or((false, false), |interactive| (interactive.cut_short(), interactive.may_have_missed()));
        let patience = ANSWERS[usize::from(self.line.is_some())];
        for _ in 0..4 {
            self.set_right(cut_short);
            if timeout(patience, self.probe(&mut quiet(Lines::new(None)))).await.is_ok()
                && (self.ended.is_some() || !std::mem::take(&mut again))
            {
                self.interactive = None;
                return;
            }
            self.transport.interrupt(Interrupt::Gentle).await;
        }
        self.set_right(cut_short);
        self.probe(&mut quiet(Lines::new(None))).await;
        self.interactive = None;
    }

    /// Ends what a loop had begun that ^C has cut short.
    fn set_right(&mut self, cut_short: bool) {
        if let Some(line) = self.line.filter(|_| cut_short) {
            let mut text = line::over(line);
            text.push('\n');
            self.write(Inlet::Commands, text.into_bytes());
        }
    }

    /// Takes in what lies there already, and whether the shell has ended, without waiting.
    pub(crate) fn look(&mut self, unread: &mut StreamBuffer) {
        for _ in 0..LOOKS {
            if self.ended.is_some() {
                return;
            }
            match self.try_step() {
                // Between two commands a line carries what belongs to nobody, and maybe that the shell has ended.
                Ok(Some(Incoming::Data(_))) if self.line.is_some() && self.interactive.is_none() => {
                    let Some(idle) = &mut self.idle else { continue };
                    idle.feed(&self.scratch, |_| {});
                    self.ended = idle.exited().map(said_by_the_guard);
                }
                Ok(Some(Incoming::Data(outlet))) => self.take_in(outlet, unread),
                Ok(Some(Incoming::Gap(_))) => {}
                Ok(Some(Incoming::Ended(ending))) => self.ended = Some(ending),
                Err(_) | Ok(None) => return,
            }
        }
    }

    /// Types what is queued; reads meanwhile, so that neither side waits for the other.
    pub(crate) async fn type_queued(&mut self, unread: &mut StreamBuffer) {
        loop {
            if timeout(Duration::from_millis(5), self.flush()).await.is_ok() || !self.has_queued() {
                return;
            }
            self.look(unread);
            if self.ended.is_some() {
                return;
            }
        }
    }

    /// Waits until the shell reads its commands from the terminal, or has ended.
    pub(crate) async fn interactive_begun(&mut self, unread: &mut StreamBuffer) {
        while self.interactive.as_ref().is_some_and(|interactive| !interactive.begun()) {
            match self.step().await {
                Ok(Incoming::Data(outlet)) => self.take_in(outlet, unread),
                Ok(Incoming::Gap(_)) => {}
                Ok(Incoming::Ended(_)) | Err(_) => return,
            }
        }
    }

    /// Ends the loop that reads commands from the terminal, once no program has the terminal. Returns too when the shell
    /// ended instead.
    pub(crate) async fn leave_interactive(&mut self, unread: &mut StreamBuffer) {
        self.insist(unread).await;
        let mut asked = false;
        while let Some(interactive) = &self.interactive {
            if self.ended.is_some() {
                return;
            }
            let (over, cut_short) = (interactive.over(), interactive.cut_short());
            if over {
                let interrupted = interactive.interrupted() || cut_short;
                if interrupted {
                    // The signal travels on its own: it must not hit the next command.
                    self.come_back().await;
                } else {
                    self.interactive = None;
                }
                return;
            }
            if !interactive.busy() && !asked {
                asked = true;
                let leave = interactive.leave();
                self.write(Inlet::Terminal, leave);
            }
            let incoming = if cut_short && !asked {
                let Ok(incoming) = timeout(PAUSE, self.step()).await else {
                    // It was at its prompt since ^C, and then it read more lines, or a program did. A line that does
                    // nothing makes it say that it is there.
                    asked = true;
                    self.write(Inlet::Commands, b"\n".to_vec());
                    if let Some(interactive) = &mut self.interactive {
                        interactive.forget_lines();
                    }
                    continue;
                };
                incoming
            } else {
                self.step().await
            };
            match incoming {
                Ok(Incoming::Data(outlet)) => self.take_in(outlet, unread),
                Ok(Incoming::Gap(_)) => {}
                Ok(Incoming::Ended(_)) | Err(_) => return,
            }
        }
    }
}
