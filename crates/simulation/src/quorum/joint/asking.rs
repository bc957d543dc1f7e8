//! Who asks the controllers: brokers, whoever they take for the leader, as `broker/src/cluster/channel.rs`; and an administrator.

use std::time::Duration;

use ottla_controller::{Controller, ControllerError};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender};
use tokio::time::{Instant, sleep, timeout};

use super::super::common::Common;
use super::super::wires::goes_on;
use super::{Joint, Said};
use crate::admin::Errand;
use crate::command::{Ask, Told};
use crate::message::{Address, Body, Message};

/// Before it is asked again who leads.
const PAUSE: Duration = Duration::from_millis(10);
/// Brokers ask anew after so long.
const LIMIT: Duration = Duration::from_millis(400);
/// How long the administrator waits.
const PATIENCE: Duration = Duration::from_millis(1_000);

/// What has come of one try.
enum Tried {
    Told(Told),
    /// It is not done, as far as the answer says; who asks again may be told.
    Again,
    /// Whoever was asked cannot do it.
    Refused,
}

impl Joint {
    /// What a broker sends to the controllers has arrived.
    pub(crate) fn receive(&self, message: &Message) {
        let Body::Ask { request, ask } = &message.body else { return };
        let (common, tell) = (self.controllers.common.clone(), self.tell.clone());
        let (to, request, ask) = (message.from, *request, ask.clone());
        let observer = common.lock().there.get(&to).and_then(|there| there.controller.clone());
        tokio::spawn(async move {
            let told = timeout(LIMIT, ask_leader(&common, to, observer, &ask)).await.ok().flatten();
            // The world may have ended.
            let _ = tell.send(Said::Told { to, request, told });
        });
    }
}

async fn ask_leader(common: &Common, from: Address, observer: Option<Controller>, ask: &Ask) -> Option<Told> {
    let began = Instant::now();
    loop {
        let leader = match &observer {
            Some(observer) => Some(observer.image().controller_id().get()),
            // Its process has gone; what it has sent was on its way to somebody.
            None => common.lock().active().map(|(id, ..)| id),
        };
        match try_to_ask(common, from, leader.unwrap_or(-1), ask).await {
            Tried::Told(told) => return Some(told),
            Tried::Refused => return None,
            Tried::Again if began.elapsed() + PAUSE >= LIMIT => return None,
            Tried::Again => sleep(PAUSE).await,
        }
    }
}

async fn try_to_ask(common: &Common, from: Address, to: Address, ask: &Ask) -> Tried {
    let (there, is_cut) = {
        let shared = common.lock();
        let there = shared.there.get(&to).and_then(|there| Some((there.boot, there.controller.clone()?)));
        (there, from != to && shared.cuts.contains(&(from, to)))
    };
    if is_cut {
        // Nobody answers.
        return std::future::pending().await;
    }
    let Some((boot, controller)) = there else { return Tried::Again };
    goes_on(common, to).await;
    let told = put(&controller, ask).await;
    goes_on(common, to).await;
    let (is_there, is_cut) = {
        let shared = common.lock();
        (shared.is_there(to, boot), from != to && shared.cuts.contains(&(to, from)))
    };
    match told {
        _ if is_cut => std::future::pending().await,
        // Its connection breaks.
        _ if !is_there => Tried::Again,
        Ok(told) => Tried::Told(told),
        Err(ControllerError::NotController { .. } | ControllerError::Closed) => Tried::Again,
        Err(ControllerError::NoRoom | ControllerError::Failed(_)) => Tried::Refused,
    }
}

async fn put(controller: &Controller, ask: &Ask) -> Result<Told, ControllerError> {
    Ok(match ask.clone() {
        Ask::Register(request) => Told::Registered(controller.register_broker(request).await?),
        Ask::Beat(beat) => Told::Beat(controller.broker_heartbeat(beat).await?),
        Ask::Isr(request) => Told::Isr(controller.alter_partition(request).await?),
        Ask::Create(request) => Told::Created(controller.create_topics(request).await?),
        Ask::Delete(request) => Told::Deleted(controller.delete_topics(request).await?),
        Ask::Reassign(request) => Told::Reassigned(controller.alter_partition_reassignments(request).await?),
        Ask::Elect(request) => controller.elect_leaders(request).await.map(|_| Told::Elected)?,
        Ask::ProducerIds(id, epoch) => Told::ProducerIds(controller.allocate_producer_ids(id, epoch).await?),
        Ask::Directories(request) => Told::Directories(controller.assign_replicas_to_dirs(request).await?),
        // What a controller decides for itself it does.
        Ask::Fence(..) | Ask::Balance | Ask::ElectUncleanly => Told::Done,
    })
}

/// Asks for one thing after the other, so that what is answered later was asked for later. It finds whoever leads.
pub(super) async fn administrate(
    common: Common,
    mut to_do: UnboundedReceiver<(Ask, Errand)>,
    tell: UnboundedSender<Said>,
) {
    const ADMINISTRATOR: Address = 0;
    while let Some((ask, errand)) = to_do.recv().await {
        let mut tries = 0;
        let asking = async {
            loop {
                tries += 1;
                let leader = common.lock().active().map(|(id, ..)| id);
                match try_to_ask(&common, ADMINISTRATOR, leader.unwrap_or(-1), &ask).await {
                    Tried::Told(told) => return Some(told),
                    Tried::Refused => return None,
                    Tried::Again => sleep(PAUSE).await,
                }
            }
        };
        let told = timeout(PATIENCE, asking).await.ok().flatten();
        // The world may have ended.
        let _ = tell.send(Said::Done { errand, told, again: tries > 1 });
    }
}
