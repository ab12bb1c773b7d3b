//! Logins on real terminals: scripts that ask as login(1) does, and shells with hostile start-up files.

use std::path::Path;
use std::time::{Duration, Instant};

use super::testbed::Terminal;
use super::{Arrived, LoginScript, login};
use crate::error::{Error, Phase};

const PASSWORD: &str = "s3cr3t-w0rd";

fn script() -> LoginScript {
    LoginScript::new(Some("admin".into()), Some(PASSWORD.into()))
}

/// What asks like login(1), without echo of the password, and then becomes the shell.
fn login_like(before: &str, shell: &str) -> String {
    format!(
        "{before}\nfor try in 1 2 3; do\n\
         printf 'box login: '; read -r user\n\
         stty -echo; printf 'Password: '; read -r word; stty echo; echo\n\
         if [ \"$user:$word\" = 'admin:{PASSWORD}' ]; then {shell}; fi\n\
         sleep 0.3; echo; echo Login incorrect\ndone"
    )
}

/// That a shell is there and runs what it is told, once.
async fn works(terminal: &mut Terminal, arrived: &Arrived) {
    terminal.type_line("echo pid=$$ flags=$-; echo hist=$HISTFILE tmout=$TMOUT.; echo en''d").await;
    let text = terminal.reads("end\r\n").await;
    assert!(text.contains(&format!("pid={}", arrived.pid)), "{arrived:?}: {text}");
    assert!(text.contains("hist=/dev/null tmout=."), "{text}");
    assert_eq!(arrived.group, Some(arrived.pid));
}

async fn refused(mut terminal: Terminal, script: &LoginScript) -> Error {
    let error = login(&mut terminal, script).await.unwrap_err();
    let text = format!("{error:?}");
    assert!(!text.contains(PASSWORD), "{text}");
    error
}

#[tokio::test]
async fn prompts_are_answered_and_a_shell_greets() {
    let mut terminal =
        Terminal::script(&login_like("echo Welcome; echo 'Access denied to nobody.'", "exec /bin/sh -i"));
    let arrived = login(&mut terminal, &script()).await.unwrap();
    assert!(arrived.bash);
    works(&mut terminal, &arrived).await;
    assert_eq!(terminal.typed.windows(PASSWORD.len()).filter(|typed| *typed == PASSWORD.as_bytes()).count(), 1);
}

#[tokio::test]
async fn a_prompt_in_pieces_and_late_is_a_prompt() {
    let before = "echo 'Ubuntu'; sleep 2; printf '\\033[1mbox lo'; sleep 0.05; printf 'gin: '; read -r user; sleep 0.5; \
                  printf 'Pass'; sleep 0.05; printf 'word: '; read -r word; \
                  [ \"$user:$word\" = 'admin:s3cr3t-w0rd' ] && exec sh -i; exit 3";
    let mut terminal = Terminal::script(before);
    let arrived = login(&mut terminal, &script()).await.unwrap();
    works(&mut terminal, &arrived).await;
}

#[tokio::test]
async fn a_wrong_password_is_told_at_once_and_typed_once() {
    let mut wrong = script();
    wrong.password = Some("n0t-it".into());
    let start = Instant::now();
    let mut terminal = Terminal::script(&login_like("", "exec sh -i"));
    let error = login(&mut terminal, &wrong).await.unwrap_err();
    assert_eq!(error.phase(), Some(Phase::Login));
    let text = error.to_string();
    assert!(text.contains("did not let `admin` in") && text.contains("| Login incorrect"), "{text}");
    assert!(!text.contains("n0t-it"), "{text}");
    assert!(start.elapsed() < Duration::from_secs(5));
    assert_eq!(String::from_utf8_lossy(&terminal.typed), "admin\rn0t-it\r");
}

#[tokio::test]
async fn a_host_that_only_asks_again_has_refused() {
    let text = "printf 'login: '; read -r u; printf 'Password: '; read -r w; printf '\\nlogin: '; read -r u; sleep 9";
    let error = refused(Terminal::script(text), &script()).await;
    assert_eq!(error.phase(), Some(Phase::Login));
    let shown = error.to_string();
    // The terminal wrote the password back; the error does not.
    assert!(shown.contains("Password: …") && shown.contains("did not let `admin` in"), "{shown}");
}

#[tokio::test]
async fn what_cannot_be_answered_is_named() {
    let none = LoginScript::new(None, None);
    let error = refused(Terminal::script("printf 'login: '; sleep 9"), &none).await;
    assert!(error.to_string().contains("asks for a user name"), "{error}");
    let user = LoginScript::new(Some("root".into()), None);
    let error = refused(Terminal::script("printf 'login: '; read -r u; printf 'Password: '; sleep 9"), &user).await;
    assert!(error.to_string().contains("asks for a password for `root`"), "{error}");
}

#[tokio::test]
async fn silence_and_hang_ups_are_errors_with_a_phase() {
    let mut short = script();
    short.limits.banner = Duration::from_millis(300);
    let error = refused(Terminal::script("sleep 9"), &short).await;
    assert_eq!(error.phase(), Some(Phase::Banner));
    let error = refused(Terminal::script("printf 'login: '; read -r u; echo Go away.; exit"), &script()).await;
    assert_eq!(error.phase(), Some(Phase::Login));
    assert!(error.to_string().contains("| Go away."), "{error}");
    short.limits.login = Duration::from_millis(700);
    let error = refused(Terminal::script("echo Choose: 1 or 2; sleep 9"), &short).await;
    assert_eq!(error.phase(), Some(Phase::Login));
    assert!(error.to_string().contains("| Choose: 1 or 2"), "{error}");
    // A program that reads all and is no shell.
    let mut short = LoginScript::new(None, None);
    short.limits.shell = Duration::from_secs(2);
    let error = refused(Terminal::script("echo 'menu>'; exec cat"), &short).await;
    assert_eq!(error.phase(), Some(Phase::Shell));
}

