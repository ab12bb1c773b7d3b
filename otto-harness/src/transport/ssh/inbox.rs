//! What arrived on one channel and was not read yet.
//!
//! russh's task puts it here itself, so a channel that nobody reads never holds up its siblings.

use std::collections::VecDeque;
use std::fmt;
use std::io;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::task::{Context, Waker};

use russh::ChannelWriteHalf;
use russh::client::Msg;
use tokio::sync::Notify;

use crate::transport::{CLOSED_HERE, Ending};

/// What may wait to be read. Beyond it the oldest is thrown away and the reader is told; the connection goes on.
pub(super) const CAPACITY: usize = 64 << 20;

/// A chunk grows up to this, so that many small packets are not many allocations.
const CHUNK: usize = 64 << 10;

/// Which of a channel's two streams bytes are of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stream {
    Out,
    Err,
}

/// The line by which a process of ours says that it is there, with numbers behind, the first that of its process group.
/// What comes before it is of the account's rc files, and dropped.
pub(super) const GREETING: &str = "otto-process";

/// A stream on which so much came without the greeting will not have it.
const NOISE: usize = 64 << 10;

/// How a channel's process ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Exit {
    Code(u32),
    Signal(String),
}

/// What a read gave.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    Data(Stream),
    /// So many bytes were thrown away before those that follow.
    Discarded(u64),
    /// Nothing is there now, and nothing will come.
    Over,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub(super) struct State {
    chunks: VecDeque<(Stream, Vec<u8>)>,
    held: usize,
    discarded: u64,
    /// What came before the greeting, on the streams that are to have one.
    before: [Option<Vec<u8>>; 2],
    /// The numbers of the last greeting.
    greeted: Option<Vec<u32>>,
    /// The process group, once a greeting told it.
    pub(super) group: Option<u32>,
    /// The server's answers to requests, in order.
    replies: VecDeque<bool>,
    pub(super) exit: Option<Exit>,
    pub(super) eof: bool,
    /// The server closed the channel.
    pub(super) closed: bool,
    /// The connection is gone, for this reason.
    pub(super) lost: Option<Arc<str>>,
    /// It is being ended from this side, so whatever end it comes to is not its own.
    pub(super) dismissed: bool,
    /// What runs in it ends when its input does.
    pub(super) ends_with_input: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
    /// What may come next on the output without the reader being woken.
    sleep_through: Vec<u8>,
}

impl State {
    /// These bytes, if they come next on the output, are no reason to wake the reader.
    pub(super) fn let_sleep(&mut self, through: &[u8]) {
        self.sleep_through.clear();
        self.sleep_through.extend_from_slice(through);
    }

    /// Whether nothing is there that the reader has to be woken for.
    fn may_sleep(&mut self) -> bool {
        if self.sleep_through.is_empty() {
            return false;
        }
        let only = match self.chunks.front() {
            Some((Stream::Out, chunk)) => chunk.len() == self.held && self.sleep_through.starts_with(chunk),
            _ => false,
        };
        if !only {
            self.sleep_through.clear();
        }
        only
    }

    /// Whether no more bytes will come.
    pub(super) fn is_over(&self) -> bool {
        self.eof || self.closed || self.lost.is_some()
    }

    /// Whether the process is known to have ended, or never will be.
    pub(super) fn is_settled(&self) -> bool {
        self.exit.is_some() || self.closed || self.lost.is_some()
    }

    pub(super) fn ending(&self) -> Ending {
        if self.dismissed {
            return Ending { lost: Some(CLOSED_HERE.to_owned()), ..Ending::default() };
        }
        match (&self.exit, &self.lost) {
            (Some(Exit::Code(code)), _) => Ending { code: i32::try_from(*code).ok(), ..Ending::default() },
            (Some(Exit::Signal(name)), _) => Ending { signal: Some(name.clone()), ..Ending::default() },
            (None, Some(reason)) => Ending { lost: Some(reason.to_string()), ..Ending::default() },
            (None, None) => Ending::default(),
        }
    }

    /// From now on what comes on this stream is dropped, up to the greeting.
    pub(super) fn expect_greeting(&mut self, stream: Stream) {
        self.before[stream as usize].get_or_insert_default();
    }

    pub(super) fn expects_greeting(&self) -> bool {
        self.before[Stream::Out as usize].is_some()
    }

    /// Takes what came on a stream; says whether that was a greeting.
    fn accept(&mut self, stream: Stream, data: &[u8]) -> bool {
        let Some(before) = &mut self.before[stream as usize] else {
            self.append(stream, data);
            return false;
        };
        before.extend_from_slice(data);
        let mut from = 0;
        while let Some(length) = before[from..].iter().position(|byte| *byte == b'\n') {
            let line = String::from_utf8_lossy(&before[from..from + length]);
            from += length + 1;
            let Some(numbers) = line.strip_prefix(GREETING) else { continue };
            let numbers: Vec<u32> = numbers.split_ascii_whitespace().filter_map(|word| word.parse().ok()).collect();
            let rest = before.split_off(from);
            self.before[stream as usize] = None;
            self.append(stream, &rest);
            if stream == Stream::Out {
                self.group = self.group.or(numbers.first().copied());
                self.greeted = Some(numbers);
            }
            return true;
        }
        if before.len() > NOISE {
            self.give_up_on_greeting(stream);
        }
        false
    }

