//! Replaces what differs between any two runs of the same script: ids, times, ports, paths, thread names.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use regex::{Captures, Regex};

/// A time within this of now is the time of the run, not a time that the script wrote.
const NEAR_MS: u128 = 12 * 3600 * 1000;

/// Normalises the text of one script's run; an id keeps its name from step to step.
#[derive(Debug)]
pub struct Normal {
    /// Exact texts of this run and what stands for them.
    known: Vec<(String, String)>,
    ids: HashMap<String, String>,
    rules: Rules,
}

#[derive(Debug)]
struct Rules {
    token: Regex,
    id: Regex,
    uuid: Regex,
    time: Regex,
    log_line: Regex,
    trace: Regex,
    usage: Regex,
    number: Regex,
    table_gap: Regex,
    client: Regex,
    /// What is another number each time, after what names it.
    varying: Regex,
    timeout: Regex,
    date: Regex,
    sets: [Regex; 3],
    configs: Regex,
    log_dirs: Regex,
    log_dir: Regex,
}

impl Default for Rules {
    fn default() -> Self {
        let regex = |text: &str| Regex::new(text).expect("a regular expression");
        Self {
            token: regex(r"[A-Za-z0-9_-]+"),
            // A random UUID in base64: Kafka's form of topic ids, member ids and directory ids.
            id: regex(r"^[A-Za-z0-9_-]{8}[QRST][A-Za-z0-9_-][CGKOSWaeimquy26-][A-Za-z0-9_-]{10}[AQgw]$"),
            uuid: regex(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
            time: regex(r"\b1[6-9]\d{11}\b"),
            log_line: regex(r"^\[[^\]]*\] (ERROR|WARN|INFO) "),
            // `tool exit` is how ToolRunner ends a tool that calls Exit; some tools catch and print it.
            trace: regex(r"^\s+(at |\.\.\. \d+ more)|^(ToolRunner\$ToolExit: )?tool exit$"),
            usage: regex(r"^Option .*Description$"),
            number: regex(r"\d+([.,]\d+)*"),
            table_gap: regex(r" {2,}"),
            // Clients are numbered through the life of the tools' JVM.
            client: regex(
                r"\b((?:adminclient|producer|console-producer|console-consumer|consumer)(?:-[\w.]*?)?)-\d+\b",
            ),
            // The features' epoch is an offset of the metadata log, which grows with time; a CRC is over times too.
            varying: regex(
                r#"(\bEpoch: |\bcrc: |"avg_throughput":|"metadataHash":|kafka-log-cleaner-\w+-|log-cleaner-test-)-?\d+(\.\d+)?\b"#,
            ),
            // How far a call came before its time was over depends on the machine.
            timeout: regex(
                r"(?:Timed out waiting for a node assignment\. Call: (\w+)(?:\(api=\w+\))?|Call\(callName=(\w+).*? attempt\(s\))",
            ),
            date: regex(r"\b20\d\d-\d\d-\d\d[ T]\d\d:\d\d:\d\d[,.:]\d+"),
            // Sets of the JVM's, in the order of identity hashes.
            sets: [
                regex(r"\[[^\[\]]+\](, \[[^\[\]]+\])+"),
                regex(r"[A-Z_]{2,}(, [A-Z_]{2,})+"),
                regex(r"(Dead|Empty|Stable)(, (Dead|Empty|Stable))+"),
            ],
            // A topic's settings come in the order of a hash map.
            configs: regex(r"\bConfigs: (.+)$"),
            // And log dirs in that of their paths' hashes.
            log_dirs: regex(r#""logDirs":\[(.+)\]\}\]"#),
            log_dir: regex(r#"\{"partitions":\[[^\]]*\],"error":[^,]+,"logDir":"[^"]*"\}"#),
        }
    }
}

impl Normal {
    /// `known`: texts of this run (addresses, paths, the cluster's id) with their names; longer ones first.
    pub fn new(known: Vec<(String, String)>) -> Self {
        Self { known, ids: HashMap::new(), rules: Rules::default() }
    }

    /// Lines to compare of what a tool printed. Log lines below ERROR and stack frames are left out: they tell of
    /// the client's retries; a tool's list of options is one line. `shape`: every number is replaced, for tools that measure.
    pub fn lines(&mut self, text: &str, shape: bool) -> Vec<String> {
        let mut lines = Vec::new();
        // Formatters print their objects without an end of the line.
        let text = text.replace("}{\"key\":", "}\n{\"key\":");
        for line in text.lines().map(str::trim_end) {
            if self.rules.trace.is_match(line) || line.is_empty() {
                continue;
            }
            if self.rules.usage.is_match(line) {
                lines.push("<usage>".to_owned());
                break;
            }
            let line = match self.rules.log_line.captures(line) {
                Some(found) if &found[1] != "ERROR" => continue,
                Some(found) => format!("ERROR {}", &line[found[0].len()..]),
                None => line.to_owned(),
            };
            let line = self.line(&line);
            lines.push(if shape { self.rules.number.replace_all(&line, "N").into_owned() } else { line });
        }
        lines
    }

    fn line(&mut self, line: &str) -> String {
        let mut text = line.to_owned();
        for (exact, name) in &self.known {
            text = text.replace(exact, name);
        }
        let Self { ids, rules, .. } = self;
        let text = rules.uuid.replace_all(&text, |found: &Captures<'_>| named(ids, &found[0]));
        let text = rules.token.replace_all(&text, |found: &Captures<'_>| {
            if rules.id.is_match(&found[0]) { named(ids, &found[0]) } else { found[0].to_owned() }
        });
        let text = rules.time.replace_all(&text, |found: &Captures<'_>| time(&found[0]));
        let text = rules.client.replace_all(&text, "$1-N");
        let text = rules.varying.replace_all(&text, "${1}N");
        let text = rules.timeout.replace_all(&text, "<in time no $1$2>");
        let text = rules.date.replace_all(&text, "<date>");
        let text = rules.sets.iter().fold(text, |text, set| {
            let sorted = set.replace_all(&text, |found: &Captures<'_>| sorted(&found[0], ", "));
            sorted.into_owned().into()
        });
        let text = rules
            .configs
            .replace(&text, |found: &Captures<'_>| format!("Configs: {}", sorted(&found[1], ",")));
        let text = rules.log_dirs.replace(&text, |found: &Captures<'_>| {
            let mut dirs: Vec<&str> = rules.log_dir.find_iter(&found[1]).map(|dir| dir.as_str()).collect();
            dirs.sort_unstable();
            format!(r#""logDirs":[{}]}}]"#, dirs.join(","))
        });
        // Columns are as wide as their widest id, address or path.
        rules.table_gap.replace_all(&text, "  ").into_owned()
    }
}

fn sorted(list: &str, separator: &str) -> String {
    let mut items: Vec<&str> = list.split(separator).collect();
    items.sort_unstable();
    items.join(separator)
}

fn named(ids: &mut HashMap<String, String>, id: &str) -> String {
    let next = format!("<id-{}>", ids.len() + 1);
    ids.entry(id.to_owned()).or_insert(next).clone()
}

fn time(digits: &str) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis();
    match digits.parse::<u128>() {
        Ok(time) if time.abs_diff(now) < NEAR_MS => "<now>".to_owned(),
        _ => digits.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn one(text: &str) -> String {
        Normal::new(vec![("127.0.0.1:4711".to_owned(), "<broker>".to_owned())]).lines(text, false).join("|")
    }

    #[test]
    fn ids_keep_their_names() {
        let text =
            "TopicId: 0a1b2c3dSeOfabcdefghig x\nTopicId: 0a1b2c3dSeOfabcdefghig\nzz1b2c3dSeOfabcdefghig";
        assert_eq!(one(text), "TopicId: <id-1> x|TopicId: <id-1>|<id-2>");
        assert_eq!(one("c-1b4e28ba-2fa1-41d2-883f-0016d3cca427"), "c-<id-1>");
        assert_eq!(
            one("NotControllerException InvalidConfigException"),
            "NotControllerException InvalidConfigException"
        );
    }

    #[test]
    fn times_of_the_run_are_replaced_and_others_stay() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_millis();
        assert_eq!(one(&format!("CreateTime:{now} 1700000000000")), "CreateTime:<now> 1700000000000");
    }

    #[test]
    fn what_chance_decides_is_replaced() {
        assert_eq!(
            one("takes [group], [all-groups] or [READ, ALL]"),
            "takes [all-groups], [group] or [ALL, READ]"
        );
        let dir = |name: &str| format!(r#"{{"partitions":[],"error":null,"logDir":"{name}"}}"#);
        let dirs =
            |one, other| format!(r#"{{"brokers":[{{"broker":1,"logDirs":[{},{}]}}]}}"#, dir(one), dir(other));
        assert_eq!(one(&dirs("b", "a")), dirs("a", "b"));
        let late =
            "TimeoutException: Call(callName=x(api=METADATA), tries=9) timed out at 1 after 9 attempt(s)";
        let early = "TimeoutException: Timed out waiting for a node assignment. Call: x(api=METADATA)";
        assert_eq!(one(late), one(early));
        assert_eq!(one("2026-01-02 03:04:05,678: Epoch: 7 crc: 99 x"), "<date>: Epoch: N crc: N x");
    }

    #[test]
    fn retries_and_stack_frames_are_left_out() {
        let text = "[call-7] WARN retrying\n[call-7] ERROR no topic\njava.lang.X: y\n\tat a.b(C.java:1)\n\t... 5 more";
        assert_eq!(one(text), "ERROR no topic|java.lang.X: y");
    }

    #[test]
    fn addresses_columns_and_measures() {
        assert_eq!(one("at 127.0.0.1:4711     (id: 1)  "), "at <broker>  (id: 1)");
        assert_eq!(
            one("clientId=adminclient-15, consumer-g-1 and producer-2"),
            "clientId=adminclient-N, consumer-g-N and producer-N"
        );
        assert_eq!(one("FinalizedVersionLevel: 1  Epoch: 82"), "FinalizedVersionLevel: 1  Epoch: N");
        let mut normal = Normal::new(Vec::new());
        assert_eq!(normal.lines("5 records, 12.25 ms", true), ["N records, N ms"]);
    }
}
