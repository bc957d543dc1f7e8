//! One file an API; what stands in [`table`] is what the broker serves and advertises.

mod add_raft_voter;
mod allocate_producer_ids;
mod alter_configs;
mod alter_partition;
mod alter_partition_reassignments;
mod alter_replica_log_dirs;
mod api_versions;
mod assign_replicas_to_dirs;
mod broker_heartbeat;
mod broker_registration;
mod consumer_group_describe;
mod consumer_group_heartbeat;
mod controller_registration;
mod create_acls;
mod create_partitions;
mod create_topics;
mod delegation_tokens;
mod delete_acls;
mod delete_groups;
mod delete_records;
mod delete_topics;
mod describe_acls;
mod describe_client_quotas;
mod describe_cluster;
mod describe_configs;
mod describe_controllers;
mod describe_groups;
mod describe_log_dirs;
mod describe_producers;
mod describe_quorum;
mod describe_topic_partitions;
mod describe_user_scram_credentials;
mod elect_leaders;
mod envelope;
mod fetch;
mod find_coordinator;
mod get_telemetry_subscriptions;
mod heartbeat;
mod incremental_alter_configs;
mod init_producer_id;
mod join_group;
mod leave_group;
mod list_config_resources;
mod list_groups;
mod list_offsets;
mod list_partition_reassignments;
mod metadata;
mod offset_commit;
mod offset_delete;
mod offset_fetch;
mod offset_for_leader_epoch;
mod produce;
mod push_telemetry;
mod remove_raft_voter;
mod sync_group;
mod unregister_broker;
mod unregister_controller;
mod update_features;
mod update_raft_voter;

use std::sync::Arc;

use crate::cluster::{AtController, ControllerApi, Direct, Forwarded};
use crate::configs::Alterer;
use crate::dispatch::{Api, Typed};
use crate::services::{ControllerServices, Services};

pub(crate) use broker_registration::NEXT_BROKER_ID;
pub(crate) use fetch::FetchSessions;

/// Every API that works, each with the one service it needs.
pub(crate) fn table(services: &Services) -> Vec<Arc<dyn Api>> {
    let config = services.config.load();
    let mut apis: Vec<Arc<dyn Api>> = vec![
        Arc::new(produce::Produce {
            partitions: Arc::clone(&services.partitions),
            flusher: Arc::clone(&services.flusher),
            view: Arc::clone(&services.metadata),
            metrics: Arc::clone(&services.metrics),
            clock: services.clock,
        }),
        Arc::new(fetch::Fetch {
            partitions: Arc::clone(&services.partitions),
            sessions: Arc::clone(&services.fetch_sessions),
            view: Arc::clone(&services.metadata),
            metrics: Arc::clone(&services.metrics),
            parked: Arc::clone(&services.memory.parked),
            cold_reads: services.cold_reads.clone(),
            clock: services.clock,
            response_max_len: usize::try_from(config.fetch.response_bytes_max).unwrap_or(0),
            quotas: Arc::clone(&services.replication_quotas),
            to_closest_replica: config.replication.to_closest_replica,
        }),
        typed(list_offsets::ListOffsets { partitions: Arc::clone(&services.partitions) }),
        typed(delete_records::DeleteRecords {
            partitions: Arc::clone(&services.partitions),
            view: Arc::clone(&services.metadata),
        }),
        typed(describe_log_dirs::DescribeLogDirs {
            logs: Arc::clone(&services.logs),
            partitions: Arc::clone(&services.partitions),
            moves: Arc::clone(&services.log_moves),
        }),
        typed(alter_replica_log_dirs::AlterReplicaLogDirs {
            moves: Arc::clone(&services.log_moves),
            partitions: Arc::clone(&services.partitions),
        }),
        typed(describe_producers::DescribeProducers { partitions: Arc::clone(&services.partitions) }),
        typed(offset_for_leader_epoch::OffsetForLeaderEpoch { partitions: Arc::clone(&services.partitions) }),
        typed(metadata::Metadata {
            view: Arc::clone(&services.metadata),
            auto_topics: Arc::clone(&services.auto_topics),
        }),
    ];
    apis.extend(admin(services));
    apis.extend(switched_off());
    apis.extend(group_apis(services));
    advertise(&services.of_controller(), apis)
}

