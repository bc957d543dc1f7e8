//! All conversations with one broker, and their comparison with what is recorded.

use std::collections::HashMap;
use std::fs;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use super::compare::differences;
use super::known::Found;
use super::normalise::Surroundings;
use super::recording::{self, Recorded};
use super::schema::SCHEMA;
use super::script::{Instance, Script};
use super::session::{Endpoint, converse};
use super::{Value, codec, malformed, parse, random};
use crate::layout::crate_dir;
use crate::listed::{self, Known};
use crate::wire::{Connection, Reaction};
use crate::{Broker, Target};

/// Settings of both brokers, beside the harness's own: records of 2023 stay, and no group waits for long.
pub const SETTINGS: [(&str, &str); 2] = [("log.retention.ms", "-1"), ("num.partitions", "2")];

/// What the file of a Kafka says of itself, for an Ottla that shall describe the same.
const OF_KAFKAS_FILE: [(&str, &str); 6] = [
    ("process.roles", "broker,controller"),
    ("node.id", "1"),
    ("listeners", "PLAINTEXT://127.0.0.1:<port>,CONTROLLER://127.0.0.1:<second port>"),
    ("advertised.listeners", "PLAINTEXT://127.0.0.1:<port>"),
    ("controller.listener.names", "CONTROLLER"),
    ("controller.quorum.voters", "1@127.0.0.1:<second port>"),
];

/// The seeds whose conversations are recorded.
pub const SEEDS: RangeInclusive<u64> = 1..=60;

/// Conversations at a time; most of them wait for the broker.
const WORKERS: usize = 8;

pub fn dir() -> PathBuf {
    crate_dir().join("differential")
}

/// Every case that is written, and those that are made.
pub fn script(seeds: RangeInclusive<u64>) -> Script {
    let mut script = Script::default();
    for (name, text) in texts("cases") {
        script.add(&name, &text).unwrap_or_else(|error| panic!("{error}"));
    }
    script.cases.extend(malformed::cases());
    script.cases.extend(seeds.map(random::case));
    script
}

/// What is recorded of Kafka.
pub fn recorded() -> Vec<Recorded> {
    let read = |(name, text): (String, String)| {
        recording::read(&text).unwrap_or_else(|error| panic!("recording {name}: {error}"))
    };
    texts("recorded").into_iter().flat_map(read).collect()
}

/// The `.txt` files of a directory by name, in their order.
fn texts(below: &str) -> Vec<(String, String)> {
    let Ok(entries) = fs::read_dir(dir().join(below)) else { return Vec::new() };
    let mut paths: Vec<PathBuf> = entries.map(|entry| entry.expect("a directory entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "txt"));
    paths.sort();
    let read = |path: PathBuf| {
        let name = path.file_stem().expect("a name").to_string_lossy().into_owned();
        (name, fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())))
    };
    paths.into_iter().map(read).collect()
}

/// Starts a broker for conversations: groups have their coordinator before the first of them.
pub fn start(target: Target) -> (Broker, Endpoint) {
    let broker = match target {
        Target::Kafka => Broker::start_as(target, &SETTINGS),
        Target::Ottla => Broker::start_as(target, &[&SETTINGS[..], &OF_KAFKAS_FILE].concat()),
    };
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock after 1970").as_millis();
    let mut texts = vec![
        (broker.data_dir().display().to_string(), "<data>".to_owned()),
        (broker.dir().display().to_string(), "<dir>".to_owned()),
        (format!(":{}", broker.port()), ":<port>".to_owned()),
        (format!(":{}", broker.second_port()), ":<second port>".to_owned()),
    ];
    let port = broker.port();
    texts.push((warmed_up(port), "<cluster>".to_owned()));
    let surroundings = Surroundings {
        texts,
        port,
        second_port: broker.second_port(),
        now_ms: i64::try_from(now).expect("a time of this age"),
    };
    (broker, Endpoint { port, surroundings, lags: target == Target::Kafka })
}

