//! How hosts are named, and which names and addresses are allowed at all.
//!
//! An id is the host's `id`, or is made of `element`, `element_id`, `board` and `slot` as otto-sh makes it:
//! `slug(element)` with `element_id` appended, then, if there is a board, `_`, `slug(board)` and `slot` appended:
//! `orange` with board `seed` is `orange_seed`; `Edge Router` 2 with board `LineCard` in slot 3 is `edge-router2_linecard3`.
//! In otto-sh's later files, where hosts stand under `elements`, all parts are joined by `-`: `edge-router-linecard-3`.

use std::net::{IpAddr, Ipv6Addr};

/// Lower case, with each run of what is neither a letter `a`–`z` nor a digit as one `-`, and none at the ends.
pub(crate) fn slug(text: &str) -> String {
    let lower = text.to_lowercase();
    let words = lower.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

/// The id of the host at that place of the lab's equipment.
pub(crate) fn host_id(element: &str, element_id: Option<i64>, board: Option<&str>, slot: Option<i64>) -> String {
    let number = |number: Option<i64>| number.map(|number| number.to_string()).unwrap_or_default();
    let mut id = slug(element) + &number(element_id);
    if let Some(board) = board {
        id = id + "_" + &slug(board) + &number(slot);
    }
    id
}

/// The id of a host of an element as otto-sh makes it since its labs have `elements`: all parts joined by `-`, and the
/// element's number is none of them.
pub(crate) fn chained_host_id(element: &str, board: Option<&str>, slot: Option<i64>) -> String {
    let mut id = slug(element);
    if let Some(board) = board {
        id = id + "-" + &slug(board);
        if let Some(slot) = slot {
            id = id + "-" + &slot.to_string();
        }
    }
    id
}

/// What is wrong with `name` as the name of a lab or host, if anything is.
///
/// Names go into the names of tests, of files and into command lines, so they are letters, digits, `.`, `_` and `-`, and
/// begin with a letter or digit.
pub(crate) fn name_fault(name: &str) -> Option<&'static str> {
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    if name.is_empty() {
        Some("is empty")
    } else if name.len() > 128 {
        Some("is longer than 128 characters")
    } else if !name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        Some("does not begin with a letter or digit")
    } else if !name.chars().all(allowed) {
        Some("has a character that is none of letters, digits, `.`, `_` and `-`")
    } else {
        None
    }
}

/// What is wrong with `address` as an IP address or DNS name, if anything is.
pub(crate) fn address_fault(address: &str) -> Option<&'static str> {
    let zoned =
        address.split_once('%').is_some_and(|(ip, zone)| ip.parse::<Ipv6Addr>().is_ok() && name_fault(zone).is_none());
    if zoned || address.parse::<IpAddr>().is_ok() {
        return None;
    }
    let allowed = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let label = |label: &str| {
        (1..=63).contains(&label.len())
            && label.chars().all(allowed)
            && !label.starts_with('-')
            && !label.ends_with('-')
    };
    if address.is_empty() {
        Some("is empty")
    } else if address.len() > 253 || !address.strip_suffix('.').unwrap_or(address).split('.').all(label) {
        Some("is neither an IP address nor a DNS name")
    } else {
        None
    }
}

/// What is wrong with `login` as the name of a user, if anything is.
pub(crate) fn login_fault(login: &str) -> Option<&'static str> {
    if login.is_empty() {
        Some("is empty")
    } else if login.starts_with('-') {
        Some("begins with `-`")
    } else if login.contains(|c: char| c.is_control() || c.is_whitespace()) {
        Some("has a space or a control character")
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_made_as_otto_sh_makes_them() {
        assert_eq!(host_id("orange", None, Some("seed"), None), "orange_seed");
        assert_eq!(host_id("Lab X Server", None, None, None), "lab-x-server");
        assert_eq!(host_id("Edge Router", Some(2), Some("LineCard"), Some(3)), "edge-router2_linecard3");
        assert_eq!(host_id("server", Some(1), None, Some(3)), "server1", "a slot counts only with a board");
        assert_eq!(slug("  --_ "), "");
        assert_eq!(chained_host_id("zephyr37_fat", None, Some(1)), "zephyr37-fat");
        assert_eq!(chained_host_id("bb1161", Some("qemu"), None), "bb1161-qemu");
        assert_eq!(chained_host_id("Edge Router", Some("LineCard"), Some(0)), "edge-router-linecard-0");
    }

    #[test]
    fn addresses_follow_a_strict_grammar() {
        for good in ["10.0.0.1", "::1", "fe80::1%eth0", "host", "a-b.example.org", "x_y.", "127.0.0.1"] {
            assert_eq!(address_fault(good), None, "{good}");
        }
        for bad in
            ["", "-oProxyCommand=x", "a b", "a\nb", "$(reboot)", "a..b", "a;b", "host:22", "::1%;x", "é", ".", "a-.b"]
        {
            assert!(address_fault(bad).is_some(), "{bad:?}");
        }
    }

    #[test]
    fn names_follow_a_strict_grammar() {
        for good in ["router1", "orange_seed", "a.b-c", "0"] {
            assert_eq!(name_fault(good), None, "{good}");
        }
        for bad in ["", "-x", "a b", "a+b", "a\n", "$x", "../x", &"x".repeat(129)] {
            assert!(name_fault(bad).is_some(), "{bad:?}");
        }
        for bad in ["", "-l", "a b", "a\nb"] {
            assert!(login_fault(bad).is_some(), "{bad:?}");
        }
    }
}