/// The table, with the API that says what is in it.
fn advertise(services: &ControllerServices, mut apis: Vec<Arc<dyn Api>>) -> Vec<Arc<dyn Api>> {
    let advertised = apis.iter().map(|api| api.key()).chain([ottla_protocol::ApiKey::ApiVersions]);
    let mut advertised: Vec<_> = advertised.collect();
    advertised.sort_by_key(|key| key.code());
    apis.push(typed(api_versions::ApiVersions {
        metadata: Arc::clone(&services.metadata),
        identity: Arc::clone(&services.identity),
        advertised,
    }));
    apis
}

/// What the controller decides, wherever it is, and what is answered from its image.
fn admin(services: &Services) -> Vec<Arc<dyn Api>> {
    let view = || Arc::clone(&services.metadata);
    let forwarded = of_controller(&services.of_controller()).into_iter();
    let forwarded =
        forwarded.map(|api| Arc::new(Forwarded { api, channel: services.channel.clone() }) as Arc<dyn Api>);
    let own = [
        typed(describe_configs::DescribeConfigs {
            view: view(),
            config: Arc::clone(&services.config),
            identity: Arc::clone(&services.identity),
            loggers: Arc::clone(&services.loggers),
        }),
        typed(describe_cluster::DescribeCluster { view: view() }),
        typed(describe_topic_partitions::DescribeTopicPartitions {
            view: view(),
            config: Arc::clone(&services.config),
        }),
        typed(init_producer_id::InitProducerId { producer_ids: Arc::clone(&services.producer_ids) }),
        typed(list_partition_reassignments::ListPartitionReassignments { view: view() }),
        typed(list_config_resources::ListConfigResources { view: view() }),
        typed(get_telemetry_subscriptions::GetTelemetrySubscriptions {
            client_metrics: Arc::clone(&services.client_metrics),
            clock: services.clock,
        }),
        typed(push_telemetry::PushTelemetry {
            client_metrics: Arc::clone(&services.client_metrics),
            clock: services.clock,
        }),
    ];
    forwarded.chain(own).collect()
}

/// What is switched off.
fn switched_off() -> Vec<Arc<dyn Api>> {
    let mut apis = switched_off_everywhere();
    apis.push(typed(describe_client_quotas::DescribeClientQuotas));
    apis
}

/// On controllers' listeners, too.
fn switched_off_everywhere() -> Vec<Arc<dyn Api>> {
    vec![
        typed(describe_acls::DescribeAcls),
        typed(create_acls::CreateAcls),
        typed(delete_acls::DeleteAcls),
        typed(describe_user_scram_credentials::DescribeUserScramCredentials),
        typed(delegation_tokens::CreateDelegationToken),
        typed(delegation_tokens::RenewDelegationToken),
        typed(delegation_tokens::ExpireDelegationToken),
        typed(delegation_tokens::DescribeDelegationToken),
    ]
}

/// What clients ask group coordinators.
fn group_apis(services: &Services) -> Vec<Arc<dyn Api>> {
    let groups = || Arc::clone(&services.groups);
    let view = || Arc::clone(&services.metadata);
    let enabled = services.config.load().groups.consumer_enabled;
    vec![
        typed(find_coordinator::FindCoordinator { groups: groups(), view: view() }),
        typed(join_group::JoinGroup { groups: groups() }),
        typed(sync_group::SyncGroup { groups: groups() }),
        typed(heartbeat::Heartbeat { groups: groups() }),
        typed(leave_group::LeaveGroup { groups: groups() }),
        typed(describe_groups::DescribeGroups { groups: groups() }),
        typed(list_groups::ListGroups { groups: groups() }),
        typed(delete_groups::DeleteGroups { groups: groups() }),
        typed(offset_commit::OffsetCommit { groups: groups(), view: view() }),
        typed(offset_fetch::OffsetFetch { groups: groups(), view: view() }),
        typed(offset_delete::OffsetDelete { groups: groups(), view: view() }),
        typed(consumer_group_heartbeat::ConsumerGroupHeartbeat { groups: groups(), view: view(), enabled }),
        typed(consumer_group_describe::ConsumerGroupDescribe { groups: groups(), view: view(), enabled }),
    ]
}

