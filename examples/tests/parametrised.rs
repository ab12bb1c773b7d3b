//! One test for many values, by rstest. `#[otto::test]` stands last; `#[ignore]` keeps rstest's hands off the context.

use otto::prelude::*;
use rstest::rstest;

#[rstest]
#[case::one(1)]
#[case::page(4096)]
#[case::megabyte(1_000_000)]
#[otto::test(lab = "sim")]
async fn output_arrives_whole(#[ignore] ctx: OttoContext, #[case] bytes: usize) -> otto::Result<()> {
    let host = ctx.get_host("sim1")?;
    let output = host.run(format!("head -c {bytes} /dev/zero")).await?.only()?.ok()?;
    assert_eq!(output.bytes().len(), bytes);
    assert!(output.bytes().iter().all(|byte| *byte == 0));
    Ok(())
}

otto::main!();