#[tokio::test]
async fn a_line_that_login_throws_away_is_typed_again() {
    // Python, because a shell cannot throw away what a terminal has not read.
    let flush =
        "printf 'ok\\n$ '; sleep 1; python3 -c 'import termios; termios.tcflush(0, termios.TCIFLUSH)'; exec sh -i";
    let mut terminal = Terminal::script(flush);
    let arrived = login(&mut terminal, &LoginScript::new(None, None)).await.unwrap();
    works(&mut terminal, &arrived).await;
}

#[tokio::test]
async fn copies_that_wait_are_all_gone_when_a_session_begins() {
    let mut terminal = Terminal::script("printf 'slow $ '; sleep 3; exec bash --norc -i");
    let arrived = login(&mut terminal, &LoginScript::new(None, None)).await.unwrap();
    let copies = String::from_utf8_lossy(&terminal.typed).matches("unset HISTFILE").count();
    assert!(copies >= 3, "{copies}");
    works(&mut terminal, &arrived).await;
    terminal.type_line("echo on''ce").await;
    let text = terminal.reads("once\r\n").await;
    assert!(!text.contains("otto-process"), "{text}");
}

#[tokio::test]
async fn a_silent_console_is_woken() {
    let mut awake = script();
    awake.wake = true;
    // As a getty whose prompt went by long ago.
    let mut terminal = Terminal::script(&login_like("read -r empty", "exec sh -i"));
    let arrived = login(&mut terminal, &awake).await.unwrap();
    works(&mut terminal, &arrived).await;
    // A shell that shows no prompt, with half a command on its line.
    let mut terminal = Terminal::start("bash", &["--norc", "-i"], &[("PS1", "")]);
    terminal.type_line("PS1=; echo rea''dy").await;
    terminal.reads("ready\r\n").await;
    let arrived = login(&mut terminal, &awake).await.unwrap();
    works(&mut terminal, &arrived).await;
}

/// Logs in to this shell of an account whose home has these files; what its history then holds of ours.
async fn account(program: &str, arguments: &[&str], files: &[(&str, &str)]) -> (Arrived, Vec<String>) {
    let home = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(home.path().join(name), text).unwrap();
    }
    assert!(
        Path::new("/usr/bin").join(program).exists() || Path::new("/bin").join(program).exists(),
        "`apt-get install {program}` has the shell"
    );
    let mut terminal = Terminal::start(program, arguments, &[("HOME", home.path().to_str().unwrap())]);
    let arrived = login(&mut terminal, &LoginScript::new(None, None)).await.unwrap();
    works(&mut terminal, &arrived).await;
    terminal.type_line("exit").await;
    tokio::time::sleep(Duration::from_millis(100)).await;
    (arrived, histories(home.path()))
}

/// The lines of ours in files of this home.
fn histories(home: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(home).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found.extend(histories(&path));
            continue;
        }
        let text = std::fs::read(path).unwrap_or_default();
        let text = String::from_utf8_lossy(&text).into_owned();
        found
            .extend(text.lines().filter(|line| line.contains("HISTFILE") && line.contains("otto-")).map(str::to_owned));
    }
    found
}

#[tokio::test]
async fn bash_with_hostile_start_up_files() {
    let rc = "echo 'motd of rc'; sleep 1; PS1='\\[\\e[1m\\]wh@t? '; TMOUT=2; export TMOUT; shopt -s histappend; \
              PROMPT_COMMAND='history -a; echo prompt'; set -o vi; alias ls=false; trap 'echo exit trap' EXIT\n";
    let (_, kept) = account("bash", &["-i"], &[(".bashrc", rc)]).await;
    assert!(kept.is_empty(), "{kept:?}");
    let (_, kept) = account("bash", &["-i"], &[(".bashrc", "exec zsh\n"), (".zshrc", "PS1='%m%# '\n")]).await;
    assert!(kept.is_empty(), "{kept:?}");
    // One that reads what is typed.
    account("bash", &["-i"], &[(".bashrc", "read -r -p 'Terminal type? ' what\n")]).await;
}

#[tokio::test]
async fn zsh_ksh_dash_and_ash_as_the_accounts_shell() {
    let zsh =
        "HISTFILE=~/.zhist; HISTSIZE=100; SAVEHIST=100; setopt hist_ignore_space; PS1='%F{red}%~%f '; RPS1=right\n";
    let (_, kept) = account("zsh", &["-i"], &[(".zshrc", zsh)]).await;
    assert!(kept.is_empty(), "{kept:?}");
    account("ksh", &["-i"], &[]).await;
    account("dash", &["-i"], &[]).await;
    account("busybox", &["ash", "-i"], &[]).await;
}

/// Shells of another family: what is typed into them has to be read alike by all.
#[tokio::test]
async fn csh_and_fish_as_the_accounts_shell() {
    let rc = "set prompt = '%m:%~ now! '\nset history = 100\nset savehist = 100\necho hello of csh\n";
    let (_, kept) = account("tcsh", &["-i"], &[(".tcshrc", rc)]).await;
    assert!(kept.is_empty(), "{kept:?}");
    let (_, kept) = account("fish", &["-i"], &[]).await;
    assert!(kept.is_empty(), "{kept:?}");
}

#[test]
fn debug_shows_no_password() {
    let text = format!("{:?}", script());
    assert!(!text.contains(PASSWORD) && text.contains("admin"), "{text}");
}
