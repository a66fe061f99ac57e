//! The SDK's HTTP client with the script in front of it.
//! Never here: which request is met, or what DynamoDB's answers look like.

use std::time::Duration;

use aws_sdk_dynamodb::config::http::{HttpRequest, HttpResponse};
use aws_sdk_dynamodb::config::{
    ConfigBag, HttpClient, RuntimeComponents, RuntimeComponentsBuilder, SharedHttpClient,
};
use aws_sdk_dynamodb::error::{BoxError, ConnectorError};
use aws_smithy_runtime_api::client::connector_metadata::ConnectorMetadata;
use aws_smithy_runtime_api::client::http::{
    HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector,
};
use aws_smithy_types::byte_stream::ByteStream;
use segue_config::faults::FaultKind;

use super::request::Request;
use super::{Faults, answer};

#[derive(Debug)]
pub(super) struct FaultyClient {
    real: SharedHttpClient,
    faults: Faults,
}

impl FaultyClient {
    pub fn new(real: SharedHttpClient, faults: Faults) -> FaultyClient {
        FaultyClient { real, faults }
    }
}

impl HttpClient for FaultyClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        let real = self.real.http_connector(settings, components);
        SharedHttpConnector::new(FaultyConnector { real, faults: self.faults.clone() })
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.real.validate_base_client_config(components, config)
    }

    fn validate_final_config(
        &self,
        components: &RuntimeComponents,
        config: &ConfigBag,
    ) -> Result<(), BoxError> {
        self.real.validate_final_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.real.connector_metadata()
    }
}

#[derive(Clone, Debug)]
struct FaultyConnector {
    real: SharedHttpConnector,
    faults: Faults,
}

impl HttpConnector for FaultyConnector {
    fn call(&self, http: HttpRequest) -> HttpConnectorFuture {
        if !self.faults.is_armed() {
            return self.real.call(http);
        }
        let Some(request) = Request::of(&http) else { return self.real.call(http) };
        let connector = self.clone();
        HttpConnectorFuture::new(async move {
            match connector.faults.choose(&request) {
                Some((kind, delay)) => connector.fail(http, &request, kind, delay).await,
                None if request.may_be_stale() => connector.read(http, &request).await,
                None => connector.real.call(http).await,
            }
        })
    }
}

impl FaultyConnector {
    async fn fail(
        self,
        http: HttpRequest,
        request: &Request,
        kind: FaultKind,
        delay: Duration,
    ) -> Result<HttpResponse, ConnectorError> {
        match kind {
            FaultKind::AnswerLost => {
                let _ = self.real.call(http).await;
                tokio::time::sleep(delay).await;
                Err(answer::reset())
            }
            FaultKind::Late => {
                self.send_later(http, delay);
                Err(answer::reset())
            }
            FaultKind::Twice => {
                if let Some(first) = http.try_clone() {
                    let _ = self.real.call(first).await;
                    tokio::time::sleep(delay).await;
                }
                self.real.call(http).await
            }
            FaultKind::Slow => {
                let answer = self.real.call(http).await;
                tokio::time::sleep(delay).await;
                answer
            }
            FaultKind::Silent => std::future::pending().await,
            FaultKind::Stale => match self.faults.earlier_answer(request) {
                Some(body) => Ok(answer::earlier(body)),
                None => self.read(http, request).await,
            },
            _ => {
                tokio::time::sleep(delay).await;
                // Every other kind has an answer of its own, but for the broken connection.
                answer::of(kind, request).ok_or_else(answer::reset)
            }
        }
    }

    /// A request that is still on its way when its sender has given up.
    fn send_later(&self, http: HttpRequest, delay: Duration) {
        let real = self.real.clone();
        // tidy: allowed because nobody waits for what the network delivers late
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let _ = real.call(http).await;
        });
    }

    /// Passes a read on and keeps its answer for a stale one to come.
    async fn read(
        self,
        http: HttpRequest,
        request: &Request,
    ) -> Result<HttpResponse, ConnectorError> {
        let mut response = self.real.call(http).await?;
        let body = ByteStream::new(response.take_body()).collect().await;
        let body = body.map_err(|error| ConnectorError::io(error.into()))?.to_vec();
        if response.status().is_success() {
            self.faults.keep_answer(request, body.clone());
        }
        *response.body_mut() = body.into();
        Ok(response)
    }
}
