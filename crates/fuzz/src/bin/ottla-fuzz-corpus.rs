//! Between libFuzzer's directories (a file an input) and the committed corpora (a line an input).
//!
//! `ottla-fuzz-corpus list`: the targets. `ottla-fuzz-corpus write TARGET DIR`: its seeds and saved inputs as files.
//! `ottla-fuzz-corpus keep TARGET DIR`: the files of DIR become its saved inputs, the short ones first.

use std::path::Path;
use std::process::ExitCode;
use std::{fs, io};

use ottla_fuzz::{TARGETS, keep, saved, target};

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    let done = match words[..] {
        ["list"] => {
            TARGETS.iter().for_each(|target| println!("{}", target.name));
            Ok(())
        }
        ["write", target, dir] => write(target, Path::new(dir)),
        ["keep", target, dir] => files(Path::new(dir)).and_then(|inputs| keep(target, inputs)),
        _ => Err(io::Error::other("list | write TARGET DIR | keep TARGET DIR")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("ottla-fuzz-corpus: {error}");
            ExitCode::FAILURE
        }
    }
}

fn write(name: &str, dir: &Path) -> io::Result<()> {
    let target = target(name).ok_or_else(|| io::Error::other(format!("there is no target {name}")))?;
    fs::create_dir_all(dir)?;
    let inputs = (target.seeds)().into_iter().chain(saved(name)?);
    for (number, input) in inputs.enumerate() {
        fs::write(dir.join(format!("seed-{number}")), input)?;
    }
    Ok(())
}

fn files(dir: &Path) -> io::Result<Vec<Vec<u8>>> {
    fs::read_dir(dir)?.map(|entry| fs::read(entry?.path())).collect()
}
