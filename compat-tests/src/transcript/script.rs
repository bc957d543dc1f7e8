//! A script of tool runs: one text file, read, answered and written again.
//!
//! ```text
//! # a comment                               kept as it is
//! set log.retention.ms=1000                 a setting of the broker (before the first step)
//! three brokers                            that are one cluster, instead of one
//! file plan.json {"version":1}              a file; steps name it {dir}/plan.json; \n is a line break
//! start NAME console-consumer --topic t     a tool that stays, in a JVM of its own, until `stop NAME`
//! broker restart                            SIGTERM and a new start; `broker kill`: kill -9 and a new start; `broker stop`
//! broker kill 3                             of three: kill -9, and no new start; `broker stop 3`: SIGTERM; `broker start 3`
//! $ topics --create --topic t               a step: a tool's short name and its arguments
//! $! topics --create                        the same without --bootstrap-server
//! < a line on the tool's stdin
//! until Stable                              run again until it shows this
//! unordered                                 the lines' order means nothing
//! shape                                     numbers mean nothing
//! stays max lag is                          a tool without an end: SIGTERM once stdout shows this
//! 1 a line on stdout
//! 2 a line on stderr
//! = 0                                       the exit code
//! ```

use std::fmt::{self, Display, Write};

/// One file of tool runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Script {
    pub items: Vec<Item>,
}

/// One thing in a script, in the order in which it happens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// A comment or an empty line.
    Text(String),
    Set(String, String),
    /// Three brokers that are one cluster.
    Three,
    File {
        name: String,
        content: String,
    },
    Start {
        name: String,
        command: String,
    },
    Stop(String),
    /// `restart`, `kill` or `stop`; of three, `kill N`, `stop N` or `start N`.
    Broker(String),
    Step(Step),
}

/// A tool run and its recorded answer.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Step {
    /// False: exactly these arguments, no `--bootstrap-server`.
    pub with_server: bool,
    pub command: String,
    pub stdin: Vec<String>,
    pub until: Option<String>,
    pub unordered: bool,
    pub shape: bool,
    pub stays: Option<String>,
    pub recorded: Answer,
}

/// What a tool printed, normalised: lines that start with `1 ` (stdout) or `2 ` (stderr), and the exit code.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Answer {
    pub lines: Vec<String>,
    pub code: i32,
}

impl Answer {
    /// The lines to compare, the exit code among them.
    pub fn compared(&self) -> Vec<String> {
        let mut lines = self.lines.clone();
        lines.push(format!("= {}", self.code));
        lines
    }
}

impl Script {
    /// The script in this text; names the first line that is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut script = Script { items: Vec::new() };
        for (at, line) in text.lines().enumerate() {
            script.push(line).map_err(|what| format!("line {}: {what}: {line}", at + 1))?;
        }
        Ok(script)
    }

    fn push(&mut self, line: &str) -> Result<(), &'static str> {
        if line.is_empty() || line.starts_with('#') {
            self.items.push(Item::Text(line.to_owned()));
            return Ok(());
        }
        let (word, rest) = line.split_once(' ').unwrap_or((line, ""));
        match word {
            "set" => {
                let (key, value) = rest.split_once('=').ok_or("key=value expected")?;
                self.items.push(Item::Set(key.to_owned(), value.to_owned()));
            }
            "file" | "start" => {
                let (name, rest) = rest.split_once(' ').ok_or("a name and more expected")?;
                let (name, rest) = (name.to_owned(), rest.to_owned());
                self.items.push(if word == "file" {
                    Item::File { name, content: rest }
                } else {
                    Item::Start { name, command: rest }
                });
            }
            "stop" => self.items.push(Item::Stop(rest.to_owned())),
            "three" if rest == "brokers" => self.items.push(Item::Three),
            "broker" if ["restart", "kill", "stop"].contains(&rest) || is_of_three(rest) => {
                self.items.push(Item::Broker(rest.to_owned()));
            }
            "$" | "$!" => self.items.push(Item::Step(Step {
                with_server: word == "$",
                command: rest.to_owned(),
                ..Step::default()
            })),
            _ => self.step_detail(word, rest, line)?,
        }
        Ok(())
    }

    fn step_detail(&mut self, word: &str, rest: &str, line: &str) -> Result<(), &'static str> {
        let Some(Item::Step(step)) = self.items.last_mut() else { return Err("belongs to no step") };
        match word {
            "<" => step.stdin.push(rest.to_owned()),
            "until" => step.until = Some(rest.to_owned()),
            "unordered" => step.unordered = true,
            "shape" => step.shape = true,
            "stays" => step.stays = Some(rest.to_owned()),
            "1" | "2" => step.recorded.lines.push(line.to_owned()),
            "=" => step.recorded.code = rest.parse().map_err(|_| "an exit code expected")?,
            _ => return Err("not understood"),
        }
        Ok(())
    }

    /// The broker's settings.
    pub fn settings(&self) -> Vec<(&str, &str)> {
        let settings = self.items.iter().filter_map(|item| match item {
            Item::Set(key, value) => Some((key.as_str(), value.as_str())),
            _ => None,
        });
        settings.collect()
    }

    pub fn is_of_three(&self) -> bool {
        self.items.contains(&Item::Three)
    }

    pub fn steps(&self) -> impl Iterator<Item = &Step> {
        self.items.iter().filter_map(|item| match item {
            Item::Step(step) => Some(step),
            _ => None,
        })
    }

    /// The same script with these answers, one a step.
    #[must_use]
    pub fn with_answers(&self, answers: &[Answer]) -> Self {
        let mut script = self.clone();
        let steps = script.items.iter_mut().filter_map(|item| match item {
            Item::Step(step) => Some(step),
            _ => None,
        });
        for (step, answer) in steps.zip(answers) {
            step.recorded = answer.clone();
        }
        script
    }
}

