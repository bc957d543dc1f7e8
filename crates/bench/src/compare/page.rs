//! The tables in `docs/BENCHMARKS.md`, each between two marks.

use std::fs;

use super::table::Table;
use crate::Result;

const PATH: &str = "docs/BENCHMARKS.md";

/// Puts the table of this command where the page has the last one.
pub(super) fn write(command: &str, table: &Table) -> Result<()> {
    let page = fs::read_to_string(PATH)?;
    let page = replaced(&page, command, &table.to_string());
    fs::write(PATH, page.ok_or("docs/BENCHMARKS.md has no place for the table")?)?;
    Ok(())
}

fn marks(command: &str) -> (String, String) {
    let begin = format!("<!-- {command}: made by `cargo xtask bench {command} --write` -->\n");
    (begin, format!("<!-- end of {command} -->\n"))
}

fn replaced(page: &str, command: &str, table: &str) -> Option<String> {
    let (begin, end) = marks(command);
    let (before, rest) = page.split_once(&begin)?;
    let (_, after) = rest.split_once(&end)?;
    Some(format!("{before}{begin}\n{table}\n{end}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let (begin, end) = marks("compare");
        let page = format!("a\n{begin}old\n{end}b\n");
        let new = replaced(&page, "compare", "new").unwrap();
        assert_eq!(new, format!("a\n{begin}\nnew\n{end}b\n"));
        assert_eq!(replaced(&page, "cluster", "new"), None);
    }
}
