//! `segue check`: looks at everything a start needs, and reports every finding instead of the first.
//! Never here: printing.

use std::path::Path;
use std::sync::Arc;

use segue_config::Settings;
use segue_config::settings::Endpoint;
use segue_rules::contract::{Finding, Severity};
use segue_rules::entity::Ruleset;
use serde::Serialize;

use super::build;
use super::descriptors::Descriptors;
use super::fault::{Fault, FaultKind};
use crate::control::{PhaseChangeRefused, read_bounded, read_file};
use crate::dynamo::{Store, StoreError};
use crate::mysql::control::Control;
use crate::telemetry::Metrics;

/// What a finding is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Area {
    Mysql,
    Contract,
    Grants,
    Server,
    Dynamodb,
    Permissions,
    Journal,
    Phases,
    Limits,
    Faults,
}

/// One finding of the check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CheckFinding {
    pub area: Area,
    pub severity: Severity,
    /// Code of a contract finding.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<&'static str>,
    pub place: String,
    pub message: String,
    pub hint: String,
    /// A store did not answer.
    #[serde(skip)]
    pub unreachable: bool,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scope {
    /// Contract x schema only.
    Schema,
    Everything,
}

/// Every finding, errors and warnings, in the order of a start.
pub async fn check(settings: &Settings, scope: Scope) -> Vec<CheckFinding> {
    let mut findings = Vec::new();
    let (control, ruleset) = mysql(settings, scope, &mut findings).await;
    if scope == Scope::Everything {
        if let Some(ruleset) = &ruleset {
            dynamodb(settings, ruleset, &mut findings).await;
            phases(settings, ruleset, &mut findings);
        }
        journal(&settings.journal.path, &mut findings);
        open_files(settings, &mut findings);
        faults(settings, &mut findings);
    }
    if let Some(control) = control {
        control.close().await;
    }
    findings
}

async fn mysql(
    settings: &Settings,
    scope: Scope,
    findings: &mut Vec<CheckFinding>,
) -> (Option<Control>, Option<Ruleset>) {
    let control = match build::control_pool(settings).await {
        Ok(control) => control,
        Err(fault) => {
            findings.push(of_fault(Area::Mysql, fault));
            return (None, None);
        }
    };
    if scope == Scope::Everything
        && let Err(fault) = build::same_server(settings, &control).await
    {
        findings.push(of_fault(Area::Server, fault));
    }
    let ruleset = contract(settings, &control, findings).await;
    if let Some(ruleset) = &ruleset {
        grants(settings, &control, ruleset, findings).await;
    }
    (Some(control), ruleset)
}

async fn contract(
    settings: &Settings,
    control: &Control,
    findings: &mut Vec<CheckFinding>,
) -> Option<Ruleset> {
    let path = &settings.contract.path;
    let text = match read_bounded(path) {
        Ok(text) => text,
        Err(error) => {
            let fault = Fault::file(path, &error, "correct contract.path");
            findings.push(of_fault(Area::Contract, fault));
            return None;
        }
    };
    let catalog = match control.catalog(&settings.contract.database).await {
        Ok(catalog) => catalog,
        Err(error) => {
            findings.push(of_fault(Area::Mysql, error.into()));
            return None;
        }
    };
    let of_contract = |finding: Finding| CheckFinding {
        area: Area::Contract,
        severity: finding.severity,
        code: Some(finding.code),
        place: format!("{} {}", path.display(), finding.path),
        message: finding.message,
        hint: finding.hint,
        unreachable: false,
    };
    match Ruleset::compile(&text, catalog) {
        Ok(ruleset) => {
            findings.extend(ruleset.warnings.iter().cloned().map(of_contract));
            Some(ruleset)
        }
        Err(faults) => {
            findings.extend(faults.into_iter().map(of_contract));
            None
        }
    }
}

async fn grants(
    settings: &Settings,
    control: &Control,
    ruleset: &Ruleset,
    findings: &mut Vec<CheckFinding>,
) {
    let tables: Vec<String> = ruleset.sources.keys().map(ToString::to_string).collect();
    match control.grants_check(&settings.contract.database, &tables).await {
        Ok(missing) => findings.extend(missing.into_iter().map(|grant| CheckFinding {
            hint: format!("run `{}`", grant.statement),
            ..error(
                Area::Grants,
                format!("{}.{}", settings.contract.database, grant.table),
                format!("the control account lacks {}: {}", grant.privilege, grant.why),
            )
        })),
        Err(failed) => return findings.push(of_fault(Area::Grants, failed.into())),
    }
    match control.process_grant_missing().await {
        Ok(missing) => findings.extend(missing.map(|grant| CheckFinding {
            severity: Severity::Warning,
            hint: format!("run `{}`", grant.statement),
            ..error(
                Area::Grants,
                grant.table,
                format!("the control account lacks {}: {}", grant.privilege, grant.why),
            )
        })),
        Err(failed) => findings.push(of_fault(Area::Grants, failed.into())),
    }
}