    /// What was taken for noise is the output.
    fn give_up_on_greeting(&mut self, stream: Stream) {
        if let Some(before) = self.before[stream as usize].take() {
            self.append(stream, &before);
        }
    }

    fn append(&mut self, stream: Stream, data: &[u8]) {
        if data.is_empty() {
            return;
        }
        match self.chunks.back_mut() {
            Some((last, chunk)) if *last == stream && chunk.len() + data.len() <= CHUNK => {
                chunk.extend_from_slice(data);
            }
            _ => self.chunks.push_back((stream, data.to_vec())),
        }
        self.held += data.len();
        while self.held > CAPACITY {
            let Some((_, oldest)) = self.chunks.pop_front() else { break };
            self.held -= oldest.len();
            self.discarded += oldest.len() as u64;
        }
    }

    /// The last lines of whatever is there, for an error.
    pub(super) fn last_lines(&self) -> Vec<String> {
        let chunks = self.chunks.iter().map(|(_, chunk)| chunk).chain(self.before.iter().flatten());
        let text = chunks.map(|chunk| String::from_utf8_lossy(chunk)).collect::<Vec<_>>().join("\n");
        let lines = text.lines().rev().filter(|line| !line.trim().is_empty()).take(5);
        let mut lines: Vec<String> =
            lines.map(|line| line.chars().filter(|c| !c.is_control()).take(200).collect()).collect();
        lines.reverse();
        lines
    }

    /// Has the next event wake the reader.
    pub(super) fn watch(&mut self, cx: &Context<'_>) {
        self.reader = Some(cx.waker().clone());
    }

    /// Puts the oldest bytes that wait at the end of `into`.
    pub(super) fn take(&mut self, into: &mut Vec<u8>) -> Option<Taken> {
        if self.discarded > 0 {
            return Some(Taken::Discarded(std::mem::take(&mut self.discarded)));
        }
        if let Some((stream, mut chunk)) = self.chunks.pop_front() {
            self.held -= chunk.len();
            if into.is_empty() {
                std::mem::swap(into, &mut chunk);
            } else {
                into.append(&mut chunk);
            }
            return Some(Taken::Data(stream));
        }
        self.is_over().then_some(Taken::Over)
    }
}

/// Shared by russh's task, which fills it, and the channel's reader.
#[derive(Default)]
pub(super) struct Inbox {
    state: Mutex<State>,
    /// Something other than data came.
    news: Notify,
    /// The way out, once the channel is open.
    pub(super) out: OnceLock<Arc<ChannelWriteHalf<Msg>>>,
}

impl fmt::Debug for Inbox {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.lock();
        f.debug_struct("Inbox")
            .field("held", &state.held)
            .field("exit", &state.exit)
            .field("eof", &state.eof)
            .field("closed", &state.closed)
            .field("lost", &state.lost)
            .finish_non_exhaustive()
    }
}

