//! A file system of a given size for one broker: a tmpfs in a mount namespace of its own, which lives as long as this.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use crate::process::{bound_command, spawn};

/// Dropped, it is gone with all that is in it.
#[derive(Debug)]
pub struct SmallDisk {
    holder: Child,
    dir: PathBuf,
}

impl SmallDisk {
    /// Mounts `bytes` over `dir`, which is made, for whoever is started by [`SmallDisk::starter`].
    pub fn mount(dir: &Path, bytes: u64) -> Self {
        fs::create_dir_all(dir).expect("make the mount point");
        let mut command = bound_command("unshare");
        // The holder says so once it has mounted, and then holds the namespace.
        let script = "mount -t tmpfs -o size=\"$1\" none \"$2\" && echo mounted && exec sleep infinity";
        command.args(["-rm", "sh", "-c", script, "sh", &bytes.to_string()]).arg(dir);
        command.stdin(Stdio::null()).stdout(Stdio::piped());
        let mut holder = spawn(command).expect("start unshare");
        let mut line = String::new();
        let stdout = holder.stdout.take().expect("piped stdout");
        BufReader::new(stdout).read_line(&mut line).expect("read from the holder");
        assert_eq!(line, "mounted\n", "a tmpfs could not be mounted");
        Self { holder, dir: dir.to_path_buf() }
    }

    /// What starts a program that sees the file system.
    pub fn starter(&self) -> Vec<String> {
        let target = self.holder.id().to_string();
        ["nsenter", "--preserve-credentials", "-U", "-m", "-t", &target, "--"].map(str::to_owned).to_vec()
    }

    /// The mounted directory as this process reaches it.
    pub fn dir(&self) -> PathBuf {
        let root = PathBuf::from(format!("/proc/{}/root", self.holder.id()));
        root.join(self.dir.strip_prefix("/").unwrap_or(&self.dir))
    }

    /// Takes all the room that is left, to the last byte.
    pub fn fill(&self) {
        let mut file =
            File::options().create(true).append(true).open(self.ballast()).expect("open the ballast");
        for step in [1 << 20, 4096, 512, 1] {
            let bytes = vec![0; step];
            loop {
                match file.write_all(&bytes) {
                    Ok(()) => {}
                    Err(error) if error.kind() == ErrorKind::StorageFull => break,
                    Err(error) => panic!("write the ballast: {error}"),
                }
            }
        }
    }

    /// Gives back what [`SmallDisk::fill`] took.
    pub fn make_room(&self) {
        fs::remove_file(self.ballast()).expect("remove the ballast");
    }

    fn ballast(&self) -> PathBuf {
        self.dir().join("ballast")
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = self.holder.kill();
        let _ = self.holder.wait();
    }
}
