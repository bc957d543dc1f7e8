//! The bare servers that a broker is compared with: one thread, blocking calls, nothing but the calls that move the
//! bytes.
//!
//! ```text
//! fetch    request: position 8 | length 4 | pieces 4 | filler
//!          answer: 60 bytes, then as many ranges of the files in turn, with a pread or sendfile for each
//! produce  request: any bytes; answer: 60 bytes, after CRC32C and pwrite of the request
//! flushed  the same, after an fdatasync
//! ```
//! All have Kafka's length prefix. A thread a connection; each writes to a file of its own.

use std::fs::File;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::ops::Range;
use std::os::unix::fs::FileExt;

use ottla_model::batch::crc32c;
use rustix::net::SendFlags;

use crate::{Result, broker};

const PREFIX_LEN: usize = 4;
/// About what a Produce answer, or a Fetch answer without its records, takes; the prefix counts.
const ANSWER_LEN: usize = 60;
/// Rewritten from the start when it has grown to this, as a broker would go on in a new segment.
const FILE_LEN_MAX: u64 = 1 << 30;
const SENDFILE_TURN_LEN: usize = 1 << 20;

/// `fetch|produce|flushed SENDFILE_MIN FILE ...`: prints its address and serves until it is killed.
pub(crate) fn serve(args: &[String]) -> Result<()> {
    let [kind, sendfile_min, names @ ..] = args else {
        return Err("floor fetch|produce|flushed SENDFILE_MIN FILE ...".into());
    };
    let sendfile_min = sendfile_min.parse()?;
    let kind = Kind::parse(kind)?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    broker::use_cubic(&listener);
    println!("{}", listener.local_addr()?);
    for number in 0_u32.. {
        let (stream, _) = listener.accept()?;
        stream.set_nodelay(true)?;
        let open = |name| match kind {
            Kind::Fetch => File::open(name),
            Kind::Produce | Kind::Flushed => File::create(format!("{name}.{number}")),
        };
        let files: Vec<File> = names.iter().map(open).collect::<io::Result<_>>()?;
        std::thread::spawn(move || {
            // Its client goes without a word.
            drop(serve_one(kind, stream, &files, sendfile_min));
            drop(files);
            // What the thread cost is counted as long as it is there.
            loop {
                std::thread::park();
            }
        });
    }
    Ok(())
}

#[derive(Clone, Copy, Debug)]
enum Kind {
    Fetch,
    Produce,
    Flushed,
}

impl Kind {
    fn parse(name: &str) -> Result<Self> {
        Ok(match name {
            "fetch" => Self::Fetch,
            "produce" => Self::Produce,
            "flushed" => Self::Flushed,
            other => return Err(format!("no such floor: {other}").into()),
        })
    }
}

fn serve_one(kind: Kind, mut stream: TcpStream, files: &[File], sendfile_min: usize) -> Result<()> {
    let first = files.first().ok_or("a floor needs a file")?;
    match kind {
        Kind::Fetch => fetch(&mut stream, files, sendfile_min),
        Kind::Produce => produce(&mut stream, first, false),
        Kind::Flushed => produce(&mut stream, first, true),
    }
}

fn fetch(stream: &mut TcpStream, files: &[File], sendfile_min: usize) -> Result<()> {
    let mut requests = Frames::new(64 << 10);
    let mut answer = vec![0; ANSWER_LEN + (2 << 20)];
    loop {
        let body = requests.next(stream)?;
        let position = u64::from_be_bytes(body[..8].try_into()?);
        let len = usize::try_from(u32::from_be_bytes(body[8..12].try_into()?))?;
        let pieces = usize::try_from(u32::from_be_bytes(body[12..16].try_into()?))?;
        let starts = (0..pieces).map(|piece| {
            let turn = piece / files.len();
            (&files[piece % files.len()], position + (turn * len) as u64)
        });
        answer[..4].copy_from_slice(&u32::try_from(ANSWER_LEN - 4 + len * pieces)?.to_be_bytes());
        if len >= sendfile_min {
            rustix::net::send(&*stream, &answer[..ANSWER_LEN], SendFlags::MORE)?;
            for (file, start) in starts {
                send_file(stream, file, start, len)?;
            }
        } else {
            let whole = &mut answer[..ANSWER_LEN + len * pieces];
            for (piece, (file, start)) in whole[ANSWER_LEN..].chunks_mut(len.max(1)).zip(starts) {
                file.read_exact_at(piece, start)?;
            }
            stream.write_all(whole)?;
        }
    }
}

fn send_file(stream: &TcpStream, file: &File, mut position: u64, len: usize) -> Result<()> {
    let mut left = len;
    while left > 0 {
        let sent = rustix::fs::sendfile(stream, file, Some(&mut position), left.min(SENDFILE_TURN_LEN))?;
        if sent == 0 {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof).into());
        }
        left -= sent;
    }
    Ok(())
}

fn produce(stream: &mut TcpStream, file: &File, is_flushed: bool) -> Result<()> {
    let mut requests = Frames::new(2 << 20);
    let mut answer = [0; ANSWER_LEN];
    answer[..4].copy_from_slice(&u32::try_from(ANSWER_LEN - 4)?.to_be_bytes());
    let mut position = 0;
    loop {
        let body = requests.next(stream)?;
        answer[4..8].copy_from_slice(&crc32c(body).to_be_bytes());
        file.write_all_at(body, position)?;
        position += u64::try_from(body.len())?;
        if is_flushed {
            file.sync_data()?;
        }
        if position >= FILE_LEN_MAX {
            position = 0;
        }
        stream.write_all(&answer)?;
    }
}

/// Frames, received with as few calls as their arrival allows.
struct Frames {
    buffer: Vec<u8>,
    /// Received and not given out.
    pending: Range<usize>,
}

impl Frames {
    fn new(len_max: usize) -> Self {
        Self { buffer: vec![0; len_max], pending: 0..0 }
    }

    /// The next frame's body.
    fn next(&mut self, stream: &mut TcpStream) -> Result<&[u8]> {
        // Mostly nothing; the head of the next frame where requests are pipelined.
        self.buffer.copy_within(self.pending.clone(), 0);
        self.pending = 0..self.pending.len();
        let whole = loop {
            let pending = &self.buffer[self.pending.clone()];
            let whole = pending.first_chunk().map(|len| u32::from_be_bytes(*len)).map(usize::try_from);
            match whole.transpose()?.map(|len| len + PREFIX_LEN) {
                Some(whole) if whole <= pending.len() => break whole,
                Some(whole) if whole > self.buffer.len() => return Err("a request is too large".into()),
                _ => {}
            }
            let got = stream.read(&mut self.buffer[self.pending.end..])?;
            if got == 0 {
                return Err("the client is gone".into());
            }
            self.pending.end += got;
        };
        self.pending.start = whole;
        Ok(&self.buffer[PREFIX_LEN..whole])
    }
}
