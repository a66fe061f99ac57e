//! Connecting: the credential chain, the HTTP client, time-outs; and one place to time every request.
//! Never here: requests for items or tables.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Instant;

use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::config::SharedHttpClient;
use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::config::retry::RetryConfig;
use aws_sdk_dynamodb::config::timeout::TimeoutConfig;
use aws_sdk_dynamodb::config::{Credentials, IdentityCache, SharedCredentialsProvider};
use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};
use aws_smithy_http_client::tls::{Provider, rustls_provider::CryptoMode};
use segue_config::limits;
use segue_config::settings::{Dynamodb, Endpoint};
use segue_rules::value::{Item, item_size};

use super::StoreError;
use super::embedded::Embedded;
use super::fault::classify;
use super::faults::Faults;
use crate::telemetry::Metrics;

/// Region used where none is configured and none matters (local engines check only the signature).
const LOCAL_REGION: &str = "us-east-1";

/// A connection to DynamoDB, real, local or embedded. Cheap to clone.
#[derive(Clone)]
pub struct Store {
    pub(super) client: Client,
    metrics: Arc<Metrics>,
    prefix: Arc<str>,
    endpoint: Arc<str>,
    embedded: Option<Arc<Embedded>>,
    /// Batches of conditional writes were refused once.
    pub(super) batches_refused: Arc<AtomicBool>,
}

impl Store {
    /// Builds a client as the settings say; starts the embedded engine where they ask for it. Sends no
    /// request to DynamoDB: credentials are resolved by the first one.
    pub async fn connect(settings: &Dynamodb, metrics: Arc<Metrics>) -> Result<Store, StoreError> {
        Store::connect_with(settings, metrics, None).await
    }

    /// The same, with requests that may be made to fail.
    pub async fn connect_with(
        settings: &Dynamodb,
        metrics: Arc<Metrics>,
        faults: Option<&Faults>,
    ) -> Result<Store, StoreError> {
        let (url, embedded) = match &settings.endpoint {
            Endpoint::Aws => (None, None),
            Endpoint::Url(url) => (Some(url.clone()), None),
            Endpoint::Embedded { file } => {
                let engine = Embedded::start(file.as_deref())
                    .await
                    .map_err(|reason| rejected("EmbeddedEngine", reason))?;
                (Some(format!("http://{}", engine.address)), Some(Arc::new(engine)))
            }
        };
        let local = embedded.is_some() || url.as_deref().is_some_and(is_local);
        let config = shared_config(settings, url.as_deref(), local, faults).await;
        let Some(region) = config.region() else {
            let reason = "no AWS region: set [dynamodb] region, AWS_REGION or a profile's region";
            return Err(rejected("NoRegion", reason.to_owned()));
        };
        let endpoint =
            url.unwrap_or_else(|| format!("https://dynamodb.{}.amazonaws.com", region.as_ref()));
        Ok(Store {
            client: Client::new(&config),
            metrics,
            prefix: settings.table_prefix.as_str().into(),
            endpoint: endpoint.into(),
            embedded,
            batches_refused: Arc::default(),
        })
    }

    /// Where requests go, for display.
    pub fn endpoint_url(&self) -> &str {
        &self.endpoint
    }

    /// A contract's table name with the configured prefix.
    pub fn table_name(&self, name: &str) -> String {
        format!("{}{name}", self.prefix)
    }

    pub fn table_prefix(&self) -> &str {
        &self.prefix
    }

    /// Stops the embedded engine and waits for it; without one there is nothing to do.
    pub async fn close(&self) {
        if let Some(embedded) = &self.embedded {
            embedded.stop().await;
        }
    }

    /// Times and counts one request and classifies its error.
    pub(super) async fn timed<T, E>(
        &self,
        operation: &'static str,
        table: &str,
        request: impl Future<Output = Result<T, SdkError<E, HttpResponse>>>,
    ) -> Result<T, StoreError>
    where
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let begun = Instant::now();
        let answer = request.await;
        self.metrics
            .dynamodb_seconds
            .with_label_values(&[operation])
            .observe(begun.elapsed().as_secs_f64());
        answer.inspect(|_| self.count(operation, "ok")).map_err(|error| {
            let fault = classify(operation, table, &error);
            self.count(operation, fault.outcome);
            fault.error
        })
    }

    pub(super) fn count(&self, operation: &'static str, outcome: &'static str) {
        self.metrics.dynamodb_calls.with_label_values(&[operation, outcome]).inc();
    }

    /// Counts what an answered write costs at least. `item`: what was put.
    pub(super) fn charge(&self, table: &str, item: Option<&Item>) {
        const UNIT_BYTES: usize = 1_024;
        let units = item.map_or(1, |item| item_size(item).div_ceil(UNIT_BYTES).max(1));
        self.metrics.write_units.with_label_values(&[table]).inc_by(units as u64);
    }

    pub(super) fn observe(&self, operation: &'static str, begun: Instant) {
        self.metrics
            .dynamodb_seconds
            .with_label_values(&[operation])
            .observe(begun.elapsed().as_secs_f64());
    }
}

