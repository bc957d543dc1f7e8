//! How voters that know nothing yet become a quorum: which cluster they are, and whether they may vote at once.

use std::time::Duration;

use futures_util::future::join_all;
use ottla_model::BrokerId;

use super::network::greet;
use super::peer_codec::{Hello, HelloStanding};
use super::standing::Standing;
use crate::peers::Peers;

/// Between two rounds of greetings.
const PAUSE: Duration = Duration::from_millis(25);
/// How often it is said that others are waited for.
const REMIND: Duration = Duration::from_secs(10);

impl Peers {
    /// The id of the cluster that the voters are: what any of them knows, or else what the voter with the lowest id says,
    /// once it has heard from a majority that nobody knows. It only names a new cluster: to form one, that voter must be
    /// there.
    pub async fn agree_on_cluster_id(&self, propose: impl FnOnce() -> String) -> String {
        let names = self.voters.first().is_some_and(|lowest| lowest.id == self.own);
        let mut reminder = Reminder::default();
        loop {
            let others = self.greet_all(String::new()).await;
            if let Some(known) = others.iter().find_map(|(_, hello)| hello.cluster_id.clone()) {
                return known;
            }
            if names && others.len() + 1 >= self.majority() {
                return propose();
            }
            reminder.say("waits for the other voters, to learn the cluster's id");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What each of the other voters says that can be reached.
    async fn greet_all(&self, cluster_id: String) -> Vec<(BrokerId, Hello)> {
        let own = self.door.hello();
        let greetings = self.others().map(|peer| {
            let (own, cluster_id) = (own.clone(), cluster_id.clone());
            async move { greet(self, cluster_id, peer, own).await.map(|hello| (peer.id, hello)) }
        });
        join_all(greetings).await.into_iter().flatten().collect()
    }

    /// What becomes of a voter with an empty disk, and the term that it must not go below.
    pub(super) async fn stand_up(&self, cluster_id: &str) -> (Standing, u64) {
        let mut reminder = Reminder::default();
        loop {
            let own = self.door.hello();
            let others = self.greet_all(cluster_id.to_owned()).await;
            // One that has no cluster yet has no directory yet, either, by which it would be known again.
            let settled = others.into_iter().filter(|(_, hello)| hello.cluster_id.is_some());
            let (same, strangers): (Vec<_>, Vec<_>) =
                settled.partition(|(_, hello)| hello.cluster_id.as_deref() == Some(cluster_id));
            if let Some((id, _)) = strangers.first() {
                reminder.say(&format!("voter {id} belongs to another cluster than {cluster_id}"));
            }
            let own = (self.own, own.directory_id);
            if let Some(decided) = decide(self.voters.len(), own, &same) {
                return decided;
            }
            reminder.say("waits for the other voters: its disk is empty, and it must not forget what it may have promised");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

type Own = (BrokerId, ottla_metadata::DirectoryId);

/// The rule, for `voters` voters. Nobody can tell a new voter from one whose disk was emptied, but by the others:
///
/// - a majority is as blank, or has begun with this very disk among them: nothing can have been promised or acknowledged;
/// - else whoever had this voter's promise or acknowledgement is among any `voters - majority + 1` others that remember:
///   their highest term and longest log cover it.
fn decide(voters: usize, own: Own, others: &[(BrokerId, Hello)]) -> Option<(Standing, u64)> {
    let majority = voters / 2 + 1;
    let begun = |hello: &Hello| hello.standing != HelloStanding::Blank;
    let knows_us = |hello: &Hello| hello.founders.contains(&own);
    if others.iter().all(|(_, hello)| !begun(hello) || knows_us(hello)) {
        let founders = others.iter().map(|(id, hello)| (*id, hello.directory_id)).chain([own]);
        let founders: Vec<Own> = founders.collect();
        return (founders.len() >= majority).then_some((Standing::Founder(founders), 0));
    }
    let remember = || others.iter().filter(|(_, hello)| hello.standing == HelloStanding::Member);
    if remember().count() < voters - majority + 1 {
        return None;
    }
    let term = remember().map(|(_, hello)| hello.term).max().unwrap_or(0);
    let log_len = remember().map(|(_, hello)| hello.log_len).max().unwrap_or(0);
    Some((Standing::CatchingUp { log_len }, term))
}

/// Says what is waited for, not too often.
#[derive(Default)]
struct Reminder {
    said: Option<tokio::time::Instant>,
}

impl Reminder {
    fn say(&mut self, what: &str) {
        let now = tokio::time::Instant::now();
        if self.said.is_none_or(|said| now - said >= REMIND) {
            tracing::info!("this voter {what}");
            self.said = Some(now);
        }
    }
}

#[cfg(test)]
mod tests {
    use ottla_metadata::DirectoryId;

    use super::*;

    fn dir(n: u128) -> DirectoryId {
        DirectoryId(uuid::Uuid::from_u128(n))
    }

    fn blank(n: u128) -> Hello {
        Hello { directory_id: dir(n), ..Hello::default() }
    }

    fn member(term: u64, log_len: u64, founders: &[Own]) -> Hello {
        let founders = founders.to_vec();
        Hello { standing: HelloStanding::Member, term, log_len, founders, ..Hello::default() }
    }

    const OWN: BrokerId = BrokerId(1);

    fn own() -> Own {
        (OWN, dir(1))
    }

    #[test]
    fn a_majority_of_blank_voters_begins() {
        assert_eq!(decide(3, own(), &[]), None);
        let (standing, term) = decide(3, own(), &[(BrokerId(2), blank(2))]).unwrap();
        assert_eq!((standing, term), (Standing::Founder(vec![(BrokerId(2), dir(2)), own()]), 0));
        assert_eq!(decide(5, own(), &[(BrokerId(2), blank(2))]), None);
    }

    #[test]
    fn who_began_a_moment_earlier_is_followed() {
        let founders = [own(), (BrokerId(2), dir(2))];
        let others = [(BrokerId(2), member(1, 1, &founders))];
        assert!(matches!(decide(3, own(), &others), Some((Standing::Founder(_), 0))));
        // The same node with another disk is not the one that was there.
        let others = [(BrokerId(2), member(1, 1, &[(OWN, dir(9)), (BrokerId(2), dir(2))]))];
        assert_eq!(decide(3, own(), &others), None);
    }

    #[test]
    fn an_emptied_disk_waits_for_all_who_may_have_its_word() {
        let (b, c) = ((BrokerId(2), member(5, 9, &[])), (BrokerId(3), member(7, 4, &[])));
        assert_eq!(decide(3, own(), std::slice::from_ref(&b)), None);
        assert_eq!(decide(3, own(), &[b.clone(), (BrokerId(3), blank(3))]), None);
        let lost = Hello { standing: HelloStanding::CatchingUp, ..member(8, 0, &[]) };
        assert_eq!(decide(3, own(), &[b.clone(), (BrokerId(3), lost)]), None);
        assert_eq!(decide(3, own(), &[b, c]), Some((Standing::CatchingUp { log_len: 9 }, 7)));
    }
}
