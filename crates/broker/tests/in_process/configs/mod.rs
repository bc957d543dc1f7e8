//! Conversations about configs, as a real Kafka 4.4.0 had them: `tests/testdata/configs/README.md`.

mod render;
mod script;

use std::path::PathBuf;
use std::time::Duration;

use ottla_client::{Client, ClientError, ConnectionConfig};
use ottla_config::DIFFERENCES;

use crate::support::Broker;
use script::Request;

/// Where the real broker listens that a conversation is recorded from.
const RECORD: &str = "OTTLA_RECORD_CONFIGS_FROM";

macro_rules! conversations {
    ($($name:ident)*) => {
        $(#[tokio::test(flavor = "multi_thread")]
        async fn $name() {
            play(stringify!($name)).await;
        })*
    };
}

conversations! { loggers topics brokers groups client_metrics requests create_topics describe }

async fn play(name: &str) {
    let path = format!("{}/tests/testdata/configs/{name}.txt", env!("CARGO_MANIFEST_DIR"));
    let path = PathBuf::from(path);
    let text = std::fs::read_to_string(&path).unwrap();
    if let Ok(address) = std::env::var(RECORD) {
        return std::fs::write(&path, replay(&text, &address, true).await).unwrap();
    }
    let broker = Broker::start_with(&SETTINGS).await;
    let played = replay(&text, broker.address(), false).await;
    broker.stop().await;
    if std::env::var_os("OTTLA_SHOW").is_some() {
        std::fs::write(path.with_extension("ours"), &played).unwrap();
    }
    assert_same(&text, &played);
}

/// What the real broker's file said, too.
const SETTINGS: [(&str, &str); 8] = [
    ("process.roles", "broker,controller"),
    ("node.id", "1"),
    ("controller.listener.names", "CONTROLLER"),
    ("offsets.topic.replication.factor", "1"),
    ("transaction.state.log.replication.factor", "1"),
    ("transaction.state.log.min.isr", "1"),
    ("log.retention.hours", "100"),
    ("log.segment.bytes", "500000000"),
];

/// The conversation with the answers that are given now.
async fn replay(text: &str, address: &str, settle: bool) -> String {
    let mut played = String::new();
    let mut client = connect(address).await;
    for line in text.lines().filter(|line| !line.starts_with('<')) {
        played.push_str(line);
        played.push('\n');
        let Some(request) = line.strip_prefix("> ") else { continue };
        match ask(&client, script::parse(request)).await {
            Ok(answers) => played.extend(answers.iter().map(|answer| format!("< {answer}\n"))),
            Err(_) => {
                played.push_str("< (closed)\n");
                client = connect(address).await;
            }
        }
        if settle && !request.starts_with("describe") {
            // A real broker applies what its controller has answered a moment later.
            tokio::time::sleep(Duration::from_millis(60)).await;
        }
    }
    played
}

async fn connect(address: &str) -> Client {
    Client::connect(address, ConnectionConfig::default()).await.unwrap()
}

async fn ask(client: &Client, request: Request) -> Result<Vec<String>, ClientError> {
    let connection = client.connection();
    Ok(match request {
        Request::Create(request, version) => render::created(&connection.call(&request, version).await?),
        Request::Describe(request, version) => render::described(&connection.call(&request, version).await?),
        Request::Alter(request, version) => {
            let answers = connection.call(&request, version).await?.responses;
            let answers = answers.iter();
            answers
                .map(|a| render::result(a.error_code, &a.resource_name, a.error_message.as_ref()))
                .collect()
        }
        Request::Incremental(request, version) => {
            let answers = connection.call(&request, version).await?.responses;
            let answers = answers.iter();
            answers
                .map(|a| render::result(a.error_code, &a.resource_name, a.error_message.as_ref()))
                .collect()
        }
    })
}

/// Every answer is the recorded one, or the one after `+` that a reason after `~` explains.
fn assert_same(recorded: &str, played: &str) {
    let (theirs, ours) = (exchanges(recorded), exchanges(played));
    assert_eq!(theirs.len(), ours.len());
    let mut text = String::new();
    for (theirs, ours) in theirs.iter().zip(&ours) {
        let expected = theirs.own.as_ref().unwrap_or(&theirs.answers);
        assert!(theirs.own.as_ref() != Some(&theirs.answers), "{}: no difference any more", theirs.request);
        let gone = expected.iter().filter(|answer| !ours.answers.contains(answer));
        let come = ours.answers.iter().filter(|answer| !expected.contains(answer));
        let lines =
            gone.map(|answer| format!("- {answer}\n")).chain(come.map(|answer| format!("+ {answer}\n")));
        let lines: String = lines.collect();
        if !lines.is_empty() || expected.len() != ours.answers.len() {
            text.push_str(&format!("{}\n{lines}", theirs.request));
        }
    }
    assert!(text.is_empty(), "expected (-) and answered (+):\n{text}");
}

struct Exchange {
    request: String,
    answers: Vec<String>,
    /// What Ottla answers instead.
    own: Option<Vec<String>>,
}

fn exchanges(text: &str) -> Vec<Exchange> {
    let mut exchanges: Vec<Exchange> = Vec::new();
    for line in text.lines() {
        if line.starts_with("> ") {
            exchanges.push(Exchange { request: line.to_owned(), answers: Vec::new(), own: None });
            continue;
        }
        let Some(exchange) = exchanges.last_mut() else { continue };
        if let Some(answer) = line.strip_prefix("< ").filter(|answer| !is_own(answer)) {
            exchange.answers.push(answer.to_owned());
        } else if let Some(answer) = line.strip_prefix("+ ") {
            exchange.own.get_or_insert_default().push(answer.to_owned());
        } else if line.starts_with("~ ") {
            exchange.own.get_or_insert_default();
        }
    }
    exchanges
}

/// Where each broker lives is its own business, as is where the defaults differ on purpose.
fn is_own(answer: &str) -> bool {
    const OF_THE_PLACE: [&str; 4] =
        ["advertised.listeners", "controller.quorum.voters", "log.dir", "log.dirs"];
    let Some((name, _)) = answer.strip_prefix("  ").and_then(|config| config.split_once('=')) else {
        return false;
    };
    let differs = DIFFERENCES.iter().any(|difference| difference.name == name);
    differs || OF_THE_PLACE.contains(&name) || name.starts_with("ottla.")
}
