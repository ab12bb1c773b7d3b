//! Flags that cannot be meant together.

use super::Options;

/// Two that exclude each other, and why.
const EXCLUSIVE: &[(&str, &str, &str)] = &[
    ("retries", "iterations", "every iteration counts, so none is made again"),
    ("retries", "duration", "every iteration counts, so none is made again"),
    ("ignored", "include-ignored", "one leaves the others out"),
    ("list", "list-labs", "one thing is listed at a time"),
    ("list", "list-hosts", "one thing is listed at a time"),
    ("list-labs", "list-hosts", "one thing is listed at a time"),
    ("list", "lab-schema", "one thing is listed at a time"),
    ("list-labs", "lab-schema", "one thing is listed at a time"),
    ("list-hosts", "lab-schema", "one thing is listed at a time"),
];

impl Options {
    /// Looks for contradictions. Where a flag contradicts a variable, the flag wins, as it wins over its own variable.
    ///
    /// # Errors
    /// The first that there is.
    pub(super) fn settle(&mut self) -> Result<(), String> {
        for &(first, second, why) in EXCLUSIVE {
            // No retries are asked for: that is not at odds with anything.
            if first == "retries" && self.retries == Some(0) {
                continue;
            }
            let (Some(one), Some(other)) = (self.how(first), self.how(second)) else { continue };
            match (one.1, other.1) {
                (true, false) => self.withdraw(first),
                (false, true) => self.withdraw(second),
                _ => return Err(format!("`{}` and `{}` exclude each other: {why}", one.0, other.0)),
            }
        }
        if self.iterations.is_none() && self.duration.is_none() && self.threshold.is_some() {
            match self.how("threshold") {
                // A setting for runs that have iterations, and this is none.
                Some((_, true)) => self.withdraw("threshold"),
                _ => {
                    return Err(
                        "`--threshold` is a share of iterations: give `--iterations` or `--duration`".to_owned()
                    );
                }
            }
        }
        Ok(())
    }

    /// How a flag was given, if it still holds, and whether by a variable.
    fn how(&self, long: &str) -> Option<(String, bool)> {
        // Flags are read after the variables, and win over them.
        self.given.iter().rev().find(|given| given.long == long).map(|given| (given.by.clone(), given.is_variable))
    }

    /// Takes back what a variable set.
    fn withdraw(&mut self, long: &str) {
        self.given.retain(|given| given.long != long);
        match long {
            "retries" => self.retries = None,
            "iterations" => self.iterations = None,
            "duration" => self.duration = None,
            "threshold" => self.threshold = None,
            "list-labs" => self.list_labs = false,
            "list-hosts" => self.list_hosts = false,
            "lab-schema" => self.lab_schema = false,
            // Those have no variable.
            _ => {}
        }
    }
}