/// `kill 2` and the like.
fn is_of_three(how: &str) -> bool {
    let (what, id) = how.split_once(' ').unwrap_or_default();
    ["kill", "stop", "start"].contains(&what) && ["1", "2", "3"].contains(&id)
}

impl Display for Script {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for item in &self.items {
            match item {
                Item::Text(text) => writeln!(f, "{text}")?,
                Item::Set(key, value) => writeln!(f, "set {key}={value}")?,
                Item::File { name, content } => writeln!(f, "file {name} {content}")?,
                Item::Start { name, command } => writeln!(f, "start {name} {command}")?,
                Item::Three => writeln!(f, "three brokers")?,
                Item::Stop(name) => writeln!(f, "stop {name}")?,
                Item::Broker(what) => writeln!(f, "broker {what}")?,
                Item::Step(step) => write!(f, "{step}")?,
            }
        }
        Ok(())
    }
}

impl Step {
    /// The line that names the step, in scripts and in the list of differences.
    pub fn title(&self) -> String {
        format!("{} {}", if self.with_server { "$" } else { "$!" }, self.command)
    }
}

impl Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.title())?;
        let mut text = String::new();
        for line in &self.stdin {
            writeln!(text, "< {line}")?;
        }
        if let Some(until) = &self.until {
            writeln!(text, "until {until}")?;
        }
        if self.unordered {
            writeln!(text, "unordered")?;
        }
        if self.shape {
            writeln!(text, "shape")?;
        }
        if let Some(stays) = &self.stays {
            writeln!(text, "stays {stays}")?;
        }
        for line in &self.recorded.compared() {
            writeln!(text, "{line}")?;
        }
        f.write_str(&text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
# two topics
set log.retention.ms=1000
three brokers
file plan.json {\"version\":1}

$ topics --create --topic a
1 Created topic a.
= 0
start member console-consumer --topic a
broker restart
broker kill 3
$! console-producer --topic a
< one
< two
until x
unordered
shape
stays y
2 oh no
= 1
stop member
";

    #[test]
    fn a_script_is_written_as_it_was_read() {
        let script = Script::parse(TEXT).expect("a script");
        assert_eq!(script.to_string(), TEXT);
        assert_eq!(script.settings(), [("log.retention.ms", "1000")]);
        assert_eq!(script.steps().count(), 2);
    }

    #[test]
    fn answers_replace_what_was_recorded() {
        let script = Script::parse(TEXT).expect("a script");
        let answer = |line: &str| Answer { lines: vec![line.to_owned()], code: 3 };
        let again = script.with_answers(&[answer("1 x"), answer("1 y")]);
        let recorded: Vec<&Answer> = again.steps().map(|step| &step.recorded).collect();
        assert_eq!(recorded, [&answer("1 x"), &answer("1 y")]);
    }

    #[test]
    fn what_is_no_script_is_named() {
        assert_eq!(Script::parse("1 x").expect_err("no step"), "line 1: belongs to no step: 1 x");
        assert!(Script::parse("$ topics\n? x").is_err());
        assert!(Script::parse("broker dance").is_err());
    }
}
