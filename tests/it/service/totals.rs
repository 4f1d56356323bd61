//! What a service says it has.

use profiler::wire::v1::generated::{
    HostInfo, HostsRequest, Selection, TopRequest, query_service_client::QueryServiceClient,
};
use profiler_tests::harness::Server;
use tonic::{Code, Status, transport::Channel};

/// Times that a question is asked again when a busy machine did not answer it in time.
const TRIES_MORE: u32 = 2;

/// Connects to a service.
pub(super) async fn client(server: &Server) -> QueryServiceClient<Channel> {
    let channel = Channel::from_shared(server.url()).unwrap();
    QueryServiceClient::new(channel.connect().await.unwrap())
}

/// All samples of the cpu signal since the beginning of time, whose labels match.
pub(crate) async fn total(server: &Server, selector: &str) -> u64 {
    let selection = Selection {
        signal: "cpu".to_owned(),
        kind: "samples".to_owned(),
        selector: selector.to_owned(),
        start_ns: 1,
        end_ns: 0,
    };
    let request = TopRequest {
        selection: Some(selection),
        limit: 1,
        ..TopRequest::default()
    };
    let mut client = client(server).await;
    let mut answer = client.top(request.clone()).await;
    for _again in 0..TRIES_MORE {
        let is_late = |status: &Status| status.code() == Code::DeadlineExceeded;
        if !answer.as_ref().is_err_and(is_late) {
            break;
        }
        answer = client.top(request.clone()).await;
    }
    answer.unwrap().into_inner().total
}

/// What is known of the only host; all zero when there is none yet.
pub(crate) async fn only_host(server: &Server) -> HostInfo {
    let request = HostsRequest {
        start_ns: 1,
        end_ns: 0,
    };
    let answer = client(server).await.hosts(request).await;
    let mut hosts = answer.unwrap().into_inner().hosts;
    assert!(hosts.len() <= 1, "{hosts:?}");
    hosts.pop().unwrap_or_default()
}
