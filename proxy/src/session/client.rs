//! The command loop of one client that is logged in.
//! Never here: framing, the login, or the meaning of statements.

use std::sync::Arc;

use segue_config::limits;
use segue_rules::catalog::ServerKind;

use super::authentication::{Authenticated, Challenge, Exchange};
use super::idle::IdleTimer;
use super::login::LoggedIn;
use super::pin::Pin;
use super::{Drain, SessionShared};
use crate::execute::command::Command;
use crate::execute::failure::{SessionError, server_io};
use crate::execute::prepared::Prepared;
use crate::execute::state::SessionState;
use crate::execute::{Connection, Legs};
use crate::telemetry::Cut;
use crate::wire::capability;
use crate::wire::command::{self, AnswerShape, answer_shape};
use crate::wire::frame::HEADER_BYTES;
use crate::wire::login::Login;
use crate::wire::response::{ERR, ErrPacket};
use crate::wire::scan::Seen;

/// Refusal code of commands that nobody knows.
const UNKNOWN_COMMAND: &str = "unknown-command";

/// A client with its connection to MySQL.
pub struct Client {
    connection: Connection,
    /// Held while a transaction is open or a command is carried out.
    pin: Option<Pin>,
    /// The greeting's challenge.
    scramble: Vec<u8>,
    /// `None`: it may be idle for ever.
    idle: Option<IdleTimer>,
    shared: Arc<SessionShared>,
}

/// COM_QUIT.
const QUIT_FRAME: [u8; 5] = [1, 0, 0, 0, command::QUIT];

/// Whether the session goes on after a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum After {
    Continue,
    End,
    /// Bytes flow in both directions from now on.
    Duplex,
}

impl Client {
    pub fn new(logged_in: LoggedIn, shared: Arc<SessionShared>) -> Self {
        let LoggedIn { client, server, login, status, scramble, number } = logged_in;
        let state = SessionState::new(status, login.database.map(schema_name)).of(number);
        let execution = shared.execution.clone();
        let connection = Connection::new(client, server, login.capabilities, state, execution);
        let idle = shared.limits.idle_timeout.map(IdleTimer::new);
        Client { connection, pin: None, scramble, idle, shared }
    }

    pub async fn serve(mut self, drain: Drain) -> Result<(), SessionError> {
        let result = self.commands(&drain).await;
        let Connection { mut client, mut server, .. } = self.connection;
        if let Ok(After::Duplex) = result {
            return crate::execute::duplex(client, server).await.map_err(server_io);
        }
        server.shutdown().await;
        if let Err(error @ SessionError::Client(_)) = &result
            && let Some(packet) = error.packet()
        {
            let _ = client.send_packet(client.flushed(1), &packet.write()).await;
        }
        client.shutdown().await;
        result.map(|_| ())
    }

    async fn commands(&mut self, drain: &Drain) -> Result<After, SessionError> {
        loop {
            let Some(command) = self.next(drain).await? else {
                return Ok(After::End);
            };
            let after = self.carry_out(command).await?;
            if let Some(tables) = self.connection.definitions_changed.take() {
                self.shared.scopes.definitions_changed(&tables);
            }
            if self.connection.is_idle() {
                self.pin = None;
            }
            if after != After::Continue {
                return Ok(after);
            }
        }
    }

    async fn next(&mut self, drain: &Drain) -> Result<Option<Command>, SessionError> {
        let idle = self.connection.is_idle();
        // The next statement runs under the rules of then; only its size limit is chosen now.
        let planned = self
            .pin
            .as_ref()
            .map_or_else(|| self.shared.scopes.captures_now(), |pin| pin.scope.is_some());
        let whole_max =
            if planned { limits::COMMAND_PLANNED_BYTES_MAX } else { limits::RELAY_CHUNK_BYTES };
        let mut legs = self.connection.legs();
        let timer = &mut self.idle;
        let timed = timer.is_some();
        let over = async {
            if let Some(timer) = timer {
                timer.begin();
                timer.over().await;
            }
        };
        tokio::select! {
            biased;
            command = legs.command(whole_max) => return command,
            () = drain.let_go(), if idle => {
                self.shared.metrics.cut(Cut::Drain);
                self.leave().await;
            }
            () = over, if timed => {
                self.shared.metrics.cut(Cut::Idle);
                self.tell_idle().await;
                self.leave().await;
            }
        }
        Ok(None)
    }

