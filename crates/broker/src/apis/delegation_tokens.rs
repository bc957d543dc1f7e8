//! The APIs of delegation tokens (KIP-48): a client that has not said who it is may not have one, nor ask for one.

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::{
    CreateDelegationTokenRequest, CreateDelegationTokenResponse, DescribeDelegationTokenRequest,
    DescribeDelegationTokenResponse, ExpireDelegationTokenRequest, ExpireDelegationTokenResponse,
    RenewDelegationTokenRequest, RenewDelegationTokenResponse, StrBytes,
};

use crate::dispatch::{Handler, Reply, RequestContext};

/// No client of this broker is authenticated.
const REFUSED: i16 = ErrorCode::DelegationTokenRequestNotAllowed.code();

/// Refuses to make one.
#[derive(Debug)]
pub(crate) struct CreateDelegationToken;

/// Refuses to describe any.
#[derive(Debug)]
pub(crate) struct DescribeDelegationToken;

/// Refuses to renew one.
#[derive(Debug)]
pub(crate) struct RenewDelegationToken;

/// Refuses to end one.
#[derive(Debug)]
pub(crate) struct ExpireDelegationToken;

impl Handler for CreateDelegationToken {
    type Request = CreateDelegationTokenRequest;

    fn handle(
        &self,
        context: &RequestContext,
        request: CreateDelegationTokenRequest,
    ) -> Reply<CreateDelegationTokenResponse> {
        let (kind, name) = (StrBytes::from_static_str("User"), StrBytes::from_static_str("ANONYMOUS"));
        // KIP-373: for somebody else, if a name is given.
        let owner = request.owner_principal_name.filter(|name| context.version >= 3 && !name.is_empty());
        let (owner_kind, owner) = match owner {
            Some(owner) => (request.owner_principal_type.unwrap_or_default(), owner),
            None => (kind.clone(), name.clone()),
        };
        let response = CreateDelegationTokenResponse::default()
            .with_error_code(REFUSED)
            .with_principal_type(owner_kind)
            .with_principal_name(owner)
            .with_issue_timestamp_ms(-1)
            .with_expiry_timestamp_ms(-1)
            .with_max_timestamp_ms(-1);
        if context.version < 3 {
            return Reply::Ready(response);
        }
        let requester = response.with_token_requester_principal_type(kind);
        Reply::Ready(requester.with_token_requester_principal_name(name))
    }
}

impl Handler for DescribeDelegationToken {
    type Request = DescribeDelegationTokenRequest;

    fn handle(
        &self,
        _: &RequestContext,
        _: DescribeDelegationTokenRequest,
    ) -> Reply<DescribeDelegationTokenResponse> {
        Reply::Ready(DescribeDelegationTokenResponse::default().with_error_code(REFUSED))
    }
}

impl Handler for RenewDelegationToken {
    type Request = RenewDelegationTokenRequest;

    fn handle(
        &self,
        _: &RequestContext,
        _: RenewDelegationTokenRequest,
    ) -> Reply<RenewDelegationTokenResponse> {
        let response = RenewDelegationTokenResponse::default().with_error_code(REFUSED);
        Reply::Ready(response.with_expiry_timestamp_ms(-1))
    }
}

impl Handler for ExpireDelegationToken {
    type Request = ExpireDelegationTokenRequest;

    fn handle(
        &self,
        _: &RequestContext,
        _: ExpireDelegationTokenRequest,
    ) -> Reply<ExpireDelegationTokenResponse> {
        let response = ExpireDelegationTokenResponse::default().with_error_code(REFUSED);
        Reply::Ready(response.with_expiry_timestamp_ms(-1))
    }
}
