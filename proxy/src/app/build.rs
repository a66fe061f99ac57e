//! Builds the parts from settings, one function each; preflight uses them too.
//! Never here: tasks, or the order of a start.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use segue_config::faults::FaultScript;
use segue_config::settings::{Billing, Endpoint, Journal as JournalSettings};
use segue_config::{Settings, limits};
use segue_rules::catalog::Catalog;
use segue_rules::entity::Ruleset;
use segue_rules::phase::PhaseMap;
use segue_rules::value::TableName;

use super::fault::{Fault, FaultKind, StartError};
use crate::console::Token;
use crate::control::{AuditLog, Live, read_bounded, read_file, write_atomically};
use crate::dynamo::{self, Faults, Store, StoreError};
use crate::execute::ledger::Ledger;
use crate::journal::{Durability, Journal, JournalOptions, Recovery};
use crate::mirror::{
    Mirror, MirrorFaults, MirrorParts, MirrorSettings, RulesetSource, ServedSource,
};
use crate::mysql::control::{Control, MissingGrant, Reads, ServerFacts};
use crate::mysql::upstream::Upstream;
use crate::session::entrance::Entrance;
use crate::session::{ClientLimits, SessionParts, Workers};
use crate::telemetry::{Digests, Metrics};

/// Reads `segue.toml` and the environment.
pub fn load_settings(path: &Path) -> Result<Settings, Fault> {
    let text = read_bounded(path).map_err(|error| {
        let help = "name the file with --config; examples/segue.toml is a start";
        Fault::file(path, &error, help)
    })?;
    Settings::parse(&text, &path.display().to_string(), &|name| std::env::var(name).ok())
        .map_err(|faults| Fault::settings(&faults))
}

/// The control account's pool, with one connection tried.
pub async fn control_pool(settings: &Settings) -> Result<Control, Fault> {
    Ok(Control::connect(&settings.mysql.control_url, limits::CONTROL_CONNECTIONS_MAX).await?)
}

/// The same for a mirror that may be broken on purpose.
pub async fn control_pool_for(settings: &Settings, faults: MirrorFaults) -> Result<Control, Fault> {
    let reads = if faults.read_uncommitted { Reads::Uncommitted } else { Reads::Committed };
    let (url, most) = (&settings.mysql.control_url, limits::CONTROL_CONNECTIONS_MAX);
    Ok(Control::connect_reading(url, most, reads).await?)
}

/// Contract x schema, compiled. Warnings stay in the ruleset.
pub async fn ruleset(settings: &Settings, control: &Control) -> Result<Ruleset, Fault> {
    let (text, catalog) = contract_and_schema(settings, control).await?;
    if catalog.tables.is_empty() {
        return Err(Fault::configuration(
            format!("the control account sees no table in `{}`", settings.contract.database),
            "[contract] database",
            "correct the name, or grant SELECT on it (docs/reference/grants.md)",
        ));
    }
    let path = &settings.contract.path;
    Ruleset::compile(&text, catalog).map_err(|findings| Fault::contract(path, &findings))
}

/// The same for a schema that changed under a live ruleset: tables that no longer fit are frozen.
pub async fn adapted(
    settings: &Settings,
    control: &Control,
    live: &Ruleset,
) -> Result<Ruleset, Fault> {
    let (text, catalog) = contract_and_schema(settings, control).await?;
    let path = &settings.contract.path;
    live.adapt(&text, catalog).map_err(|findings| Fault::contract(path, &findings))
}

async fn contract_and_schema(
    settings: &Settings,
    control: &Control,
) -> Result<(String, Catalog), Fault> {
    let path = &settings.contract.path;
    let text =
        read_bounded(path).map_err(|error| Fault::file(path, &error, "correct contract.path"))?;
    Ok((text, control.catalog(&settings.contract.database).await?))
}

pub fn mapped_tables(ruleset: &Ruleset) -> Vec<TableName> {
    ruleset.sources.keys().cloned().collect()
}

/// Reads the phases file; a missing one is made, unless the audit log shows that it was lost.
pub fn phases(settings: &Settings, known: &[TableName]) -> Result<PhaseMap, Fault> {
    let path = &settings.phases_path;
    if !path.exists() {
        let audit = AuditLog::beside(path);
        if audit.path().exists() {
            return Err(Fault::configuration(
                "the phases file is missing, and tables have been changed before",
                path.display().to_string(),
                format!("restore it; the last changes are in {}", audit.path().display()),
            ));
        }
        let phases = PhaseMap::default();
        write_atomically(path, &segue_config::phases::render(&phases))
            .map_err(|error| Fault::file(path, &error, "make the folder writable"))?;
        return Ok(phases);
    }
    Ok(read_file(path, known)?)
}

pub async fn store(settings: &Settings, metrics: &Arc<Metrics>) -> Result<Store, Fault> {
    Ok(Store::connect(&settings.dynamodb, metrics.clone()).await?)
}

