//! What may differ between Apache Kafka's answers and ours: a list with a reason for each.
//!
//! ```text
//! ## topics.txt $ topics --describe --topic t
//! Why it differs and will stay so, in one or more lines.
//! -1 what Kafka prints
//! +1 what Ottla prints
//! ```

use std::fmt::{self, Display};

/// The lines in which the answers to one step differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The script's file name and the step's line.
    pub step: String,
    /// `-` and Kafka's line, `+` and ours, in order.
    pub lines: Vec<String>,
}

impl Difference {
    /// What differs between the lines that Kafka and Ottla answered to `step`; None if nothing does.
    pub fn between(step: String, kafka: &[String], ottla: &[String]) -> Option<Self> {
        let lines = differing(kafka, ottla);
        if lines.is_empty() { None } else { Some(Self { step, lines }) }
    }

    fn file(&self) -> &str {
        self.step.split(' ').next().unwrap_or_default()
    }

    fn is_of(&self, file: &str) -> bool {
        self.file() == file
    }
}

impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "## {}", self.step)?;
        self.lines.iter().try_for_each(|line| writeln!(f, "{line}"))
    }
}

/// The reason of an entry that [`Differences::relisted`] added: somebody has yet to judge it.
const OPEN: &str = "OPEN: not judged yet.";

/// The listed differences.
#[derive(Debug, Clone, Default)]
pub struct Differences {
    /// What stands before the first entry.
    head: String,
    listed: Vec<(String, Difference)>,
}

impl Differences {
    /// The list in this text; an entry without a reason is an error.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut list = Self::default();
        for line in text.lines() {
            if let Some(step) = line.strip_prefix("## ") {
                list.listed.push((String::new(), Difference { step: step.to_owned(), lines: Vec::new() }));
                continue;
            }
            match list.listed.last_mut() {
                None => list.head.push_str(&format!("{line}\n")),
                Some((reason, last)) if line.starts_with(['-', '+']) => {
                    if reason.trim().is_empty() {
                        return Err(format!("no reason for the difference in {}", last.step));
                    }
                    last.lines.push(line.to_owned());
                }
                Some((reason, _)) if !line.is_empty() => reason.push_str(&format!("{line}\n")),
                Some(_) => {}
            }
        }
        Ok(list)
    }

    /// How many are listed.
    pub fn count(&self) -> usize {
        self.listed.len()
    }

    /// Steps of the list, for checking that each names a script that is there.
    pub fn steps(&self) -> impl Iterator<Item = &str> {
        self.listed.iter().map(|(_, difference)| difference.step.as_str())
    }

    /// What was found in the script `file` and is not listed, and what is listed for it and was not found.
    pub fn check(&self, file: &str, found: &[Difference]) -> (Vec<Difference>, Vec<Difference>) {
        let of_file = self.listed.iter().filter(|(_, listed)| listed.is_of(file));
        let mut gone: Vec<Difference> = of_file.map(|(_, listed)| listed.clone()).collect();
        let mut unlisted = Vec::new();
        for difference in found {
            match gone.iter().position(|listed| listed == difference) {
                Some(at) => drop(gone.remove(at)),
                None => unlisted.push(difference.clone()),
            }
        }
        (unlisted, gone)
    }

    /// The list with exactly what was found in the script `file`: what was listed keeps its reason, the rest is open.
    #[must_use]
    pub fn relisted(&self, file: &str, found: &[Difference]) -> Self {
        let (of_file, mut listed): (Vec<_>, Vec<_>) =
            self.listed.iter().cloned().partition(|(_, listed)| listed.is_of(file));
        for difference in found {
            let known = of_file.iter().find(|(_, listed)| listed == difference);
            let reason = known.map_or_else(|| format!("{OPEN}\n"), |(reason, _)| reason.clone());
            listed.push((reason, difference.clone()));
        }
        // Sorted by script; the order of a script's steps is kept.
        listed.sort_by(|a, b| a.1.file().cmp(b.1.file()));
        Self { head: self.head.clone(), listed }
    }
}

