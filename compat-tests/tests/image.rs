//! `docker/Dockerfile` on what `cargo xtask dist` made: built, looked into, and run as what deploys it would.

use std::collections::BTreeSet;
use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use ottla_compat_tests::broker::free_ports;
use ottla_compat_tests::layout::{crate_dir, scratch_dir, target_dir};
use ottla_compat_tests::needs::only_on;
use ottla_compat_tests::process::{bound_command, eventually, run, spawn, wait_at_most};
use ottla_compat_tests::{Target, needs};
use serde_json::{Value, json};

const LIMIT: Duration = Duration::from_secs(60);
/// What is "small".
const IMAGE_BYTES_MAX: u64 = 32 * 1024 * 1024;

/// buildah with images and containers in a directory of this test.
struct Buildah(PathBuf);

impl Buildah {
    fn command(&self, args: &[&str]) -> Command {
        let mut command = bound_command("buildah");
        command.args(["--storage-driver", "vfs", "--root"]).arg(self.0.join("root"));
        command.arg("--runroot").arg(self.0.join("run")).args(args);
        command
    }

    fn any(&self, args: &[&str]) -> Output {
        run(self.command(args), None, LIMIT)
    }

    #[track_caller]
    fn ok(&self, args: &[&str]) -> String {
        let output = self.any(args);
        let error = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "buildah {}: {error}", args.join(" "));
        String::from_utf8_lossy(&output.stdout).trim().to_owned()
    }
}

impl Drop for Buildah {
    fn drop(&mut self) {
        let _ = self.any(&["rm", "--all"]);
        let _ = fs::remove_dir_all(&self.0);
    }
}

#[test]
fn the_image_is_small_and_serves_as_another_user_and_stops_when_told() {
    needs!(Buildah, Dist, Kcat);
    if !only_on(Target::Ottla) {
        return;
    }
    let buildah = Buildah(scratch_dir("image"));
    let dockerfile = crate_dir().join("../docker/Dockerfile");
    let context = target_dir().join("dist/image");
    let built = ["bud", "--isolation", "chroot", "--format", "docker", "-t", "ottla", "-f"];
    buildah.ok(&[&built[..], &[&dockerfile.display().to_string(), &context.display().to_string()]].concat());
    let image: Value =
        serde_json::from_str(&buildah.ok(&["inspect", "--type", "image", "ottla"])).expect("JSON");
    let config = &image["Docker"]["config"];
    check_config(config);

    buildah.ok(&["from", "--name", "c", "ottla"]);
    check_files(&PathBuf::from(buildah.ok(&["mount", "c"])));
    serves(&buildah, config);
}

fn check_config(config: &Value) {
    assert_eq!(config["User"], "1000:1000");
    assert_eq!(config["Entrypoint"], json!(["/usr/bin/ottla", "--container"]));
    assert_eq!(config["StopSignal"], "SIGTERM");
    assert_eq!(config["Volumes"], json!({"/var/lib/kafka/data": {}}));
    assert_eq!(config["ExposedPorts"], json!({"9092/tcp": {}, "9404/tcp": {}}));
    let check = json!(["CMD", "/usr/bin/ottla", "--health-check", "127.0.0.1:9404"]);
    assert_eq!(config["Healthcheck"]["Test"], check);
}

/// The binary, its user, its volume, and nothing else.
fn check_files(root: &Path) {
    let mut files = BTreeSet::new();
    let mut bytes = 0;
    let mut open = vec![root.to_path_buf()];
    while let Some(dir) = open.pop() {
        let entries: Vec<fs::DirEntry> = fs::read_dir(&dir).expect("a directory").flatten().collect();
        for entry in &entries {
            let meta = entry.metadata().expect("metadata");
            if meta.is_dir() {
                open.push(entry.path());
            } else {
                bytes += meta.len();
                files.insert(entry.path().strip_prefix(root).expect("below").display().to_string());
            }
        }
    }
    assert_eq!(files, BTreeSet::from(["etc/group", "etc/passwd", "usr/bin/ottla"].map(str::to_owned)));
    assert!(bytes <= IMAGE_BYTES_MAX, "{bytes} bytes");
    let data = fs::metadata(root.join("var/lib/kafka/data")).expect("the volume's place");
    assert_eq!((data.uid(), data.gid()), (1000, 1000));
}

