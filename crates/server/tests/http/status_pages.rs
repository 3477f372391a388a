//! Tests of pages for operators: metrics and the API's description.

use roomful_testkit::http::HttpClient;

use crate::{metric, request, start};

#[tokio::test]
async fn status_pages_have_a_rate_per_address() {
    let server = start(&[("ROOMFUL__HTTP__STATUS_REQUESTS_BURST", "20")]).await;
    for path in ["/api/openapi.json", "/metrics"] {
        let mut client = HttpClient::connect(server.addr()).await.unwrap();
        let mut limited = 0;
        for _ in 0..100 {
            let answer = client.request("GET", path, &[], b"").await.unwrap();
            if answer.status == 429 {
                assert!(answer.header("retry-after").is_some());
                limited += 1;
            }
        }
        assert!(limited > 0, "{path}");
    }
}

#[tokio::test]
async fn metrics_can_need_a_key() {
    let server = start(&[("ROOMFUL__HTTP__METRICS_KEY", "a-key-for-the-scraper")]).await;
    let with = async |header: &str| {
        request(&server, "GET", "/metrics", &[("authorization", header)])
            .await
            .status
    };
    assert_eq!(request(&server, "GET", "/metrics", &[]).await.status, 401);
    assert_eq!(with("Bearer a-key-for-the-other-1").await, 401);
    assert_eq!(with("Bearer a-key-for-the-scraper").await, 200);
}

#[tokio::test]
async fn wrong_api_keys_are_limited() {
    let server = start(&[("ROOMFUL__API__FAILURES_PER_MINUTE", "5")]).await;
    let with = async |key: &str| {
        let bearer = format!("Bearer {key}");
        request(&server, "GET", "/api/v1/stats", &[("authorization", &bearer)])
            .await
            .status
    };
    let statuses: Vec<u16> = {
        let mut statuses = Vec::new();
        for _ in 0..8 {
            statuses.push(with("wrong").await);
        }
        statuses
    };
    assert_eq!(statuses[..5], [401; 5]);
    assert_eq!(statuses[5..], [429; 3]);
    assert_eq!(with(server.api_key()).await, 200);
}

#[tokio::test]
async fn processor_time_has_fractions() {
    let server = start(&[]).await;
    let text = request(&server, "GET", "/metrics", &[]).await.text();
    let value = text
        .lines()
        .find_map(|line| line.strip_prefix("process_cpu_seconds_total "))
        .unwrap();
    assert!(value.contains('.'), "{value}");
    assert!(metric(&server, "process_start_time_seconds").await > 1_600_000_000.0);
}
