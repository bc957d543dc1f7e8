//! Controllers that register and are unregistered (KIP-919), as those see it who ask a controller's listener.

use ottla_client::{Client, ConnectionConfig};
use ottla_protocol::ErrorCode;
use ottla_protocol::messages::controller_registration_request::Listener;
use ottla_protocol::messages::{
    ControllerRegistrationRequest, DescribeClusterRequest, StrBytes, UnregisterControllerRequest,
};
use uuid::Uuid;

use crate::support::{Broker, eventually};

/// A broker with a controller's listener, and that one's port.
async fn with_controller() -> (Broker, u16) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let listeners = format!("PLAINTEXT://127.0.0.1:0,CONTROLLER://127.0.0.1:{port}");
    let voters = format!("1@127.0.0.1:{port}");
    let broker = Broker::start_with(&[
        ("node.id", "1"),
        ("process.roles", "broker,controller"),
        ("listeners", &listeners),
        ("controller.listener.names", "CONTROLLER"),
        ("controller.quorum.voters", &voters),
    ])
    .await;
    (broker, port)
}

async fn controller(port: u16) -> Client {
    Client::connect(&format!("127.0.0.1:{port}"), ConnectionConfig::default()).await.unwrap()
}

/// Ids and ports of the controllers.
async fn described(port: u16) -> Vec<(i32, i32)> {
    let request = DescribeClusterRequest::default().with_endpoint_type(2);
    let answer = controller(port).await.call(&request).await.unwrap();
    assert_eq!((answer.error_code, answer.endpoint_type), (0, 2), "{answer:?}");
    let mut controllers: Vec<_> =
        answer.brokers.iter().map(|controller| (controller.broker_id.0, controller.port)).collect();
    controllers.sort_unstable();
    controllers
}

fn another(listener: &str, security_protocol: i16) -> ControllerRegistrationRequest {
    let text = |text: &str| StrBytes::from_string(text.to_owned());
    let listener = Listener::default()
        .with_name(text(listener))
        .with_host(text("elsewhere"))
        .with_port(9)
        .with_security_protocol(security_protocol);
    ControllerRegistrationRequest::default()
        .with_controller_id(7)
        .with_incarnation_id(Uuid::from_u128(7))
        .with_listeners(vec![listener])
}

#[tokio::test(flavor = "multi_thread")]
async fn registered_controllers_are_shown_and_outlive_a_restart() {
    let (broker, port) = with_controller().await;
    let own = (1, i32::from(port));
    let client = controller(port).await;
    for (request, code) in [
        (another("CONTROLLER", 9), ErrorCode::InvalidRegistration),
        (another("ELSEWHERE", 0), ErrorCode::None),
        (another("ELSEWHERE", 0), ErrorCode::None),
    ] {
        let answer = client.call(&request).await.unwrap();
        assert_eq!(ErrorCode::from_code(answer.error_code), Some(code), "{request:?}");
    }
    // Whoever has no listener of this name is not shown; nor was this node, if it had not registered.
    eventually("this node has registered", || async { described(port).await == [own] }).await;
    let answer = client.call(&another("CONTROLLER", 0)).await.unwrap();
    assert_eq!(answer.error_code, 0);
    // What is committed is shown a moment later.
    eventually("the other one is known", || async { described(port).await == [own, (7, 9)] }).await;

    let broker = broker.restart().await;
    eventually("both are known", || async { described(port).await == [own, (7, 9)] }).await;
    broker.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_controller_is_unregistered_unless_it_is_the_active_one() {
    let (broker, port) = with_controller().await;
    let at_controller = controller(port).await;
    assert_eq!(at_controller.call(&another("CONTROLLER", 0)).await.unwrap().error_code, 0);
    let own = (1, i32::from(port));
    eventually("both have registered", || async { described(port).await == [own, (7, 9)] }).await;
    for client in [broker.client().await, at_controller] {
        for (id, code, message) in [
            (1, ErrorCode::InvalidRequest, "Controller cannot unregister itself while it is active."),
            (8, ErrorCode::ControllerIdNotRegistered, "Controller ID 8 is not currently registered."),
            (-1, ErrorCode::ControllerIdNotRegistered, "Controller ID -1 is not currently registered."),
        ] {
            let request = UnregisterControllerRequest { controller_id: id };
            let answer = client.call(&request).await.unwrap();
            assert_eq!(ErrorCode::from_code(answer.error_code), Some(code), "{answer:?}");
            assert_eq!(answer.error_message.as_deref(), Some(message));
        }
    }
    let request = UnregisterControllerRequest { controller_id: 7 };
    let client = broker.client().await;
    let answer = client.call(&request).await.unwrap();
    assert_eq!((answer.error_code, answer.error_message), (0, None));
    eventually("it is gone", || async { described(port).await == [own] }).await;
    let again = client.call(&request).await.unwrap();
    assert_eq!(again.error_code, ErrorCode::ControllerIdNotRegistered.code());
    broker.stop().await;
}
