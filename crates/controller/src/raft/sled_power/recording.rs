//! What a process did to the files of one directory, system call by system call, as strace saw it.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

/// Every call with which a process may change files or make them durable; one of them that is not understood fails the
/// test, rather than being left out of what is replayed.
pub(super) const TRACED: &str = "trace=open,openat,openat2,creat,mkdir,mkdirat,rename,renameat,renameat2,unlink,unlinkat,\
    rmdir,link,linkat,symlink,symlinkat,truncate,ftruncate,fallocate,write,writev,pwrite64,pwritev,pwritev2,copy_file_range,\
    sendfile,lseek,fsync,fdatasync,sync_file_range,syncfs,sync,msync,mmap,io_uring_setup";

/// One change, with paths below the recorded directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Call {
    Mkdir(PathBuf),
    Create(PathBuf),
    Truncate(PathBuf),
    Write {
        path: PathBuf,
        pos: u64,
        bytes: Vec<u8>,
    },
    SetLen(PathBuf, u64),
    Sync(PathBuf),
    Rename(PathBuf, PathBuf),
    Remove(PathBuf),
    /// The process noted how far it is: a line that it wrote to the file of that name.
    Note(String),
}

/// The file to which the process writes its notes.
pub(super) const NOTES: &str = "notes";

