//! Where the answers to one tool run differ, line by line, as `differential/tools/differences.txt` lists it.

use std::fmt::{self, Display};

use crate::listed::{self, Columns};

/// A line of Kafka's that we have otherwise, or not at all; or one that only we have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The script's name and the step's line.
    step: String,
    /// `stdout`, `stderr` or `exit code`.
    stream: &'static str,
    kafka: String,
    ours: String,
}

/// What stands where one side has no such line.
const ABSENT: &str = "absent";

impl Columns for Difference {
    fn columns(&self) -> [String; 4] {
        [self.step.clone(), self.stream.to_owned(), self.kafka.clone(), self.ours.clone()]
    }
}

/// As a line of the list, without its reason.
impl Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&listed::line(self))
    }
}

/// What differs between the lines that Kafka and Ottla answered to `step`: lines of one place side by side.
pub fn between(step: &str, kafka: &[String], ottla: &[String]) -> Vec<Difference> {
    let mut found = Vec::new();
    for (kafka, ours) in changes(kafka, ottla) {
        for (mark, stream) in [('1', "stdout"), ('2', "stderr"), ('=', "exit code")] {
            let of_stream = |lines: &[&String]| -> Vec<String> {
                let lines = lines.iter().filter_map(|line| line.strip_prefix(mark));
                lines.map(|line| line.trim().to_owned()).collect()
            };
            let (kafka, ours) = (of_stream(&kafka), of_stream(&ours));
            for at in 0..kafka.len().max(ours.len()) {
                let side = |lines: &[String]| lines.get(at).cloned().unwrap_or_else(|| ABSENT.to_owned());
                found.push(Difference {
                    step: step.to_owned(),
                    stream,
                    kafka: side(&kafka),
                    ours: side(&ours),
                });
            }
        }
    }
    found
}

/// A run of lines that only the left side has, and those that the right side has in its place.
type Change<'a> = (Vec<&'a String>, Vec<&'a String>);

/// What lies outside a longest common subsequence, between one common line and the next.
fn changes<'a>(left: &'a [String], right: &'a [String]) -> Vec<Change<'a>> {
    let common = common_lengths(left, right);
    let (mut row, mut column) = (0, 0);
    let mut changes = Vec::new();
    let mut change = Change::default();
    while row < left.len() || column < right.len() {
        if row < left.len() && column < right.len() && left[row] == right[column] {
            changes.push(std::mem::take(&mut change));
            (row, column) = (row + 1, column + 1);
        } else if column == right.len()
            || (row < left.len() && common[row + 1][column] >= common[row][column + 1])
        {
            change.0.push(&left[row]);
            row += 1;
        } else {
            change.1.push(&right[column]);
            column += 1;
        }
    }
    changes.push(change);
    changes
}

/// The length of the longest common subsequence of what follows each pair of places.
fn common_lengths(left: &[String], right: &[String]) -> Vec<Vec<usize>> {
    let mut common = vec![vec![0_usize; right.len() + 1]; left.len() + 1];
    for row in (0..left.len()).rev() {
        for column in (0..right.len()).rev() {
            common[row][column] = if left[row] == right[column] {
                common[row + 1][column + 1] + 1
            } else {
                common[row + 1][column].max(common[row][column + 1])
            };
        }
    }
    common
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(kafka: &[&str], ours: &[&str]) -> Vec<String> {
        let lines = |lines: &[&str]| -> Vec<String> { lines.iter().map(|line| (*line).to_owned()).collect() };
        between("s $ t", &lines(kafka), &lines(ours)).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn lines_of_one_place_stand_side_by_side() {
        assert_eq!(found(&["1 a", "= 0"], &["1 a", "= 0"]), Vec::<String>::new());
        assert_eq!(
            found(&["1 a", "1 b", "1 c", "1 d"], &["1 a", "1 x", "1 y", "1 d", "1 e"]),
            ["s $ t | stdout | b | x", "s $ t | stdout | c | y", "s $ t | stdout | absent | e"]
        );
    }

    #[test]
    fn streams_and_exit_codes_are_kept_apart() {
        assert_eq!(
            found(&["1 done", "= 0"], &["2 failed", "= 1"]),
            [
                "s $ t | stdout | done | absent",
                "s $ t | stderr | absent | failed",
                "s $ t | exit code | 0 | 1"
            ]
        );
    }
}