/// Where requests may be made to fail: the script of the settings' file, in force from now on.
pub fn faults(settings: &Settings, metrics: &Arc<Metrics>) -> Result<Option<Faults>, Fault> {
    let Some(injection) = &settings.faults else { return Ok(None) };
    let faults = Faults::new(metrics.clone());
    tracing::warn!("faults on purpose are allowed ([faults] injection); never so in production");
    if let Some(path) = &injection.path {
        faults.take(fault_script(path)?, &path.display().to_string());
    }
    Ok(Some(faults))
}

/// Reads a fault script; one that is not there is empty.
pub fn fault_script(path: &Path) -> Result<FaultScript, Fault> {
    if !path.exists() {
        return Ok(FaultScript::default());
    }
    let text = read_bounded(path)
        .map_err(|error| Fault::file(path, &error, "correct faults.path, or remove the file"))?;
    segue_config::faults::parse(&text, &path.display().to_string())
        .map_err(|faults| Fault::settings(&faults))
}

/// The store that the sidecar writes to.
pub async fn store_with(
    settings: &Settings,
    metrics: &Arc<Metrics>,
    faults: Option<&Faults>,
) -> Result<Store, Fault> {
    Ok(Store::connect_with(&settings.dynamodb, metrics.clone(), faults).await?)
}

/// What `segue tables create` would create.
pub fn wanted_tables(settings: &Settings, ruleset: &Ruleset) -> Vec<dynamo::CreateTable> {
    let billing = match settings.billing {
        Billing::OnDemand => dynamo::Billing::OnDemand,
        Billing::Provisioned { read_units, write_units } => {
            dynamo::Billing::Provisioned { read: read_units, write: write_units }
        }
    };
    dynamo::plan(&ruleset.tables, &settings.dynamodb.table_prefix, billing)
}

/// Makes sure that tables can be written. Creates them only in the built-in engine. Where DynamoDB does
/// not answer the sidecar starts all the same: its trouble must not keep the application from MySQL.
pub async fn tables(
    settings: &Settings,
    ruleset: &Ruleset,
    phases: &PhaseMap,
    store: &Store,
) -> Result<(), StartError> {
    if matches!(settings.dynamodb.endpoint, Endpoint::Embedded { .. }) {
        for table in wanted_tables(settings, ruleset) {
            store.create(&table).await?;
        }
        return Ok(());
    }
    let mirrored = ruleset.sources.keys().any(|table| phases.of(table).mirrors());
    if !mirrored {
        return Ok(());
    }
    let ready = match store.tables_ready(&ruleset.tables).await {
        Ok(faults) => faults,
        Err(error @ StoreError::Transient { .. }) => {
            tracing::warn!(%error, "DynamoDB does not answer; what is owed waits in the journal");
            return Ok(());
        }
        Err(error) => return Err(error.into()),
    };
    let missing: Vec<String> =
        ready.iter().filter(|fault| fault.ends_with(": missing")).cloned().collect();
    for fault in ready.iter().filter(|fault| !missing.contains(fault)) {
        tracing::warn!(fault, "a DynamoDB table is not as the contract wants it");
    }
    if missing.is_empty() {
        return Ok(());
    }
    let what = format!("{} DynamoDB table(s) of the contract are missing", missing.len());
    Err(Fault::configuration(what, store.endpoint_url(), "run `segue tables create`")
        .with_details(missing))
}

pub async fn journal(
    settings: &JournalSettings,
    metrics: &Arc<Metrics>,
) -> Result<(Journal, Recovery), Fault> {
    let durability = if settings.fsync { Durability::Fsync } else { Durability::Write };
    let options = JournalOptions { durability, bytes_max: settings.bytes_max };
    Ok(Journal::open(&settings.path, options, metrics.clone()).await?)
}

/// The ruleset that is live whenever the mirror asks.
pub fn rulesets(live: &Arc<Live>) -> RulesetSource {
    let live = live.clone();
    Arc::new(move || live.current().ruleset.clone())
}

/// Whether a table's rows are mirrored whenever the mirror asks.
pub fn served(live: &Arc<Live>) -> ServedSource {
    let live = live.clone();
    Arc::new(move |table| live.current().phases.of(table).mirrors())
}

pub fn mirror_settings(settings: &Settings) -> MirrorSettings {
    MirrorSettings {
        writes_concurrent: settings.mirror_workers,
        late_write: settings.late_write,
        sampled_per_second: settings.validation.keys_per_second,
        whole_transactions: settings.whole_transactions,
        ..MirrorSettings::default()
    }
}

/// The mirror, with what the journal still owes taken up.
pub async fn mirror(parts: MirrorParts) -> Mirror {
    let (mirror, recovered) = Mirror::start(parts).await;
    if recovered.entries > 0 || recovered.damaged {
        tracing::info!(
            transactions = recovered.transactions,
            entries = recovered.entries,
            damaged = recovered.damaged,
            "work owed by an earlier run is taken up"
        );
    }
    mirror
}

