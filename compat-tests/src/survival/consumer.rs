//! A consumer of one partition that reads on and on, now and then once more from somewhere before, and remembers what it saw.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use ottla_client::Client;
use ottla_model::Offset;
use ottla_protocol::ErrorCode;
use tokio::time::sleep;

use crate::crash::life::RECORDS;
use crate::crash::reader::parse;
use crate::crash::session::{Interrupted, Site};
use crate::crash::{History, Rng};
use crate::ledger::shown::{Shown, Violation};

const PAUSE: Duration = Duration::from_millis(20);
const WAIT_MS: i32 = 200;

pub(super) struct Consumer {
    pub(super) partition: i32,
    pub(super) rng: Rng,
    pub(super) history: Arc<History>,
    pub(super) shown: Arc<Mutex<Shown>>,
    /// Where it reads on, and the end of what it has seen.
    pub(super) at: Offset,
    pub(super) end: Offset,
}

pub(super) fn lock(shown: &Mutex<Shown>) -> MutexGuard<'_, Shown> {
    shown.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Consumer {
    pub(super) async fn run(mut self, site: Site) {
        while let Some(client) = site.leader(RECORDS, self.partition).await {
            let _ = self.session(&site, &client).await;
            sleep(PAUSE).await;
        }
    }

    async fn session(&mut self, site: &Site, client: &Client) -> Result<(), Interrupted> {
        while !site.stopped() {
            let fetched = match client.fetch(RECORDS, self.partition, self.at, 1, WAIT_MS).await {
                Err(error) if error.error_code() == Some(ErrorCode::OffsetOutOfRange) => {
                    let (partition, offset) = (self.partition, self.at.get());
                    self.history.found("consumer", [Violation::OutOfRange { partition, offset }]);
                    self.at = Offset::ZERO;
                    return Err(Interrupted);
                }
                fetched => fetched?,
            };
            for record in fetched.records_from(self.at).expect("sound batches") {
                let (offset, value) = (record.offset.get(), record.value.as_deref().unwrap_or_default());
                let entry = parse(self.partition, offset, value).expect("a record of ours");
                self.history.found("consumer", lock(&self.shown).see(entry));
            }
            self.at = fetched.next_offset(self.at);
            self.end = self.end.max(self.at);
            if self.rng.once_in(20) {
                self.at = Offset(i64::try_from(self.rng.below(self.end.get().unsigned_abs())).unwrap_or(0));
            }
            sleep(PAUSE).await;
        }
        Ok(())
    }
}
