//! CreateAcls, as a broker without an authorizer answers it: nothing would enforce an ACL, so none is taken.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::create_acls_response::AclCreationResult;
use ottla_protocol::messages::{CreateAclsRequest, CreateAclsResponse, StrBytes};

use super::describe_acls::UNKNOWN;
use crate::dispatch::{Handler, Reply, RequestContext};

/// What the controller says of each ACL.
pub(super) const NO_AUTHORIZER: &str = "No Authorizer is configured.";

/// Refuses each ACL.
#[derive(Debug)]
pub(crate) struct CreateAcls;

impl Handler for CreateAcls {
    type Request = CreateAclsRequest;

    fn handle(&self, _: &RequestContext, request: CreateAclsRequest) -> Reply<CreateAclsResponse> {
        let unknown = request.creations.iter().any(|acl| {
            [acl.resource_type, acl.resource_pattern_type, acl.operation, acl.permission_type]
                .contains(&UNKNOWN)
        });
        if unknown {
            return Reply::Close;
        }
        let refused = AclCreationResult::default()
            .with_error_code(ErrorCode::SecurityDisabled.code())
            .with_error_message(Some(StrBytes::from_static_str(NO_AUTHORIZER)));
        let results = vec![refused; request.creations.len()];
        Reply::Ready(CreateAclsResponse::default().with_results(results))
    }
}
