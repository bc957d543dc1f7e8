//! The lists of differences from Kafka that are known, one a line, each with its reason: what is found and not listed
//! fails a test, and so does what is listed and no longer found.

/// What a list tells differences apart by.
pub trait Columns {
    /// Where the difference is (a conversation), where in it, what Kafka gave, what we gave.
    fn columns(&self) -> [String; 4];
}

/// `where | where in it | Kafka's | ours | reason`; `*` stands for anything in all but the reason.
#[derive(Debug)]
pub struct Known {
    patterns: [String; 4],
    /// The reason begins with [`UNSTABLE`]: it is there in one run and not in the next, by the brokers' speed.
    unstable: bool,
    line: usize,
}

const UNSTABLE: &str = "unstable: ";

impl Known {
    /// Whether this line speaks of places that begin so.
    pub fn is_of(&self, beginning: &str) -> bool {
        self.patterns[0].starts_with(beginning)
    }

    /// Which line of the list it is, from 1.
    pub fn line(&self) -> usize {
        self.line
    }

    /// True if neither the place within the conversation nor either value says anything: whatever else differs there would
    /// be hidden by it.
    pub fn is_wide(&self) -> bool {
        let [_, place, kafka, ours] = &self.patterns;
        let says_nothing = |pattern: &String| pattern.chars().all(|c| matches!(c, '*' | ':'));
        [place, kafka, ours].into_iter().all(says_nothing)
    }
}

/// A difference as a line of a list, without its reason.
pub fn line(found: &impl Columns) -> String {
    found.columns().join(" | ")
}

/// The lines of a list; one without a reason is an error. `#` begins a comment.
pub fn read(text: &str) -> Result<Vec<Known>, String> {
    let lines = text.lines().enumerate().map(|(at, line)| (at + 1, line.trim()));
    lines
        .filter(|(_, line)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, text)| {
            let mut columns = text.splitn(5, " | ").map(|column| column.trim().to_owned());
            let patterns = std::array::from_fn(|_| columns.next().unwrap_or_default());
            match columns.next() {
                Some(reason) if reason.len() > 10 => {
                    Ok(Known { patterns, unstable: reason.starts_with(UNSTABLE), line })
                }
                _ => Err(format!("line {line}: a difference without a reason: {text}")),
            }
        })
        .collect()
}

/// What is found and not listed, and the lines of the list that nothing matches any more.
pub fn unexplained<'a, Found: Columns>(found: &'a [Found], known: &[Known]) -> (Vec<&'a Found>, Vec<usize>) {
    let mut used = vec![false; known.len()];
    let mut unlisted = Vec::new();
    for difference in found {
        let columns = difference.columns();
        let mut listed = false;
        for (at, known) in known.iter().enumerate() {
            if known.patterns.iter().zip(&columns).all(|(pattern, text)| matches(pattern, text)) {
                used[at] = true;
                listed = true;
            }
        }
        if !listed {
            unlisted.push(difference);
        }
    }
    let gone = known.iter().zip(used).filter(|(known, used)| !used && !known.unstable);
    let gone = gone.map(|(known, _)| known.line);
    (unlisted, gone.collect())
}

/// `*` in the pattern is any text.
fn matches(pattern: &str, text: &str) -> bool {
    let mut pieces = pattern.split('*');
    let first = pieces.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else { return false };
    let Some(last) = pattern.contains('*').then(|| pieces.next_back().unwrap_or_default()) else {
        return rest.is_empty();
    };
    for piece in pieces {
        let Some(at) = rest.find(piece) else { return false };
        rest = &rest[at + piece.len()..];
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    struct At(&'static str);

    impl Columns for At {
        fn columns(&self) -> [String; 4] {
            [self.0, "1:A[0]", "1", "2"].map(str::to_owned)
        }
    }

    #[test]
    fn stars_match_anything() {
        for (pattern, text, expected) in [
            ("a*c", "abc", true),
            ("a*c", "ab", false),
            ("*", "", true),
            ("a", "ab", false),
            ("*b*", "abc", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} {text}");
        }
    }

    #[test]
    fn wide_is_what_says_neither_where_nor_what() {
        for (line, wide) in [
            ("f/a | * | * | * | whatever it may be", true),
            ("f/a | *: | \"closed\" | * | the connection goes", false),
            ("f/a | *:A | * | * | in this field only", false),
        ] {
            assert_eq!(read(line).expect("a line")[0].is_wide(), wide, "{line}");
        }
    }

    #[test]
    fn unlisted_and_gone_are_told() {
        let list = "# comment\nf/a v* | 1:A[0] | 1 | 2 | a good reason\nf/c | * | * | * | another reason\nf/d | * | * | * | unstable: it depends\n";
        let known = read(list).expect("a list");
        let differences = [At("f/a v1"), At("f/b")];
        let (unlisted, gone) = unexplained(&differences, &known);
        let unlisted: Vec<String> = unlisted.into_iter().map(line).collect();
        assert_eq!((unlisted, gone), (vec!["f/b | 1:A[0] | 1 | 2".to_owned()], vec![3]));
        assert!(read("f/a | 1:A | 1 | 2").is_err(), "no reason");
        assert!(known[0].is_of("f/a ") && !known[0].is_of("f/b"));
    }
}
