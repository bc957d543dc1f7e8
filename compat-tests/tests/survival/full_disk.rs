//! One of three has no room left: the others go on without it, and it catches up once there is room again.

use ottla_compat_tests::small_disk::SmallDisk;
use ottla_compat_tests::survival::{Ordeal, SETTINGS};
use ottla_compat_tests::{Cluster, needs};

use super::judge;

/// Of the node that runs full.
const ROOM: u64 = 96 << 20;
const NODE: usize = 3;

#[test]
fn a_full_disk_on_one_holds_up_nobody() {
    needs!(Broker, Mounts);
    let mut cluster = Cluster::prepared::<3>(&SETTINGS);
    let disk = SmallDisk::mount(&cluster.node(NODE).data_dir(), ROOM);
    cluster.node_mut(NODE).start_on(&disk);
    let ordeal = Ordeal::begin(cluster.launched(), None, 1);
    disk.fill();
    // A page of the file system may have been begun: what fits into it is no proof.
    for _ in 0..10 {
        ordeal.load().await_progress(ordeal.cluster(), "all goes on while a disk is full");
    }
    ordeal.load().check();
    disk.make_room();
    ordeal.load().await_health(ordeal.cluster());
    ordeal.load().await_progress(ordeal.cluster(), "all goes on when there is room again");
    judge(1, &ordeal.end());
}
