//! Who pushes: what a subscription may select by.

use ottla_config::{ClientSelector, SubscriptionConfig};
use ottla_model::TopicId;
use uuid::Uuid;

/// Of a name that a client chose, as much is kept: there may be 16384 of them.
const TEXT_LEN_MAX: usize = 256;

/// A client as it was when it first asked (`ClientMetricsInstanceMetadata`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct ClientDetails {
    instance_id: String,
    client_id: Option<String>,
    software_name: String,
    software_version: String,
    address: String,
    port: String,
}

impl ClientDetails {
    /// `address`: as Java prints it.
    pub(crate) fn new(
        instance_id: Uuid,
        client_id: Option<&str>,
        software: (&str, &str),
        address: &str,
        port: u16,
    ) -> Self {
        Self {
            instance_id: TopicId(instance_id).to_base64(),
            client_id: client_id.map(kept),
            software_name: kept(software.0),
            software_version: kept(software.1),
            address: address.to_owned(),
            port: port.to_string(),
        }
    }

    /// What the client says of itself there, or what is known of it.
    pub(crate) fn value(&self, selector: ClientSelector) -> Option<&str> {
        match selector {
            ClientSelector::InstanceId => Some(&self.instance_id),
            ClientSelector::ClientId => self.client_id.as_deref(),
            ClientSelector::SoftwareName => Some(&self.software_name),
            ClientSelector::SoftwareVersion => Some(&self.software_version),
            ClientSelector::SourceAddress => Some(&self.address),
            ClientSelector::SourcePort => Some(&self.port),
        }
    }

    pub(super) fn is_selected_by(&self, subscription: &SubscriptionConfig) -> bool {
        let mut patterns = subscription.patterns.iter();
        patterns.all(|(selector, pattern)| self.value(*selector).is_some_and(|text| pattern.is_match(text)))
    }
}

fn kept(text: &str) -> String {
    text[..text.floor_char_boundary(TEXT_LEN_MAX)].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_are_cut_between_characters() {
        let name = format!("a{}", "ä".repeat(200));
        assert_eq!(kept(&name).len(), 255);
        assert_eq!(kept("short"), "short");
    }
}
