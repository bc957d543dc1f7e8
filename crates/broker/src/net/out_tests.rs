//! What is pushed is what arrives, whatever way each part takes.

use bytes::Bytes;
use ottla_protocol::fetch::Segment;
use ottla_storage::{Disk, FileSlice, OpenMode, RealDisk};
use tokio::io::AsyncReadExt;
use tokio::net::{TcpListener, TcpStream};

use super::out::{OutQueue, Wrote, len_of};
use super::slice::LogSlice;
use crate::cold_file::ColdFile;
use crate::dispatch::Answer;

/// Sends `segments` through a queue and gives what the other end reads.
async fn sent(segments: Vec<Segment<LogSlice>>, sendfile_min_len: usize, may_hold: bool) -> Vec<u8> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (writer, _) = listener.accept().await.unwrap();
    let reading = tokio::spawn(async move {
        let mut bytes = Vec::new();
        reader.read_to_end(&mut bytes).await.unwrap();
        bytes
    });
    let mut out = OutQueue::new(sendfile_min_len);
    let len = segments.iter().map(len_of).sum();
    let bytes_len = segments.iter().filter(|segment| matches!(segment, Segment::Bytes(_))).map(len_of).sum();
    out.push(Answer { segments, len });
    while !out.is_empty() {
        match out.write(&writer, may_hold).unwrap() {
            Wrote::Full => {
                assert!(may_hold || out.held_len() <= bytes_len, "what is in a file is held");
                writer.writable().await.unwrap();
            }
            Wrote::Turn => tokio::task::yield_now().await,
            Wrote::OnDisk => warm(&mut out),
            Wrote::All => {}
        }
    }
    drop(writer);
    reading.await.unwrap()
}

fn warm(out: &mut OutQueue) {
    let lacks = out.lacks();
    lacks.iter().for_each(|slice| slice.warm().unwrap());
    out.warmed(lacks.iter().map(|slice| slice.length as usize).sum());
}

#[tokio::test]
async fn bytes_and_slices_arrive_in_order_by_copy_and_by_sendfile() {
    let dir = tempfile::tempdir().unwrap();
    let content: Vec<u8> =
        (0..3_000_000_u32).map(|i| u8::try_from(i.wrapping_mul(2_654_435_761) >> 24).unwrap()).collect();
    let file = RealDisk.open(&dir.path().join("a.log"), OpenMode::Create).unwrap();
    file.write_all_at(&content, 0).unwrap();
    let cuts =
        [(0, 10), (1, 4_095), (4_096, 4_096), (5_000, 300_000), (100, 2_999_900), (7, 0), (2_999_999, 1)];
    let lens = [0, 1, 4_096, 256 * 1024];
    for (sendfile_min_len, may_hold) in lens.into_iter().flat_map(|len| [(len, true), (len, false)]) {
        let mut segments = vec![Segment::Bytes(Bytes::from_static(b"head"))];
        let mut expected = b"head".to_vec();
        for (position, length) in cuts {
            segments.push(Segment::File(LogSlice(FileSlice { file: file.clone(), position, length })));
            segments.push(Segment::Bytes(Bytes::from(vec![b'-'; 70_000])));
            let from = usize::try_from(position).unwrap();
            expected.extend_from_slice(&content[from..from + usize::try_from(length).unwrap()]);
            expected.extend_from_slice(&[b'-'; 70_000]);
        }
        assert!(
            sent(segments, sendfile_min_len, may_hold).await == expected,
            "sendfile from {sendfile_min_len}"
        );
    }
}

#[tokio::test]
async fn a_segment_file_shorter_than_its_slice_is_an_error() {
    let dir = tempfile::tempdir().unwrap();
    let file = RealDisk.open(&dir.path().join("a.log"), OpenMode::Create).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (writer, _) = listener.accept().await.unwrap();
    writer.writable().await.unwrap();
    for sendfile_min_len in [0, 1] {
        let mut out = OutQueue::new(sendfile_min_len);
        let slice = LogSlice(FileSlice { file: file.clone(), position: 4_096, length: 100 });
        out.push(Answer { segments: vec![Segment::File(slice)], len: 100 });
        assert!(out.write(&writer, true).is_err());
    }
}

/// Neither way of sending looks at the disk by itself: who sends serves other connections, too.
#[tokio::test]
async fn what_is_on_the_disk_only_is_not_sent_before_it_was_read() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (writer, _) = listener.accept().await.unwrap();
    writer.writable().await.unwrap();
    for sendfile_min_len in [0, 1] {
        let file = ColdFile::new(1 << 20);
        let mut out = OutQueue::new(sendfile_min_len);
        let slice = LogSlice(FileSlice { file: file.clone(), position: 0, length: 8_192 });
        out.push(Answer { segments: vec![Segment::File(slice)], len: 8_192 });
        assert_eq!(out.write(&writer, true).unwrap(), Wrote::OnDisk, "sendfile from {sendfile_min_len}");
        assert_eq!((out.take_sent_len(), file.asked.lock().len()), (0, 0));
        warm(&mut out);
        assert_eq!(out.write(&writer, true).unwrap(), Wrote::All);
        assert_eq!(out.take_sent_len(), 8_192);
        reader.read_exact(&mut [0; 8_192]).await.unwrap();
    }
}

#[tokio::test]
async fn answers_that_nobody_reads_leave_no_room_for_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut reader = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let (writer, _) = listener.accept().await.unwrap();
    let mut out = OutQueue::new(0);
    let len = 8 * 1024 * 1024;
    out.push(Answer { segments: vec![Segment::Bytes(Bytes::from(vec![b'-'; len]))], len });
    assert!(!out.has_room(len));
    let reading = tokio::spawn(async move { reader.read_exact(&mut vec![0; len]).await.map(|_| reader) });
    while !out.is_empty() {
        match out.write(&writer, true).unwrap() {
            Wrote::Full => writer.writable().await.unwrap(),
            Wrote::Turn => tokio::task::yield_now().await,
            Wrote::OnDisk => warm(&mut out),
            Wrote::All => {}
        }
    }
    reading.await.unwrap().unwrap();
    assert!(out.has_room(len));
}
