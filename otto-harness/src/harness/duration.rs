//! Durations as flags and variables spell them: `90s`, `1.5s`, `250ms`, `5m`, `1h`.

use std::time::Duration;

/// The duration that `text` spells.
///
/// # Errors
/// What is wrong with it: no unit, no number, zero, more than a year.
pub(super) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = |why: &str| format!("`{text}` is no duration: {why}; write it as in `90s`, `250ms`, `5m` or `1h`");
    let text = text.trim();
    let split = text.find(|c: char| c.is_ascii_alphabetic()).ok_or_else(|| wrong("it has no unit"))?;
    let (number, unit) = text.split_at(split);
    let scale = match unit {
        "ms" => 0.001,
        "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(wrong(&format!("`{unit}` is not one of its units"))),
    };
    let number = number.trim_end();
    if number.is_empty() || !number.chars().all(|c| c.is_ascii_digit() || c == '.') {
        return Err(wrong("it does not start with a number"));
    }
    let seconds = number.parse::<f64>().map_err(|_| wrong("it does not start with a number"))? * scale;
    if seconds > 365.0 * 86_400.0 {
        return Err(wrong("it is more than a year"));
    }
    match Duration::try_from_secs_f64(seconds) {
        Ok(duration) if !duration.is_zero() => Ok(duration),
        _ => Err(wrong("a limit of zero lets nothing run")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units() {
        for (text, millis) in
            [("90s", 90_000), ("1.5s", 1500), ("250ms", 250), ("5m", 300_000), ("2min", 120_000), ("1h", 3_600_000)]
        {
            assert_eq!(parse(text).map(|d| d.as_millis()), Ok(millis), "{text}");
        }
    }

    #[test]
    fn refused_with_the_reason() {
        let cases = [
            ("5", "no unit"),
            ("", "no unit"),
            ("0s", "zero"),
            ("-1s", "number"),
            ("nans", "not one of"),
            ("5d", "not one of"),
            ("9999999h", "a year"),
            ("..s", "number"),
        ];
        for (text, why) in cases {
            let error = parse(text).unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }
}
