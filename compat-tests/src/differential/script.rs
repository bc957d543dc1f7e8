//! Conversations as text: `differential/cases/*.txt`, described in `differential/README.md`.

use super::Value;
use super::parse::{Expr, Reader};
use super::schema::SCHEMA;

type Result<T> = std::result::Result<T, String>;

/// What all files of cases say.
#[derive(Debug, Default)]
pub struct Script {
    pub cases: Vec<Case>,
    macros: Vec<Macro>,
}

/// A family of conversations: one for each version and each combination of parameters.
#[derive(Debug)]
pub struct Case {
    pub file: String,
    pub name: String,
    /// `$v`: the API whose versions are tried, the first and the last.
    pub versions: Option<(String, i16, i16)>,
    pub parameters: Vec<(String, Vec<Expr>)>,
    pub statements: Vec<Statement>,
}

#[derive(Debug)]
struct Macro {
    name: String,
    parameters: Vec<String>,
    statements: Vec<Statement>,
}

/// One line of a conversation; what it does is in [`super::session`].
#[derive(Debug, Clone)]
pub enum Statement {
    Topic {
        variable: String,
        partitions: Expr,
        configs: Expr,
    },
    Name {
        variable: String,
    },
    Let {
        variable: String,
        value: Expr,
    },
    Client(Expr),
    Send {
        connection: String,
        api: String,
        version: Option<Expr>,
        body: Expr,
        wait: Wait,
    },
    /// Asks again until the answer has `wanted` at `path`, or for as long as an answer may take; the last one counts.
    Until {
        path: Expr,
        wanted: Expr,
        send: Box<Statement>,
    },
    Raw {
        connection: String,
        frame: Expr,
    },
    Receive {
        connection: String,
    },
    Close {
        connection: String,
    },
    Pause(u64),
    Do {
        name: String,
        arguments: Vec<Expr>,
    },
}

/// What is done about a request's answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    Compared,
    /// It depends on how quick the broker is.
    NotCompared,
    /// A later statement reads it.
    Later,
}

impl Statement {
    /// What is sent, if it is sent until something.
    fn send(&self) -> &Self {
        if let Self::Until { send, .. } = self { send } else { self }
    }
}

/// One conversation to have.
#[derive(Debug)]
pub struct Instance<'a> {
    pub script: &'a Script,
    pub case: &'a Case,
    /// `file/name v3 acks=-1`.
    pub id: String,
    pub variables: Vec<(String, Expr)>,
}

impl Script {
    /// Adds what one file says.
    pub fn add(&mut self, file: &str, text: &str) -> Result<()> {
        for (line, statement) in logical_lines(text) {
            self.line(file, &statement).map_err(|error| format!("{file}:{line}: {error}"))?;
        }
        Ok(())
    }

    fn line(&mut self, file: &str, text: &str) -> Result<()> {
        if let Some(name) = text.strip_prefix("==") {
            let name = name.trim().to_owned();
            if self.cases.iter().any(|case| case.file == file && case.name == name) {
                return Err(format!("{name} stands twice"));
            }
            self.cases.push(Case {
                file: file.to_owned(),
                name,
                versions: None,
                parameters: Vec::new(),
                statements: Vec::new(),
            });
            return Ok(());
        }
        let mut reader = Reader::new(text);
        if reader.take("macro ") {
            let name = reader.word()?;
            let parameters =
                std::iter::from_fn(|| reader.take("$").then(|| reader.word())).collect::<Result<_>>()?;
            self.macros.push(Macro { name, parameters, statements: Vec::new() });
            return reader.end();
        }
        // A file of macros has no cases.
        let in_macro = self.cases.last().is_none_or(|case| case.file != file);
        if !in_macro && let Some(case) = self.cases.last_mut() {
            if reader.take("versions ") {
                case.versions = Some(versions(&mut reader)?);
                return reader.end();
            }
            if reader.take("each ") {
                case.parameters.push(parameter(&mut reader)?);
                return Ok(());
            }
        }
        let statement = statement(&mut reader)?;
        reader.end()?;
        let statements = if in_macro {
            &mut self.macros.last_mut().ok_or("neither in a case nor in a macro")?.statements
        } else {
            &mut self.cases.last_mut().ok_or("not in a case")?.statements
        };
        statements.push(statement);
        Ok(())
    }

