//! The published image: read without waiting, followed without missing a change.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use ottla_metadata::{MetadataDelta, MetadataImage, MetadataRecord};
use ottla_model::BrokerId;
use ottla_planted::planted;
use parking_lot::Mutex;
use tokio::sync::Notify;

/// A newer image, and what it changed since the last one the subscriber was given.
#[derive(Clone, Debug)]
pub struct MetadataUpdate {
    pub image: Arc<MetadataImage>,
    pub delta: MetadataDelta,
}

/// Who replays records: a node that comes to vote goes on with its own log where it had pulled before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Quorum,
    Observer,
}

/// Where applied images go.
#[derive(Debug)]
pub(crate) struct Publisher {
    image: ArcSwap<MetadataImage>,
    slots: Mutex<Vec<Weak<Slot>>>,
    last: Mutex<Last>,
    /// Elections that may have lost records, decided here.
    unclean_elections: AtomicU64,
}

#[derive(Debug, Default)]
struct Last {
    /// Who leads the quorum, as far as it is known here: elections are no records.
    controller: Option<BrokerId>,
    /// Whose the published image is.
    source: Option<Source>,
}

/// What one subscriber has not seen yet.
#[derive(Debug)]
struct Slot {
    pending: Mutex<Pending>,
    changed: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    update: Option<MetadataUpdate>,
    closed: bool,
}

impl Publisher {
    pub(crate) fn new(image: MetadataImage) -> Self {
        Self {
            image: ArcSwap::from_pointee(image),
            slots: Mutex::new(Vec::new()),
            last: Mutex::default(),
            unclean_elections: AtomicU64::new(0),
        }
    }

    pub(crate) fn image(&self) -> Arc<MetadataImage> {
        self.image.load_full()
    }

    /// Publishes an image that differs from the last one of this source by `delta`. Never one that is behind another source's.
    pub(crate) fn publish(&self, source: Source, mut image: MetadataImage, delta: &MetadataDelta) {
        let mut last = self.last.lock();
        image.set_controller(last.controller.unwrap_or(image.controller_id()));
        if last.source.is_none_or(|other| other == source) {
            last.source = Some(source);
            self.store(Arc::new(image), delta);
            return;
        }
        let published = self.image();
        if image.provenance().offset >= published.provenance().offset {
            last.source = Some(source);
            let delta = MetadataDelta::between(&published, &image);
            self.store(Arc::new(image), &delta);
        }
    }

    /// Publishes the same image with another controller.
    pub(crate) fn set_controller(&self, controller_id: BrokerId) {
        let mut last = self.last.lock();
        if last.controller == Some(controller_id) {
            return;
        }
        last.controller = Some(controller_id);
        let mut image = self.image.load_full().as_ref().clone();
        image.set_controller(controller_id);
        self.store(Arc::new(image), &MetadataDelta { controller: true, ..MetadataDelta::default() });
    }

    /// The lock on `last` is held: one image at a time.
    fn store(&self, image: Arc<MetadataImage>, delta: &MetadataDelta) {
        let mut slots = self.slots.lock();
        self.image.store(image.clone());
        slots.retain(|slot| {
            let Some(slot) = slot.upgrade() else { return false };
            slot.push(&image, delta);
            true
        });
    }

    pub(crate) fn unclean_elections(&self) -> u64 {
        self.unclean_elections.load(Ordering::Relaxed)
    }

    /// Says and counts elections of leaders that may lack records.
    pub(crate) fn note_unclean(&self, records: &[MetadataRecord]) {
        let image = self.image();
        for record in records {
            let MetadataRecord::PartitionChange(change) = record else { continue };
            self.unclean_elections.fetch_add(1, Ordering::Relaxed);
            let topic = image.topic_by_id(change.topic_id).map_or("", |topic| &topic.name);
            let (partition, leader) = (change.partition_id, change.leader.unwrap_or(BrokerId::NONE));
            tracing::error!(topic, partition, %leader, "unclean leader election: acknowledged records may be lost");
        }
    }

    pub(crate) fn subscribe(&self) -> MetadataSubscription {
        let slot = Arc::new(Slot { pending: Mutex::default(), changed: Notify::new() });
        let mut slots = self.slots.lock();
        slots.push(Arc::downgrade(&slot));
        MetadataSubscription { seen: self.image(), slot }
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        for slot in self.slots.get_mut().iter().filter_map(Weak::upgrade) {
            slot.pending.lock().closed = true;
            slot.changed.notify_one();
        }
    }
}

