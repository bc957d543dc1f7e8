//! Where two answers differ.

use super::Value;

/// One place in which Kafka and we say different things.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// `Topics[0].ErrorCode`; empty for the answer as a whole.
    pub path: String,
    pub kafka: String,
    pub ours: String,
}

/// What stands where one side has no such field or item.
const ABSENT: &str = "absent";

/// All differences between two reactions, in the order of the fields.
pub fn differences(kafka: &Value, ours: &Value) -> Vec<Difference> {
    let mut found = Vec::new();
    walk(String::new(), Some(kafka), Some(ours), &mut found);
    found
}

fn walk(path: String, kafka: Option<&Value>, ours: Option<&Value>, found: &mut Vec<Difference>) {
    match (kafka, ours) {
        (Some(kafka), Some(ours)) if kafka == ours => {}
        (Some(Value::Struct(kafka)), Some(Value::Struct(ours))) => {
            for name in names(kafka, ours) {
                let below = if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                walk(below, field(kafka, name), field(ours, name), found);
            }
        }
        (Some(Value::List(kafka)), Some(Value::List(ours))) => lists(&path, kafka, ours, found),
        _ => found.push(Difference { path, kafka: shown(kafka), ours: shown(ours) }),
    }
}

/// Items are set side by side by their key, if they have one, else by their place.
fn lists(path: &str, kafka: &[Value], ours: &[Value], found: &mut Vec<Difference>) {
    let Some((kafka_keys, our_keys)) = keys(kafka, ours) else {
        for at in 0..kafka.len().max(ours.len()) {
            walk(format!("{path}[{at}]"), kafka.get(at), ours.get(at), found);
        }
        return;
    };
    let common = |these: &[String], others: &[String]| -> Vec<String> {
        these.iter().filter(|key| others.contains(key)).cloned().collect()
    };
    let (in_kafka, in_ours) = (common(&kafka_keys, &our_keys), common(&our_keys, &kafka_keys));
    if in_kafka != in_ours {
        let path = format!("{path}.order");
        found.push(Difference { path, kafka: in_kafka.join(", "), ours: in_ours.join(", ") });
    }
    let mut all = kafka_keys.clone();
    all.extend(our_keys.iter().filter(|key| !kafka_keys.contains(key)).cloned());
    for key in all {
        let item = |keys: &[String], items: &'_ [Value]| {
            keys.iter().position(|k| *k == key).map(|at| items[at].clone())
        };
        let (kafka, ours) = (item(&kafka_keys, kafka), item(&our_keys, ours));
        walk(format!("{path}[{key}]"), kafka.as_ref(), ours.as_ref(), found);
    }
}

/// Fields that tell the items of a list apart, the more telling first.
const KEYS: [&str; 15] = [
    "ApiKey",
    "Name",
    "Topic",
    "TopicName",
    "GroupId",
    "ResourceName",
    "ResourceType",
    "LogDir",
    "TopicId",
    "PartitionIndex",
    "Partition",
    "Index",
    "NodeId",
    "BrokerId",
    "MemberId",
];

/// The keys of both lists' items: the first field that tells them apart on both sides, or two that do; None if none do.
fn keys(kafka: &[Value], ours: &[Value]) -> Option<(Vec<String>, Vec<String>)> {
    let one = KEYS.iter().map(|name| vec![*name]);
    let two = KEYS.iter().flat_map(|a| KEYS.iter().map(move |b| vec![*a, *b]));
    one.chain(two).find_map(|names| {
        let both = (keys_by(&names, kafka)?, keys_by(&names, ours)?);
        both.0.iter().chain(&both.1).any(|key| !key.ends_with(DEFAULT)).then_some(both)
    })
}

/// A field at its default is left out.
const DEFAULT: &str = "default";

/// None if two items have the same, or an item is no struct.
fn keys_by(names: &[&str], items: &[Value]) -> Option<Vec<String>> {
    let key = |item: &Value| {
        let part = |name: &&str| item.field(name).map_or_else(|| DEFAULT.to_owned(), ToString::to_string);
        matches!(item, Value::Struct(_)).then(|| names.iter().map(part).collect::<Vec<_>>().join(" "))
    };
    let keys: Vec<String> = items.iter().map(key).collect::<Option<_>>()?;
    let distinct: std::collections::HashSet<&String> = keys.iter().collect();
    let named = items.len() < 2 || keys.iter().any(|key| !key.ends_with(DEFAULT));
    (distinct.len() == keys.len() && named).then_some(keys)
}

fn field<'a>(fields: &'a [(String, Value)], name: &str) -> Option<&'a Value> {
    fields.iter().find(|(n, _)| n == name).map(|(_, value)| value)
}

/// The names of both sides, each once.
fn names<'a>(kafka: &'a [(String, Value)], ours: &'a [(String, Value)]) -> Vec<&'a str> {
    let mut names: Vec<&str> = kafka.iter().map(|(name, _)| name.as_str()).collect();
    names.extend(ours.iter().map(|(name, _)| name.as_str()).filter(|name| field(kafka, name).is_none()));
    names
}

fn shown(value: Option<&Value>) -> String {
    value.map_or_else(|| ABSENT.to_owned(), ToString::to_string)
}

#[cfg(test)]
mod tests {
    use super::super::parse::value;
    use super::*;

    #[test]
    fn each_difference_has_its_path() {
        let kafka =
            value("{A: 1, B: [{C: 1}, {C: 2}], D: 3, F: [{Name: \"a\"}, {Name: \"b\"}]}").expect("a value");
        let ours =
            value("{A: 1, B: [{C: 5}], F: [{Name: \"b\"}, {Name: \"a\", X: 1}], E: 4}").expect("a value");
        let found: Vec<String> =
            differences(&kafka, &ours).iter().map(|d| format!("{} {} {}", d.path, d.kafka, d.ours)).collect();
        assert_eq!(
            found,
            [
                "B[0].C 1 5",
                "B[1] {C: 2} absent",
                "D 3 absent",
                "F.order \"a\", \"b\" \"b\", \"a\"",
                "F[\"a\"].X absent 1",
                "E absent 4"
            ]
        );
        assert!(differences(&kafka, &kafka).is_empty());
    }
}