/// What brokers and other controllers ask the active controller, on its own listener. Clients may, too
/// (`--bootstrap-controller`, KIP-919).
pub(crate) fn controller_table(services: &ControllerServices) -> Vec<Arc<dyn Api>> {
    let controller = || services.controller.clone();
    let mut apis = vec![
        typed(broker_registration::BrokerRegistration {
            controller: controller(),
            identity: Arc::clone(&services.identity),
        }),
        typed(broker_heartbeat::BrokerHeartbeat { controller: controller() }),
        typed(controller_registration::ControllerRegistration { controller: controller() }),
        typed(alter_partition::AlterPartition { controller: controller() }),
        typed(allocate_producer_ids::AllocateProducerIds { controller: controller() }),
        typed(assign_replicas_to_dirs::AssignReplicasToDirs { controller: controller() }),
        typed(update_raft_voter::UpdateRaftVoter {
            controller: controller(),
            identity: Arc::clone(&services.identity),
            listener: controller_listener(services),
        }),
        typed(envelope::Envelope {
            inner: of_controller(services),
            identity: Arc::clone(&services.identity),
        }),
        typed(describe_configs::DescribeConfigs {
            view: Arc::clone(&services.metadata),
            config: Arc::clone(&services.config),
            identity: Arc::clone(&services.identity),
            loggers: Arc::clone(&services.loggers),
        }),
        typed(list_partition_reassignments::ListPartitionReassignments {
            view: Arc::clone(&services.metadata),
        }),
    ];
    apis.extend(services.peers.clone().map(|peers| {
        typed(describe_controllers::DescribeControllers { view: Arc::clone(&services.metadata), peers })
    }));
    apis.extend(switched_off_everywhere());
    apis.extend(of_controller(services).into_iter().map(|api| Arc::new(Direct(api)) as Arc<dyn Api>));
    advertise(services, apis)
}

/// What only the active controller answers, wherever it is asked.
fn of_controller(services: &ControllerServices) -> Vec<Arc<dyn ControllerApi>> {
    let controller = || services.controller.clone();
    let view = || Arc::clone(&services.metadata);
    let config = || Arc::clone(&services.config);
    let alterer = || Alterer {
        controller: controller(),
        view: view(),
        identity: Arc::clone(&services.identity),
        loggers: Arc::clone(&services.loggers),
    };
    vec![
        Arc::new(AtController(create_topics::CreateTopics {
            controller: controller(),
            view: view(),
            config: config(),
        })),
        Arc::new(AtController(delete_topics::DeleteTopics {
            controller: controller(),
            view: view(),
            config: config(),
        })),
        Arc::new(AtController(create_partitions::CreatePartitions {
            controller: controller(),
            view: view(),
        })),
        Arc::new(AtController(incremental_alter_configs::IncrementalAlterConfigs { alterer: alterer() })),
        Arc::new(AtController(alter_configs::AlterConfigs { alterer: alterer() })),
        Arc::new(AtController(elect_leaders::ElectLeaders { controller: controller(), view: view() })),
        Arc::new(AtController(alter_partition_reassignments::AlterPartitionReassignments {
            controller: controller(),
            view: view(),
        })),
        Arc::new(AtController(describe_quorum::DescribeQuorum {
            controller: controller(),
            view: view(),
            listener: controller_listener(services),
        })),
        Arc::new(AtController(add_raft_voter::AddRaftVoter {
            controller: controller(),
            identity: Arc::clone(&services.identity),
            listener: controller_listener(services),
        })),
        Arc::new(AtController(remove_raft_voter::RemoveRaftVoter {
            controller: controller(),
            identity: Arc::clone(&services.identity),
        })),
        Arc::new(AtController(update_features::UpdateFeatures { controller: controller(), view: view() })),
        Arc::new(AtController(unregister_broker::UnregisterBroker {
            controller: controller(),
            view: view(),
        })),
        Arc::new(AtController(unregister_controller::UnregisterController {
            controller: controller(),
            view: view(),
        })),
    ]
}

/// What the listener is called that controllers are reached at.
fn controller_listener(services: &ControllerServices) -> Option<String> {
    Some(services.config.load().net.controller_listeners.first()?.name.clone())
}

fn typed<H: crate::dispatch::Handler>(handler: H) -> Arc<dyn Api> {
    Arc::new(Typed(handler))
}
