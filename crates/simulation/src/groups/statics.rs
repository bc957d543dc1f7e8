//! Static members (KIP-345, KIP-848): a process ends without a word, or says that it will be back, and the next one comes in its place,
//! under another member id.

use ottla_group_coordinator::{InstanceId, MemberId};

use super::ask::GroupAsk;
use super::caller::TIMEOUT_MS;
use super::member::{Kind, Member, What};
use super::past::Was;
use crate::message::Address;

/// Instance ids begin with it.
const INSTANCE: &str = "static";
/// It is back after that at the latest: sometimes its session has run out.
const AWAY_MS: u64 = 1_300;

pub(super) fn instance(address: Address) -> InstanceId {
    format!("{INSTANCE}{address}").into()
}

/// Who that is, whichever process of it.
pub(super) fn person(member: &MemberId) -> MemberId {
    match member.split_once('-') {
        Some((instance, _)) if instance.starts_with(INSTANCE) => MemberId::from(instance.to_owned()),
        _ => member.clone(),
    }
}

impl Member {
    /// Its process ends; what it says with that, if anything. If nothing, what it owned is nobody else's before its session has run out.
    pub(super) fn restarts(&mut self) -> Option<(What, u64, GroupAsk)> {
        let partition = self.owned.first().copied().unwrap_or(0);
        let was = Was { member: self.member_id.clone(), epoch: self.epoch, partition };
        self.back_at = self.beat_at + self.caller.chance.below(AWAY_MS);
        let asked = match self.kind {
            Kind::Consumer => {
                let says_so = self.caller.chance.below(2) == 0;
                let request = self.beat(true);
                says_so.then_some((What::Leave, TIMEOUT_MS, GroupAsk::ConsumerBeat(request)))
            }
            Kind::Classic => {
                self.owned.clear();
                self.is_nobody();
                None
            }
        };
        self.past.leave_behind(was);
        asked
    }
}
