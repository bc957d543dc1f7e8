//! How long clients wait when a node of three goes: measured on Ottla and on a real Kafka in the same way.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::admin::{active_controller, await_isr, create, of_three, placed};
use crate::cluster::Cluster;
use crate::crash::producer::{Kind, Plan, Producer};
use crate::crash::session::Site;
use crate::crash::{History, Rng, read_entries};
use crate::ledger::records::{self, Violation};
use crate::steady::{SteadyProducer, longest_gap, verify};

/// What a real Kafka on a busy machine may take.
const LIMIT: Duration = Duration::from_secs(90);
const TWO_IN_SYNC: [(&str, &str); 1] = [("min.insync.replicas", "2")];
/// Topics of one partition each, with their replicas.
pub const ROLLED: [(&str, [i32; 3]); 3] =
    [("led-by-1", [1, 2, 3]), ("led-by-2", [2, 3, 1]), ("led-by-3", [3, 1, 2])];
const IDEMPOTENT: &str = "idempotent";
const PARTITIONS: i32 = 3;

/// What clients saw of one event.
#[derive(Debug, Clone)]
pub struct Seen {
    /// Until a record was acknowledged that was sent after a kill; or the longest time between two acknowledgements.
    pub gap: Duration,
    pub acknowledged: usize,
    /// Acknowledged, and not where it was acknowledged.
    pub lost: usize,
    pub duplicated: usize,
}

/// Who is killed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Victim {
    Leader,
    /// A leader that is the active controller, too.
    LeaderAndController,
}

/// Kills a leader (`round` gives its topic a name), and starts it again.
pub async fn kill(cluster: &mut Cluster, victim: Victim, round: usize) -> Seen {
    let addresses = cluster.addresses();
    let controller = active_controller(&addresses[0]).await;
    let victim_id = match victim {
        Victim::LeaderAndController => controller,
        Victim::Leader => controller % 3 + 1,
    };
    let topic = format!("{victim:?}-{round}");
    let [first, second, third] = [0, 1, 2].map(|n| (victim_id - 1 + n) % 3 + 1);
    let replicas = [first, second, third].map(|id| i32::try_from(id).expect("an id"));
    create(&addresses[0], vec![placed(&topic, &replicas, &TWO_IN_SYNC)]).await;
    await_isr(&addresses[second - 1], &topic, &[1, 2, 3]).await;
    let load = SteadyProducer::start(addresses.clone(), &topic);
    cluster.wait_for("records are acknowledged", LIMIT, || load.acknowledged().len() > 200);
    let killed = Instant::now();
    cluster.kill(victim_id);
    let mut first_after = None;
    cluster.wait_for("a record is acknowledged after the kill", LIMIT, || {
        first_after = load.first_sent_after(killed);
        first_after.is_some()
    });
    let before = load.acknowledged().len();
    cluster.wait_for("it goes on", LIMIT, || load.acknowledged().len() > before + 50);
    cluster.restart(victim_id);
    await_isr(&addresses[second - 1], &topic, &[1, 2, 3]).await;
    seen(&addresses, &topic, load, |_| first_after.expect("seen").duration_since(killed)).await
}

/// Restarts all nodes in order, one after the other; what the clients of three partitions saw, each of which prefers
/// another leader.
pub async fn rolling(cluster: &mut Cluster) -> Vec<Seen> {
    let addresses = cluster.addresses();
    let topics = ROLLED;
    create(&addresses[0], topics.iter().map(|(name, on)| placed(name, on, &TWO_IN_SYNC)).collect()).await;
    let mut loads = Vec::new();
    for (topic, _) in topics {
        await_isr(&addresses[0], topic, &[1, 2, 3]).await;
        loads.push((topic, SteadyProducer::start(addresses.clone(), topic)));
    }
    for id in 1..=3 {
        let before: Vec<usize> = loads.iter().map(|(_, load)| load.acknowledged().len()).collect();
        cluster.wait_for("records are acknowledged", LIMIT, || {
            loads.iter().zip(&before).all(|((_, load), before)| load.acknowledged().len() > before + 50)
        });
        cluster.node_mut(id).terminate(LIMIT);
        cluster.restart(id);
        for (topic, _) in topics {
            await_isr(&addresses[id - 1], topic, &[1, 2, 3]).await;
        }
    }
    let mut all = Vec::new();
    for (topic, load) in loads {
        all.push(seen(&addresses, topic, load, longest_gap).await);
    }
    all
}

async fn seen(
    addresses: &[String],
    topic: &str,
    load: SteadyProducer,
    gap: impl Fn(&[crate::steady::Acknowledged]) -> Duration,
) -> Seen {
    let acknowledged = load.finish().await;
    let verdict = verify(addresses, topic, &acknowledged).await;
    Seen {
        gap: gap(&acknowledged),
        acknowledged: acknowledged.len(),
        lost: verdict.lost.len(),
        duplicated: verdict.twice,
    }
}

/// Idempotent producers that send again whatever was not acknowledged, while nodes go and come.
#[derive(Debug)]
pub struct Idempotent {
    addresses: Vec<String>,
    history: Arc<History>,
    stop: watch::Sender<bool>,
    producers: JoinSet<()>,
}

impl Idempotent {
    pub async fn start(cluster: &Cluster) -> Self {
        let (addresses, history) = (cluster.addresses(), Arc::<History>::default());
        create(&addresses[0], vec![of_three(IDEMPOTENT, PARTITIONS, &TWO_IN_SYNC)]).await;
        let (stop, stopped) = watch::channel(false);
        let site = Site::new(addresses.clone(), Duration::from_secs(2), stopped);
        let (mut producers, mut rng) = (JoinSet::new(), Rng::new(1));
        for plan in plans() {
            let producer = Producer::new(plan, rng.fork(), Arc::clone(&history));
            producers.spawn(producer.run(site.clone()));
        }
        Self { addresses, history, stop, producers }
    }

    /// Lets them finish; `gap` is none.
    pub async fn finish(mut self) -> Seen {
        self.stop.send_replace(true);
        while self.producers.join_next().await.is_some() {}
        let acknowledged = self.history.records();
        let read = read_entries(&self.addresses, IDEMPOTENT, 0..PARTITIONS).await;
        let gapless: BTreeSet<u32> = plans().map(|plan| plan.number).collect();
        let found = records::check(&acknowledged, &read, &gapless);
        let duplicated =
            found.iter().filter(|violation| matches!(violation, Violation::Duplicated { .. })).count();
        let (gap, lost) = (Duration::ZERO, found.len() - duplicated);
        Seen { gap, acknowledged: acknowledged.len(), lost, duplicated }
    }
}

fn plans() -> impl Iterator<Item = Plan> {
    (0..).zip(0..PARTITIONS).map(|(number, partition)| Plan {
        topic: IDEMPOTENT,
        partition,
        number,
        kind: Kind::Idempotent,
        value_len: 100,
        pause: Duration::from_millis(20),
        is_retained: false,
    })
}