impl Slot {
    fn push(&self, image: &Arc<MetadataImage>, delta: &MetadataDelta) {
        let mut pending = self.pending.lock();
        match &mut pending.update {
            Some(update) => {
                update.image = image.clone();
                if planted!("skipped_changes_lost") {
                    update.delta = MetadataDelta::default();
                }
                update.delta.merge(delta);
            }
            None => pending.update = Some(MetadataUpdate { image: image.clone(), delta: delta.clone() }),
        }
        drop(pending);
        self.changed.notify_one();
    }
}

/// Follows the published image. A slow subscriber skips images, never changes: deltas add up.
#[derive(Debug)]
pub struct MetadataSubscription {
    seen: Arc<MetadataImage>,
    slot: Arc<Slot>,
}

impl MetadataSubscription {
    /// The image the subscription stands at: the one it began with, then that of the last update.
    #[must_use]
    pub fn current(&self) -> &Arc<MetadataImage> {
        &self.seen
    }

    /// What is there now, without waiting.
    pub fn try_next(&mut self) -> Option<MetadataUpdate> {
        let update = self.slot.pending.lock().update.take()?;
        self.seen = update.image.clone();
        Some(update)
    }

    /// Waits for a newer image; `None` once the controller is gone. Cancel-safe.
    pub async fn next(&mut self) -> Option<MetadataUpdate> {
        loop {
            if let Some(update) = self.try_next() {
                return Some(update);
            }
            if self.slot.pending.lock().closed {
                return None;
            }
            self.slot.changed.notified().await;
        }
    }
}

#[cfg(test)]
mod tests {
    use ottla_metadata::{FeatureLevelRecord, METADATA_VERSION, Provenance};
    use ottla_model::Offset;

    use super::*;

    fn delta(broker: i32) -> MetadataDelta {
        MetadataDelta { brokers: [BrokerId(broker)].into(), ..MetadataDelta::default() }
    }

    #[tokio::test]
    async fn a_slow_subscriber_gets_the_sum_of_deltas() {
        let publisher = Publisher::new(MetadataImage::new("c"));
        let mut subscription = publisher.subscribe();
        publisher.publish(Source::Quorum, MetadataImage::new("c"), &delta(1));
        let mut last = MetadataImage::new("c");
        last.set_controller(BrokerId(7));
        publisher.publish(Source::Quorum, last, &delta(2));
        let update = subscription.next().await.unwrap();
        assert_eq!(update.image.controller_id(), BrokerId(7));
        assert_eq!(update.delta.brokers, [BrokerId(1), BrokerId(2)].into());
        assert!(subscription.try_next().is_none());
    }

    #[test]
    fn another_sources_image_is_published_once_it_is_as_far_and_tells_all_that_differs() {
        let image = |offset| {
            let mut image = MetadataImage::new("c");
            image.set_provenance(Provenance { offset: Offset(offset), epoch: 1 });
            image
        };
        let publisher = Publisher::new(image(-1));
        publisher.publish(Source::Observer, image(5), &delta(1));
        publisher.publish(Source::Quorum, image(4), &delta(2));
        assert_eq!(publisher.image().provenance().offset, Offset(5), "nothing goes back");
        let mut further = image(6);
        let level = FeatureLevelRecord { name: METADATA_VERSION.to_owned(), feature_level: 33 };
        further.replay(&MetadataRecord::FeatureLevel(level)).unwrap();
        let mut subscription = publisher.subscribe();
        // Its own last step changed nothing; what was skipped did.
        publisher.publish(Source::Quorum, further, &MetadataDelta::default());
        let update = subscription.try_next().unwrap();
        assert_eq!(update.image.provenance().offset, Offset(6));
        assert!(update.delta.features, "{:?}", update.delta);
    }

    #[tokio::test]
    async fn a_subscription_ends_with_the_publisher() {
        let publisher = Publisher::new(MetadataImage::new("c"));
        let mut subscription = publisher.subscribe();
        drop(publisher);
        assert!(subscription.next().await.is_none());
    }
}
