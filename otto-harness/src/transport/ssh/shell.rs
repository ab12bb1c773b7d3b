//! A shell whose commands and output are on pipes, and which has a terminal beside them.
//!
//! A channel of SSH has either pipes or a terminal, so a shell gets two. In the first, without a terminal, a *holder*
//! keeps the pipes open. In the second, with a terminal, a shell starts, takes the holder's pipes for its own through
//! `/proc`, and keeps the terminal as its controlling one. See `docs/design/ssh.md`.

use std::io;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use russh::{Pty, Sig};
use tokio::time::timeout;

use crate::error::Phase;
use crate::transport::{BoxFuture, Incoming, Inlet, Interrupt, Outlet, Transport, Wiring};

use super::channel::{Channel, Writer};
use super::connection::{Connection, Permit};
use super::console::only_the_pipes;
use super::exec::{SILENCE, Silence};
use super::inbox::{GREETING, Stream, Taken};
use super::trouble::Trouble;
use crate::transport::fault::Fault;

/// Says who it is, then waits until the shell ends.
///
/// Its own input is a pipe inside, whose writers are a fuse, in case no shell ever comes, and then the shell (on its
/// descriptor 7). The channel's input and output are descriptors 3 and 4, of which it reads and to which it writes nothing
/// more. One line and no `!` that csh would take for history, because the account's own shell reads this first.
fn holder() -> String {
    format!(
        "exec sh -c 'exec 3<&0 4>&1; {{ sleep 20 & echo $! ; }} | {{ read -r fuse; read -r me rest </proc/self/stat; \
         echo; echo {GREETING} $$ $me $fuse; exec cat >/dev/null; }}'"
    )
}

/// Greets on the terminal, is told there who the holder is, takes its pipes, greets on them, and becomes the shell.
/// Descriptor 6 keeps the terminal open: a server takes one that nobody has open for one that is over.
fn bootstrap() -> String {
    format!(
        "exec sh -c 'echo; echo {GREETING} $$; read -r me fuse || exit 1; fd=/proc/$me/fd; \
         exec 6>&1 <$fd/3 >$fd/4 2>&1 7>$fd/0 8>&1 9>$fd/2; \
         kill $fuse; echo; echo {GREETING} $$; echo >&9; echo {GREETING} >&9; \
         unset ENV BASH_ENV TMOUT PROMPT_COMMAND me fuse fd; HISTFILE=/dev/null; export HISTFILE; \
         command -v bash >/dev/null 2>&1 && exec bash --norc --noprofile --noediting -i +m; exec sh -i +m'"
    )
}

/// No echo and no processing of output: what a program writes to the terminal arrives as it is.
pub(super) const MODES: &[(Pty, u32)] = &[
    (Pty::VINTR, 3),
    (Pty::VQUIT, 28),
    (Pty::VERASE, 127),
    (Pty::VKILL, 21),
    (Pty::VEOF, 4),
    (Pty::VSUSP, 26),
    (Pty::ICRNL, 1),
    // A stray ^S must not stop a terminal that no human looks at.
    (Pty::IXON, 0),
    (Pty::ISIG, 1),
    (Pty::ICANON, 1),
    (Pty::ECHO, 0),
    (Pty::ECHONL, 0),
    (Pty::OPOST, 0),
    (Pty::ONLCR, 0),
    (Pty::CS8, 1),
];

