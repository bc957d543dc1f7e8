//! Has a script's conversation with a running broker.

use std::collections::HashMap;
use std::fs;
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::normal::Normal;
use super::script::{Answer, Item, Script, Step};
use super::tool_table::{main_class, measures, runs_alone};
use crate::broker::Broker;
use crate::nodes::Nodes;
use crate::process::{spawn, wait_at_most};
use crate::tools::{Ran, own_jvm, run_alone, run_staying, run_within, temporary_dir};

const UNTIL_LIMIT: Duration = Duration::from_secs(30);
/// Longer than any tool's own patience.
const STEP_LIMIT: Duration = Duration::from_secs(75);
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// A script's conversation with one broker, or three, of its own.
#[derive(Debug)]
pub struct Run {
    nodes: Nodes,
    normal: Normal,
    staying: HashMap<String, Child>,
}

impl Run {
    /// Has the whole conversation with a broker started for it; one answer a step.
    pub fn whole(script: &Script) -> Vec<Answer> {
        let settings = script.settings();
        let nodes = if script.is_of_three() {
            Nodes::start_three(&settings)
        } else {
            Nodes::One(Broker::start_with(&settings))
        };
        let normal = Normal::new(known(&nodes));
        let mut run = Self { nodes, normal, staying: HashMap::new() };
        let answers = script.items.iter().filter_map(|item| run.item(item)).collect();
        let names: Vec<String> = run.staying.keys().cloned().collect();
        names.iter().for_each(|name| run.stop(name));
        answers
    }

    fn item(&mut self, item: &Item) -> Option<Answer> {
        match item {
            Item::Text(_) | Item::Set(..) | Item::Three => {}
            Item::File { name, content } => {
                let content = self.filled(content).replace("\\n", "\n");
                fs::write(self.first().dir().join(name), content).expect("write a script's file");
            }
            Item::Start { name, command } => self.start(name, command),
            Item::Stop(name) => self.stop(name),
            Item::Broker(how) => self.end_broker(how),
            Item::Step(step) => return Some(self.step(step)),
        }
        None
    }

    fn step(&mut self, step: &Step) -> Answer {
        let (name, class, args) = self.call(&step.command, step.with_server);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let stdin: String = step.stdin.iter().map(|line| format!("{line}\n")).collect();
        let shape = step.shape || measures(&name);
        let deadline = Instant::now() + UNTIL_LIMIT;
        loop {
            let ran = match &step.stays {
                Some(text) => run_staying(class, &args, text, STEP_LIMIT),
                None if runs_alone(&name) => Some(run_alone(class, &args)),
                None => run_within(STEP_LIMIT, class, &args, &stdin),
            };
            let Some(ran) = ran else {
                return Answer { lines: vec![format!("2 no end within {STEP_LIMIT:?}")], code: -1 };
            };
            let done = step.until.as_ref().is_none_or(|text| ran.out.contains(text));
            if done || Instant::now() > deadline {
                return self.answer(&ran, shape, step.unordered);
            }
        }
    }

    fn answer(&mut self, ran: &Ran, shape: bool, unordered: bool) -> Answer {
        let mut out = self.normal.lines(&ran.out, shape);
        let mut err = self.normal.lines(&ran.err, shape);
        if unordered {
            out.sort();
            err.sort();
        }
        let marked = |mark: &str, line: &String| format!("{mark} {line}").trim_end().to_owned();
        let lines = out.iter().map(|line| marked("1", line)).chain(err.iter().map(|line| marked("2", line)));
        Answer { lines: lines.collect(), code: ran.code }
    }

    /// The tool's short name, its main class, and the arguments that `command` stands for.
    fn call(&self, command: &str, with_server: bool) -> (String, &'static str, Vec<String>) {
        let mut words = words(command).into_iter();
        let name = words.next().unwrap_or_default();
        let class = main_class(&name).unwrap_or_else(|| panic!("no tool {name:?}: {command}"));
        let mut args = Vec::new();
        if with_server {
            args.extend(["--bootstrap-server".to_owned(), self.first().address()]);
        }
        args.extend(words.map(|word| self.filled(&word)));
        (name, class, args)
    }

