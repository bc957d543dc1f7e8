//! One conversation with one broker.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use super::normalise::{Normaliser, Surroundings};
use super::parse::{Expr, Step};
use super::schema::{Api, SCHEMA};
use super::script::{Instance, Script, Statement, Wait};
use super::{Value, codec, functions};
use crate::wire::{Connection, Reaction};

/// How long an answer may take before it counts as silence.
const PATIENCE: Duration = Duration::from_secs(8);

/// Requests after which a Kafka broker needs a moment until its own view is that of the controller.
const SETTLED: [&str; 8] = [
    "CreateTopics",
    "DeleteTopics",
    "CreatePartitions",
    "AlterConfigs",
    "IncrementalAlterConfigs",
    "UpdateFeatures",
    "AlterPartitionReassignments",
    "AlterClientQuotas",
];

type Result<T> = std::result::Result<T, String>;

/// A broker to speak with.
#[derive(Debug)]
pub struct Endpoint {
    pub port: u16,
    pub surroundings: Surroundings,
    /// The broker's own view lags behind its controller's after each of `SETTLED`.
    pub lags: bool,
}

/// Has the conversation; an exchange a request whose reaction was waited for.
///
/// A mistake in the script, or a topic that cannot be made, is the last reaction and says so.
pub fn converse(instance: &Instance<'_>, endpoint: &Endpoint) -> Vec<Exchange> {
    let mut session = Session::new(instance, endpoint);
    let outcome = session
        .bind_parameters(instance)
        .and_then(|()| session.statements(instance.script, &instance.case.statements));
    if let Err(error) = outcome {
        session.told(String::new(), Value::Text(format!("mistake in the case: {error}")));
    }
    session.exchanges
}

/// A conversation's own prefix of names: the same for every broker.
pub fn namespace(id: &str) -> String {
    let hash =
        id.bytes().fold(0x811c_9dc5_u32, |hash, byte| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193));
    format!("d{hash:08x}-")
}

/// True for names that some conversation made.
pub fn is_namespaced(name: &str) -> bool {
    let bytes = name.as_bytes();
    bytes.len() > 9 && bytes[0] == b'd' && bytes[9] == b'-' && bytes[1..9].iter().all(u8::is_ascii_hexdigit)
}

struct Session<'a> {
    endpoint: &'a Endpoint,
    normaliser: Normaliser<'a>,
    namespace: String,
    variables: HashMap<String, Value>,
    connections: HashMap<String, Wire>,
    client_id: Value,
    correlation_id: i32,
    exchanges: Vec<Exchange>,
}

/// What was asked, as a script would write it, and what came back.
#[derive(Debug)]
pub struct Exchange {
    pub request: String,
    pub reaction: Value,
}

struct Wire {
    connection: Connection,
    /// What is asked and not answered, oldest first.
    asked: VecDeque<Asked>,
}

struct Asked {
    api: &'static Api,
    version: i16,
    correlation_id: i32,
    request: String,
}

impl<'a> Session<'a> {
    fn new(instance: &Instance<'_>, endpoint: &'a Endpoint) -> Self {
        let namespace = namespace(&instance.id);
        let variables = HashMap::from([("ns".to_owned(), Value::text(namespace.clone()))]);
        Self {
            endpoint,
            normaliser: Normaliser::new(&endpoint.surroundings, &namespace),
            namespace,
            variables,
            connections: HashMap::new(),
            client_id: Value::text("diff"),
            correlation_id: 0,
            exchanges: Vec::new(),
        }
    }

    fn bind_parameters(&mut self, instance: &Instance<'_>) -> Result<()> {
        for (name, expr) in &instance.variables {
            let value = self.eval(expr)?;
            self.variables.insert(name.clone(), value);
        }
        Ok(())
    }

    fn statements(&mut self, script: &Script, statements: &[Statement]) -> Result<()> {
        statements.iter().try_for_each(|statement| self.statement(script, statement))
    }