fn rejected(code: &str, reason: String) -> StoreError {
    StoreError::Rejected {
        operation: "connect",
        table: "DynamoDB".to_owned(),
        code: code.to_owned(),
        reason,
    }
}

/// One attempt a request: the caller owns retries, because between two attempts it must look at MySQL
/// again.
async fn shared_config(
    settings: &Dynamodb,
    url: Option<&str>,
    local: bool,
    faults: Option<&Faults>,
) -> SdkConfig {
    let timeouts = TimeoutConfig::builder()
        .connect_timeout(limits::DYNAMODB_CONNECT_TIMEOUT)
        .operation_attempt_timeout(limits::DYNAMODB_ATTEMPT_TIMEOUT)
        .build();
    let identities =
        IdentityCache::lazy().load_timeout(limits::DYNAMODB_CREDENTIALS_TIMEOUT).build();
    let embedded = matches!(settings.endpoint, Endpoint::Embedded { .. });
    let dummy = embedded || (local && !chain_has_credentials());
    let http = http_client(dummy);
    let mut loader = aws_config::defaults(BehaviorVersion::latest())
        .http_client(faults.map_or(http.clone(), |faults| faults.wrap(http)))
        .identity_cache(identities)
        .timeout_config(timeouts)
        .retry_config(RetryConfig::disabled());
    if let Some(url) = url {
        loader = loader.endpoint_url(url);
    }
    if dummy {
        loader = loader.credentials_provider(dummy_credentials());
    }
    match &settings.region {
        Some(region) => loader = loader.region(Region::new(region.clone())),
        None if embedded || (local && std::env::var_os("AWS_REGION").is_none()) => {
            loader = loader.region(Region::new(LOCAL_REGION));
        }
        None => {}
    }
    loader.load().await
}

/// `plain`: nothing will ask for TLS, so the system's certificates need not be loaded.
fn http_client(plain: bool) -> SharedHttpClient {
    if plain {
        return aws_smithy_http_client::Builder::new().build_http();
    }
    aws_smithy_http_client::Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::Ring))
        .build_https()
}

/// Local engines want a signature, not a secret. Letters and digits only: DynamoDB Local refuses others.
fn dummy_credentials() -> SharedCredentialsProvider {
    let credentials = Credentials::builder()
        .access_key_id("segue")
        .secret_access_key("segue")
        .provider_name("local-engine")
        .build();
    SharedCredentialsProvider::new(credentials)
}

/// Plain HTTP never leads to AWS (a VPC endpoint speaks HTTPS): it is a local engine.
fn is_local(url: &str) -> bool {
    url.to_ascii_lowercase().starts_with("http://")
}

/// Whether the default chain can find credentials without asking the instance metadata service, which
/// takes seconds to fail where there is none.
fn chain_has_credentials() -> bool {
    const VARIABLES: &[&str] = &[
        "AWS_ACCESS_KEY_ID",
        "AWS_PROFILE",
        "AWS_WEB_IDENTITY_TOKEN_FILE",
        "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
        "AWS_CONTAINER_CREDENTIALS_FULL_URI",
        "AWS_SHARED_CREDENTIALS_FILE",
        "AWS_CONFIG_FILE",
    ];
    VARIABLES.iter().any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
        || std::env::var_os("HOME").is_some_and(|home| {
            let folder = PathBuf::from(home).join(".aws");
            folder.join("credentials").exists() || folder.join("config").exists()
        })
}

#[cfg(test)]
mod tests {
    use super::is_local;

    #[test]
    fn only_plain_http_counts_as_a_local_engine() {
        assert!(is_local("http://127.0.0.1:8000"));
        assert!(is_local("HTTP://dynamodb:8000"));
        assert!(!is_local("https://vpce-1.dynamodb.eu-west-1.vpce.amazonaws.com"));
    }
}