/// Starts a shell; each step may take `limit`.
pub(super) async fn open(
    connection: &Arc<Connection>,
    (first, second): (Permit, Permit),
    limit: Duration,
) -> Result<ShellTransport, Trouble> {
    // Side by side, because rc files may take their time.
    let (holder, terminal) = tokio::try_join!(
        async {
            let channel = connection.open(Some(first)).await?;
            channel.inbox.lock().expect_greeting(Stream::Out);
            channel.exec(holder()).await?;
            Ok::<_, Trouble>(channel)
        },
        async {
            let channel = connection.open(Some(second)).await?;
            channel.inbox.lock().expect_greeting(Stream::Out);
            let out = channel.out();
            channel.granted("a terminal", out.request_pty(true, "dumb", 255, 50, 0, 0, MODES)).await?;
            channel.exec(bootstrap()).await?;
            Ok(channel)
        }
    )?;
    let (here, there) =
        tokio::join!(timeout(limit, holder.inbox.greeting()), timeout(limit, terminal.inbox.greeting()));
    let (me, fuse) = match here.as_ref().map(|numbers| numbers.as_deref()) {
        Ok(Some(&[_, me, fuse])) => (me, fuse),
        Ok(Some(_)) => return Err(only_the_pipes(failed("the host has no /proc", None, &[&holder]))),
        _ => return Err(failed("no `sh` came up", here.is_err().then_some(limit), &[&holder]).into()),
    };
    if !matches!(there, Ok(Some(_))) {
        return Err(failed("no `sh` came up in a terminal", there.is_err().then_some(limit), &[&terminal]).into());
    }
    {
        // The greeting of the shell itself.
        let mut state = holder.inbox.lock();
        state.expect_greeting(Stream::Out);
        state.expect_greeting(Stream::Err);
    }
    let told = terminal.out().data_bytes(format!("{me} {fuse}\n").into_bytes()).await;
    if told.is_err() {
        return Err(failed("no shell came up on the pipes", None, &[&terminal, &holder]).into());
    }
    let greeting = tokio::select! {
        greeting = timeout(limit, holder.inbox.greeting()) => greeting,
        () = terminal.inbox.settled() => Ok(None),
    };
    if !matches!(greeting, Ok(Some(_))) {
        // What it said last may still be on its way.
        tokio::time::sleep(SILENCE).await;
        let late = greeting.is_err().then_some(limit);
        return Err(only_the_pipes(failed("no shell came up on the pipes", late, &[&terminal, &holder])));
    }
    // bash turns job control on when it has a terminal, whatever its options say. All that runs in the shell is to be in
    // its process group, for ^C and for the end.
    if holder.out().data_bytes(&b"set +m\n"[..]).await.is_err() {
        return Err(failed("no shell came up on the pipes", None, &[&terminal, &holder]).into());
    }
    Ok(ShellTransport {
        commands: holder.writer(),
        keyboard: terminal.writer(),
        holder,
        terminal,
        screen_first: false,
        silence: Silence::default(),
        last_interrupt: None,
    })
}

/// Types ^C. Some time after one that did nothing, a signal goes along: a program may have turned ^C off.
pub(super) async fn type_interrupt(terminal: &Channel, last: &mut Option<Instant>) -> bool {
    let again = last.is_some_and(|last| last.elapsed() < Duration::from_secs(1));
    *last = Some(Instant::now());
    // A terminal whose input is full takes no more bytes.
    let typed = timeout(Duration::from_millis(100), terminal.out().data_bytes(&b"\x03"[..])).await;
    let typed = matches!(typed, Ok(Ok(())));
    if again || !typed { terminal.send_signal(Sig::INT).await || typed } else { typed }
}

pub(super) fn failed(what: &str, late: Option<Duration>, seen: &[&Channel]) -> Fault {
    let states = || seen.iter().map(|channel| channel.inbox.lock());
    if let Some(reason) = states().find_map(|state| state.lost.clone()) {
        return Fault::lost(&reason);
    }
    let mut message = match late {
        Some(limit) => format!("{what} within {limit:?}"),
        None => format!("{what}: it ended"),
    };
    for line in states().flat_map(|state| state.last_lines()) {
        message.push_str("\n  | ");
        message.push_str(&line);
    }
    Fault::at(Phase::Shell, message).hint(
        "otto needs sh, cat and sleep, a readable /proc, and rc files that neither wait for input nor replace the shell",
    )
}

/// A shell over two channels.
#[derive(Debug)]
pub(super) struct ShellTransport {
    holder: Channel,
    terminal: Channel,
    commands: Writer,
    keyboard: Writer,
    /// Which of the two channels is looked at first. It alternates, so that neither starves.
    screen_first: bool,
    silence: Silence,
    last_interrupt: Option<Instant>,
}

