//! Who may ask what: host and origin checks, the bearer token, the time limit.
//! Never here: routes.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Request, State};
use axum::http::uri::Authority;
use axum::http::{HeaderMap, Method, StatusCode, header};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use segue_config::limits::HTTP_REQUEST_SECONDS_MAX;

use super::Console;
use super::answer::Fault;

/// Who can reach the listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Exposure {
    /// Only this machine: reading needs no token, but the request must name this machine, so that a
    /// web page cannot reach the API through a name that resolves to loopback.
    Loopback,
    Network,
}

impl Exposure {
    pub fn of(address: SocketAddr) -> Exposure {
        if address.ip().is_loopback() { Exposure::Loopback } else { Exposure::Network }
    }
}

pub(super) async fn check(
    State((console, exposure)): State<(Arc<Console>, Exposure)>,
    request: Request,
    next: Next,
) -> Response {
    let reading = matches!(*request.method(), Method::GET | Method::HEAD);
    let verdict = same_site(&request, exposure).and_then(|()| {
        if reading && exposure == Exposure::Loopback {
            Ok(())
        } else {
            authorized(request.headers(), &console)
        }
    });
    if let Err(fault) = verdict {
        return fault.into_response();
    }
    let limit = Duration::from_secs(HTTP_REQUEST_SECONDS_MAX);
    match tokio::time::timeout(limit, next.run(request)).await {
        Ok(response) => response,
        Err(_) => Fault::new(
            StatusCode::SERVICE_UNAVAILABLE,
            format!("no answer within {HTTP_REQUEST_SECONDS_MAX} seconds"),
            "look at /healthz and the log",
        )
        .into_response(),
    }
}

/// Refuses requests that a foreign web page made a browser send.
fn same_site(request: &Request, exposure: Exposure) -> Result<(), Fault> {
    let refuse = |what: &str| {
        Fault::new(
            StatusCode::FORBIDDEN,
            format!("the {what} header names another site"),
            "address the API by localhost or its own address, not from a web page",
        )
    };
    let host = request
        .uri()
        .authority()
        .cloned()
        .or_else(|| request.headers().get(header::HOST)?.to_str().ok()?.parse::<Authority>().ok())
        .ok_or_else(|| refuse("Host"))?;
    if exposure == Exposure::Loopback && !names_loopback(&host) {
        return Err(refuse("Host"));
    }
    match request.headers().get(header::ORIGIN) {
        None => Ok(()),
        Some(origin) => {
            let same = origin.to_str().ok().and_then(|text| text.split_once("://"));
            match same {
                Some((_, authority)) if authority.eq_ignore_ascii_case(host.as_str()) => Ok(()),
                _ => Err(refuse("Origin")),
            }
        }
    }
}

fn names_loopback(authority: &Authority) -> bool {
    let host = authority.host().trim_start_matches('[').trim_end_matches(']');
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(super) fn authorized(headers: &HeaderMap, console: &Console) -> Result<(), Fault> {
    let given = headers
        .get(header::AUTHORIZATION)
        .and_then(|value| value.to_str().ok())
        .and_then(|value| value.split_once(' '))
        .filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer"))
        .map(|(_, token)| token.trim());
    match given {
        Some(token) if console.token.matches(token) => Ok(()),
        Some(_) => Err(unauthorized("the token is wrong")),
        None => Err(unauthorized("a token is needed")),
    }
}

fn unauthorized(error: &str) -> Fault {
    Fault::new(
        StatusCode::UNAUTHORIZED,
        error,
        "send `Authorization: Bearer <token>`: admin.token of the settings, or the token file named in the log",
    )
}
