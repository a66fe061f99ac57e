//! The command loop of one client that is logged in.
//! Never here: framing, the login, or the meaning of statements.

use std::sync::Arc;

use segue_config::limits;
use tokio_util::sync::CancellationToken;

use super::SessionShared;
use super::authentication::{self, Authenticated, Legs};
use super::command::Command;
use super::failure::SessionError;
use super::login::LoggedIn;
use super::relay::{self, server_io};
use crate::wire::capability::Capabilities;
use crate::wire::channel::Channel;
use crate::wire::command::{AnswerShape, answer_shape};
use crate::wire::scan::{Scanner, Seen};
use crate::wire::status::{IN_TRANS, StatusFlags};

/// A client with its connection to MySQL.
pub struct Client {
    pub client: Channel,
    pub server: Channel,
    pub capabilities: Capabilities,
    pub status: StatusFlags,
    pub shared: Arc<SessionShared>,
}

/// Whether the session goes on after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    Continue,
    End,
    /// Bytes flow in both directions from now on.
    Duplex,
}

impl Client {
    pub fn new(logged_in: LoggedIn, shared: Arc<SessionShared>) -> Self {
        Client {
            client: logged_in.client,
            server: logged_in.server,
            capabilities: logged_in.login.capabilities,
            status: logged_in.status,
            shared,
        }
    }

    pub async fn serve(mut self, stop: CancellationToken) -> Result<(), SessionError> {
        let result = self.commands(&stop).await;
        match result {
            Ok(After::Duplex) => {
                relay::duplex(self.client, self.server).await.map_err(server_io)?;
                Ok(())
            }
            other => {
                self.server.shutdown().await;
                self.client.shutdown().await;
                other.map(|_| ())
            }
        }
    }

    async fn commands(&mut self, stop: &CancellationToken) -> Result<After, SessionError> {
        loop {
            let Some(command) = self.next(stop).await? else {
                return Ok(After::End);
            };
            match self.carry_out(command).await? {
                After::Continue => {}
                end => return Ok(end),
            }
        }
    }

    async fn next(&mut self, stop: &CancellationToken) -> Result<Option<Command>, SessionError> {
        let in_transaction = self.status & IN_TRANS != 0;
        let mut legs = self.legs();
        tokio::select! {
            biased;
            command = legs.command(limits::RELAY_CHUNK_BYTES) => command,
            () = stop.cancelled(), if !in_transaction => Ok(None),
        }
    }

    pub fn legs(&mut self) -> Legs<'_> {
        Legs { client: &mut self.client, server: &mut self.server }
    }

    async fn carry_out(&mut self, command: Command) -> Result<After, SessionError> {
        let shape = answer_shape(command.code);
        self.forward(command).await?;
        match shape {
            AnswerShape::Authentication => self.change_user().await,
            AnswerShape::Duplex => Ok(After::Duplex),
            _ => {
                self.relay_answer(shape).await?;
                Ok(After::Continue)
            }
        }
    }

    /// Sends a command on as it came.
    async fn forward(&mut self, command: Command) -> Result<(), SessionError> {
        self.server.send(&command.frames).await.map_err(server_io)?;
        if let Some(mut walker) = command.rest {
            self.legs().rest_of_packet(&mut walker).await?;
        }
        Ok(())
    }

    /// Streams the answer and remembers its status.
    async fn relay_answer(&mut self, shape: AnswerShape) -> Result<Seen, SessionError> {
        let mut scanner = Scanner::new(shape, self.capabilities);
        self.legs().answer(&mut scanner).await?;
        if let Some(status) = scanner.seen.status {
            self.status = status;
        }
        Ok(scanner.seen)
    }

    async fn change_user(&mut self) -> Result<After, SessionError> {
        match authentication::relay(self.legs(), 0).await? {
            Authenticated::Yes { status } => {
                self.status = status;
                Ok(After::Continue)
            }
            Authenticated::No => Ok(After::End),
        }
    }
}
