//! Resources of the config APIs as requests name them.

use ottla_metadata::{ConfigResource, ConfigResourceType};
use ottla_model::BrokerId;
use ottla_protocol::ErrorCode;

/// Why a resource cannot be what the request wants it to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refused {
    pub code: ErrorCode,
    pub message: String,
}

impl Refused {
    pub(crate) fn invalid_request(message: impl Into<String>) -> Self {
        Self { code: ErrorCode::InvalidRequest, message: message.into() }
    }
}

/// The resource that a request may change here: a broker's configs only on that broker.
pub(crate) fn alterable(kind: i8, name: &str, node_id: BrokerId) -> Result<ConfigResource, Refused> {
    let Some(kind) = ConfigResourceType::from_id(kind) else {
        return Err(Refused::invalid_request(format!("Unknown resource type {kind}")));
    };
    match kind {
        ConfigResourceType::BrokerLogger => {
            let message = "The levels of this broker's loggers cannot be changed while it runs.";
            return Err(Refused::invalid_request(message));
        }
        ConfigResourceType::Broker if !name.is_empty() => {
            let id: i32 = name.parse().map_err(|_| {
                Refused::invalid_request(format!("Node id must be an integer, but it is: {name}"))
            })?;
            if id != node_id.get() {
                let message = format!("Unexpected broker id, expected {node_id}, but received {name}");
                return Err(Refused::invalid_request(message));
            }
        }
        _ => {}
    }
    Ok(ConfigResource::new(kind, name))
}