    /// Ends the session on the server in the way that it does not count as aborted.
    async fn leave(&mut self) {
        let _ = self.connection.server.command(&QUIT_FRAME).await;
    }

    /// MySQL says why it lets an idle client go (since 8.0.24); MariaDB does not.
    async fn tell_idle(&mut self) {
        if self.shared.scopes.server() == ServerKind::MySql {
            let error = ErrPacket::new(
                4031,
                b"HY000",
                "The client was disconnected by the server because of inactivity. See wait_timeout \
                 and interactive_timeout for configuring this behavior.",
            );
            let _ = self.connection.client.send_packet(0, &error.write()).await;
        }
    }

    async fn carry_out(&mut self, command: Command) -> Result<After, SessionError> {
        let pin = self.pin.get_or_insert_with(|| self.shared.scopes.pin());
        let scope = pin.scope.clone();
        match (command.code, &scope) {
            (command::QUERY, Some(scope)) => self.connection.query(scope, &command).await?,
            (command::STMT_EXECUTE, Some(scope)) => {
                self.connection.execute(scope, &command).await?
            }
            (command::STMT_BULK_EXECUTE, Some(scope)) => {
                self.connection.bulk(scope, &command).await?;
            }
            (code, Some(scope)) if !is_known(code) => {
                self.connection.relay_unknown(scope, &command, UNKNOWN_COMMAND).await?;
            }
            (command::STMT_PREPARE, _) => {
                let settings =
                    self.connection.settings_for_prepare(scope.as_ref(), &command).await?;
                let seen = self.relay(&command).await?;
                self.remember_prepared(&command, settings, seen);
            }
            (command::CHANGE_USER, _) => return self.change_user(command).await,
            (code, _) if answer_shape(code) == AnswerShape::Duplex => {
                return self.stream(&command).await;
            }
            (code, _) => {
                let begun = self.connection.observed_from();
                let seen = self.relay(&command).await?;
                self.follow(code, &command, seen);
                if let Some(pin) = &self.pin {
                    self.connection.observe_relayed(&command, pin.catalog(), begun, seen);
                }
                return Ok(After::Continue);
            }
        }
        if let Some(scope) = &scope {
            self.connection.settle(scope).await;
        }
        Ok(After::Continue)
    }

    /// Sends a command on as it came and streams the answer.
    async fn relay(&mut self, command: &Command) -> Result<Seen, SessionError> {
        self.connection.server.command(&command.frames).await.map_err(server_io)?;
        if let Some(walker) = &command.rest {
            self.connection.legs().rest_of_packet(&mut walker.clone()).await?;
        }
        self.connection.relay_answer(answer_shape(command.code)).await
    }

    /// A command that a stream answers. An error is an answer, too, and the server goes on with commands.
    async fn stream(&mut self, command: &Command) -> Result<After, SessionError> {
        self.relay(command).await?;
        while self.connection.server.buffered().len() <= HEADER_BYTES {
            self.connection.legs().server_bytes().await?;
        }
        if self.connection.server.buffered()[HEADER_BYTES] != ERR {
            return Ok(After::Duplex);
        }
        self.connection.relay_answer(AnswerShape::Single).await?;
        Ok(After::Continue)
    }