    fn statement(&mut self, script: &Script, statement: &Statement) -> Result<()> {
        match statement {
            Statement::Topic { variable, partitions, configs } => {
                self.topic(variable, partitions, configs)?
            }
            Statement::Name { variable } => self.bind_name(variable),
            Statement::Let { variable, value } => {
                let value = self.eval(value)?;
                self.variables.insert(variable.clone(), value);
            }
            Statement::Client(client_id) => self.client_id = self.eval(client_id)?,
            Statement::Send { connection, api, version, body, wait } => {
                let api = SCHEMA.api(api).ok_or("no such API")?;
                let version = self.version(api, version.as_ref())?;
                let body = self.eval(body)?;
                self.send(connection, api, version, &body)?;
                let unanswered = api.name == "Produce" && body.field("Acks") == Some(&Value::Int(0));
                match wait {
                    Wait::Later => {}
                    Wait::NotCompared => drop(self.exchange(connection)?),
                    Wait::Compared if unanswered => self.probe(connection)?,
                    Wait::Compared => self.receive(connection)?,
                }
                if SETTLED.contains(&api.name.as_str()) {
                    self.settle()?;
                }
            }
            Statement::Until { path, wanted, send } => self.until(script, path, wanted, send)?,
            Statement::Raw { connection, frame } => self.raw(connection, frame)?,
            Statement::Receive { connection } => self.receive(connection)?,
            Statement::Close { connection } => drop(self.connections.remove(connection)),
            Statement::Pause(ms) => std::thread::sleep(Duration::from_millis(*ms)),
            Statement::Do { name, arguments } => self.call_macro(script, name, arguments)?,
        }
        Ok(())
    }