/// Refuses to start where the control account lacks a grant on a mapped table.
pub async fn grants(
    settings: &Settings,
    control: &Control,
    ruleset: &Ruleset,
) -> Result<(), Fault> {
    let tables: Vec<String> = ruleset.sources.keys().map(ToString::to_string).collect();
    let missing = control.grants_check(&settings.contract.database, &tables).await?;
    if missing.is_empty() {
        return Ok(());
    }
    let details = missing.iter().map(missing_grant_line).collect();
    let what = format!("the control account lacks {} grant(s)", missing.len());
    let help = "run these statements as an administrator of MySQL";
    Err(Fault::configuration(what, "[mysql] control_url", help).with_details(details))
}

/// A missing grant on one line: the statement that gives it, and why.
pub fn missing_grant_line(missing: &MissingGrant) -> String {
    format!("{};  -- {}", missing.statement, missing.why)
}

/// What sessions are given.
fn client_limits(settings: &Settings) -> ClientLimits {
    let listen = &settings.listen;
    ClientLimits {
        clients_max: listen.clients_max,
        login_timeout: listen.login_timeout,
        idle_timeout: listen.idle_timeout,
    }
}

/// Where a generated token is kept: `admin.token` next to the journal folder.
pub fn token_path(settings: &Settings) -> PathBuf {
    settings.journal.path.with_file_name("admin.token")
}

/// Both legs of client connections.
pub struct Legs {
    entrance: Entrance,
    upstream: Upstream,
}

/// Reads what the legs need: certificates, keys, authorities.
pub fn legs(settings: &Settings) -> Result<Legs, Fault> {
    let upstream = Upstream::new(&settings.mysql)?;
    Ok(Legs { entrance: Entrance::new(settings)?, upstream })
}

/// What sessions are built from.
pub fn session_parts(
    settings: &Settings,
    live: &Arc<Live>,
    ledger: Arc<dyn Ledger>,
    metrics: &Arc<Metrics>,
    observed: &Option<Arc<Digests>>,
    legs: Legs,
) -> SessionParts {
    SessionParts {
        live: live.clone(),
        ledger: Some(ledger),
        metrics: metrics.clone(),
        observed: observed.clone(),
        upstream: legs.upstream,
        entrance: legs.entrance,
        limits: client_limits(settings),
    }
}

/// The threads that carry sessions. Half of the processors, unless settings say otherwise: the other
/// half is for the application beside it.
pub fn workers(settings: &Settings) -> Result<Workers, Fault> {
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    let count = settings.listen.workers.unwrap_or(processors / 2);
    Workers::start(count).map_err(|error| {
        let what = format!("relay threads cannot be started: {error}");
        Fault::configuration(what, "[listen] workers", "lower it, or raise the limit on threads")
    })
}

/// The configured token, or a fresh one in its file.
pub fn token(settings: &Settings) -> Result<Token, Fault> {
    if let Some(text) = &settings.admin_token {
        return Ok(Token::new(text.clone()));
    }
    let (token, path) = (Token::generate(), token_path(settings));
    token.write(&path)?;
    tracing::info!(path = %path.display(), "a token for the HTTP API was written");
    Ok(token)
}

/// Whether both addresses lead to the same server: `segue check` asks, and so does the start.
pub async fn same_server(settings: &Settings, control: &Control) -> Result<(), Fault> {
    let (relayed, place) = (&settings.mysql.address, "[mysql] address and control_url");
    let mut url = url::Url::parse(&settings.mysql.control_url)
        .map_err(|error| Fault::configuration(error.to_string(), "[mysql] control_url", ""))?;
    let (host, port) = relayed.rsplit_once(':').unwrap_or((relayed, "3306"));
    let replaced = url.set_host(Some(host)).is_ok()
        && port.parse().is_ok_and(|port| url.set_port(Some(port)).is_ok());
    if !replaced {
        return Err(Fault::configuration(
            format!("`{relayed}` cannot be put into the control URL"),
            place,
            "give mysql.address as host:port",
        ));
    }
    if control.address() == relayed {
        return Ok(());
    }
    if settings.mysql.proxy_protocol.is_some() {
        // The control account speaks without a header, so it may not get in there.
        tracing::warn!("whether mysql.control_url and mysql.address are one server is not checked");
        return Ok(());
    }
    let other = Control::connect(url.as_str(), 1).await?;
    let (ours, theirs) = (control.server_facts().await?, other.server_facts().await?);
    other.close().await;
    let identity =
        |facts: &ServerFacts| (facts.server_uuid.clone(), facts.server_id, facts.version.clone());
    if identity(&ours) == identity(&theirs) {
        return Ok(());
    }
    Err(Fault::new(
        FaultKind::Configuration,
        format!(
            "{relayed} (server id {}) and {} (server id {}) are two servers",
            theirs.server_id,
            control.address(),
            ours.server_id
        ),
        place,
        "let both name the server that takes the writes: a replica's rows are late",
    ))
}
