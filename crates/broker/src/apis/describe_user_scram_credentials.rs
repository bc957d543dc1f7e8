//! DescribeUserScramCredentials (KIP-554): nobody has any here. AlterUserScramCredentials is not served.

use std::collections::BTreeMap;

use ottla_protocol::ErrorCode;
use ottla_protocol::messages::describe_user_scram_credentials_response::DescribeUserScramCredentialsResult;
use ottla_protocol::messages::{
    DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse, StrBytes,
};

use crate::dispatch::{Handler, Reply, RequestContext};

/// Says of each user who is asked for that there is no such credential.
#[derive(Debug)]
pub(crate) struct DescribeUserScramCredentials;

impl Handler for DescribeUserScramCredentials {
    type Request = DescribeUserScramCredentialsRequest;

    fn handle(
        &self,
        _: &RequestContext,
        request: DescribeUserScramCredentialsRequest,
    ) -> Reply<DescribeUserScramCredentialsResponse> {
        let mut users: BTreeMap<&StrBytes, usize> = BTreeMap::new();
        for user in request.users.iter().flatten() {
            *users.entry(&user.name).or_default() += 1;
        }
        let results = users.into_iter().map(|(name, times)| result(name, times));
        let response = DescribeUserScramCredentialsResponse::default();
        Reply::Ready(response.with_error_message(Some(StrBytes::default())).with_results(results.collect()))
    }
}

fn result(name: &StrBytes, times: usize) -> DescribeUserScramCredentialsResult {
    let (code, message) = if times > 1 {
        let what = "Cannot describe SCRAM credentials for the same user twice in a single request";
        (ErrorCode::DuplicateResource, format!("{what}: {name}"))
    } else {
        let what = "Attempt to describe a user credential that does not exist";
        (ErrorCode::ResourceNotFound, format!("{what}: {name}"))
    };
    DescribeUserScramCredentialsResult::default()
        .with_user(name.clone())
        .with_error_code(code.code())
        .with_error_message(Some(StrBytes::from_string(message)))
}
