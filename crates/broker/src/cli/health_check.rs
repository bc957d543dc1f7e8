//! `--health-check`: whether a broker is ready, for a container that has no other program.

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

const TIMEOUT: Duration = Duration::from_secs(3);

/// Asks `/health/ready` of the metrics listener at `HOST:PORT`.
///
/// # Errors
/// Nobody answers in time, or the answer is another than 200.
pub(super) fn ask(address: &str) -> io::Result<()> {
    let address = address.to_socket_addrs()?.next().ok_or_else(|| io::Error::other("no such host"))?;
    let mut stream = TcpStream::connect_timeout(&address, TIMEOUT)?;
    stream.set_read_timeout(Some(TIMEOUT))?;
    stream.set_write_timeout(Some(TIMEOUT))?;
    // In one piece: who answers at the first one closes before the others.
    let request = format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut status = String::new();
    BufReader::new(stream).read_line(&mut status)?;
    match status.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(io::Error::other(format!("not ready ({})", status.trim_end()))),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;
    use std::net::TcpListener;
    use std::thread;

    use super::*;

    fn answered(status: &'static str) -> io::Result<()> {
        let listener = TcpListener::bind("127.0.0.1:0").expect("binds");
        let address = listener.local_addr().expect("is bound").to_string();
        let answering = thread::spawn(move || {
            let (mut stream, _) = listener.accept().expect("is asked");
            let _ = stream.read(&mut [0; 256]);
            write!(stream, "HTTP/1.1 {status}\r\n\r\n").expect("answers");
        });
        let asked = ask(&address);
        answering.join().expect("ends");
        asked
    }

    #[test]
    fn only_200_is_ready() {
        answered("200 OK").expect("is ready");
        let error = answered("503 Service Unavailable").expect_err("is not ready");
        assert_eq!(error.to_string(), "not ready (HTTP/1.1 503 Service Unavailable)");
        assert!(ask("127.0.0.1:1").is_err(), "nobody is there");
    }
}
