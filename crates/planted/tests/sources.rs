//! What [`ottla_planted::ALL`] lists is what is planted: each once, and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::Path;

/// Names in `planted!("...")`, with the files that have them.
fn planted(dir: &Path, found: &mut BTreeMap<String, Vec<String>>) -> io::Result<()> {
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        if path.is_dir() {
            planted(&path, found)?;
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = fs::read_to_string(&path)?;
            for (_, rest) in
                text.match_indices("planted!(\"").map(|(at, open)| text.split_at(at + open.len()))
            {
                let name = rest.split('"').next().unwrap_or_default();
                found.entry(name.to_owned()).or_default().push(path.display().to_string());
            }
        }
    }
    Ok(())
}

#[test]
fn each_bug_is_planted_once() -> io::Result<()> {
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut found = BTreeMap::new();
    for entry in fs::read_dir(crates)? {
        let path = entry?.path();
        if path.join("src").is_dir() && !path.ends_with("planted") {
            planted(&path.join("src"), &mut found)?;
        }
    }
    for bug in ottla_planted::ALL {
        let places = found.remove(bug.name).unwrap_or_default();
        assert_eq!(places.len(), 1, "{} is planted in {places:?}", bug.name);
    }
    assert!(found.is_empty(), "not listed: {found:?}");
    Ok(())
}
