//! What of the usual tools a host has, found out once.

use super::codec::Encoder;

/// How sizes and modes are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stat {
    /// `stat -c`, of GNU and busybox.
    Gnu,
    /// `stat -f`, of the BSDs.
    Bsd,
    /// None: `ls -ldn` has to do, and nobody knows times.
    Ls,
}

#[derive(Debug, Clone, Copy)]
#[expect(clippy::struct_excessive_bools, reason = "each is one tool that a host has")]
pub(super) struct Tools {
    pub(super) stat: Stat,
    pub(super) encoder: Encoder,
    /// `base64 -d` works.
    pub(super) base64: bool,
    /// `find -printf` works.
    pub(super) find: bool,
    pub(super) sha256: bool,
    pub(super) scp: bool,
}

/// Says a word for each tool that works.
pub(super) const PROBE: &str = "t() { command -v $1 >/dev/null 2>&1 && echo $1; }\n\
    t base64; t od; t hexdump; t xxd; t sha256sum; t scp\n\
    stat -c %f / >/dev/null 2>&1 && echo stat-c\n\
    stat -f %p / >/dev/null 2>&1 && echo stat-f\n\
    [ \"`echo eA== | base64 -d 2>/dev/null`\" = x ] && echo base64-d\n\
    find / -maxdepth 0 -printf x >/dev/null 2>&1 && echo find-printf\n\
    :";

impl Tools {
    /// From what [`PROBE`] said.
    pub(super) fn of(said: &str) -> Self {
        let has = |tool: &str| said.lines().any(|line| line.trim() == tool);
        Self {
            stat: match (has("stat-c"), has("stat-f")) {
                (true, _) => Stat::Gnu,
                (_, true) => Stat::Bsd,
                _ => Stat::Ls,
            },
            encoder: match (has("base64"), has("od"), has("hexdump"), has("xxd")) {
                (true, ..) => Encoder::Base64,
                (_, true, ..) => Encoder::Od,
                (_, _, true, _) => Encoder::Hexdump,
                (_, _, _, true) => Encoder::Xxd,
                _ => Encoder::None,
            },
            base64: has("base64-d"),
            find: has("find-printf"),
            sha256: has("sha256sum"),
            scp: has("scp"),
        }
    }

    /// A shell function `s` that says mode, size, time, user and group of `$1`; with links followed or not.
    pub(super) fn stat_function(self, follow: bool) -> String {
        let l = if follow { "-L " } else { "" };
        match self.stat {
            Stat::Gnu => format!("s() {{ stat {l}-c '%f %s %Y %u %g' \"$1\"; }}\n"),
            Stat::Bsd => format!("s() {{ stat {l}-f 'o%p %z %m %u %g' \"$1\"; }}\n"),
            Stat::Ls => {
                format!("s() {{ l=`ls -ldn {l}\"$1\"` || return 1; set -- $l; echo \"l$1 $5 0 $3 $4\"; }}\n")
            }
        }
    }
}
