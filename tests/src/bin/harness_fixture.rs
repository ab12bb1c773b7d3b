//! A suite whose tests end in every way a test can; `tests/harness_process.rs` runs it as a child and looks at what it
//! says. Its tests are registered by hand, as `#[otto::test]` does.

use std::process::ExitCode;
use std::time::Duration;

use otto::harness::registry::{Outcome, TestCase, inventory};

/// Registers `async fn name() -> Outcome` with the fields given.
macro_rules! test {
    ($name:ident { $($field:ident: $value:expr),* $(,)? } $body:block) => {
        async fn $name() -> Outcome $body

        inventory::submit! {
            TestCase {
                $($field: $value,)*
                ..TestCase {
                    module: module_path!(),
                    name: stringify!($name),
                    file: file!(),
                    line: line!(),
                    package: env!("CARGO_PKG_NAME"),
                    labs: &["sim"],
                    hosts: &[],
                    each_host: None,
                    tags: &[],
                    timeout: None,
                    retries: None,
                    setup: None,
                    teardown: None,
                    ignore: None,
                    should_panic: None,
                    fixtures: &[],
                    run: |_made| Box::pin($name()),
                }
            }
        }
    };
}

/// Says on stderr when it is dropped, as whatever a test holds is when the test ends.
struct Held(&'static str);

impl Drop for Held {
    fn drop(&mut self) {
        eprintln!("dropped {}", self.0);
    }
}

async fn nap(millis: u64) {
    tokio::time::sleep(Duration::from_millis(millis)).await;
}

mod ends {
    use super::{Duration, Held, Outcome, TestCase, inventory, nap};

    test!(passes { labs: &["sim"] } {
        eprintln!("passes was run");
        Ok(())
    });
    test!(fails { labs: &["sim"] } {
        Err("the route is missing\n  caused by: no peer".into())
    });
    test!(panics_at_once { labs: &["sim"] } {
        panic!("at once");
    });
    test!(panics_later { labs: &["sim"] } {
        let _held = Held("panics_later");
        nap(1).await;
        panic!("later");
    });
    test!(times_out { timeout: Some(Duration::from_millis(200)) } {
        let _held = Held("times_out");
        nap(60_000).await;
        Ok(())
    });
    test!(blocks { timeout: Some(Duration::from_millis(200)) } {
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    });
    test!(blocks_a_little { timeout: Some(Duration::from_millis(100)) } {
        std::thread::sleep(Duration::from_millis(400));
        Ok(())
    });
    test!(is_ignored { ignore: Some(Some("needs the new PSU")) } {
        Err("was run".into())
    });
    test!(should_panic { should_panic: Some(Some("over")) } {
        panic!("overheated");
    });
    test!(should_panic_and_does_not { should_panic: Some(None) } {
        Ok(())
    });
    test!(should_panic_otherwise { should_panic: Some(Some("over")) } {
        panic!("cold");
    });
}

mod waits {
    use super::{Duration, Held, Outcome, TestCase, inventory, nap};

    test!(for_a_signal { labs: &["sim"] } {
        let _held = Held("for_a_signal");
        eprintln!("waiting");
        nap(60_000).await;
        Ok(())
    });
    test!(deaf { labs: &["sim"] } {
        eprintln!("waiting");
        std::thread::sleep(Duration::from_secs(60));
        Ok(())
    });
    test!(not_begun { labs: &["sim"] } {
        eprintln!("not_begun was begun");
        Ok(())
    });
}

mod labs {
    use super::{Outcome, TestCase, inventory, nap};

    test!(any { labs: &[] } { Ok(()) });
    test!(on_bench { labs: &["bench"] } {
        eprintln!("on_bench begins");
        nap(300).await;
        eprintln!("on_bench ends");
        Ok(())
    });
    test!(on_bench_too { labs: &["bench"] } {
        eprintln!("on_bench begins");
        nap(300).await;
        eprintln!("on_bench ends");
        Ok(())
    });
    test!(on_both { labs: &["bench", "rack"] } { Ok(()) });
    test!(merged { labs: &["bench+rack"] } { Ok(()) });
    test!(unheard_of { labs: &["nosuch"] } { Ok(()) });
}

fn main() -> ExitCode {
    otto::harness::main()
}
