//! `docs/COMPATIBILITY.md` says what the lists of the suites say, which the suites' own tests hold against the broker.

use std::collections::BTreeSet;
use std::fs;

use ottla_compat_tests::layout::crate_dir;
use ottla_compat_tests::scoreboard::{Suite, page, results};
use ottla_compat_tests::suite_list::Scope;

const HOW: &str = "docs/COMPATIBILITY.md is not what the lists say: `cargo xtask test --all` makes it";

/// With `OTTLA_UPDATE=1` after a whole run (`cargo xtask test --all` does this) it writes the page.
#[test]
fn page_says_what_the_lists_say() {
    let file = crate_dir().join("../docs/COMPATIBILITY.md");
    let listed = |suite: &Suite| -> BTreeSet<String> {
        suite.list().must_pass(Scope::Whole).into_iter().map(str::to_owned).collect()
    };
    if std::env::var_os("OTTLA_UPDATE").is_some() {
        // What is unsteady does not count when it happens to pass: the page would change with every run.
        let made = page(|suite| &strip(&results(suite.list), suite.prefix) & &listed(suite));
        fs::write(&file, made).expect("write the page");
    } else {
        assert!(fs::read_to_string(&file).unwrap_or_default() == page(listed), "{HOW}");
    }
}

fn strip(names: &BTreeSet<String>, prefix: &str) -> BTreeSet<String> {
    names.iter().filter_map(|name| name.strip_prefix(prefix)).map(str::to_owned).collect()
}
