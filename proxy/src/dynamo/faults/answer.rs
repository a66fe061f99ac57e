//! DynamoDB's own error answers, byte for byte as far as the SDK reads them.
//! Never here: when they are given.

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::ConnectorError;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use segue_config::faults::FaultKind;
use serde_json::{Value, json};

use super::request::Request;

/// Namespaces of the error types.
const DYNAMODB: &str = "com.amazonaws.dynamodb.v20120810";
const CORAL: &str = "com.amazon.coral.availability";

/// Every message says that it is no real one.
const MARK: &str = "(injected fault)";

/// The answer of kinds that answer by themselves; `None`: the kind does something else.
pub(super) fn of(kind: FaultKind, request: &Request) -> Option<HttpResponse> {
    let error = |status, namespace: &str, code: &str, message: &str| {
        let body = json!({
            "__type": format!("{namespace}#{code}"),
            "message": format!("{message} {MARK}"),
        });
        Some(response(status, &body))
    };
    match kind {
        FaultKind::Throttle => error(400, CORAL, "ThrottlingException", "Rate exceeded"),
        FaultKind::Throughput => error(
            400,
            DYNAMODB,
            "ProvisionedThroughputExceededException",
            "The level of configured provisioned throughput for the table was exceeded",
        ),
        FaultKind::RequestLimit => error(
            400,
            DYNAMODB,
            "RequestLimitExceeded",
            "Throughput exceeds the current throughput limit for your account",
        ),
        FaultKind::Conflict if request.operation.starts_with("Transact") => {
            Some(response(400, &cancelled(request.part_count())))
        }
        FaultKind::Conflict => error(
            400,
            DYNAMODB,
            "TransactionConflictException",
            "Transaction is ongoing for the item",
        ),
        FaultKind::Unprocessed => Some(response(200, &unprocessed(request))),
        FaultKind::ServerError => {
            error(500, DYNAMODB, "InternalServerError", "Internal server error")
        }
        FaultKind::Unavailable => {
            let page = format!("<html><body>Service Unavailable {MARK}</body></html>");
            Some(plain(503, "text/html", page))
        }
        _ => None,
    }
}

/// The connection broke; whether the request arrived is not to be told.
pub(super) fn reset() -> ConnectorError {
    let broken = std::io::Error::new(
        std::io::ErrorKind::ConnectionReset,
        format!("connection reset by peer {MARK}"),
    );
    ConnectorError::io(broken.into())
}

/// An answer of an earlier read.
pub(super) fn earlier(body: Vec<u8>) -> HttpResponse {
    let mut response = HttpResponse::new(status(200), SdkBody::from(body));
    response.headers_mut().insert("content-type", "application/x-amz-json-1.0");
    response
}

fn cancelled(parts: usize) -> Value {
    let reason = |index| match index {
        0 => {
            json!({"Code": "TransactionConflict", "Message": "Transaction is ongoing for the item"})
        }
        _ => json!({"Code": "None"}),
    };
    let reasons: Vec<Value> = (0..parts.max(1)).map(reason).collect();
    let codes: Vec<&str> = reasons.iter().filter_map(|reason| reason["Code"].as_str()).collect();
    let message = format!(
        "Transaction cancelled, please refer cancellation reasons for specific reasons [{}] {MARK}",
        codes.join(", ")
    );
    json!({
        "__type": format!("{DYNAMODB}#TransactionCanceledException"),
        "Message": message,
        "CancellationReasons": reasons,
    })
}

/// Everything comes back.
fn unprocessed(request: &Request) -> Value {
    let all = &request.body["RequestItems"];
    match request.operation.as_str() {
        "BatchGetItem" => json!({"Responses": {}, "UnprocessedKeys": all}),
        _ => json!({"UnprocessedItems": all}),
    }
}

fn response(code: u16, body: &Value) -> HttpResponse {
    plain(code, "application/x-amz-json-1.0", body.to_string())
}

fn plain(code: u16, kind: &'static str, body: String) -> HttpResponse {
    let mut response = HttpResponse::new(status(code), SdkBody::from(body));
    response.headers_mut().insert("content-type", kind);
    response.headers_mut().insert("x-amzn-requestid", "INJECTED");
    response
}

fn status(code: u16) -> StatusCode {
    StatusCode::try_from(code).expect("the codes here are HTTP's own")
}
