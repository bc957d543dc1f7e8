//! DescribeClientQuotas (KIP-546): there are no quotas here, and so none is described. AlterClientQuotas is not served.

use std::collections::BTreeSet;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_client_quotas_request::ComponentData;
use ottla_protocol::messages::{DescribeClientQuotasRequest, DescribeClientQuotasResponse, StrBytes};

use crate::dispatch::{Handler, Reply, RequestContext};

/// Says that there are none, if the filter is one.
#[derive(Debug)]
pub(crate) struct DescribeClientQuotas;

impl Handler for DescribeClientQuotas {
    type Request = DescribeClientQuotasRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: DescribeClientQuotasRequest,
    ) -> Reply<DescribeClientQuotasResponse> {
        let response = DescribeClientQuotasResponse::default();
        Reply::Ready(match check(&request.components) {
            Ok(()) => response.with_error_message(Some(StrBytes::default())).with_entries(Some(Vec::new())),
            Err((code, message)) => response
                .with_error_code(code.code())
                .with_error_message(Some(StrBytes::from_string(message)))
                .with_entries(None),
        })
    }
}

/// Kafka's rules for a filter, in its words.
fn check(components: &[ComponentData]) -> Result<(), (ErrorCode, String)> {
    let mut seen = BTreeSet::new();
    for component in components {
        check_component(component, &mut seen)?;
    }
    if seen.contains("ip") && seen.len() > 1 {
        let why = "Invalid entity filter component combination. IP filter component should not be used with user or \
                   clientId filter component.";
        return Err((ErrorCode::InvalidRequest, why.to_owned()));
    }
    Ok(())
}

fn check_component<'a>(
    component: &'a ComponentData,
    seen: &mut BTreeSet<&'a str>,
) -> Result<(), (ErrorCode, String)> {
    let invalid = |why: &str| Err((ErrorCode::InvalidRequest, why.to_owned()));
    let entity = component.entity_type.as_str();
    match (component.match_type, &component._match) {
        (0, None) => return invalid("Request specified MATCH_TYPE_EXACT, but set match string to null."),
        (1, Some(_)) => {
            return invalid("Request specified MATCH_TYPE_DEFAULT, but also specified a match string.");
        }
        (2, Some(_)) => {
            return invalid("Request specified MATCH_TYPE_SPECIFIED, but also specified a match string.");
        }
        (0..=2, _) => {}
        (other, _) => return invalid(&format!("Unknown match type {other}")),
    }
    match entity {
        "" => return invalid("Invalid empty entity type."),
        "user" | "client-id" | "ip" => {}
        other => return Err((ErrorCode::UnsupportedVersion, format!("Unsupported entity type {other}"))),
    }
    if !seen.insert(entity) {
        return invalid(&format!("Entity type {entity} cannot appear more than once in the filter."));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn component(entity: &'static str, kind: i8, text: Option<&'static str>) -> ComponentData {
        ComponentData::default()
            .with_entity_type(StrBytes::from_static_str(entity))
            .with_match_type(kind)
            .with_match(text.map(StrBytes::from_static_str))
    }

    #[test]
    fn filters_are_judged_as_kafka_judges_them() {
        let good = [component("user", 2, None), component("client-id", 0, Some("a"))];
        assert!(check(&good).is_ok() && check(&[]).is_ok());
        let cases = [
            (vec![component("nonsense", 2, None)], 35, "Unsupported entity type nonsense"),
            (vec![component("user", 9, None)], 42, "Unknown match type 9"),
            (vec![component("", 0, Some("x"))], 42, "Invalid empty entity type."),
            (
                vec![component("user", 2, None); 2],
                42,
                "Entity type user cannot appear more than once in the filter.",
            ),
        ];
        for (components, code, why) in cases {
            let (found, message) = check(&components).unwrap_err();
            assert_eq!((found.code(), message.as_str()), (code, why));
        }
        assert!(check(&[component("user", 2, None), component("ip", 2, None)]).is_err());
    }
}