    /// The statements of a macro, and the names of its parameters.
    pub fn macro_named(&self, name: &str) -> Option<(&[String], &[Statement])> {
        let found = self.macros.iter().find(|m| m.name == name)?;
        Some((&found.parameters, &found.statements))
    }

    /// Every conversation, in the order of the files.
    pub fn instances(&self) -> Vec<Instance<'_>> {
        self.cases.iter().flat_map(|case| self.instances_of(case)).collect()
    }

    fn instances_of<'a>(&'a self, case: &'a Case) -> Vec<Instance<'a>> {
        let id = format!("{}/{}", case.file, case.name);
        let mut instances = vec![(id, Vec::new())];
        if let Some((_, first, last)) = &case.versions {
            let versions: Vec<Expr> = (*first..=*last).map(|v| Expr::Literal(Value::Int(v.into()))).collect();
            instances = multiplied(&instances, "v", &versions);
        }
        for (name, values) in &case.parameters {
            instances = multiplied(&instances, name, values);
        }
        let instance = |(id, variables)| Instance { script: self, case, id, variables };
        instances.into_iter().map(instance).collect()
    }
}

impl Instance<'_> {
    /// The APIs that the conversation asks and in which versions, macros left out.
    pub fn requests(&self) -> Vec<(String, i16)> {
        let version = |api: &str, version: &Option<Expr>| match version {
            None => SCHEMA.api(api).map(|api| api.versions.1),
            Some(Expr::Literal(value)) => small_int(value),
            Some(Expr::Variable(name, _)) => {
                let bound = self.variables.iter().find(|(variable, _)| variable == name);
                bound.and_then(
                    |(_, expr)| if let Expr::Literal(value) = expr { small_int(value) } else { None },
                )
            }
            Some(_) => None,
        };
        let requests = self.case.statements.iter().filter_map(|statement| match statement.send() {
            Statement::Send { api, version: asked, .. } => Some((api.clone(), version(api, asked)?)),
            _ => None,
        });
        requests.collect()
    }
}

fn small_int(value: &Value) -> Option<i16> {
    value.as_int().and_then(|int| i16::try_from(int).ok())
}

type Named = (String, Vec<(String, Expr)>);

fn multiplied(instances: &[Named], name: &str, values: &[Expr]) -> Vec<Named> {
    let mut out = Vec::new();
    for (id, variables) in instances {
        for (at, value) in values.iter().enumerate() {
            let label = match value {
                Expr::Literal(value) if value.to_string().len() <= 40 => value.to_string(),
                _ => format!("#{}", at + 1),
            };
            let id = if name == "v" { format!("{id} v{label}") } else { format!("{id} {name}={label}") };
            let mut variables = variables.clone();
            variables.push((name.to_owned(), value.clone()));
            out.push((id, variables));
        }
    }
    out
}

/// Statements that stand in no file.
pub fn statements_of(text: &str) -> Result<Vec<Statement>> {
    let statement = |(_, line): (usize, String)| {
        let mut reader = Reader::new(&line);
        let statement = statement(&mut reader)?;
        reader.end().map(|()| statement)
    };
    logical_lines(text).into_iter().map(statement).collect()
}

/// Lines with their numbers; a line goes on while a bracket is open. `#` begins a comment at a line's start.
fn logical_lines(text: &str) -> Vec<(usize, String)> {
    let mut lines: Vec<(usize, String)> = Vec::new();
    let mut open = 0;
    for (at, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        match lines.last_mut().filter(|_| open > 0) {
            Some((_, last)) => {
                last.push(' ');
                last.push_str(line);
            }
            None => lines.push((at + 1, line.to_owned())),
        }
        open += depth(line);
    }
    lines
}

fn depth(line: &str) -> i32 {
    let (mut depth, mut quoted, mut escaped) = (0, false, false);
    for c in line.chars() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            '"' => quoted = !quoted,
            '{' | '[' | '(' if !quoted => depth += 1,
            '}' | ']' | ')' if !quoted => depth -= 1,
            _ => {}
        }
    }
    depth
}

/// `API` or `API 3-5`.
fn versions(reader: &mut Reader<'_>) -> Result<(String, i16, i16)> {
    let name = reader.word()?;
    let api = SCHEMA.api(&name).ok_or_else(|| format!("no API {name}"))?;
    let (mut first, mut last) = api.versions;
    if !reader.at_end() {
        let int = |word: String| word.parse::<i16>().map_err(|_| format!("no version: {word}"));
        first = int(reader.word()?)?;
        last = if reader.take("-") { int(reader.word()?)? } else { first };
        if first < api.versions.0 || last > api.versions.1 || first > last {
            return Err(format!("{name} has the versions {:?}", api.versions));
        }
    }
    Ok((name, first, last))
}

