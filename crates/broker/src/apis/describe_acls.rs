//! DescribeAcls, as a broker without an authorizer answers it.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{DescribeAclsRequest, DescribeAclsResponse, StrBytes};

use crate::dispatch::{Handler, Reply, RequestContext};

/// What ACL requests call a type that they do not know; Kafka ends the connection of whoever asks for it.
pub(super) const UNKNOWN: i8 = 0;

/// Says that there are no ACLs to describe.
#[derive(Debug)]
pub(crate) struct DescribeAcls;

impl Handler for DescribeAcls {
    type Request = DescribeAclsRequest;

    fn handle(&self, _: &RequestContext, request: DescribeAclsRequest) -> Reply<DescribeAclsResponse> {
        let asked = [
            request.resource_type_filter,
            request.pattern_type_filter,
            request.operation,
            request.permission_type,
        ];
        if asked.contains(&UNKNOWN) {
            return Reply::Close;
        }
        let response = DescribeAclsResponse::default()
            .with_error_code(ErrorCode::SecurityDisabled.code())
            .with_error_message(Some(StrBytes::from_static_str("No Authorizer is configured on the broker")));
        Reply::Ready(response)
    }
}
