//! Asks the HTTP API of a running sidecar.
//! Never here: what is asked.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use segue_config::Settings;
use segue_config::limits::HTTP_REQUEST_SECONDS_MAX;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::app::{Fault, FaultKind, token_path};
use crate::console::Token;

/// Most bytes of an answer: reports are bounded, so more than this is not the API.
const ANSWER_BYTES_MAX: u64 = 64 << 20;

/// The API of the sidecar that these settings describe.
pub(super) struct Admin {
    address: SocketAddr,
    token: Option<Token>,
}

/// Whether a sidecar answered.
pub(super) enum Answer {
    Answered(Value),
    /// Nobody listens: no sidecar runs.
    NotRunning,
}

impl Admin {
    pub fn new(settings: &Settings) -> Result<Admin, Fault> {
        let mut address = settings.listen.admin;
        if address.port() == 0 {
            return Err(Fault::configuration(
                "the port of the HTTP API is not known",
                "[listen] admin",
                "give a fixed port instead of 0",
            ));
        }
        if address.ip().is_unspecified() {
            address.set_ip(match address.ip() {
                IpAddr::V4(_) => Ipv4Addr::LOCALHOST.into(),
                IpAddr::V6(_) => Ipv6Addr::LOCALHOST.into(),
            });
        }
        let token = match &settings.admin_token {
            Some(text) => Some(Token::new(text.clone())),
            // Reading may need none, so a missing file is no fault yet.
            None => Token::read(&token_path(settings)).ok(),
        };
        Ok(Admin { address, token })
    }

    /// One request; an error answer is a fault with the API's own words.
    pub async fn ask(
        &self,
        method: &str,
        path: &str,
        body: Option<&Value>,
    ) -> Result<Answer, Fault> {
        let limit = Duration::from_secs(HTTP_REQUEST_SECONDS_MAX + 1);
        let place = format!("http://{}{path}", self.address);
        let broken = |what: String| {
            let help = "look at the sidecar's log";
            Fault::new(FaultKind::Unreachable, what, place.clone(), help)
        };
        let exchanged = tokio::time::timeout(limit, self.exchange(method, path, body)).await;
        let text = match exchanged {
            Ok(Ok(text)) => text,
            Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
                return Ok(Answer::NotRunning);
            }
            Ok(Err(error)) => return Err(broken(error.to_string())),
            Err(_) => return Err(broken("the sidecar does not answer".to_owned())),
        };
        let (status, value) =
            parse(&text).ok_or_else(|| broken("this is no answer of segue's API".to_owned()))?;
        if status < 400 {
            return Ok(Answer::Answered(value));
        }
        let word = |name: &str| value[name].as_str().unwrap_or_default().to_owned();
        let kind = match status {
            401 | 403 | 400 => FaultKind::Configuration,
            404 | 409 => FaultKind::Differences,
            _ => FaultKind::Unreachable,
        };
        Err(Fault::new(kind, word("error"), place, word("hint")))
    }

    async fn exchange(&self, method: &str, path: &str, body: Option<&Value>) -> io::Result<String> {
        let mut stream = TcpStream::connect(self.address).await?;
        let body = body.map(Value::to_string).unwrap_or_default();
        let token = match &self.token {
            Some(token) => format!("Authorization: Bearer {}\r\n", token.reveal()),
            None => String::new(),
        };
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: {}\r\n{token}Content-Type: application/json\r\n\
             Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
            self.address,
            body.len(),
        );
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.take(ANSWER_BYTES_MAX).read_to_string(&mut answer).await?;
        Ok(answer)
    }
}

/// Status and JSON body. The API sends bodies whole, never in chunks.
fn parse(answer: &str) -> Option<(u16, Value)> {
    let status = answer.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok()?;
    let (_, body) = answer.split_once("\r\n\r\n")?;
    Some((status, serde_json::from_str(body).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_status_and_json() {
        let answer = "HTTP/1.1 409 Conflict\r\ncontent-length: 7\r\n\r\n{\"a\":1}";
        let (status, value) = parse(answer).expect("an answer");
        assert_eq!((status, value["a"].as_u64()), (409, Some(1)));
        assert!(parse("SSH-2.0-OpenSSH").is_none());
    }
}