impl ShellTransport {
    fn poll_channels(&mut self, cx: &Context<'_>, into: &mut Vec<u8>) -> Option<io::Result<Incoming>> {
        let mut order = [(&self.holder.inbox, false), (&self.terminal.inbox, true)];
        if self.screen_first {
            order.reverse();
        }
        for (inbox, is_screen) in order {
            let mut state = inbox.lock();
            match state.take(into) {
                Some(Taken::Data(stream)) => {
                    self.screen_first = !is_screen;
                    let outlet = match (is_screen, stream) {
                        (true, _) => Outlet::Terminal,
                        (false, Stream::Out) => Outlet::Out,
                        (false, Stream::Err) => Outlet::Err,
                    };
                    return Some(Ok(Incoming::Data(outlet)));
                }
                Some(Taken::Discarded(count)) => return Some(Ok(Incoming::Gap(count))),
                Some(Taken::Over) | None => state.watch(cx),
            }
        }
        None
    }
}

impl Transport for ShellTransport {
    fn wiring(&self) -> Wiring {
        Wiring::Pipes
    }

    fn poll_read(&mut self, cx: &mut Context<'_>, into: &mut Vec<u8>) -> Poll<io::Result<Incoming>> {
        // Bytes that were accepted go out even if nobody writes any more. An error here shows as the end, below.
        let _ = self.commands.poll_held(cx);
        let _ = self.keyboard.poll_held(cx);
        if let Some(found) = self.poll_channels(cx, into) {
            self.silence.broken();
            return Poll::Ready(found);
        }
        // The shell is the terminal's process. What it wrote before its end may still be on its way in either channel.
        let (settled, screen_over, ending) = {
            let state = self.terminal.inbox.lock();
            (state.is_settled(), state.is_over(), state.ending())
        };
        if !settled {
            return Poll::Pending;
        }
        if !(screen_over && self.holder.inbox.lock().is_over()) {
            std::task::ready!(self.silence.poll(cx));
        }
        // Something may have come between the look at the channels and the look at the end.
        if let Some(found) = self.poll_channels(cx, into) {
            self.silence.broken();
            return Poll::Ready(found);
        }
        Poll::Ready(Ok(Incoming::Ended(ending)))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>, inlet: Inlet, data: &[u8]) -> Poll<io::Result<usize>> {
        if self.terminal.inbox.lock().is_settled() {
            return Poll::Ready(Err(io::Error::new(io::ErrorKind::BrokenPipe, "the shell has ended")));
        }
        match inlet {
            Inlet::Commands => self.commands.poll_write(cx, data),
            Inlet::Terminal => self.keyboard.poll_write(cx, data),
        }
    }

    fn let_sleep(&mut self, through: &[u8]) {
        self.holder.inbox.lock().let_sleep(through);
    }

    fn interrupt(&mut self, how: Interrupt) -> BoxFuture<'_, bool> {
        Box::pin(async move {
            match how {
                Interrupt::Gentle => type_interrupt(&self.terminal, &mut self.last_interrupt).await,
                Interrupt::Kill => self.terminal.kill().await,
            }
        })
    }

    fn close(self: Box<Self>) -> BoxFuture<'static, ()> {
        Box::pin(async move {
            let soon = Duration::from_millis(500);
            let Self { holder, terminal, .. } = *self;
            if !terminal.inbox.lock().is_settled()
                && terminal.send_signal(Sig::HUP).await
                && timeout(soon, terminal.inbox.settled()).await.is_err()
            {
                terminal.kill().await;
            }
            // The holder ends with the shell, unless a child of the shell has its pipe still.
            if timeout(soon, holder.inbox.settled()).await.is_err() {
                holder.kill().await;
            }
            let _ = timeout(soon, async { tokio::join!(terminal.inbox.closed(), holder.inbox.closed()) }).await;
        })
    }
}