    fn filled(&self, word: &str) -> String {
        let first = self.first();
        let filled = word
            .replace("{broker}", &first.address())
            .replace("{data}", &first.data_dir().display().to_string())
            .replace("{dir}", &first.dir().display().to_string());
        self.nodes.ids().fold(filled, |filled, id| {
            filled.replace(&format!("{{broker {id}}}"), &self.nodes.node(id).address())
        })
    }

    fn start(&mut self, name: &str, command: &str) {
        let (_, class, args) = self.call(command, true);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let mut command = own_jvm(class, &args);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let child = spawn(command).expect("start a tool that stays");
        self.staying.insert(name.to_owned(), child);
    }

    fn stop(&mut self, name: &str) {
        let mut child = self.staying.remove(name).unwrap_or_else(|| panic!("no {name} was started"));
        let pid = i32::try_from(child.id()).expect("a process id");
        kill(Pid::from_raw(pid), Signal::SIGTERM).expect("signal a tool");
        assert!(wait_at_most(&mut child, STOP_LIMIT).is_some(), "{name} does not end");
    }

    fn first(&self) -> &Broker {
        self.nodes.node(1)
    }

    fn end_broker(&mut self, how: &str) {
        if let Some((how, id)) = how.split_once(' ') {
            let node = self.nodes.node_mut(id.parse().expect("a number"));
            match how {
                "start" => node.restart(),
                "kill" => node.kill_9(),
                _ => drop(node.terminate(STOP_LIMIT)),
            }
            return;
        }
        let broker = self.nodes.node_mut(1);
        if how == "kill" {
            broker.kill_9();
        } else {
            broker.terminate(STOP_LIMIT);
        }
        if how != "stop" {
            broker.restart();
        }
    }
}

/// What of these brokers is in the tools' output, longest first. Of three, each has names of its own.
fn known(nodes: &Nodes) -> Vec<(String, String)> {
    let are_three = matches!(nodes, Nodes::Three(_));
    let of_node = |id: usize| {
        let number = if are_three { format!(" {id}") } else { String::new() };
        let named = move |name: &str| format!("<{name}{number}>");
        let broker = nodes.node(id);
        let meta = fs::read_to_string(broker.data_dir().join("meta.properties")).unwrap_or_default();
        let of = |key: &str| meta.lines().find_map(|line| line.strip_prefix(key)).map(str::to_owned);
        let mut known = vec![
            (broker.data_dir().display().to_string(), named("data")),
            (broker.dir().display().to_string(), named("dir")),
            (broker.address(), named("broker")),
            (broker.port().to_string(), named("port")),
            (broker.second_port().to_string(), named("second-port")),
        ];
        known.extend(of("cluster.id=").map(|id| (id, "<cluster>".to_owned())));
        known.extend(of("directory.id=").map(|id| (id, named("directory"))));
        known
    };
    let mut known: Vec<_> = nodes.ids().flat_map(of_node).collect();
    known.push((temporary_dir().display().to_string(), "<tmp>".to_owned()));
    // Of two names that begin alike the longer one is looked for first.
    known.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    known
}

/// A command line's words; quotes of both kinds keep spaces.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quote, mut begun) = (Vec::new(), String::new(), None, false);
    for c in line.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '"' | '\'') => (quote, begun) = (Some(c), true),
            (None, ' ') if begun => {
                words.push(std::mem::take(&mut word));
                begun = false;
            }
            (None, ' ') => {}
            (_, c) => {
                word.push(c);
                begun = true;
            }
        }
    }
    if begun {
        words.push(word);
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_keep_spaces_and_empty_words() {
        assert_eq!(words("a  'b c' \"d'e\" '' f=\"g h\" "), ["a", "b c", "d'e", "", "f=g h"]);
    }
}
