//! A hundred thousand partitions in the metadata: how soon a new controller decides, and how soon the leaders of a broker that dies
//! are elsewhere. The brokers that have them are stand-ins; a broker without replicas tells what is known.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use indicatif::ProgressBar;
use ottla_model::batch::batches;

use super::super::Plan;
use super::super::node::Node;
use super::super::table::{Metric, Table, Three};
use super::nodes::{new_name, ottla_node};
use super::stand_in::{Place, StandIn};
use crate::Result;
use crate::broker::Server;
use crate::measure::status_bytes;
use crate::requests::Requests;
use crate::wire::Wire;

const CONTROLLERS: usize = 3;
/// The broker that is asked, which has no replica.
const WITNESS: usize = 9;
const FIRST: i32 = 11;
const BROKERS: usize = 10;
/// Each leads all partitions of one topic.
const PARTITIONS: usize = 10_000;
const LOOK: Duration = Duration::from_millis(5);
const WAIT: Duration = Duration::from_secs(60);
/// Both of a broker's leaders and of a controller.
const MS_MAX: f64 = 1_000.0;

pub(super) fn run(plan: &Plan, progress: &ProgressBar, table: &mut Table) -> Result<()> {
    progress.inc_length(3);
    progress.set_message("topics are created");
    let partitions = plan.scaled(PARTITIONS);
    let mut cluster = Cluster::start(plan)?;
    let (from, topics) = (Instant::now(), cluster.create(partitions)?);
    let created = from.elapsed();
    progress.inc(1);

    progress.set_message("a broker's leaders move");
    let (moved, batches) = cluster.lose_broker(&topics[0])?;
    progress.inc(1);

    progress.set_message("a new controller decides");
    let resident = cluster.controllers.iter().try_fold(0, |most: u64, controller| {
        Ok::<_, Box<dyn std::error::Error>>(most.max(status_bytes(controller.pid(), "VmRSS")?))
    })?;
    let decided = cluster.lose_controller()?;
    progress.inc(1);

    let name = format!("{} partitions, RF 3, in the metadata", partitions * BROKERS);
    let ms = |time: Duration| Three::one(time.as_secs_f64() * 1e3);
    table.extend(vec![
        Metric::new(format!("{name}: until all are created"), "s", Three::one(created.as_secs_f64())),
        Metric::new(
            format!("{name}: a broker of ten dies, until its {partitions} leaders are elsewhere"),
            "ms",
            ms(moved),
        )
        .at_most(MS_MAX),
        Metric::new(format!("{name}: batches of records that say so"), "", Three::one(batches as f64)),
        Metric::new(
            format!("{name}: kill -9 of the active controller, until another has decided"),
            "ms",
            ms(decided),
        )
        .at_most(MS_MAX),
        Metric::new(
            format!("{name}: resident, a controller"),
            "MiB",
            Three::one(resident as f64 / f64::from(1 << 20)),
        ),
    ]);
    Ok(())
}

struct Cluster {
    controllers: Vec<Server>,
    witness: Server,
    /// Ends before the controllers do.
    brokers: Vec<StandIn>,
}

impl Cluster {
    fn start(plan: &Plan) -> Result<Self> {
        let (controllers, witness) = Node::apart(CONTROLLERS, WITNESS)?;
        let controllers: Vec<Server> =
            controllers.iter().map(|node| ottla_node(plan, node)).collect::<Result<_>>()?;
        let witness = ottla_node(plan, &witness)?;
        for server in controllers.iter().chain([&witness]) {
            drop(server.wait()?);
        }
        let place = Place::of(witness.address, controllers.iter().map(|server| server.address).collect())?;
        let ids = (FIRST..).take(BROKERS);
        let brokers = ids.map(|id| StandIn::register(id, &place)).collect::<Result<_>>()?;
        let cluster = Self { controllers, witness, brokers };
        let (requests, until) = (Requests::default(), Instant::now() + WAIT);
        while requests.brokers(&cluster.wire()?.call(&requests.metadata()?)?)? <= BROKERS {
            if Instant::now() > until {
                return Err("not all brokers are live".into());
            }
            sleep(LOOK);
        }
        Ok(cluster)
    }

    fn wire(&self) -> Result<Wire> {
        Wire::connect_patiently(self.witness.address)
    }

    /// A topic for each broker, all of which it leads; waits until the witness knows them.
    fn create(&self, partitions: usize) -> Result<Vec<Requests>> {
        let topics: Vec<Requests> = (0..BROKERS).map(|_| Requests::of(new_name())).collect();
        for (at, topic) in topics.iter().enumerate() {
            let replicas: Vec<Vec<i32>> =
                (0..partitions).map(|partition| replicas(at, partition)).collect::<Result<_>>()?;
            topic.check_create_topic(&self.wire()?.call(&topic.create_topic_on(&replicas)?)?)?;
        }
        let until = Instant::now() + WAIT;
        for (topic, leader) in topics.iter().zip(FIRST..) {
            while self.leaders(topic).unwrap_or_default() != vec![leader; partitions] {
                if Instant::now() > until {
                    return Err(format!("broker {leader} does not lead").into());
                }
                sleep(LOOK);
            }
        }
        Ok(topics)
    }

    fn leaders(&self, topic: &Requests) -> Result<Vec<i32>> {
        Ok(topic.leaders(&self.wire()?.call(&topic.metadata()?)?)?.0)
    }

    /// The first broker dies; gives how long what it led has its leaders among the living, and in how many batches that was written.
    fn lose_broker(&mut self, led: &Requests) -> Result<(Duration, usize)> {
        let log = self.controllers[0].data_dir().to_owned();
        let before = written(&log)?;
        let lost = self.brokers.remove(0);
        let from = Instant::now();
        drop(lost);
        loop {
            let leaders = self.leaders(led)?;
            if leaders.iter().all(|leader| *leader > FIRST) {
                break;
            }
            if from.elapsed() > WAIT {
                return Err("the leaders stay".into());
            }
            sleep(LOOK);
        }
        let moved = from.elapsed();
        // The log of another than the active controller may be a moment behind.
        sleep(Duration::from_millis(500));
        Ok((moved, written(&log)? - before))
    }

    fn lose_controller(&mut self) -> Result<Duration> {
        let broker = self.brokers.first().ok_or("no broker")?;
        let all: Vec<SocketAddr> = self.controllers.iter().map(|server| server.address).collect();
        let active = broker.decision(&all)?;
        let others: Vec<SocketAddr> = all.into_iter().filter(|address| *address != active).collect();
        let from = Instant::now();
        for controller in self.controllers.iter_mut().filter(|server| server.address == active) {
            controller.kill()?;
        }
        broker.decision(&others)?;
        Ok(from.elapsed())
    }
}

/// Of a partition of the topic that this broker leads; all brokers have as many.
fn replicas(leader: usize, partition: usize) -> Result<Vec<i32>> {
    let next = partition % 4;
    let on = |after| Ok(FIRST + i32::try_from((leader + after) % BROKERS)?);
    [0, 1 + next, 5 + next].map(on).into_iter().collect()
}

/// How many batches the metadata log of a controller has.
fn written(data_dir: &Path) -> Result<usize> {
    let mut count = 0;
    for entry in fs::read_dir(data_dir.join("logs").join("__cluster_metadata-0"))? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "log") {
            count += batches(&fs::read(path)?).map_while(std::result::Result::ok).count();
        }
    }
    Ok(count)
}