/// Reads what `strace -f -y -xx` wrote about a process that worked in `dir`.
pub(super) fn read(trace: &str, dir: &Path) -> Vec<Call> {
    let mut reader = Reader { dir: dir.to_owned(), positions: BTreeMap::new(), calls: Vec::new() };
    let mut begun: BTreeMap<&str, String> = BTreeMap::new();
    for line in trace.lines() {
        let (thread, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_start();
        if let Some(front) = rest.strip_suffix(" <unfinished ...>") {
            // What is written while another call runs has reached the file when it returns, at the latest; a sync covers
            // what was there when it began, at the least.
            if !reader.sync(front) {
                begun.insert(thread, front.to_owned());
            }
        } else if rest.starts_with("<... ") {
            let back = rest.split_once("resumed>").map(|(_, back)| back).unwrap_or_default();
            if let Some(front) = begun.remove(thread) {
                reader.line(&(front + back));
            }
        } else if !reader.sync(rest) {
            reader.line(rest);
        }
    }
    reader.calls
}

struct Reader {
    dir: PathBuf,
    /// Of descriptors that are written at their own position.
    positions: BTreeMap<String, u64>,
    calls: Vec<Call>,
}

impl Reader {
    /// Whether the line is of a call that makes durable what it covers.
    fn sync(&mut self, line: &str) -> bool {
        let is_sync = line.starts_with("fsync(") || line.starts_with("fdatasync(");
        if is_sync && let Some(path) = descriptor(line).and_then(|(_, path)| self.below(&path)) {
            self.calls.push(Call::Sync(path));
        }
        is_sync
    }

    fn below(&self, path: &Path) -> Option<PathBuf> {
        path.strip_prefix(&self.dir).ok().map(Path::to_owned)
    }

    /// One call that has ended.
    fn line(&mut self, line: &str) {
        let Some((name, args)) = line.split_once('(') else { return };
        let Some((args, result)) = args.rsplit_once(" = ") else { return };
        let strings = strings(args);
        let paths = || strings.iter().filter_map(|bytes| self.below(&path(bytes))).collect::<Vec<_>>();
        let file = descriptor(line).and_then(|(number, path)| Some((number, self.below(&path)?)));
        if result.starts_with('-') || (file.is_none() && paths().is_empty()) {
            return;
        }
        let number = |at: usize| {
            args.rsplit(", ").nth(at).and_then(|text| text.trim_end_matches([')', ' ']).parse().ok())
        };
        let call = match (name, file) {
            ("openat", _) => return self.opened(args, &paths()[0], result),
            ("mkdir", _) => Call::Mkdir(paths().remove(0)),
            ("unlink", _) => Call::Remove(paths().remove(0)),
            ("rename", _) => Call::Rename(paths().remove(0), paths().remove(1)),
            ("pwrite64", Some((_, path))) => {
                Call::Write { path, pos: number(0).expect("a position"), bytes: strings[0].clone() }
            }
            ("ftruncate", Some((_, path))) => Call::SetLen(path, number(0).expect("a length")),
            ("write", Some((_, path))) if path == Path::new(NOTES) => {
                Call::Note(String::from_utf8_lossy(&strings[0]).trim().to_owned())
            }
            ("write", Some((descriptor, path))) => {
                let at = self.positions.get_mut(&descriptor).expect("opened to write only");
                let pos = *at;
                *at += strings[0].len() as u64;
                Call::Write { path, pos, bytes: strings[0].clone() }
            }
            // Of one that is read: `write` knows those that are written.
            ("lseek", Some((descriptor, _))) if !self.positions.contains_key(&descriptor) => return,
            // Lengths stay as they are; it is no barrier; nothing is written at a position of the descriptor's own.
            ("fallocate", _) if args.contains("FALLOC_FL_KEEP_SIZE") => return,
            ("sync_file_range", _) => return,
            ("mmap", _) if args.contains("MAP_PRIVATE") => return,
            _ => panic!("what does this do? {}", line.get(..200).unwrap_or(line)),
        };
        self.calls.push(call);
    }

    fn opened(&mut self, args: &str, path: &Path, result: &str) {
        let descriptor = result.split('<').next().unwrap_or_default().to_owned();
        self.positions.remove(&descriptor);
        if args.contains("O_WRONLY") {
            assert!(!args.contains("O_APPEND"), "{args}");
            self.positions.insert(descriptor, 0);
        }
        if path == Path::new(NOTES) {
            return;
        }
        if args.contains("O_CREAT") {
            self.calls.push(Call::Create(path.to_owned()));
        }
        if args.contains("O_TRUNC") {
            self.calls.push(Call::Truncate(path.to_owned()));
        }
    }
}

/// The descriptor that is a call's first argument, and its path.
fn descriptor(line: &str) -> Option<(String, PathBuf)> {
    let (_, args) = line.split_once('(')?;
    let (number, rest) = args.split_once('<')?;
    number.parse::<u32>().ok()?;
    Some((number.to_owned(), path(&unhex(rest.split_once('>')?.0))))
}

/// The strings among a call's arguments.
fn strings(args: &str) -> Vec<Vec<u8>> {
    args.split('"').skip(1).step_by(2).map(unhex).collect()
}

/// `\x61\x62`, as strace writes all strings with `-xx`.
fn unhex(text: &str) -> Vec<u8> {
    text.split("\\x").skip(1).filter_map(|byte| u8::from_str_radix(byte, 16).ok()).collect()
}

fn path(bytes: &[u8]) -> PathBuf {
    PathBuf::from(OsString::from_vec(bytes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(text: &str) -> String {
        text.bytes().map(|byte| format!("\\x{byte:02x}")).collect()
    }

    #[test]
    fn calls_are_read_in_the_order_that_promises_least() {
        let (a, other) = (hex("/d/a"), hex("/e"));
        let trace = format!(
            "7 openat(AT_FDCWD, \"{a}\", O_RDWR|O_CREAT, 0666) = 3<{a}>\n\
             7 pwrite64(3<{a}>, \"{}\", 2, 5 <unfinished ...>\n\
             8 fdatasync(3<{a}> <unfinished ...>\n\
             7 <... pwrite64 resumed>)           = 2\n\
             8 <... fdatasync resumed>)          = 0\n\
             7 pwrite64(4<{other}>, \"{}\", 2, 5) = 2\n\
             7 ftruncate(3<{a}>, 100)            = 0\n\
             7 rename(\"{a}\", \"{}\")           = -1 ENOENT\n",
            hex("xy"),
            hex("zz"),
            hex("/d/b"),
        );
        let a = PathBuf::from("a");
        let wanted = [
            Call::Create(a.clone()),
            Call::Sync(a.clone()),
            Call::Write { path: a.clone(), pos: 5, bytes: b"xy".to_vec() },
            Call::SetLen(a, 100),
        ];
        assert_eq!(read(&trace, Path::new("/d")), wanted);
    }

    #[test]
    #[should_panic(expected = "what does this do?")]
    fn a_call_that_is_not_understood_fails() {
        read(&format!("7 writev(3<{}>, [], 0) = 0\n", hex("/d/a")), Path::new("/d"));
    }
}
