//! How voters that know nothing yet become a quorum: which cluster they are, and whether they may vote at once.

use std::time::Duration;

use futures_util::future::join_all;
use ottla_metadata::DirectoryId;
use ottla_model::BrokerId;

use super::network::greet;
use super::peer_codec::{Hello, HelloStanding};
use super::standing::Standing;
use crate::peers::{Peer, Peers};

/// Between two rounds of greetings.
const PAUSE: Duration = Duration::from_millis(25);
/// The entry that says who votes is all that a log has which no leader has written to.
const FIRST_ENTRY: u64 = 1;
/// How often it is said that others are waited for.
const REMIND: Duration = Duration::from_secs(10);

impl Peers {
    /// The id of the cluster that the voters are: what any of them knows, or else what the voter with the lowest id says,
    /// once it has heard from a majority that nobody knows. It only names a new cluster: to form one, that voter must be
    /// there. Where only addresses are known, all must have told their ids before.
    pub async fn agree_on_cluster_id(&self, propose: impl FnOnce() -> String) -> String {
        let mut reminder = Reminder::default();
        loop {
            let others = self.meet(String::new()).await;
            if let Some(known) = others.iter().find_map(|hello| hello.cluster_id.clone()) {
                return known;
            }
            let voters = self.voters();
            let names = voters.first().is_some_and(|lowest| lowest.id == self.own);
            if names && others.len() + 1 >= self.majority() {
                return propose();
            }
            reminder.say("waits for the other voters, to learn the cluster's id");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What each of the other voters says that can be reached. Where the voters are not known, whoever is at the addresses is
    /// asked: what the voters are if one of them knows, else they are those at the addresses, once all have answered.
    async fn meet(&self, cluster_id: String) -> Vec<Hello> {
        if !self.voters().is_empty() {
            return self.greet_all(cluster_id).await.into_iter().map(|(_, hello)| hello).collect();
        }
        let servers = self.bootstrap_servers();
        let hellos = self.greet_each(servers.to_vec(), cluster_id).await;
        if let Some((_, knows)) = hellos.iter().find(|(_, hello)| !hello.voters.is_empty()) {
            self.learn(knows.voters.clone());
        } else if hellos.len() == servers.len() && hellos.iter().any(|(_, hello)| hello.id == self.own) {
            let founders = hellos.iter().map(|(server, hello)| Peer { id: hello.id, ..server.clone() });
            self.learn(founders.collect());
        }
        self.door.know(self.voters().to_vec());
        hellos.into_iter().map(|(_, hello)| hello).filter(|hello| hello.id != self.own).collect()
    }

    async fn greet_all(&self, cluster_id: String) -> Vec<(BrokerId, Hello)> {
        let hellos = self.greet_each(self.others(), cluster_id).await;
        hellos.into_iter().map(|(peer, hello)| (peer.id, hello)).collect()
    }

    /// What those say of themselves that answer.
    pub(super) async fn greet_each(&self, whom: Vec<Peer>, cluster_id: String) -> Vec<(Peer, Hello)> {
        let own = self.door.hello();
        let greetings = whom.into_iter().map(|peer| {
            let (own, cluster_id) = (own.clone(), cluster_id.clone());
            async move { greet(self, cluster_id, &peer, own).await.map(|hello| (peer, hello)) }
        });
        join_all(greetings).await.into_iter().flatten().collect()
    }

    /// A founder that starts again before it has written anything, and knows addresses only, asks again who the voters are. Answers
    /// whether it is still to begin: where another one has, that brings it what there is.
    pub(super) async fn meet_again(&self, cluster_id: &str) -> bool {
        let mut reminder = Reminder::default();
        loop {
            let others = self.meet(cluster_id.to_owned()).await;
            let same = |hello: &&Hello| hello.cluster_id.as_deref() == Some(cluster_id);
            if others.iter().filter(same).any(|hello| hello.log_len > 0) {
                return false;
            }
            if !self.voters().is_empty() {
                return true;
            }
            reminder.say("waits for the other voters: it was ended before it had begun with them");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// What becomes of a controller with an empty disk, and the term that it must not go below.
    ///
    /// # Errors
    /// The others' log says who votes, of which this node's file knows nothing: with it, it would keep to voters that were.
    pub(super) async fn stand_up(
        &self,
        cluster_id: &str,
        directory_id: DirectoryId,
    ) -> Result<(Standing, u64), VotersInLog> {
        let mut reminder = Reminder::default();
        loop {
            if self.voters().is_empty() {
                self.meet(cluster_id.to_owned()).await;
            }
            let (voters, own) = (self.voters(), self.door.hello());
            if let Some(standing) = newcomer(&voters, (self.own, directory_id)) {
                return Ok((standing, 0));
            }
            let others = self.greet_all(cluster_id.to_owned()).await;
            // One that has no cluster yet has no directory yet, either, by which it would be known again.
            let settled = others.into_iter().filter(|(_, hello)| hello.cluster_id.is_some());
            let (same, strangers): (Vec<_>, Vec<_>) =
                settled.partition(|(_, hello)| hello.cluster_id.as_deref() == Some(cluster_id));
            if let Some((id, _)) = strangers.first() {
                reminder.say(&format!("voter {id} belongs to another cluster than {cluster_id}"));
            }
            if self.is_static() && same.iter().any(|(_, hello)| self.are_of_log(&hello.voters)) {
                return Err(VotersInLog);
            }
            let own = (self.own, own.directory_id);
            if !voters.is_empty()
                && let Some(decided) = decide(voters.len(), own, &same)
            {
                return Ok(decided);
            }
            reminder.say("waits for the other voters: its disk is empty, and it must not forget what it may have promised");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

/// Why a disk that is empty does not begin with the voters of the node's file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VotersInLog;

/// Whoever is no voter, or is one with another disk, has promised nothing with this one: it has a vote when the log gives it
/// one (KIP-853).
fn newcomer(voters: &[Peer], own: Own) -> Option<Standing> {
    let known = voters.iter().find(|voter| voter.id == own.0);
    let is_new = match known {
        None => !voters.is_empty(),
        Some(voter) => voter.directory_id != DirectoryId::UNASSIGNED && voter.directory_id != own.1,
    };
    is_new.then_some(Standing::Member)
}

type Own = (BrokerId, DirectoryId);

/// The rule, for `voters` voters. Nobody can tell a new voter from one whose disk was emptied, but by the others:
///
/// - a majority is as blank, or has begun with this very disk among them: nothing can have been promised or acknowledged;
/// - else whoever had this voter's promise or acknowledgement is among any `voters - majority + 1` others that remember:
///   their highest term and longest log cover it;
/// - where nobody has more than the entry that every founder begins with, there may be too few founders for a leader, each having
///   begun with others. Once all others have said so, this voter begins as well, above their highest term.
fn decide(voters: usize, own: Own, others: &[(BrokerId, Hello)]) -> Option<(Standing, u64)> {
    let majority = voters / 2 + 1;
    let begun = |hello: &Hello| hello.standing != HelloStanding::Blank;
    let knows_us = |hello: &Hello| hello.founders.contains(&own);
    if others.iter().all(|(_, hello)| !begun(hello) || knows_us(hello)) {
        let founders = others.iter().map(|(id, hello)| (*id, hello.directory_id)).chain([own]);
        let founders: Vec<Own> = founders.collect();
        return (founders.len() >= majority).then_some((Standing::Founder(founders), 0));
    }
    let log_len = others.iter().map(|(_, hello)| hello.log_len).max().unwrap_or(0);
    if log_len <= FIRST_ENTRY {
        let is_lost = |hello: &Hello| hello.standing == HelloStanding::CatchingUp;
        let all_say_so = others.len() + 1 == voters && !others.iter().any(|(_, hello)| is_lost(hello));
        let term = others.iter().map(|(_, hello)| hello.term).max().unwrap_or(0);
        return all_say_so.then(|| (Standing::Founder(vec![own]), term));
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
    use super::*;

    fn dir(n: u128) -> DirectoryId {
        DirectoryId(uuid::Uuid::from_u128(n))
    }

    fn blank(n: u128) -> Hello {
        Hello { directory_id: dir(n), ..Hello::of(BrokerId(9)) }
    }

    fn member(term: u64, log_len: u64, founders: &[Own]) -> Hello {
        let founders = founders.to_vec();
        Hello { standing: HelloStanding::Member, term, log_len, founders, ..Hello::of(BrokerId(9)) }
    }

    const OWN: BrokerId = BrokerId(1);

    fn own() -> Own {
        (OWN, dir(1))
    }

    #[test]
    fn a_newcomer_is_no_voter_or_has_another_disk() {
        let voter =
            |id, directory| Peer { directory_id: dir(directory), ..Peer::of_id(BrokerId(id), "h", 1) };
        assert_eq!(newcomer(&[], own()), None, "it is not known yet who votes");
        assert_eq!(newcomer(&[voter(1, 1), voter(2, 2)], own()), None);
        assert_eq!(
            newcomer(&[voter(1, 0), voter(2, 0)], own()),
            None,
            "static voters are known by their ids only"
        );
        assert_eq!(newcomer(&[voter(1, 9), voter(2, 2)], own()), Some(Standing::Member));
        assert_eq!(newcomer(&[voter(2, 2), voter(3, 3)], own()), Some(Standing::Member));
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
    fn too_few_founders_are_joined_by_the_rest() {
        // Four voters: 2 and 4 have begun at the same time, each with two others, and three make a majority.
        let began = |others: &[i32]| -> Vec<Own> {
            others.iter().map(|id| (BrokerId(*id), dir(u128::from(id.unsigned_abs())))).collect()
        };
        let two = (BrokerId(2), member(1, 1, &began(&[2, 3, 4])));
        let three = (BrokerId(3), blank(3));
        let four = (BrokerId(4), member(1, 1, &began(&[1, 2, 4])));
        assert_eq!(decide(4, own(), &[two.clone(), four.clone()]), None, "3 may know more");
        let all = [two.clone(), three, four.clone()];
        assert_eq!(decide(4, own(), &all), Some((Standing::Founder(vec![own()]), 1)));
        // A leader has written meanwhile.
        let led = (BrokerId(4), member(3, 2, &began(&[1, 2, 4])));
        assert_eq!(decide(4, own(), &[two, led]), Some((Standing::CatchingUp { log_len: 2 }, 3)));
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
