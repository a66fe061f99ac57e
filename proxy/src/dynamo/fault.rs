//! The SDK's errors to `StoreError`: by error code and status, never by message text.
//! Never here: retries (the caller decides).

use aws_sdk_dynamodb::config::http::HttpResponse;
use aws_sdk_dynamodb::error::{DisplayErrorContext, ProvideErrorMetadata, SdkError};

use super::{Arrival, StoreError};

/// Codes that say "later", whatever the HTTP status. Throttling first, then the service's own troubles,
/// then credentials that the chain renews by itself.
const TRANSIENT_CODES: &[&str] = &[
    "ThrottlingException",
    "Throttling",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "LimitExceededException",
    "InternalServerError",
    "InternalFailure",
    "ServiceUnavailable",
    "ServiceUnavailableException",
    "TransactionConflictException",
    "TransactionInProgressException",
    "ReplicatedWriteConflictException",
    "ResourceInUseException",
    "RequestTimeout",
    "RequestTimeTooSkewed",
    "RequestExpired",
    "ExpiredToken",
    "ExpiredTokenException",
];

/// Codes of a request that came too fast: the metric tells them apart.
pub(super) const THROTTLING_CODES: &[&str] = &[
    "ThrottlingException",
    "Throttling",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
];

/// A classified failure with the label of the metric.
pub(super) struct Fault {
    pub error: StoreError,
    /// `throttled` or `error`.
    pub outcome: &'static str,
}

pub(super) fn classify<E>(
    operation: &'static str,
    table: &str,
    error: &SdkError<E, HttpResponse>,
) -> Fault
where
    E: ProvideErrorMetadata + std::error::Error + 'static,
{
    let table = table.to_owned();
    let (status, code, message) = match error {
        SdkError::ServiceError(service) => (
            service.raw().status().as_u16(),
            service.err().code().unwrap_or_default().to_owned(),
            service.err().message().unwrap_or_default().to_owned(),
        ),
        SdkError::ConstructionFailure(_) => {
            (0, "InvalidRequest".to_owned(), DisplayErrorContext(error).to_string())
        }
        // No answer that could be read: dispatch failure, timeout, garbage. The write may have happened.
        _ => {
            let reason = DisplayErrorContext(error).to_string();
            return Fault {
                error: StoreError::Transient {
                    operation,
                    table,
                    reason,
                    arrival: arrival(error),
                    throttled: false,
                },
                outcome: "error",
            };
        }
    };
    let throttled = THROTTLING_CODES.contains(&code.as_str());
    let outcome = if throttled { "throttled" } else { "error" };
    let error = if status >= 500 || TRANSIENT_CODES.contains(&code.as_str()) {
        let reason = format!("{code}: {message}");
        StoreError::Transient { operation, table, reason, arrival: Arrival::Over, throttled }
    } else {
        let code = if code.is_empty() { format!("HTTP {status}") } else { code };
        StoreError::Rejected { operation, table, reason: without_values(&message).to_owned(), code }
    };
    Fault { error, outcome }
}

/// A connection that was never made carried nothing. Everything else may have gone out.
fn arrival<E>(error: &SdkError<E, HttpResponse>) -> Arrival
where
    E: std::error::Error + 'static,
{
    use std::io::ErrorKind::{
        AddrNotAvailable, ConnectionRefused, HostUnreachable, NetworkUnreachable,
    };
    let mut cause: Option<&dyn std::error::Error> = Some(error);
    while let Some(error) = cause {
        let kind = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
        if let Some(ConnectionRefused | AddrNotAvailable | HostUnreachable | NetworkUnreachable) =
            kind
        {
            return Arrival::Over;
        }
        cause = error.source();
    }
    Arrival::MayBeLate
}

/// DynamoDB quotes a number that it cannot read at the end of its message: a value of a row must not get
/// into logs that way.
pub(super) fn without_values(message: &str) -> &str {
    match message.find("numeric value") {
        Some(at) => &message[..at + "numeric value".len()],
        None => message,
    }
}

#[cfg(test)]
mod tests {
    use super::without_values;

    #[test]
    fn a_quoted_number_is_cut_from_the_message() {
        assert_eq!(
            without_values("The parameter cannot be converted to a numeric value: 12x"),
            "The parameter cannot be converted to a numeric value"
        );
        assert_eq!(without_values("Missing the key id"), "Missing the key id");
    }
}
