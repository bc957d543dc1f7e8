//! Bugs that the simulation must find: each is one condition in production code, `planted!("name")`.
//!
//! In every build but the simulation's `planted!` is the constant `false`, and nothing of it is left in the code. Built with
//! `--cfg ottla_planted` it asks which bug the process has chosen: by `choose`, or in `OTTLA_PLANTED`.
//!
//! Owns: the list of them ([`ALL`]). Never: a bug's code, which stands where it is planted, and takes one line there.

mod all;
#[cfg(ottla_planted)]
mod chosen;

pub use all::ALL;
#[cfg(ottla_planted)]
pub use chosen::{choose, is_chosen, reached};

/// A bug's name, and what it breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Planted {
    pub name: &'static str,
    /// What the code does instead of what it should.
    pub breaks: &'static str,
}

/// Whether the bug of that name is to act here. A name that is not in [`ALL`] does not compile. Stands last in a condition, so
/// that it is asked only where it changes what happens: `reached` counts that.
#[macro_export]
macro_rules! planted {
    ($name:literal) => {
        $crate::is_chosen(const { $crate::number_of($name) })
    };
}

/// No bug is ever chosen.
#[cfg(not(ottla_planted))]
#[must_use]
#[inline(always)]
pub const fn is_chosen(_number: usize) -> bool {
    false
}

/// Where in [`ALL`] the bug stands.
///
/// # Panics
/// Without such a bug: it is asked for while compiling.
#[must_use]
pub const fn number_of(name: &str) -> usize {
    let mut number = 0;
    while number < ALL.len() {
        if is_same(ALL[number].name.as_bytes(), name.as_bytes()) {
            return number;
        }
        number += 1;
    }
    panic!("no such bug in ALL");
}

const fn is_same(a: &[u8], b: &[u8]) -> bool {
    let mut at = 0;
    while at < a.len() && at < b.len() && a[at] == b[at] {
        at += 1;
    }
    at == a.len() && at == b.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_its_number() {
        for (number, bug) in ALL.iter().enumerate() {
            assert_eq!(number_of(bug.name), number, "{} is there twice", bug.name);
        }
    }

    #[cfg(not(ottla_planted))]
    #[test]
    fn nothing_is_chosen_in_a_normal_build() {
        const NEVER: bool = planted!("ack_before_hw");
        assert_eq!([NEVER], [false]);
    }

    #[cfg(ottla_planted)]
    #[test]
    fn one_is_chosen_at_a_time() {
        assert!(!planted!("ack_before_hw"));
        assert!(choose(Some("ack_before_hw")));
        assert!(planted!("ack_before_hw"));
        assert_eq!(reached(), 1);
        assert!(!planted!("hw_below_min_isr"));
        assert!(!choose(Some("unheard_of")));
        assert!(choose(None));
        assert!(!planted!("ack_before_hw"));
    }
}
