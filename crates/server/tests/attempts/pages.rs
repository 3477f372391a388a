//! Attempts with raw HTTP requests: the console's files, methods, and paths out of them.

use crate::attempt::{Attempt, raw};

pub(crate) fn rows() -> Vec<Attempt> {
    vec![
        raw(
            "a path out of the console",
            "GET /console/../../../../etc/passwd HTTP/1.1",
            "404",
        ),
        raw(
            "an encoded path out of the console",
            "GET /console/%2e%2e/%2e%2e/etc/passwd HTTP/1.1",
            "404",
        ),
        raw(
            "a path with encoded slashes out of the console",
            "GET /console/assets/..%2f..%2f..%2fetc%2fpasswd HTTP/1.1",
            "404",
        ),
        raw(
            "a path with backslashes out of the console",
            r"GET /console/assets/..\..\etc\passwd HTTP/1.1",
            "404",
        ),
        raw(
            "an absolute path in the console",
            "GET /console//etc/passwd HTTP/1.1",
            "404",
        ),
        raw(
            "the console's source map",
            "GET /console/assets/index.js.map HTTP/1.1",
            "404",
        ),
        raw(
            "a POST to the console",
            "POST /console HTTP/1.1\r\ncontent-length: 0",
            "405",
        ),
        raw("a DELETE of the console", "DELETE /console/ HTTP/1.1", "405"),
        raw("a TRACE of the console", "TRACE /console HTTP/1.1", "405"),
        raw(
            "a POST to the console that says it is a GET",
            "POST /console HTTP/1.1\r\nx-http-method-override: GET\r\ncontent-length: 0",
            "405",
        ),
        raw(
            "a GET that says it is a DELETE",
            "GET /api/v1/rooms/den HTTP/1.1\r\nx-http-method-override: DELETE\r\n\
             authorization: Bearer a key that reads rooms",
            "200",
        ),
        raw(
            "a path that says where it was rewritten from",
            "GET /api/v1/key HTTP/1.1\r\nx-original-url: /api/v1/audit\r\nx-rewrite-url: /api/v1/audit",
            "401",
        ),
        raw(
            "two lengths of one body",
            "POST /api/v1/notifications HTTP/1.1\r\ncontent-length: 2\r\ncontent-length: 3",
            "400",
        ),
        raw(
            "a length and chunks in one request",
            "POST /api/v1/notifications HTTP/1.1\r\ncontent-length: 2\r\ntransfer-encoding: xchunked",
            "400",
        ),
        raw("a NUL in a path", "GET /console/\0 HTTP/1.1", "400"),
    ]
}