async fn dynamodb(settings: &Settings, ruleset: &Ruleset, findings: &mut Vec<CheckFinding>) {
    if matches!(settings.dynamodb.endpoint, Endpoint::Embedded { .. }) {
        // It makes its tables by itself, and its file belongs to the running sidecar.
        return;
    }
    let metrics = Arc::new(Metrics::new());
    let store = match build::store(settings, &metrics).await {
        Ok(store) => store,
        Err(fault) => return findings.push(of_fault(Area::Dynamodb, fault)),
    };
    if let Err(failed) = tables(&store, ruleset, findings).await {
        findings.push(of_fault(Area::Dynamodb, failed.into()));
    }
    store.close().await;
}

async fn tables(
    store: &Store,
    ruleset: &Ruleset,
    findings: &mut Vec<CheckFinding>,
) -> Result<(), StoreError> {
    let faults = store.tables_ready(&ruleset.tables).await?;
    let missing =
        |name: &str| faults.iter().any(|fault| *fault == format!("table {name}: missing"));
    let present: Vec<_> = ruleset
        .tables
        .iter()
        .filter(|table| !missing(&store.table_name(&table.name)))
        .cloned()
        .collect();
    for fault in &faults {
        let hint = "`segue tables diff` shows it; `segue tables create` creates what is missing";
        findings.push(CheckFinding {
            hint: hint.to_owned(),
            ..error(Area::Dynamodb, store.endpoint_url().to_owned(), fault.clone())
        });
    }
    for permission in store.missing_permissions(&present).await? {
        findings.push(CheckFinding {
            hint: "docs/reference/iam.md has the policy".to_owned(),
            ..error(
                Area::Permissions,
                permission.table.clone(),
                format!("{} is denied: {}", permission.action, permission.why),
            )
        });
    }
    Ok(())
}

fn phases(settings: &Settings, ruleset: &Ruleset, findings: &mut Vec<CheckFinding>) {
    let path = &settings.phases_path;
    if !path.exists() {
        findings.push(CheckFinding {
            severity: Severity::Warning,
            hint: "it is made at the first start, with every table in `mysql-only`".to_owned(),
            ..error(Area::Phases, path.display().to_string(), "there is no phases file".to_owned())
        });
        return;
    }
    let Err(refused) = read_file(path, &build::mapped_tables(ruleset)) else { return };
    match refused {
        PhaseChangeRefused::Faults(faults) => {
            findings.extend(faults.into_iter().map(|fault| CheckFinding {
                hint: fault.remedy.clone(),
                ..error(Area::Phases, fault.place(), format!("{}: {}", fault.key, fault.message))
            }));
        }
        other => findings.push(of_fault(Area::Phases, other.into())),
    }
}

/// Tries a file in the folder, or in the nearest one above that exists. Makes nothing that stays.
fn journal(folder: &Path, findings: &mut Vec<CheckFinding>) {
    let here = Path::new(".");
    let existing = folder
        .ancestors()
        .map(|path| if path.as_os_str().is_empty() { here } else { path })
        .find(|path| path.exists())
        .unwrap_or(here);
    if let Err(failed) = tempfile::NamedTempFile::new_in(existing) {
        findings.push(CheckFinding {
            hint: "make it writable for segue's user, or change journal.path".to_owned(),
            ..error(Area::Journal, existing.display().to_string(), failed.to_string())
        });
    }
}

/// The limits of this process are those of a sidecar that is started in the same way.
fn open_files(settings: &Settings, findings: &mut Vec<CheckFinding>) {
    let descriptors = Descriptors::of(settings);
    if descriptors.are_enough() {
        return;
    }
    let (message, hint) = descriptors.complaint();
    let place = "[listen] max_connections".to_owned();
    let severity = Severity::Warning;
    findings.push(CheckFinding { severity, hint, ..error(Area::Limits, place, message) });
}

/// Faults on purpose are nothing for production, and their script must be right.
fn faults(settings: &Settings, findings: &mut Vec<CheckFinding>) {
    let Some(injection) = &settings.faults else { return };
    findings.push(CheckFinding {
        severity: Severity::Warning,
        hint: "set it to \"off\" in production".to_owned(),
        ..error(
            Area::Faults,
            "[faults] injection".to_owned(),
            "requests to DynamoDB can be made to fail on purpose".to_owned(),
        )
    });
    if let Some(Err(fault)) = injection.path.as_deref().map(build::fault_script) {
        findings.push(of_fault(Area::Faults, fault));
    }
}

fn error(area: Area, place: String, message: String) -> CheckFinding {
    CheckFinding {
        area,
        severity: Severity::Error,
        code: None,
        place,
        message,
        hint: String::new(),
        unreachable: false,
    }
}

fn of_fault(area: Area, fault: Fault) -> CheckFinding {
    CheckFinding {
        hint: fault.help,
        unreachable: fault.kind == FaultKind::Unreachable,
        ..error(area, fault.place, fault.what)
    }
}