impl Inbox {
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, stream: Stream, data: &[u8]) {
        let mut state = self.lock();
        let greeted = state.accept(stream, data);
        let reader = if state.may_sleep() { None } else { state.reader.take() };
        drop(state);
        if let Some(reader) = reader {
            reader.wake();
        }
        if greeted {
            self.news.notify_waiters();
        }
    }

    /// Notes something other than data.
    pub(super) fn note(&self, what: impl FnOnce(&mut State)) {
        let mut state = self.lock();
        what(&mut state);
        if state.is_over() {
            state.give_up_on_greeting(Stream::Out);
            state.give_up_on_greeting(Stream::Err);
        }
        let wakers = [state.reader.take(), state.writer.take()];
        drop(state);
        wakers.into_iter().flatten().for_each(Waker::wake);
        self.news.notify_waiters();
    }

    pub(super) fn reply(&self, granted: bool) {
        self.note(|state| state.replies.push_back(granted));
    }

    /// Fails once nobody will read what is written; else sees to it that the writer hears of that.
    pub(super) fn check_writable(&self, cx: &Context<'_>) -> io::Result<()> {
        let mut state = self.lock();
        if state.is_settled() {
            return Err(io::Error::new(io::ErrorKind::BrokenPipe, "nobody reads this any more"));
        }
        state.writer = Some(cx.waker().clone());
        Ok(())
    }

    /// Waits until `what` finds something in the state.
    pub(super) async fn until<T>(&self, mut what: impl FnMut(&mut State) -> Option<T>) -> T {
        loop {
            let mut news = pin!(self.news.notified());
            news.as_mut().enable();
            if let Some(found) = what(&mut self.lock()) {
                return found;
            }
            news.await;
        }
    }

    /// The server's answer to the oldest request that has none yet: granted, refused, or the channel ended.
    pub(super) async fn answer(&self) -> Option<bool> {
        self.until(|state| match state.replies.pop_front() {
            Some(granted) => Some(Some(granted)),
            None if state.closed || state.lost.is_some() => Some(None),
            None => None,
        })
        .await
    }

    /// The numbers of the next greeting; none when none will come.
    pub(super) async fn greeting(&self) -> Option<Vec<u32>> {
        self.until(|state| match state.greeted.take() {
            Some(numbers) => Some(Some(numbers)),
            None if state.is_over() || state.is_settled() => Some(None),
            None => None,
        })
        .await
    }

    /// The process group, once it is known. None when it will not be.
    pub(super) async fn group(&self) -> Option<u32> {
        self.until(|state| {
            let decided = state.group.is_some() || state.is_settled() || !state.expects_greeting();
            decided.then_some(state.group)
        })
        .await
    }

    pub(super) async fn settled(&self) {
        self.until(|state| state.is_settled().then_some(())).await;
    }

    pub(super) async fn closed(&self) {
        self.until(|state| (state.closed || state.lost.is_some()).then_some(())).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_bytes_are_kept_and_the_loss_is_told() {
        let inbox = Inbox::default();
        let block = vec![b'x'; 1 << 20];
        for _ in 0..(CAPACITY >> 20) + 2 {
            inbox.push(Stream::Out, &block);
        }
        inbox.push(Stream::Err, b"end");
        let mut into = Vec::new();
        assert_eq!(inbox.lock().take(&mut into), Some(Taken::Discarded(3 << 20)));
        let mut total = 0;
        let last = loop {
            into.clear();
            match inbox.lock().take(&mut into) {
                Some(Taken::Data(_)) => total += into.len(),
                None => break total,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(last, CAPACITY - (1 << 20) + 3);
    }

    fn everything(inbox: &Inbox) -> Vec<u8> {
        let mut into = Vec::new();
        while let Some(Taken::Data(_)) = inbox.lock().take(&mut into) {}
        into
    }

    /// Counts how often it is woken.
    struct Woken(std::sync::atomic::AtomicUsize);

    impl std::task::Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
    }

    #[test]
    fn the_reader_sleeps_through_what_it_knows_will_come_and_nothing_else() {
        for (pieces, wakes) in [
            (&["begin;"][..], 0),
            (&["beg", "in;"], 0),
            (&["begin;", "x"], 1),
            (&["begin;x"], 1),
            (&["other"], 1),
            (&["beg", "an;"], 1),
        ] {
            let (inbox, woken) = (Inbox::default(), Arc::new(Woken(0.into())));
            inbox.lock().let_sleep(b"begin;");
            inbox.lock().watch(&Context::from_waker(&Arc::clone(&woken).into()));
            for piece in pieces {
                inbox.push(Stream::Out, piece.as_bytes());
            }
            assert_eq!(woken.0.load(std::sync::atomic::Ordering::Relaxed), wakes, "{pieces:?}");
            assert_eq!(everything(&inbox), pieces.concat().as_bytes());
        }
    }

    #[test]
    fn what_comes_before_the_greeting_is_dropped() {
        let inbox = Inbox::default();
        inbox.lock().expect_greeting(Stream::Out);
        for part in ["noise\nno newline\notto-pro", "cess 12 34\r", "\nfirst\n"] {
            inbox.push(Stream::Out, part.as_bytes());
        }
        inbox.push(Stream::Out, b"otto-process 5\n");
        assert_eq!(inbox.lock().group, Some(12));
        assert_eq!(inbox.lock().greeted, Some(vec![12, 34]));
        assert_eq!(everything(&inbox), b"first\notto-process 5\n");
    }

    #[test]
    fn without_a_greeting_nothing_is_lost() {
        for end in [true, false] {
            let inbox = Inbox::default();
            inbox.lock().expect_greeting(Stream::Out);
            inbox.push(Stream::Out, b"sh: not found\n");
            assert_eq!(everything(&inbox), b"");
            if end {
                inbox.note(|state| state.eof = true);
                assert_eq!(everything(&inbox), b"sh: not found\n");
            } else {
                inbox.push(Stream::Out, &vec![b'x'; NOISE]);
                assert_eq!(everything(&inbox).len(), NOISE + 14);
            }
        }
    }

    #[test]
    fn streams_keep_their_order() {
        let inbox = Inbox::default();
        for (stream, text) in [(Stream::Out, "a"), (Stream::Out, "b"), (Stream::Err, "c"), (Stream::Out, "d")] {
            inbox.push(stream, text.as_bytes());
        }
        inbox.note(|state| state.eof = true);
        let mut seen = Vec::new();
        loop {
            let mut into = Vec::new();
            match inbox.lock().take(&mut into) {
                Some(Taken::Data(stream)) => seen.push((stream, into)),
                other => break assert_eq!(other, Some(Taken::Over)),
            }
        }
        assert_eq!(seen, [(Stream::Out, b"ab".to_vec()), (Stream::Err, b"c".to_vec()), (Stream::Out, b"d".to_vec())]);
    }
}