/// Asks for coordinators until all are there; the cluster's id.
fn warmed_up(port: u16) -> String {
    let deadline = Instant::now() + Duration::from_secs(60);
    let mut connection = Connection::open(port).expect("connect");
    for group in ["a", "b", "c", "d", "e", "f", "g", "h"] {
        loop {
            let heartbeat = format!("{{GroupId: \"warm-{group}\", MemberId: \"m\", GenerationId: 1}}");
            ask(&mut connection, "FindCoordinator", &format!("{{CoordinatorKeys: [\"warm-{group}\"]}}"));
            let answer = ask(&mut connection, "Heartbeat", &heartbeat);
            // UNKNOWN_MEMBER_ID: the coordinator has loaded and knows no such group.
            if answer.field("ErrorCode") == Some(&Value::Int(25)) {
                break;
            }
            assert!(Instant::now() < deadline, "no coordinator: {answer}");
            std::thread::sleep(Duration::from_millis(50));
        }
    }
    // Small producer ids could not be told from other numbers.
    while ask(&mut connection, "InitProducerId", "{TransactionalId: null, TransactionTimeoutMs: 1000}")
        .field("ProducerId")
        .and_then(Value::as_int)
        .is_none_or(|id| id < 9)
    {
        assert!(Instant::now() < deadline, "no producer ids");
    }
    let metadata = ask(&mut connection, "Metadata", "{Topics: []}");
    metadata.field("ClusterId").and_then(Value::as_text).expect("a cluster id").to_owned()
}

fn ask(connection: &mut Connection, api: &str, body: &str) -> Value {
    let api = SCHEMA.api(api).expect("an API");
    let body = parse::value(body).expect("a body");
    let frame =
        codec::encode_request(api, api.versions.1, 1, &Value::text("warm"), &body).expect("a request");
    connection.send_frame(&frame).expect("send");
    match connection.reaction(Duration::from_secs(20)) {
        Reaction::Answered(frame) => {
            codec::decode_response(api, api.versions.1, &frame).expect("an answer").1
        }
        other => panic!("{}: {other:?}", api.name),
    }
}

/// Has all conversations; their reactions in the order of `instances`.
pub fn run(instances: &[Instance<'_>], endpoint: &Endpoint) -> Vec<Recorded> {
    let next = AtomicUsize::new(0);
    let done = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                while let Some(at) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).filter(|at| *at < instances.len())
                {
                    let (requests, reactions) = converse(&instances[at], endpoint)
                        .into_iter()
                        .map(|exchange| (exchange.request, exchange.reaction))
                        .unzip();
                    let recorded = Recorded { id: instances[at].id.clone(), reactions, requests };
                    done.lock().expect("no worker panics").push((at, recorded));
                }
            });
        }
    });
    let mut done = done.into_inner().expect("no worker panics");
    done.sort_by_key(|(at, _)| *at);
    done.into_iter().map(|(_, recorded)| recorded).collect()
}

/// Every place in which the two differ, of the conversations that both had.
pub fn compared(kafka: &[Recorded], ours: &[Recorded]) -> Vec<Found> {
    let mut found = Vec::new();
    let silent = Value::text("nothing");
    let by_id: HashMap<&str, &Recorded> = ours.iter().map(|ours| (ours.id.as_str(), ours)).collect();
    for kafka in kafka {
        let Some(ours) = by_id.get(kafka.id.as_str()) else { continue };
        for at in 0..kafka.reactions.len().max(ours.reactions.len()) {
            let side = |recorded: &Recorded| recorded.reactions.get(at).cloned().unwrap_or(silent.clone());
            let differences = differences(&side(kafka), &side(ours)).into_iter();
            let located = |difference| Found { id: kafka.id.clone(), reaction: at + 1, difference };
            found.extend(differences.map(located));
        }
    }
    found
}

/// The differences that are listed.
pub fn known() -> Vec<Known> {
    let text = fs::read_to_string(dir().join("differences.txt")).expect("the list of differences");
    listed::read(&text).unwrap_or_else(|error| panic!("differences.txt: {error}"))
}
