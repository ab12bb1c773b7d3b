//! The report for a browser.

use crate::harness::record::RunRecord;

pub(super) fn page(run: &RunRecord) -> String {
    format!("<!doctype html>{}", run.id)
}