/// Run by its entry point, it takes and gives records, says that it is healthy, and ends with 0.
fn serves(buildah: &Buildah, config: &Value) {
    let data = buildah.0.join("data");
    fs::create_dir(&data).expect("create the volume");
    chown(&data, Some(1000), Some(1000)).expect("give the volume away");
    let [port, metrics] = free_ports();
    let (address, metrics) = (format!("127.0.0.1:{port}"), format!("127.0.0.1:{metrics}"));
    let strings = |value: &Value| -> Vec<String> {
        value.as_array().expect("a list").iter().map(|part| part.as_str().expect("text").to_owned()).collect()
    };
    let variables =
        [format!("KAFKA_LISTENERS=PLAINTEXT://{address}"), format!("KAFKA_OTTLA_METRICS_LISTEN={metrics}")];
    let volume = format!("{}:/var/lib/kafka/data", data.display());
    let mut command = buildah.command(&["run", "--isolation", "chroot", "--volume", &volume]);
    command.args(variables.iter().flat_map(|variable| ["--env", variable]));
    command.args(["c", "--"]).args(strings(&config["Entrypoint"]));
    let log = fs::File::create(buildah.0.join("log")).expect("a log file");
    command.stdin(Stdio::null()).stdout(log.try_clone().expect("a second handle")).stderr(log);
    let mut container = spawn(command).expect("start the container");

    let check: Vec<String> = strings(&config["Healthcheck"]["Test"])
        .into_iter()
        .skip(1)
        .map(|part| part.replace("127.0.0.1:9404", &metrics))
        .collect();
    let check: Vec<&str> = ["run", "--isolation", "chroot", "c", "--"]
        .into_iter()
        .chain(check.iter().map(String::as_str))
        .collect();
    let mut still_runs = || {
        let said = || fs::read_to_string(buildah.0.join("log")).unwrap_or_default();
        let ended = wait_at_most(&mut container, Duration::ZERO);
        assert!(ended.is_none(), "it ended: {ended:?}\n{}", said());
    };
    // Two runs in one container that begin at once make the same directories, and one of them fails.
    eventually("the container serves", LIMIT, || {
        still_runs();
        TcpStream::connect(&address).ok()
    });
    eventually("the container is healthy", LIMIT, || {
        still_runs();
        buildah.any(&check).status.success().then_some(())
    });
    kcat(&address, &["-P", "-t", "t"], Some(b"a record\n"));
    assert_eq!(kcat(&address, &["-C", "-t", "t", "-e", "-q"], None), "a record\n");
    let meta = fs::metadata(data.join("meta.properties")).expect("data is in the volume");
    assert_eq!(meta.uid(), 1000);

    kill(broker_with(&address), Signal::SIGTERM).expect("signal");
    let status = wait_at_most(&mut container, LIMIT).expect("it stops");
    assert_eq!(status.code(), Some(0));
    assert!(!buildah.any(&check).status.success(), "nobody is there any more");
}

fn kcat(address: &str, args: &[&str], stdin: Option<&[u8]>) -> String {
    let mut command = bound_command("kcat");
    command.args(["-b", address]).args(args);
    let output = run(command, stdin, LIMIT);
    assert!(output.status.success(), "kcat {}: {}", args.join(" "), String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The process that listens there, by its environment: a container's first process is nobody's child by name.
fn broker_with(address: &str) -> Pid {
    let wanted = format!("KAFKA_LISTENERS=PLAINTEXT://{address}");
    let is_it = |pid: &i32| {
        let read = |file: &str| fs::read(format!("/proc/{pid}/{file}")).unwrap_or_default();
        let has = |bytes: &[u8], part: &[u8]| bytes.split(|byte| *byte == 0).any(|found| found == part);
        read("cmdline").starts_with(b"/usr/bin/ottla\0") && has(&read("environ"), wanted.as_bytes())
    };
    let processes = fs::read_dir("/proc").expect("/proc").flatten();
    let mut pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    Pid::from_raw(pids.find(is_it).expect("the broker's process"))
}
