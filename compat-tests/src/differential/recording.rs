//! Kafka's answers on disk: a line `== id` a conversation, then its reactions, one a line.

use super::Value;
use super::parse;

/// A conversation and what came back.
#[derive(Debug, Clone, PartialEq)]
pub struct Recorded {
    pub id: String,
    pub reactions: Vec<Value>,
    /// What each of them answers, where the conversation was just had; not written down.
    pub requests: Vec<String>,
}

pub fn print(conversations: &[Recorded]) -> String {
    let mut text = String::new();
    for Recorded { id, reactions, .. } in conversations {
        text.push_str(&format!("== {id}\n"));
        for reaction in reactions {
            text.push_str(&format!("{reaction}\n"));
        }
    }
    text
}

pub fn read(text: &str) -> Result<Vec<Recorded>, String> {
    let mut conversations: Vec<Recorded> = Vec::new();
    for line in text.lines() {
        if let Some(id) = line.strip_prefix("== ") {
            conversations.push(Recorded { id: id.to_owned(), reactions: Vec::new(), requests: Vec::new() });
        } else {
            let last = conversations.last_mut().ok_or("a reaction before the first conversation")?;
            last.reactions.push(parse::value(line).map_err(|error| format!("{}: {error}", last.id))?);
        }
    }
    Ok(conversations)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_back() {
        let reactions = vec![parse::value("{A: [1]}").expect("a value"), Value::text("closed")];
        let recorded = vec![
            Recorded { id: "f/a v1".into(), reactions, requests: Vec::new() },
            Recorded { id: "f/b".into(), reactions: Vec::new(), requests: Vec::new() },
        ];
        assert_eq!(read(&print(&recorded)), Ok(recorded));
    }
}