/// `$name value value ...`.
fn parameter(reader: &mut Reader<'_>) -> Result<(String, Vec<Expr>)> {
    let name = variable(reader)?;
    let mut values = Vec::new();
    while !reader.at_end() {
        values.push(reader.expr()?);
    }
    if values.is_empty() { Err(format!("{name} has no values")) } else { Ok((name, values)) }
}

fn variable(reader: &mut Reader<'_>) -> Result<String> {
    if reader.take("$") { reader.word() } else { Err("wanted a $variable".into()) }
}

fn statement(reader: &mut Reader<'_>) -> Result<Statement> {
    let connection = if reader.take("@") { reader.word()? } else { "1".to_owned() };
    if reader.take(">>") {
        return send(reader, connection, Wait::Later);
    }
    if reader.take(">?") {
        return send(reader, connection, Wait::NotCompared);
    }
    if reader.take(">") {
        return send(reader, connection, Wait::Compared);
    }
    if reader.take("<") {
        return Ok(Statement::Receive { connection });
    }
    match reader.word()?.as_str() {
        "topic" => {
            let variable = variable(reader)?;
            let mut next = |default| if reader.at_end() { Ok(Expr::Literal(default)) } else { reader.expr() };
            let partitions = next(Value::Int(1))?;
            Ok(Statement::Topic { variable, partitions, configs: next(Value::List(Vec::new()))? })
        }
        "name" => Ok(Statement::Name { variable: variable(reader)? }),
        "client" => Ok(Statement::Client(reader.expr()?)),
        "close" => Ok(Statement::Close { connection }),
        "pause" => {
            let word = reader.word()?;
            Ok(Statement::Pause(word.parse().map_err(|_| format!("no time: {word}"))?))
        }
        "let" => {
            let variable = variable(reader)?;
            if !reader.take("=") {
                return Err("let $name = value".into());
            }
            Ok(Statement::Let { variable, value: reader.expr()? })
        }
        "until" => {
            let (path, wanted) = (reader.expr()?, reader.expr()?);
            let wait = if reader.take(">?") {
                Wait::NotCompared
            } else if reader.take(">") {
                Wait::Compared
            } else {
                return Err("until what is asked?".into());
            };
            Ok(Statement::Until { path, wanted, send: Box::new(send(reader, connection, wait)?) })
        }
        "do" => {
            let name = reader.word()?;
            let mut arguments = Vec::new();
            while !reader.at_end() {
                arguments.push(reader.expr()?);
            }
            Ok(Statement::Do { name, arguments })
        }
        other => Err(format!("unknown statement: {other}")),
    }
}

fn send(reader: &mut Reader<'_>, connection: String, wait: Wait) -> Result<Statement> {
    let api = reader.word()?;
    if api == "raw" {
        return Ok(Statement::Raw { connection, frame: reader.expr()? });
    }
    if SCHEMA.api(&api).is_none() {
        return Err(format!("no API {api}"));
    }
    let version = if reader.take(":") { Some(reader.expr()?) } else { None };
    let body = if reader.at_end() { Expr::Struct(Vec::new()) } else { reader.expr()? };
    Ok(Statement::Send { connection, api, version, body, wait })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_are_multiplied() {
        let mut script = Script::default();
        let text =
            "== a\nversions Heartbeat 3-4\neach $x 1 \"b\"\n> Heartbeat {GroupId:\n \"g\"}\n== b\n> Metadata";
        script.add("f", text).expect("a script");
        let ids: Vec<String> = script.instances().into_iter().map(|instance| instance.id).collect();
        assert_eq!(ids, ["f/a v3 x=1", "f/a v3 x=\"b\"", "f/a v4 x=1", "f/a v4 x=\"b\"", "f/b"]);
    }

    #[test]
    fn mistakes_name_their_line() {
        for text in ["> Metadata", "== a\n> Meta", "== a\nversions Metadata 0-99", "== a\n== a", "== a\nwhat"]
        {
            let error = Script::default().add("f", text).expect_err(text);
            assert!(error.starts_with("f:"), "{error}");
        }
    }
}
