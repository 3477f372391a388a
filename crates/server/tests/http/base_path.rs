//! Tests of serving below a path, and of the script that Socket.IO's own server has.

use roomful_testkit::http;

use crate::{request, start};

#[tokio::test]
async fn page_api_and_sockets_are_below_the_base_path() {
    let server = start(&[
        ("ROOMFUL__HTTP__BASE_PATH", "/team/chat"),
        ("ROOMFUL__DEV__ENABLED", "on"),
    ])
    .await;
    let status = async |path: &str| http::get(server.addr(), path).await.unwrap().status;
    for path in [
        "/team/chat/",
        "/team/chat/api/openapi.json",
        "/team/chat/demo/config",
        "/team/chat/socket.io/?EIO=4&transport=polling",
        "/livez",
        "/readyz",
        "/metrics",
    ] {
        assert_eq!(status(path).await, 200, "{path}");
    }
    assert_eq!(status("/team/chat/api/v1/stats").await, 401);
    for path in ["/", "/api/openapi.json", "/demo/config", "/team", "/team/chatter"] {
        assert_eq!(status(path).await, 404, "{path}");
    }
    let bare = http::get(server.addr(), "/team/chat").await.unwrap();
    assert_eq!((bare.status, bare.header("location")), (308, Some("/team/chat/")));
    let bearer = format!("Bearer {}", server.api_key());
    let call = request(
        &server,
        "GET",
        "/team/chat/api/v1/stats",
        &[("authorization", &bearer)],
    )
    .await;
    assert_eq!(call.status, 200);
}

#[tokio::test]
async fn the_client_script_explains_where_to_get_the_client() {
    let server = start(&[]).await;
    for file in ["socket.io.js", "socket.io.min.js"] {
        let script = http::get(server.addr(), &format!("/socket.io/{file}"))
            .await
            .unwrap();
        assert_eq!(script.status, 200);
        assert_eq!(
            script.header("content-type"),
            Some("text/javascript; charset=utf-8")
        );
        assert!(script.text().contains("npm install socket.io-client"));
    }
}
