//! What a seed makes of a whole cluster: what happens to its brokers, and what to its controllers.

use ottla_storage::Seeded;

use super::super::plan::{Fault, Whom};
use crate::message::{Address, CONTROLLERS};
use crate::plan::{Fault as BrokersFault, FaultKind};

/// The first controller's id where brokers are none: those have the ids from 1 on, and that one means all controllers.
const FIRST: Address = CONTROLLERS + 1;
/// Of so many worlds one has nodes that are both.
const COMBINED_IN: u64 = 3;
/// What the seed is mixed with for the roles.
const ROLES: u64 = 0x0000_0601_e500;

#[derive(Clone, Debug)]
pub(crate) struct Plan {
    pub(crate) brokers: crate::plan::Plan,
    pub(crate) controllers: crate::quorum::Plan,
}

impl Plan {
    pub(crate) fn of(seed: u64) -> Self {
        let mut brokers = crate::plan::Plan::of(seed);
        let is_combined = Seeded::new(seed ^ ROLES).below(COMBINED_IN) == 0;
        let first = if is_combined { 1 } else { FIRST };
        let mut controllers = crate::quorum::Plan::beside(seed, brokers.brokers, first, brokers.trouble_ms);
        if is_combined {
            // Each of the brokers' processes starts its controller.
            controllers.starts.clear();
            let (of_quorum, of_nodes): (Vec<_>, Vec<_>) =
                controllers.faults.into_iter().partition(|(_, fault)| is_of_the_quorum(fault));
            controllers.faults = of_quorum;
            let of_nodes = of_nodes
                .into_iter()
                .filter_map(|(at, fault)| Some(BrokersFault { at, kind: of_the_node(fault)? }));
            brokers.faults.extend(of_nodes);
            brokers.faults.sort_by_key(|fault| fault.at);
        }
        Self { brokers, controllers }
    }

    /// The same with one thing less, each in turn.
    pub(crate) fn smaller(&self) -> Vec<Self> {
        let trouble_ms = self.brokers.trouble_ms;
        let last = self.controllers.faults.last().map_or(0, |(at, _)| *at);
        let controllers = self.controllers.smaller().into_iter();
        let calmer = controllers.filter(|plan| plan.trouble_ms == trouble_ms);
        let calmer = calmer.map(|controllers| Self { controllers, ..self.clone() });
        let brokers = self.brokers.smaller().into_iter().filter(|plan| plan.trouble_ms > last);
        let smaller = brokers.map(|brokers| {
            let controllers =
                crate::quorum::Plan { trouble_ms: brokers.trouble_ms, ..self.controllers.clone() };
            Self { brokers, controllers }
        });
        calmer.chain(smaller).collect()
    }
}

/// Whether it leaves processes and links between nodes alone.
fn is_of_the_quorum(fault: &Fault) -> bool {
    matches!(
        fault,
        Fault::FalseAlarms { .. }
            | Fault::Loss { .. }
            | Fault::Delay { .. }
            | Fault::Repeat { .. }
            | Fault::AddVoter { .. }
            | Fault::RemoveVoter { .. }
            | Fault::RaiseKraftVersion
    )
}

/// The same as a fault of a node that is controller and broker; [`CONTROLLERS`] is whoever leads then. What is about the disk of
/// the metadata only has no equal.
fn of_the_node(fault: Fault) -> Option<FaultKind> {
    let node = |whom| match whom {
        Whom::Node(id) => id,
        Whom::Leader => CONTROLLERS,
    };
    Some(match fault {
        Fault::Kill { whom, down_ms } => FaultKind::Kill { node: node(whom), down_ms },
        Fault::PowerCut { whom, down_ms, seed } | Fault::CutLater { whom, down_ms, seed, .. } => {
            FaultKind::PowerCut { node: node(whom), down_ms, seed }
        }
        Fault::PowerCutOfAll { down_ms, .. } => FaultKind::KillAll { down_ms },
        Fault::Restart { whom, down_ms } => FaultKind::Restart { node: node(whom), down_ms },
        Fault::Pause { whom, for_ms } => FaultKind::Pause { node: node(whom), for_ms },
        Fault::Cut { from, to, both, for_ms } => FaultKind::Cut { from, to, both, for_ms },
        Fault::Isolate { whom, for_ms } => FaultKind::Isolate { node: node(whom), for_ms },
        _ => return None,
    })
}
