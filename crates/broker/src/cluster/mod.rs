//! This node among others: how it reaches the controllers, and how it takes part.

mod channel;
mod controller_api;
mod controller_registration;
mod error_codes;
mod forwarded;
mod lifelines;
mod links;
mod membership;
mod transport;

pub(crate) use channel::{ChannelError, ControllerChannel, flat, version};
pub(crate) use controller_api::{AtController, ControllerApi, Direct};
pub(crate) use controller_registration::keep_registered;
pub(crate) use error_codes::ErrorCodes;
pub(crate) use forwarded::Forwarded;
pub(crate) use lifelines::hold_lifelines;
pub(crate) use links::Links;
pub(crate) use membership::{Introduction, Membership, register};
pub(crate) use transport::{host_port, peers};
