//! Segments that wait for their flush hold a descriptor each; the last ones are left to whoever else needs one.

use std::fs::File;
use std::sync::Arc;

use ottla_model::batch::BatchBuilder;
use ottla_model::{LeaderEpoch, MonoMs, Now, Offset, TimestampMs, TopicPartition};
use ottla_storage::{AppendError, AppendOrigin, LogConfig, LogStart, PartitionLog, RealDisk};
use rustix::process::{Resource, getrlimit, setrlimit};

const LIMIT: u64 = 400;
const LEFT: usize = 40;

#[test]
fn segments_without_end_leave_descriptors_to_others_and_give_theirs_back_when_flushed() {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = Some(LIMIT);
    setrlimit(Resource::Nofile, limit).unwrap();
    let dir = tempfile::tempdir().unwrap();
    let now = Now { wall: TimestampMs(1_700_000_000_000), mono: MonoMs(0) };
    let (config, name) = (Arc::new(LogConfig::default()), TopicPartition::new("t", 0));
    let path = dir.path().join("t-0");
    let mut log =
        PartitionLog::open(Arc::new(RealDisk), path, name, config, LogStart::new_log(), now).unwrap();
    let append = |log: &mut PartitionLog| {
        let mut builder = BatchBuilder::new(Offset(0));
        builder.push(now.wall, None, Some(b"v"), &[]);
        log.append_as_leader(&mut builder.build().unwrap(), LeaderEpoch(0), AppendOrigin::Client, now)
    };
    for _ in 0..3 {
        let mut rolled = 0;
        let refused = loop {
            append(&mut log).unwrap();
            match log.roll(now) {
                Ok(()) => rolled += 1,
                Err(error) => break error,
            }
        };
        assert!(refused.is_for_lack_of_a_descriptor(), "{refused}");
        assert!(rolled > LIMIT / 2, "one descriptor for each segment, not three: {rolled}");
        let others: Result<Vec<File>, _> = (0..LEFT).map(|_| File::open("/dev/null")).collect();
        assert_eq!(others.unwrap().len(), LEFT);
        let end = log.log_end_offset();
        log.flush_now(now).unwrap();
        let appended: Result<_, AppendError> = append(&mut log);
        assert_eq!(appended.unwrap().last_offset, end);
    }
}
