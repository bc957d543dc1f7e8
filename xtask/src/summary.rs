//! The steps of a run: their times and outcomes, and the tests counted on the way.

use std::io::{BufRead, BufReader};
use std::process::{Command, Stdio};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::command::shown;
use crate::error::{Error, Result};

/// Collects outcomes; a failed step does not stop the later ones, it fails the end.
#[derive(Debug, Default)]
pub(crate) struct Summary {
    steps: Vec<(&'static str, Duration, std::result::Result<(), String>)>,
    passed: u64,
    failed: u64,
}

/// A step that runs while others do.
#[derive(Debug)]
pub(crate) struct Beside {
    name: &'static str,
    work: JoinHandle<(Duration, Result<()>)>,
}

impl Beside {
    pub(crate) fn start(name: &'static str, work: impl FnOnce() -> Result<()> + Send + 'static) -> Self {
        println!("==> {name}, beside what follows");
        let timed = move || {
            let from = Instant::now();
            let outcome = work();
            (from.elapsed(), outcome)
        };
        Self { name, work: std::thread::spawn(timed) }
    }
}

impl Summary {
    /// Runs one step; true when it passed.
    pub(crate) fn step(&mut self, name: &'static str, work: impl FnOnce() -> Result<()>) -> bool {
        println!("==> {name}");
        let from = Instant::now();
        let outcome = work();
        self.note(name, from.elapsed(), outcome)
    }

    /// Waits for a step that was started beside; true when it passed.
    pub(crate) fn join(&mut self, step: Beside) -> bool {
        let panicked = |_| (Duration::ZERO, Err(Error::Steps(vec![step.name.to_owned()])));
        let (time, outcome) = step.work.join().unwrap_or_else(panicked);
        self.note(step.name, time, outcome)
    }

    fn note(&mut self, name: &'static str, time: Duration, outcome: Result<()>) -> bool {
        let outcome = outcome.map_err(|error| error.to_string());
        if let Err(text) = &outcome {
            eprintln!("xtask: {name}: {text}");
        }
        let passed = outcome.is_ok();
        self.steps.push((name, time, outcome));
        passed
    }

    /// Runs `cargo test`, shows its output and counts what it reports.
    pub(crate) fn tests(&mut self, name: &'static str, command: &mut Command) {
        let (mut passed, mut failed) = (0, 0);
        self.step(name, || {
            let name = shown(command);
            let start = |cause| Error::Start { command: name.clone(), cause };
            let mut child = command.stdout(Stdio::piped()).spawn().map_err(start)?;
            let stdout = child.stdout.take().map(BufReader::new);
            for line in stdout.into_iter().flat_map(BufRead::lines).map_while(std::result::Result::ok) {
                println!("{line}");
                if let Some((p, f)) = test_result(&line) {
                    passed += p;
                    failed += f;
                }
            }
            let status = child.wait().map_err(start)?;
            if status.success() {
                Ok(())
            } else {
                Err(Error::Failed { command: name, status: status.to_string() })
            }
        });
        self.passed += passed;
        self.failed += failed;
    }

    /// Prints the table and the sums; an error when any step failed.
    pub(crate) fn finish(self) -> Result<()> {
        println!();
        for (name, time, outcome) in &self.steps {
            println!(
                "{:>8.1} s  {name}: {}",
                time.as_secs_f64(),
                if outcome.is_ok() { "ok" } else { "FAILED" }
            );
        }
        println!("{} passed, {} failed", self.passed, self.failed);
        let failed = self.steps.iter().filter(|step| step.2.is_err()).map(|step| step.0.to_owned());
        let failed: Vec<String> = failed.collect();
        if failed.is_empty() { Ok(()) } else { Err(Error::Steps(failed)) }
    }
}

/// `(passed, failed)` of a line like `test result: ok. 9 passed; 0 failed; 0 ignored; ...`.
fn test_result(line: &str) -> Option<(u64, u64)> {
    let counts = line.strip_prefix("test result: ")?.split_once(". ")?.1;
    let count = |word: &str| {
        let part = counts.split(';').find(|part| part.trim_end().ends_with(word))?;
        part.split_whitespace().next()?.parse().ok()
    };
    Some((count("passed")?, count("failed")?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn result_line_is_read() {
        let line = "test result: FAILED. 7 passed; 2 failed; 0 ignored; 0 measured; 0 filtered out; finished in 8.21s";
        assert_eq!(test_result(line), Some((7, 2)));
        assert_eq!(test_result("test a ... ok"), None);
    }
}