    /// Keeps track of what commands other than statements do to the session.
    fn follow(&mut self, code: u8, command: &Command, seen: Seen) {
        let connection = &mut self.connection;
        let whole = command.rest.is_none();
        match code {
            command::STMT_SEND_LONG_DATA => {
                connection.prepared.send_long_data(&command.payload(), whole);
            }
            command::STMT_EXECUTE => {
                // Nothing is captured now, but later executions may leave out their types.
                let payload = command.payload();
                connection.prepared.execute_unseen(&payload, whole, connection.capabilities);
                connection.state.unread();
            }
            command::STMT_BULK_EXECUTE => {
                connection.prepared.bulk_unseen(&command.payload());
                connection.state.unread();
            }
            command::QUERY => connection.state.unread(),
            command::STMT_CLOSE => connection.prepared.close(&command.payload()),
            command::STMT_RESET => connection.prepared.reset(&command.payload()),
            command::INIT_DB if seen.error.is_none() && whole => {
                connection.state.use_schema(schema_name(command.payload()[1..].to_vec()));
            }
            command::SET_OPTION if seen.error.is_none() && whole => {
                connection.set_option(&command.payload());
            }
            command::RESET_CONNECTION if seen.error.is_none() => connection.forget_session(),
            _ => {}
        }
    }

    fn remember_prepared(
        &mut self,
        command: &Command,
        settings: Option<(segue_rules::plan::SqlMode, String)>,
        seen: Seen,
    ) {
        let Some(answer) = seen.prepared.filter(|_| command.rest.is_none()) else { return };
        let state = &self.connection.state;
        let schema = if state.schema_is_stale { None } else { state.schema.clone() };
        let mut prepared = Prepared::new(&command.payload()[1..], answer.parameters, schema);
        if let Some((sql_mode, charset)) = settings {
            prepared.sql_mode = Some(sql_mode);
            prepared.charset = Some(charset);
        }
        self.connection.prepared.insert(answer.statement_id, prepared);
    }

    async fn change_user(&mut self, command: Command) -> Result<After, SessionError> {
        let capabilities = self.connection.capabilities;
        let login = Login::parse_change_user(&command.payload(), capabilities);
        let Legs { client, server } = self.connection.legs();
        let unlike = client.is_tls() != server.is_tls();
        if unlike && command.rest.is_none() && login.as_ref().is_ok_and(Login::reveals_password) {
            let withheld = Login::unanswered_change_user(&command.payload(), capabilities);
            let payload = withheld.map_err(SessionError::Client)?;
            server.command_packet(&payload).await.map_err(server_io)?;
        } else {
            server.command(&command.frames).await.map_err(server_io)?;
        }
        if let Some(mut walker) = command.rest {
            self.connection.legs().rest_of_packet(&mut walker).await?;
        }
        let plugin = login.as_ref().map(|login| login.plugin.clone()).unwrap_or_default();
        let exchange = Exchange {
            legs: self.connection.legs(),
            offset: 0,
            challenge: Challenge { plugin, scramble: self.scramble.clone() },
            key: self.shared.entrance.key.as_ref(),
            factors: capabilities & capability::MULTI_FACTOR_AUTHENTICATION != 0,
        };
        match exchange.relay().await? {
            Authenticated::Yes { status } => {
                self.connection.forget_session();
                let schema = login.ok().and_then(|login| login.database).map(schema_name);
                let number = self.connection.state.connection;
                self.connection.state = SessionState::new(status, schema).of(number);
                Ok(After::Continue)
            }
            Authenticated::No => {
                // MySQL closes the connection now. MariaDB has ended the old session as well, but goes on
                // with the old user.
                self.connection.forget_session();
                self.connection.state.start_anew();
                Ok(After::Continue)
            }
        }
    }
}

fn schema_name(bytes: Vec<u8>) -> String {
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Commands that are known to change no rows by themselves.
fn is_known(code: u8) -> bool {
    use command::*;
    matches!(
        code,
        QUIT | INIT_DB
            | FIELD_LIST
            | STATISTICS
            | PROCESS_INFO
            | CHANGE_USER
            | BINLOG_DUMP
            | TABLE_DUMP
            | STMT_PREPARE
            | STMT_SEND_LONG_DATA
            | STMT_CLOSE
            | STMT_RESET
            | STMT_FETCH
            | BINLOG_DUMP_GTID
            | RESET_CONNECTION
            | CLONE
            | QUERY
            | STMT_EXECUTE
            | STMT_BULK_EXECUTE
            | SUBSCRIBE_GROUP_REPLICATION
            | REFRESH
            | PROCESS_KILL
            | DEBUG
            | PING
            | REGISTER_SLAVE
            | SET_OPTION
    )
}
