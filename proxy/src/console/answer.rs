//! JSON answers, and the one shape of an error: what is wrong and what to do.
//! Never here: routes.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use crate::control::PhaseChangeRefused;

/// An error as `{"error": ..., "hint": ...}`.
#[derive(Debug)]
pub(super) struct Fault {
    status: StatusCode,
    error: String,
    hint: String,
}

impl Fault {
    pub fn new(status: StatusCode, error: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault { status, error: error.into(), hint: hint.into() }
    }

    pub fn bad_request(error: impl Into<String>, hint: impl Into<String>) -> Fault {
        Fault::new(StatusCode::BAD_REQUEST, error, hint)
    }
}

impl IntoResponse for Fault {
    fn into_response(self) -> Response {
        let body = Json(json!({ "error": self.error, "hint": self.hint }));
        let mut response = (self.status, body).into_response();
        if self.status == StatusCode::UNAUTHORIZED {
            let bearer = HeaderValue::from_static("Bearer");
            response.headers_mut().insert(header::WWW_AUTHENTICATE, bearer);
        }
        response
    }
}

impl From<PhaseChangeRefused> for Fault {
    fn from(refused: PhaseChangeRefused) -> Fault {
        let status = match refused {
            PhaseChangeRefused::UnknownTable { .. } => StatusCode::NOT_FOUND,
            PhaseChangeRefused::NotServed(_)
            | PhaseChangeRefused::Step { .. }
            | PhaseChangeRefused::Frozen { .. } => StatusCode::CONFLICT,
            PhaseChangeRefused::File { .. } | PhaseChangeRefused::Faults(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        };
        Fault::new(status, refused.to_string(), refused.remedy())
    }
}