impl Display for Differences {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.head.trim_end())?;
        for (reason, difference) in &self.listed {
            write!(f, "\n## {}\n{reason}", difference.step)?;
            difference.lines.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        }
        Ok(())
    }
}

/// The lines outside a longest common subsequence: `-` before those of `left`, `+` before those of `right`.
fn differing(left: &[String], right: &[String]) -> Vec<String> {
    let (rows, columns) = (left.len(), right.len());
    let mut common = vec![vec![0_usize; columns + 1]; rows + 1];
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            common[row][column] = if left[row] == right[column] {
                common[row + 1][column + 1] + 1
            } else {
                common[row + 1][column].max(common[row][column + 1])
            };
        }
    }
    let (mut row, mut column, mut lines) = (0, 0, Vec::new());
    while row < rows || column < columns {
        if row < rows && column < columns && left[row] == right[column] {
            (row, column) = (row + 1, column + 1);
        } else if column == columns || (row < rows && common[row + 1][column] >= common[row][column + 1]) {
            lines.push(format!("-{}", left[row]));
            row += 1;
        } else {
            lines.push(format!("+{}", right[column]));
            column += 1;
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &str) -> Vec<String> {
        text.split_whitespace().map(str::to_owned).collect()
    }

    #[test]
    fn only_differing_lines_are_told() {
        assert_eq!(differing(&lines("a b c d"), &lines("a x c d e")), ["-b", "+x", "+e"]);
        assert_eq!(differing(&lines("a b"), &lines("a b")), Vec::<String>::new());
        assert_eq!(differing(&[], &lines("a")), ["+a"]);
        assert_eq!(differing(&lines("a"), &[]), ["-a"]);
    }

    #[test]
    fn unlisted_and_gone_differences_are_told_apart() {
        let listed = Differences::parse(
            "A head.\n\n## t.txt $ topics\nFor a reason.\n-1 a\n+1 b\n\n## t.txt $ configs\nWhy.\n-1 c\n## u.txt $ x\nWhy.\n-1 c\n",
        );
        let listed = listed.expect("a list");
        assert_eq!(listed.count(), 3);
        let of = |step: &str, kafka: &str, ottla: &str| {
            Difference::between(step.to_owned(), &[kafka.to_owned()], &[ottla.to_owned()])
        };
        let found = [of("t.txt $ topics", "1 a", "1 b"), of("t.txt $ topics", "1 a", "1 x")];
        let found: Vec<Difference> = found.into_iter().flatten().collect();
        let (unlisted, gone) = listed.check("t.txt", &found);
        assert_eq!(unlisted.iter().map(|d| d.lines[1].as_str()).collect::<Vec<_>>(), ["+1 x"]);
        assert_eq!(gone.iter().map(|d| d.step.as_str()).collect::<Vec<_>>(), ["t.txt $ configs"]);
    }

    #[test]
    fn a_script_is_listed_again() {
        let text = "A head.\n\n## t.txt $ topics\nFor a reason.\n-1 a\n+1 b\n\n## t.txt $ configs\nWhy.\n-1 c\n\n## u.txt $ x\nWhy.\n-1 c\n";
        let listed = Differences::parse(text).expect("a list");
        assert_eq!(listed.to_string(), text);
        let of = |kafka: &str| {
            Difference::between("t.txt $ topics".to_owned(), &[kafka.to_owned()], &["1 b".to_owned()])
        };
        let found: Vec<Difference> = [of("1 a"), of("1 new")].into_iter().flatten().collect();
        let again = listed.relisted("t.txt", &found).to_string();
        let open = format!("## t.txt $ topics\n{OPEN}\n-1 new\n+1 b\n\n## u.txt $ x\nWhy.\n-1 c\n");
        assert!(again.contains("For a reason.\n-1 a\n+1 b\n") && again.ends_with(&open), "{again}");
        assert!(!again.contains("configs"), "{again}");
    }

    #[test]
    fn a_difference_without_a_reason_is_refused() {
        assert!(Differences::parse("## t.txt $ topics\n-1 a\n").is_err());
    }
}
