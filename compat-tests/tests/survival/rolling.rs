//! One node after the other is restarted in order: clients hardly notice.

use std::time::Duration;

use ottla_compat_tests::admin::PATIENCE;
use ottla_compat_tests::failover::{ROLLED, rolling};
use ottla_compat_tests::{Cluster, needs};

/// A machine that runs other tests beside this one; `docs/FAILOVER.md` has what it is on a quiet one.
const GAP_MAX: Duration = Duration::from_secs(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_rolling_restart_is_hardly_noticed() {
    needs!(Broker);
    let mut cluster = Cluster::start::<3>();
    for seen in rolling(&mut cluster).await {
        println!("{seen:?}");
        assert_eq!((seen.lost, seen.duplicated), (0, 0), "{seen:?}");
        assert!(seen.acknowledged > 150 && seen.gap < GAP_MAX, "{seen:?}");
    }
    for (topic, _) in ROLLED {
        cluster.await_identical(&[1, 2, 3], topic, 0, PATIENCE);
    }
}