    fn until(&mut self, script: &Script, path: &Expr, wanted: &Expr, send: &Statement) -> Result<()> {
        let wanted = self.eval(wanted)?;
        let deadline = Instant::now() + PATIENCE;
        let before = self.exchanges.len();
        loop {
            self.statement(script, send)?;
            // An answer that has no such field is not yet the one.
            if self.eval(path).is_ok_and(|value| value == wanted) || Instant::now() > deadline {
                return Ok(());
            }
            self.exchanges.truncate(before);
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Waits until the broker has seen what its controller has committed.
    fn settle(&mut self) -> Result<()> {
        if !self.endpoint.lags {
            return Ok(());
        }
        let partition = structure([("PartitionIndex", Value::Int(0))]);
        let topic = structure([
            ("TopicName", Value::text("__cluster_metadata")),
            ("Partitions", Value::List(vec![partition])),
        ]);
        let quorum = self.ask("DescribeQuorum", structure([("Topics", Value::List(vec![topic]))]))?;
        let committed = find_int(&quorum, "HighWatermark").ok_or("a quorum without a high watermark")? - 1;
        let deadline = Instant::now() + PATIENCE;
        let client = structure([
            ("ClientSoftwareName", Value::text("diff")),
            ("ClientSoftwareVersion", Value::text("1")),
        ]);
        while find_int(&self.ask("ApiVersions", client.clone())?, "FinalizedFeaturesEpoch").unwrap_or(-1)
            < committed
        {
            if Instant::now() > deadline {
                return Err("the broker does not follow its controller".into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        // The view is published; logs are opened and removed next.
        std::thread::sleep(Duration::from_millis(25));
        Ok(())
    }

    fn call_macro(&mut self, script: &Script, name: &str, arguments: &[Expr]) -> Result<()> {
        let (parameters, statements) = script.macro_named(name).ok_or_else(|| format!("no macro {name}"))?;
        if parameters.len() != arguments.len() {
            return Err(format!("{name} takes {} arguments", parameters.len()));
        }
        for (parameter, argument) in parameters.iter().zip(arguments) {
            let value = self.eval(argument)?;
            self.variables.insert(parameter.clone(), value);
        }
        self.statements(script, statements)
    }

    fn bind_name(&mut self, variable: &str) {
        let name = format!("{}{variable}", self.namespace);
        self.variables.insert(variable.to_owned(), Value::Text(name));
    }

    /// The version that is asked for, or the newest.
    fn version(&self, api: &Api, version: Option<&Expr>) -> Result<i16> {
        match version {
            None => Ok(api.versions.1),
            Some(expr) => {
                let value = self.eval(expr)?;
                let version = value.as_int().and_then(|version| i16::try_from(version).ok());
                version.ok_or_else(|| format!("no version: {value}"))
            }
        }
    }

    fn wire(&mut self, name: &str) -> Result<&mut Wire> {
        if !self.connections.contains_key(name) {
            let connection = Connection::open(self.endpoint.port).map_err(|e| format!("connect: {e}"))?;
            self.connections.insert(name.to_owned(), Wire { connection, asked: VecDeque::new() });
        }
        Ok(self.connections.get_mut(name).expect("just made"))
    }

    fn send(&mut self, connection: &str, api: &'static Api, version: i16, body: &Value) -> Result<()> {
        self.correlation_id += 1;
        let id = self.correlation_id;
        let frame = codec::encode_request(api, version, id, &self.client_id, body)
            .map_err(|error| format!("{} v{version}: {error}", api.name))?;
        self.normaliser.sent(body);
        let request = format!("{}:{version} {body}", api.name);
        let asked = Asked { api, version, correlation_id: id, request };
        let wire = self.wire(connection)?;
        wire.asked.push_back(asked);
        // A broker that has closed the connection is seen to have done so when the answer is read.
        let _ = wire.connection.send_frame(&frame);
        Ok(())
    }

    fn receive(&mut self, connection: &str) -> Result<()> {
        let exchange = self.exchange(connection)?;
        self.exchanges.push(exchange);
        Ok(())
    }

    fn told(&mut self, request: String, reaction: Value) {
        self.exchanges.push(Exchange { request, reaction });
    }

    /// What comes back for the oldest request that is not answered yet.
    fn exchange(&mut self, connection: &str) -> Result<Exchange> {
        let wire = self.wire(connection)?;
        let asked = wire.asked.pop_front().ok_or("nothing was asked")?;
        let reaction = match wire.connection.reaction(PATIENCE) {
            Reaction::Closed => {
                self.connections.remove(connection);
                Value::text("closed")
            }
            Reaction::Silent => {
                self.connections.remove(connection);
                Value::text("silent")
            }
            Reaction::Answered(frame) => self.answered(&asked, &frame),
        };
        Ok(Exchange { request: asked.request, reaction })
    }

    fn answered(&mut self, asked: &Asked, frame: &[u8]) -> Value {
        let Asked { api, version, correlation_id, .. } = *asked;
        // KIP-511: an unsupported version of ApiVersions is answered in version 0.
        let unsupported = api.name == "ApiVersions" && version > api.versions.1;
        match codec::decode_response(api, if unsupported { 0 } else { version }, frame) {
            Ok((answered, _)) if answered != correlation_id => Value::text("the answer of another request"),
            Ok((_, body)) => {
                let shown = self.normaliser.answer(api, &body);
                self.variables.insert("answer".to_owned(), body);
                shown
            }
            Err(error) => Value::Text(format!("undecodable: {error}: {}", Value::Bytes(frame.to_vec()))),
        }
    }

    /// A request that gets no answer, by its nature: what comes is that of the next one.
    fn probe(&mut self, connection: &str) -> Result<()> {
        let api = SCHEMA.api("ApiVersions").ok_or("no ApiVersions")?;
        let asked = self.wire(connection)?.asked.pop_back().ok_or("nothing was asked")?;
        self.send(connection, api, 0, &Value::Struct(Vec::new()))?;
        let reaction = match self.exchange(connection)?.reaction {
            Value::Struct(_) => Value::text("no answer"),
            other => other,
        };
        self.told(asked.request, reaction);
        Ok(())
    }

    /// Bytes as they are; an answer is shown without its correlation id.
    fn raw(&mut self, connection: &str, frame: &Expr) -> Result<()> {
        let frame = self.eval(frame)?;
        let Value::Bytes(bytes) = &frame else { return Err("raw wants bytes".into()) };
        let wire = self.wire(connection)?;
        let _ = wire.connection.send_frame(bytes);
        let reaction = match wire.connection.reaction(PATIENCE) {
            Reaction::Answered(_) => Value::text("answered"),
            Reaction::Closed => Value::text("closed"),
            Reaction::Silent => Value::text("silent"),
        };
        if reaction != Value::text("answered") {
            self.connections.remove(connection);
        }
        self.told(format!("raw {frame}"), reaction);
        Ok(())
    }

    /// A topic of this conversation, ready to be written to.
    fn topic(&mut self, variable: &str, partitions: &Expr, configs: &Expr) -> Result<()> {
        self.bind_name(variable);
        let name = self.variables[variable].clone();
        let partitions = self.eval(partitions)?;
        let Value::List(configs) = self.eval(configs)? else {
            return Err("configs are a list of pairs".into());
        };
        let configs: Vec<Value> = configs
            .into_iter()
            .map(|pair| match pair {
                Value::List(mut pair) if pair.len() == 2 => {
                    let value = pair.pop().expect("two");
                    Ok(structure([("Name", pair.pop().expect("two")), ("Value", value)]))
                }
                other => Err(format!("no config: {other}")),
            })
            .collect::<Result<_>>()?;
        let topic = structure([
            ("Name", name.clone()),
            ("NumPartitions", partitions.clone()),
            ("ReplicationFactor", Value::Int(1)),
            ("Configs", Value::List(configs)),
        ]);
        let answer = self.ask(
            "CreateTopics",
            structure([("Topics", Value::List(vec![topic])), ("TimeoutMs", Value::Int(10_000))]),
        )?;
        if let Some(Value::List(topics)) = answer.field("Topics")
            && topics.iter().any(|topic| topic.field("ErrorCode") != Some(&Value::Int(0)))
        {
            return Err(format!("topic {name}: {answer}"));
        }
        self.wait_until_led(&name, partitions.as_int().unwrap_or(1))?;
        self.settle()
    }

    fn wait_until_led(&mut self, name: &Value, partitions: i64) -> Result<()> {
        let all = (0..partitions)
            .map(|at| structure([("PartitionIndex", Value::Int(at)), ("Timestamp", Value::Int(-1))]));
        let topic = structure([("Name", name.clone()), ("Partitions", Value::List(all.collect()))]);
        let body = structure([("ReplicaId", Value::Int(-1)), ("Topics", Value::List(vec![topic]))]);
        let deadline = Instant::now() + PATIENCE;
        loop {
            let answer = self.ask("ListOffsets", body.clone())?;
            let text = answer.to_string();
            if text.matches("ErrorCode: 0").count() == usize::try_from(partitions).unwrap_or(0) {
                return Ok(());
            }
            if Instant::now() > deadline {
                return Err(format!("{name} has no leader: {text}"));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    /// Asks on a connection of the session's own, in the newest version; not part of the reactions.
    fn ask(&mut self, api: &str, body: Value) -> Result<Value> {
        let api = SCHEMA.api(api).ok_or("no such API")?;
        self.send("own", api, api.versions.1, &body)?;
        let wire = self.wire("own")?;
        wire.asked.pop_front();
        match wire.connection.reaction(PATIENCE) {
            Reaction::Answered(frame) => Ok(codec::decode_response(api, api.versions.1, &frame)?.1),
            other => Err(format!("{}: {other:?}", api.name)),
        }
    }

    fn eval(&self, expr: &Expr) -> Result<Value> {
        match expr {
            Expr::Literal(value) => Ok(value.clone()),
            Expr::Variable(name, path) => self.variable(name, path),
            Expr::Joined(pieces) => {
                let pieces = pieces.iter().map(|piece| {
                    Ok(match self.eval(piece)? {
                        Value::Text(text) => text,
                        other => other.to_string(),
                    })
                });
                Ok(Value::Text(pieces.collect::<Result<String>>()?))
            }
            Expr::List(items) => Ok(Value::List(self.eval_all(items)?)),
            Expr::Struct(fields) => {
                let fields = fields.iter().map(|(name, expr)| Ok((name.clone(), self.eval(expr)?)));
                Ok(Value::Struct(fields.collect::<Result<_>>()?))
            }
            Expr::Call(name, arguments) => functions::call(name, &self.eval_all(arguments)?),
        }
    }

    fn eval_all(&self, exprs: &[Expr]) -> Result<Vec<Value>> {
        exprs.iter().map(|expr| self.eval(expr)).collect()
    }

    fn variable(&self, name: &str, path: &[Step]) -> Result<Value> {
        let mut value = self.variables.get(name).ok_or_else(|| format!("${name} is not set"))?;
        for step in path {
            let below = match (step, value) {
                (Step::Field(field), _) => value.field(field),
                (Step::At(at), Value::List(items)) => items.get(*at),
                _ => None,
            };
            value = below.ok_or_else(|| format!("${name} has no {step:?}: {value}"))?;
        }
        Ok(value.clone())
    }
}

/// The first field of this name, wherever it stands.
fn find_int(value: &Value, name: &str) -> Option<i64> {
    match value {
        Value::Struct(fields) => fields
            .iter()
            .find_map(|(field, value)| if field == name { value.as_int() } else { find_int(value, name) }),
        Value::List(items) => items.iter().find_map(|item| find_int(item, name)),
        _ => None,
    }
}

fn structure<const N: usize>(fields: [(&str, Value); N]) -> Value {
    Value::Struct(fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect())
}
