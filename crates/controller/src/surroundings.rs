//! What the controller takes from its surroundings: random numbers, the wall clock, threads that wait for the disk. In a
//! simulation, which is one thread, all of them come from a seed.

use std::cell::RefCell;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use ottla_model::TimestampMs;
use ottla_storage::Seeded;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

/// Wall clocks of a simulation begin there.
const EPOCH_MS: i64 = 1_700_000_000_000;
/// What waits for a simulated disk waits for so long at most.
const DISK_MS_MAX: u64 = 8;
/// Of so many times that a task could go on, one comes late, by so much at most.
const STALLS_IN: u64 = 60;
const STALL_MS_MAX: u64 = 1_500;

thread_local! {
    static SIMULATED: RefCell<Option<Simulated>> = const { RefCell::new(None) };
}

#[derive(Debug)]
struct Simulated {
    chance: Seeded,
    began: Instant,
    /// The next task that could be scheduled late is, by so much.
    stall_next: Option<Duration>,
}

/// While it is there, the controllers of this thread are simulated: they run on a runtime of one thread whose time is paused.
#[derive(Debug)]
pub struct Simulation(());

impl Simulation {
    /// Is called in the runtime.
    #[must_use]
    pub fn begin(seed: u64) -> Self {
        let simulated = Simulated { chance: Seeded::new(seed), began: Instant::now(), stall_next: None };
        SIMULATED.set(Some(simulated));
        Self(())
    }

    /// Whichever of this thread's controllers is the next to propose what it has decided does so that much later.
    pub fn stall_next(by: Duration) {
        simulated(|simulated| simulated.stall_next = Some(by));
    }
}

impl Drop for Simulation {
    fn drop(&mut self) {
        SIMULATED.set(None);
    }
}

fn simulated<T>(of: impl FnOnce(&mut Simulated) -> T) -> Option<T> {
    SIMULATED.with_borrow_mut(|simulated| simulated.as_mut().map(of))
}

pub(crate) fn is_simulated() -> bool {
    SIMULATED.with_borrow(Option::is_some)
}

pub(crate) fn uuid() -> Uuid {
    let random = |simulated: &mut Simulated| {
        let bits = u128::from(simulated.chance.bits()) << 64 | u128::from(simulated.chance.bits());
        uuid::Builder::from_random_bytes(bits.to_be_bytes()).into_uuid()
    };
    simulated(random).unwrap_or_else(Uuid::new_v4)
}

/// 64 random bits, but for six, which are a uuid's own.
pub(crate) fn bits() -> u64 {
    let (high, low) = uuid().as_u64_pair();
    high ^ low.rotate_left(32)
}

pub(crate) fn wall_clock() -> TimestampMs {
    let millis = |since: Duration| i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let passed = simulated(|simulated| EPOCH_MS.saturating_add(millis(simulated.began.elapsed())));
    TimestampMs(
        passed.unwrap_or_else(|| millis(SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default())),
    )
}

/// How long a simulated disk takes.
pub(crate) fn disk_time() -> Duration {
    let ms = simulated(|simulated| simulated.chance.below(DISK_MS_MAX));
    Duration::from_millis(ms.unwrap_or(0))
}

/// Runs what waits for the disk off the workers.
pub(crate) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> io::Result<T> {
    if is_simulated() {
        sleep(disk_time()).await;
        return work();
    }
    tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?
}

/// Where a task may be scheduled late. Only a simulated one ever waits here.
pub(crate) async fn scheduled() {
    let stall = |simulated: &mut Simulated| {
        if let Some(by) = simulated.stall_next.take() {
            return by;
        }
        let is_late = simulated.chance.below(STALLS_IN) == 0;
        Duration::from_millis(if is_late { simulated.chance.below(STALL_MS_MAX) } else { 0 })
    };
    if let Some(by) = simulated(stall).filter(|by| !by.is_zero()) {
        sleep(by).await;
    }
}
