use std::path::PathBuf;
use std::sync::Arc;

use ottla_model::batch::crc32c;
use ottla_model::{LeaderEpoch, Now, Offset, TopicPartition};

use super::{LogStart, PartitionLog};
use crate::{AppendOrigin, LogConfig, SimDisk};

/// A batch of `count` records of which only the header is sound.
pub(crate) fn batch(count: i32, payload: usize) -> Vec<u8> {
    let mut bytes = vec![0u8; 61 + payload];
    let len = i32::try_from(bytes.len() - 12).unwrap();
    bytes[8..12].copy_from_slice(&len.to_be_bytes());
    bytes[16] = 2;
    bytes[23..27].copy_from_slice(&(count - 1).to_be_bytes());
    bytes[43..51].copy_from_slice(&(-1i64).to_be_bytes());
    bytes[51..53].copy_from_slice(&(-1i16).to_be_bytes());
    bytes[53..57].copy_from_slice(&(-1i32).to_be_bytes());
    bytes[57..61].copy_from_slice(&count.to_be_bytes());
    let crc = crc32c(&bytes[21..]);
    bytes[17..21].copy_from_slice(&crc.to_be_bytes());
    bytes
}

fn open(disk: &SimDisk) -> PartitionLog {
    let tp = TopicPartition { topic: "t".into(), partition: 0 };
    let config = Arc::new(LogConfig::default());
    let dir = PathBuf::from("/data/t-0");
    PartitionLog::open(Arc::new(disk.clone()), dir, tp, config, LogStart::default(), Now::default()).unwrap()
}

#[test]
fn appended_batches_are_read_back_from_any_offset() {
    let disk = SimDisk::new();
    let mut log = open(&disk);
    for _ in 0..10 {
        let mut bytes = batch(3, 1000);
        log.append_as_leader(&mut bytes, LeaderEpoch(7), AppendOrigin::Client, Now::default()).unwrap();
    }
    assert_eq!(log.log_end_offset(), Offset(30));
    let all = log.read_bytes(Offset(0), u32::MAX).unwrap();
    assert_eq!(all.len(), 10 * 1061);
    for from in 0..30 {
        let bytes = log.read_bytes(Offset(from), 1).unwrap();
        let batch = usize::try_from(from / 3).unwrap();
        assert_eq!(bytes, all[batch * 1061..(batch + 1) * 1061], "from {from}");
    }
    let log = open(&disk);
    assert_eq!(log.log_end_offset(), Offset(30));
}
