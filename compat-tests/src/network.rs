//! A network of hosts, a network namespace each, joined by a bridge to which this process is joined, too. What one host
//! sends to another can be lost on the way, in one direction or both; this process always reaches all of them.

use std::net::Ipv4Addr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// Names of ours begin with this and a process id in hex.
const MARK: &str = "ottla";
/// A hardware address that nobody has: what is sent there is lost without a word.
const NOWHERE: &str = "02:00:00:00:00:ff";

/// Dropped, it is gone.
#[derive(Debug)]
pub struct Network {
    /// What all its names begin with.
    prefix: String,
    subnet: [u8; 3],
    hosts: usize,
}

impl Network {
    /// Hosts with the ids 1 to `hosts`.
    pub fn of(hosts: usize) -> Self {
        static SWEEP: Once = Once::new();
        static NEXT: AtomicU32 = AtomicU32::new(0);
        SWEEP.call_once(remove_those_of_dead_processes);
        let (pid, n) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // No hex digit follows the process id, and a name of an interface has 15 letters at most.
        let prefix = format!("{MARK}{pid:x}{}", ["p", "q", "r", "s"][usize::try_from(n % 4).unwrap_or(0)]);
        let network = Self { prefix, subnet: free_subnet(pid + n), hosts };
        network.join();
        network
    }

    fn join(&self) {
        let bridge = self.bridge();
        ip(&["link", "add", &bridge, "type", "bridge"]);
        ip(&["addr", "add", &format!("{}/24", self.at(254)), "dev", &bridge]);
        ip(&["link", "set", &bridge, "up"]);
        for id in 1..=self.hosts {
            let (namespace, outside) = (self.namespace(id), format!("{}{id}", self.prefix));
            ip(&["netns", "add", &namespace]);
            ip(&["link", "add", &outside, "type", "veth", "peer", "name", "eth0", "netns", &namespace]);
            ip(&["link", "set", &outside, "master", &bridge, "up"]);
            let inside = |args: &[&str]| ip(&[&["-n", &namespace], args].concat());
            inside(&["link", "set", "lo", "up"]);
            inside(&["addr", "add", &format!("{}/24", self.address(id)), "dev", "eth0"]);
            inside(&["link", "set", "eth0", "up"]);
        }
    }

    fn bridge(&self) -> String {
        format!("{}b", self.prefix)
    }

    fn namespace(&self, id: usize) -> String {
        format!("{}n{id}", self.prefix)
    }

    fn at(&self, last: u8) -> Ipv4Addr {
        let [a, b, c] = self.subnet;
        Ipv4Addr::new(a, b, c, last)
    }

    /// A host's address.
    pub fn address(&self, id: usize) -> Ipv4Addr {
        self.at(u8::try_from(id).expect("a few hosts"))
    }

    /// What starts a program on a host.
    pub fn starter(&self, id: usize) -> Vec<String> {
        ["ip", "netns", "exec", &self.namespace(id)].map(str::to_owned).to_vec()
    }

    /// From now on what `from` sends to `to` is lost.
    pub fn cut(&self, from: usize, to: usize) {
        let (namespace, to) = (self.namespace(from), self.address(to).to_string());
        ip(&[
            "-n",
            &namespace,
            "neigh",
            "replace",
            &to,
            "lladdr",
            NOWHERE,
            "dev",
            "eth0",
            "nud",
            "permanent",
        ]);
    }

    /// Nothing is lost any more.
    pub fn heal(&self) {
        for id in 1..=self.hosts {
            ip(&["-n", &self.namespace(id), "neigh", "flush", "dev", "eth0", "nud", "permanent"]);
        }
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for id in 1..=self.hosts {
            try_ip(&["netns", "del", &self.namespace(id)]);
        }
        try_ip(&["link", "del", &self.bridge()]);
    }
}

/// A subnet of 10.0.0.0/8 to which this machine knows no way but its default one.
fn free_subnet(seed: u32) -> [u8; 3] {
    let subnets = (0..1 << 14).map(|n: u32| (seed.wrapping_mul(97) + n) % (1 << 14));
    let mut subnets =
        subnets.map(|n| [10, 192 + u8::try_from(n >> 8).unwrap_or(0), u8::try_from(n & 255).unwrap_or(0)]);
    let is_free =
        |[a, b, c]: &[u8; 3]| said(&["-o", "addr", "show", "to", &format!("{a}.{b}.{c}.0/24")]).is_empty();
    subnets.find(is_free).expect("a free subnet")
}

/// A test that is killed leaves its namespaces and bridges.
fn remove_those_of_dead_processes() {
    let is_left = |name: &str| {
        let hex: String =
            name.strip_prefix(MARK).unwrap_or("").chars().take_while(char::is_ascii_hexdigit).collect();
        u32::from_str_radix(&hex, 16).is_ok_and(|pid| !Path::new(&format!("/proc/{pid}")).exists())
    };
    for name in said(&["netns", "list"]).lines().filter_map(|line| line.split(' ').next()) {
        if is_left(name) {
            try_ip(&["netns", "del", name]);
        }
    }
    for line in said(&["-o", "link", "show", "type", "bridge"]).lines() {
        let name = line.split(": ").nth(1).unwrap_or("");
        if is_left(name) {
            try_ip(&["link", "del", name]);
        }
    }
}

fn ip(args: &[&str]) {
    assert!(try_ip(args), "ip {}", args.join(" "));
}

fn try_ip(args: &[&str]) -> bool {
    Command::new("ip").args(args).stdin(Stdio::null()).status().is_ok_and(|status| status.success())
}

fn said(args: &[&str]) -> String {
    let output = Command::new("ip").args(args).stdin(Stdio::null()).output().expect("run ip");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
