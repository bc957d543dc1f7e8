//! Memory that a virtual machine's guest has not touched lately costs seconds of CPU a gigabyte to touch, on whoever
//! writes it to the page cache. A process that holds all but some of it leaves the page cache to warm pages.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};

use crate::Result;

const PAGE: usize = 4_096;
const GIB: u64 = 1 << 30;

/// The process; it ends with this.
#[derive(Debug)]
pub(super) struct Ballast(Child);

impl Drop for Ballast {
    fn drop(&mut self) {
        // One that is gone already cannot be killed.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Holds all memory but so many GiB; none for 0.
pub(super) fn fill(free_gib: u64) -> Result<Option<Ballast>> {
    let held = available()?.saturating_sub(free_gib * GIB);
    if free_gib == 0 || held == 0 {
        return Ok(None);
    }
    eprintln!("filling {} MiB of memory ...", held >> 20);
    let mut command = Command::new(std::env::current_exe()?);
    command.args(["ballast", &held.to_string()]).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn()?;
    let stdout = child.stdout.take().ok_or("the ballast has no stdout")?;
    let ballast = Ballast(child);
    let mut line = String::new();
    BufReader::new(stdout).read_line(&mut line)?;
    if line.trim() == "held" { Ok(Some(ballast)) } else { Err("memory could not be filled".into()) }
}

/// `ballast BYTES`: touches so many, and holds them until stdin ends.
pub(crate) fn hold(args: &[String]) -> Result<()> {
    let len: usize = args.first().ok_or("ballast BYTES")?.parse()?;
    let mut held = vec![0_u8; len];
    for at in (0..len).step_by(PAGE) {
        held[at] = 1;
    }
    println!("held");
    std::io::stdin().read_to_end(&mut Vec::new())?;
    std::hint::black_box(&held);
    Ok(())
}

fn available() -> Result<u64> {
    let info = fs::read_to_string("/proc/meminfo")?;
    let line = info.lines().find_map(|line| line.strip_prefix("MemAvailable:"));
    let kib = line.and_then(|line| line.trim().strip_suffix(" kB")).ok_or("no MemAvailable")?;
    Ok(kib.parse::<u64>()? * 1024)
}
