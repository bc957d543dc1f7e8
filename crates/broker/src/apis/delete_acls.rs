//! DeleteAcls, as a broker without an authorizer answers it.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::delete_acls_response::DeleteAclsFilterResult;
use ottla_protocol::messages::{DeleteAclsRequest, DeleteAclsResponse, StrBytes};

use super::create_acls::NO_AUTHORIZER;
use super::describe_acls::UNKNOWN;
use crate::dispatch::{Handler, Reply, RequestContext};

/// Refuses each filter.
#[derive(Debug)]
pub(crate) struct DeleteAcls;

impl Handler for DeleteAcls {
    type Request = DeleteAclsRequest;

    fn handle(&self, _: &RequestContext, request: DeleteAclsRequest) -> Reply<DeleteAclsResponse> {
        let unknown = request.filters.iter().any(|filter| {
            let asked = [
                filter.resource_type_filter,
                filter.pattern_type_filter,
                filter.operation,
                filter.permission_type,
            ];
            asked.contains(&UNKNOWN)
        });
        if unknown {
            return Reply::Close;
        }
        let refused = DeleteAclsFilterResult::default()
            .with_error_code(ErrorCode::SecurityDisabled.code())
            .with_error_message(Some(StrBytes::from_static_str(NO_AUTHORIZER)));
        let results = vec![refused; request.filters.len()];
        Reply::Ready(DeleteAclsResponse::default().with_filter_results(results))
    }
}
