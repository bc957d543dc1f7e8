//! `preallocate` on a real file system: blocks beyond the file's length, given back when the segment is closed.

use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::sync::Arc;

use ottla_model::batch::BatchBuilder;
use ottla_model::{LeaderEpoch, MonoMs, Now, Offset, TimestampMs, TopicPartition};
use ottla_storage::{AppendOrigin, LogConfig, LogStart, PartitionLog, RealDisk};

const SEGMENT_BYTES: u32 = 4 << 20;

#[test]
fn a_segment_has_its_blocks_with_the_first_append_and_keeps_what_it_uses() {
    let dir = tempfile::tempdir().unwrap();
    let now = Now { wall: TimestampMs(1_700_000_000_000), mono: MonoMs(0) };
    let config = LogConfig { preallocate: true, segment_bytes: SEGMENT_BYTES, ..LogConfig::default() };
    let partition = TopicPartition::new("t", 0);
    let path = dir.path().join("t-0");
    let disk = Arc::new(RealDisk);
    let mut log =
        PartitionLog::open(disk, path.clone(), partition, Arc::new(config), LogStart::new_log(), now)
            .unwrap();
    let append = |log: &mut PartitionLog| {
        let mut builder = BatchBuilder::new(Offset(0));
        builder.push(now.wall, None, Some(&[b'v'; 100]), &[]);
        log.append_as_leader(&mut builder.build().unwrap(), LeaderEpoch(0), AppendOrigin::Client, now)
            .unwrap();
    };
    let (first, second) = (path.join("00000000000000000000.log"), path.join("00000000000000000001.log"));
    append(&mut log);
    assert!(reserved_bytes(&first) >= u64::from(SEGMENT_BYTES));
    assert!(std::fs::metadata(&first).unwrap().len() < 300, "the length is that of the records");
    log.roll(now).unwrap();
    assert!(reserved_bytes(&first) < 1 << 20);
    append(&mut log);
    assert!(reserved_bytes(&second) >= u64::from(SEGMENT_BYTES));
    log.close(true, now).unwrap();
    assert!(reserved_bytes(&second) < 1 << 20);
}

fn reserved_bytes(path: &Path) -> u64 {
    std::fs::metadata(path).map_or(0, |metadata| metadata.blocks() * 512)
}
