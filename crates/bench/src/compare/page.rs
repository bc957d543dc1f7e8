//! The table in `docs/BENCHMARKS.md`, between two marks.

use std::fs;

use super::table::Table;
use crate::Result;

const PATH: &str = "docs/BENCHMARKS.md";
const BEGIN: &str = "<!-- compare: made by `cargo xtask bench compare --write` -->\n";
const END: &str = "<!-- end of compare -->\n";

pub(super) fn write(table: &Table) -> Result<()> {
    let page = fs::read_to_string(PATH)?;
    fs::write(
        PATH,
        replaced(&page, &table.to_string()).ok_or("docs/BENCHMARKS.md has no place for the table")?,
    )?;
    Ok(())
}

fn replaced(page: &str, table: &str) -> Option<String> {
    let (before, rest) = page.split_once(BEGIN)?;
    let (_, after) = rest.split_once(END)?;
    Some(format!("{before}{BEGIN}\n{table}\n{END}{after}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_between_the_marks_is_replaced() {
        let page = format!("a\n{BEGIN}old\n{END}b\n");
        let new = replaced(&page, "new").unwrap();
        assert_eq!(new, format!("a\n{BEGIN}\nnew\n{END}b\n"));
        assert_eq!(replaced("no marks", "new"), None);
    }
}
