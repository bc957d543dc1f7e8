//! Batches as they were appended, and as they are read back.

use ottla_model::Offset;
use ottla_model::batch::{BatchHeader, Records, batches};
use ottla_storage::PartitionLog;

/// One record as a consumer sees it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub offset: i64,
    pub timestamp: i64,
    pub key: Vec<u8>,
    pub value: Option<Vec<u8>>,
}

/// A batch with its offsets.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub header: BatchHeader,
    pub bytes: Vec<u8>,
    pub records: Vec<Seen>,
}

impl Written {
    /// One whole batch, whose CRC is right.
    pub(crate) fn of(bytes: &[u8]) -> Self {
        let header = BatchHeader::read(bytes).unwrap();
        let bytes = bytes[..header.size()].to_vec();
        header.verify(&bytes).unwrap();
        let records = Records::new(&header, &bytes[ottla_model::batch::HEADER_LEN..]);
        let seen = |record: ottla_model::batch::Record<'_>| Seen {
            offset: record.offset.get(),
            timestamp: record.timestamp.get(),
            key: record.key.unwrap_or_default().to_vec(),
            value: record.value.map(<[u8]>::to_vec),
        };
        let records = records.map(|record| seen(record.unwrap())).collect();
        Self { header, bytes, records }
    }

    pub(crate) fn end(&self) -> i64 {
        self.header.next_offset().get()
    }
}

/// All batches from the log start on; each sound, and each reached by every offset up to its last.
pub(crate) fn read_all(log: &PartitionLog) -> Vec<Written> {
    let (mut at, end) = (log.log_start_offset(), log.log_end_offset());
    let mut all: Vec<Written> = Vec::new();
    while at < end {
        let bytes = log.read_bytes(at, 2_000).unwrap();
        let whole: Vec<Written> =
            batches(&bytes).map_while(Result::ok).map(|(_, bytes)| Written::of(bytes)).collect();
        let Some(last) = whole.last() else { break };
        assert!(whole[0].header.last_offset() >= at, "{at} finds {:?}", whole[0].header);
        at = Offset(last.end());
        all.extend(whole);
    }
    all
}
