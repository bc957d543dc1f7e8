//! The cluster state that this broker answers from: published only when the logs that it speaks of exist here.

use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, Guard};
use ottla_controller::Controller;
use ottla_metadata::MetadataImage;
use ottla_model::Offset;
use tokio::sync::watch;

/// The current image, and a way to wait for a later one.
#[derive(Debug)]
pub(crate) struct MetadataView {
    image: ArcSwap<MetadataImage>,
    applied: watch::Sender<Offset>,
}

impl MetadataView {
    pub(crate) fn new(image: Arc<MetadataImage>) -> Self {
        let applied = watch::Sender::new(image.provenance().offset);
        Self { image: ArcSwap::new(image), applied }
    }

    /// The image of this moment; cheap, and not to be held across an await.
    pub(crate) fn image(&self) -> Guard<Arc<MetadataImage>> {
        self.image.load()
    }

    /// An image to keep.
    pub(crate) fn image_arc(&self) -> Arc<MetadataImage> {
        self.image.load_full()
    }

    pub(crate) fn publish(&self, image: Arc<MetadataImage>) {
        self.image.store(image);
    }

    /// Everybody on this broker who goes by the image has been told of it: who waited for it goes on.
    pub(crate) fn followed(&self) {
        self.applied.send_replace(self.image.load().provenance().offset);
    }

    /// Waits until what the controller has published is served here: a topic that is answered as made is known to the
    /// group coordinators too.
    pub(crate) async fn catch_up(&self, controller: &Controller) {
        let offset = controller.image().provenance().offset;
        let mut applied = self.applied.subscribe();
        // The sender lives as long as `self`, so waiting cannot fail.
        let _ = applied.wait_for(|at| *at >= offset).await;
    }

    /// Waits until an image is served here that is as wanted, at most so long.
    pub(crate) async fn until(&self, wanted: impl Fn(&MetadataImage) -> bool, limit: Duration) {
        let mut applied = self.applied.subscribe();
        let waiting = applied.wait_for(|_| wanted(&self.image.load()));
        // Whoever waits goes on with what there is.
        let _ = tokio::time::timeout(limit, waiting).await;
    }
}
