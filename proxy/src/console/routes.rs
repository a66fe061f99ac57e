//! The routes and their answers.
//! Never here: checks of who asks (`guard`).

use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::body::Bytes;
use axum::extract::rejection::{BytesRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use segue_config::faults::FaultScript;
use segue_config::limits::{DIGESTS_REPORTED_MAX, HTTP_BODY_BYTES_MAX};
use segue_config::nearest;
use segue_config::phases::HIGHEST_PHASE;
use segue_rules::phase::Phase;
use segue_rules::value::TableName;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use super::answer::Fault;
use super::guard::{self, Exposure};
use super::{Console, Health};
use crate::control::Target;
use crate::mirror::ParkedFilter;

/// Most characters of a `who` that a request gives for the audit log.
const WHO_CHARACTERS_MAX: usize = 100;

type Shared = State<Arc<Console>>;
type Body = Result<Bytes, BytesRejection>;

pub(super) fn router(console: Arc<Console>, exposure: Exposure) -> Router {
    let guarded = axum::middleware::from_fn_with_state((console.clone(), exposure), guard::check);
    Router::new()
        .route("/metrics", get(metrics))
        .route("/healthz", get(health))
        .route("/api/phases", get(phases).put(set_phase))
        .route("/api/owed", get(owed))
        .route("/api/owed/retry", post(retry_owed))
        .route("/api/digests", get(digests))
        .route("/api/faults", get(faults).put(set_faults).delete(end_faults))
        .route("/api/validation", get(validation))
        .route("/api/sweeps", get(sweeps).post(start_sweeps))
        .method_not_allowed_fallback(async || {
            let hint = "docs/reference/http-api.md lists the methods of each path";
            Fault::new(StatusCode::METHOD_NOT_ALLOWED, "the path has no such method", hint)
        })
        .fallback(async || {
            let hint = "docs/reference/http-api.md lists every path";
            Fault::new(StatusCode::NOT_FOUND, "there is no such path", hint)
        })
        .layer(DefaultBodyLimit::max(HTTP_BODY_BYTES_MAX))
        .layer(guarded)
        .with_state(console)
}

async fn metrics(State(console): Shared, headers: HeaderMap) -> Response {
    let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
    let values = guard::authorized(&headers, &console).is_ok();
    (kind, console.metrics.render(values)).into_response()
}

/// Always 200 while the process serves: trouble elsewhere is no reason to restart the sidecar.
async fn health(State(console): Shared) -> Json<Value> {
    let health: Health = console.operations.health().await;
    let status = if health.is_well() { "ok" } else { "degraded" };
    Json(json!({ "status": status, "parts": health }))
}

async fn phases(State(console): Shared) -> Json<Value> {
    let live = console.live.current();
    let table = |name: &TableName| {
        json!({
            "table": name,
            "phase": live.phases.of(name),
            "explicit": live.phases.tables.contains_key(name),
        })
    };
    Json(json!({
        "default": live.phases.default,
        "tables": live.ruleset.sources.keys().map(table).collect::<Vec<_>>(),
        "highest": HIGHEST_PHASE,
        "generation": live.number,
        "older_work": console.live.active_under_older(),
        "file": console.phases.path(),
    }))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PhaseRequest {
    table: Option<String>,
    phase: Option<String>,
    default: Option<String>,
    who: Option<String>,
}

/// A body that changes a phase: what, to which phase, and who asks.
pub(super) fn phase_change(body: &[u8]) -> Result<(Target, Phase, String), Fault> {
    let request: PhaseRequest = from_json(body)?;
    let (target, name) = match (request.table, request.phase, request.default) {
        (Some(table), Some(phase), None) => (Target::Table(table), phase),
        (None, None, Some(phase)) => (Target::Default, phase),
        _ => {
            let hint = "give {\"table\": \"...\", \"phase\": \"...\"} or {\"default\": \"...\"}";
            return Err(Fault::bad_request("the body names no change", hint));
        }
    };
    let phase: Phase = name.parse().map_err(|error: segue_rules::phase::UnknownPhase| {
        Fault::bad_request(error.to_string(), format!("phases up to `{HIGHEST_PHASE}` are served"))
    })?;
    let who: String = match request.who {
        Some(who) => who.chars().filter(|c| !c.is_control()).take(WHO_CHARACTERS_MAX).collect(),
        None => "api".to_owned(),
    };
    Ok((target, phase, who))
}

async fn set_phase(State(console): Shared, body: Body) -> Result<Json<Value>, Fault> {
    let (target, phase, who) = phase_change(&received(body)?)?;
    let change = console.phases.set(&target, phase, &who).await?;
    let hint = if !change.tables.is_empty() && phase.mirrors() && !change.from.mirrors() {
        "writes are mirrored from now on; `segue backfill` copies the rows that exist already"
    } else {
        ""
    };
    Ok(Json(json!({
        "from": change.from,
        "to": change.to,
        "tables": change.tables,
        "generation": change.generation,
        "hint": hint,
    })))
}

/// What is shown in place of row values to a request without the token.
const HIDDEN: &str = "(hidden: needs the token)";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct OwedRequest {
    table: Option<String>,
    entity: Option<String>,
    limit: Option<usize>,
}

async fn owed(
    State(console): Shared,
    headers: HeaderMap,
    asked: Result<Query<OwedRequest>, QueryRejection>,
) -> Result<Json<Value>, Fault> {
    let Query(OwedRequest { table, entity, limit }) = asked.map_err(|rejection| {
        let hint = "?table=...&entity=...&limit=...; each of them may be left out";
        Fault::bad_request(rejection.body_text(), hint)
    })?;
    let mut report = console.operations.owed(&ParkedFilter { table, entity, limit });
    if guard::authorized(&headers, &console).is_err() {
        for parked in report["parked"].as_array_mut().into_iter().flatten() {
            // Both name the row by its values.
            parked["key"] = HIDDEN.into();
            parked["reason"] = HIDDEN.into();
        }
    }
    Ok(Json(report))
}

async fn validation(State(console): Shared, headers: HeaderMap) -> Json<Value> {
    let mut report = console.operations.validation();
    if guard::authorized(&headers, &console).is_err() {
        for difference in report["differences"].as_array_mut().into_iter().flatten() {
            // Both name the row by its values.
            difference["row_key"] = HIDDEN.into();
            difference["item_key"] = HIDDEN.into();
        }
    }
    Json(report)
}

async fn retry_owed(State(console): Shared) -> Response {
    let retried = console.operations.retry_parked();
    (StatusCode::ACCEPTED, Json(json!({ "retried": retried }))).into_response()
}

/// Statements by digest, those that took most time first.
async fn digests(State(console): Shared) -> Result<Json<Value>, Fault> {
    let Some(observed) = &console.observed else {
        let hint = "set observe.statements = \"on\" and restart";
        return Err(Fault::new(StatusCode::CONFLICT, "statements are not observed", hint));
    };
    Ok(Json(json!({
        "digests": observed.report(DIGESTS_REPORTED_MAX),
        "unlisted": observed.unlisted(),
    })))
}

/// The fault script in force.
async fn faults(State(console): Shared) -> Result<Json<Value>, Fault> {
    console.operations.faults().map(Json).ok_or_else(faults_not_allowed)
}

/// The body is a script as the file holds it.
async fn set_faults(State(console): Shared, body: Body) -> Result<Json<Value>, Fault> {
    if console.operations.faults().is_none() {
        return Err(faults_not_allowed());
    }
    let body = received(body)?;
    let script = fault_script(&body)?;
    console.operations.take_faults(script);
    faults(State(console)).await
}

/// A body that is a fault script.
pub(super) fn fault_script(body: &[u8]) -> Result<FaultScript, Fault> {
    let text = std::str::from_utf8(body).unwrap_or("?");
    segue_config::faults::parse(text, "body").map_err(|faults| {
        let lines: Vec<String> = faults.iter().map(ToString::to_string).collect();
        Fault::bad_request(lines.join("\n"), "send the script as TOML; docs/faults.md shows it")
    })
}

async fn end_faults(State(console): Shared) -> Result<Json<Value>, Fault> {
    if console.operations.faults().is_none() {
        return Err(faults_not_allowed());
    }
    console.operations.take_faults(FaultScript::default());
    faults(State(console)).await
}

fn faults_not_allowed() -> Fault {
    let hint = "where requests may be made to fail, set faults.injection = \"on\" and restart";
    Fault::new(StatusCode::CONFLICT, "faults on purpose are not allowed here", hint)
}

async fn sweeps(State(console): Shared) -> Json<Value> {
    Json(console.operations.sweeps())
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct SweepRequest {
    table: Option<String>,
    #[serde(default)]
    all: bool,
}

async fn start_sweeps(State(console): Shared, body: Body) -> Result<Response, Fault> {
    let request: SweepRequest = from_json(&received(body)?)?;
    let live = console.live.current();
    let sources = &live.ruleset.sources;
    let tables: Vec<TableName> = match (&request.table, request.all) {
        (Some(name), false) => {
            let Some((table, _)) = sources.get_key_value(name.as_str()) else {
                let hint = match nearest(name, sources.keys().map(|table| &**table)) {
                    Some(known) => format!("did you mean `{known}`?"),
                    None => "GET /api/phases lists the mapped tables".to_owned(),
                };
                let error = format!("the contract maps no table `{name}`");
                return Err(Fault::new(StatusCode::NOT_FOUND, error, hint));
            };
            if !live.phases.of(table).mirrors() {
                return Err(Fault::new(
                    StatusCode::CONFLICT,
                    format!("table `{table}` is `mysql-only`, where DynamoDB is not touched"),
                    "set its phase to `dual-write` first",
                ));
            }
            vec![table.clone()]
        }
        (None, true) => sources
            .values()
            .filter(|source| !source.drives.is_empty() && live.phases.of(&source.name).mirrors())
            .map(|source| source.name.clone())
            .collect(),
        _ => {
            let hint = "give {\"table\": \"...\"} or {\"all\": true}";
            return Err(Fault::bad_request("the body names no table", hint));
        }
    };
    console.operations.sweep(tables.clone()).await;
    Ok((StatusCode::ACCEPTED, Json(json!({ "owed": tables }))).into_response())
}

fn received(body: Body) -> Result<Bytes, Fault> {
    body.map_err(|rejection| {
        let hint = format!("at most {HTTP_BODY_BYTES_MAX} bytes of JSON");
        Fault::new(rejection.status(), "the body cannot be read", hint)
    })
}

pub(super) fn from_json<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    serde_json::from_slice(body).map_err(|error| {
        Fault::bad_request(
            format!("the body is not as expected: {error}"),
            "send JSON; docs/reference/http-api.md shows each body",
        )
    })
}
