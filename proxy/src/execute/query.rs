//! COM_QUERY and COM_STMT_EXECUTE under a scope that captures: text to routes, one statement or several.
//! Never here: what happens for one plan (see `statement`).

use std::sync::Arc;

use segue_rules::plan::{SlotValue, SqlMode, reading};
use segue_rules::route::Route;
use segue_rules::sql::{Digested, digest, slot_values};
use segue_rules::value::TableName;

use super::command::Command;
use super::failure::SessionError;
use super::planner::Scope;
use super::statement::{Sweep, Unit};
use super::{Connection, Reply};
use crate::wire::capability::MULTI_STATEMENTS;
use crate::wire::frame::put_packet;
use crate::wire::query::text_at;

/// Refusal codes of what this layer cannot hand to the planner.
const TOO_LARGE: &str = "command-too-large";
const UNREADABLE: &str = "unreadable-text";
const UNKNOWN_STATEMENT: &str = "unknown-prepared-statement";
const SEVERAL: &str = "several-statements";

/// How a statement's text is read.
pub(super) struct Facts {
    pub sql_mode: SqlMode,
    pub charset: String,
    schema: Option<String>,
}

/// A text as it was read: its statements, and a route for each.
type RoutedText = (Facts, Vec<Digested>, Vec<Route>);
/// A prepared statement as it is carried out.
pub(super) struct RoutedPrepared {
    pub text: Arc<[u8]>,
    pub charset: String,
    /// Exactly one.
    statements: Arc<[Digested]>,
    pub route: Route,
}

impl RoutedPrepared {
    pub fn digested(&self) -> &Digested {
        &self.statements[0]
    }
}

impl Connection {
    /// Carries out a COM_QUERY.
    pub async fn query(&mut self, scope: &Scope, command: &Command) -> Result<(), SessionError> {
        if command.rest.is_some() {
            return self.relay_unknown(scope, command, TOO_LARGE).await;
        }
        let payload = command.payload();
        let Ok(at) = text_at(&payload, self.capabilities) else {
            return self.relay_unknown(scope, command, UNREADABLE).await;
        };
        let (head, text) = payload.split_at(at);
        let mut reply = self.reply(&command.frames);
        if self.answer_question(text, &command.frames, &mut reply).await?.is_some() {
            return Ok(());
        }
        let (facts, statements, routes) = self.route_text(scope, text).await?;
        if statements.iter().any(|s| s.uncertain) {
            return self.relay_unknown(scope, command, UNREADABLE).await;
        }
        match routes.as_slice() {
            [] => {
                self.exchange(&command.frames, &mut self.reply(&command.frames)).await.map(|_| ())
            }
            [route] => {
                let digested = &statements[0];
                let values = values(route, digested, text, &[], &facts.charset);
                let unit =
                    Unit { frames: &command.frames, values: &values, digested, prepared: false };
                self.statement(scope, route, unit, &mut self.reply(&command.frames))
                    .await
                    .map(|_| ())
            }
            several if several.iter().all(|r| matches!(r, Route::Relay)) => {
                self.exchange(&command.frames, &mut self.reply(&command.frames)).await.map(|_| ())
            }
            several if !self.takes_several() => {
                // The server refuses all of them: it is not for Segue to run what it would not.
                let sweep = Sweep { parse_error_is_harmless: true, ..sweep_of_all(scope, several) };
                self.opaque(scope, sweep, &command.frames, &mut self.reply(&command.frames))
                    .await?;
                self.state.unread();
                Ok(())
            }
            several if several.iter().any(is_sweep) || statements.iter().any(loads) => {
                let sweep = sweep_of_all(scope, several);
                self.opaque(scope, sweep, &command.frames, &mut self.reply(&command.frames))
                    .await?;
                self.state.unread();
                Ok(())
            }
            _ => {
                let reply = Reply { split: true, ..self.reply(&command.frames) };
                self.split(scope, (head, text), (facts, statements, routes), reply).await
            }
        }
    }

    /// Reads and routes a text; asks the server for its settings where a wrong guess could matter.
    async fn route_text(&mut self, scope: &Scope, text: &[u8]) -> Result<RoutedText, SessionError> {
        loop {
            let facts = self.facts();
            let statements =
                digest(text, reading(&scope.ruleset.catalog, facts.sql_mode, &facts.charset));
            let routes = self.routes(scope, &statements, &facts);
            if self.settings_suffice(scope, text, &statements, &routes) {
                return Ok((facts, statements, routes));
            }
            self.learn_settings(scope).await?;
            if self.state.settings.is_none() {
                return Ok((facts, statements, routes));
            }
        }
    }

    /// The routes are the same whatever the session's settings are, so nothing need be asked.
    fn guess_is_enough(&self, text: &[u8], statements: &[Digested], routes: &[Route]) -> bool {
        // Modes change what quotes and backslashes mean, and so do character sets in which one hides in a
        // character; without them a text is read alike under all settings.
        let hides = if text.is_ascii() { b'"' } else { b'`' };
        let same_in_every_mode = !text.iter().any(|b| matches!(b, b'"' | b'\\') || *b == hides);
        // Keys are values, and values depend on settings. What follows a change of the session in one command
        // is routed anew, after it.
        let alone = routes.len() == 1;
        let settled = routes.iter().all(|route| match route {
            Route::Relay | Route::Transaction(_) => true,
            Route::ImplicitCommit | Route::Sweep { .. } | Route::Session(_) => alone,
            Route::Capture(_) => false,
        });
        // What only reads is harmless in every schema.
        let same_in_every_schema = !self.state.schema_is_stale || statements.iter().all(reads_only);
        settled && same_in_every_mode && same_in_every_schema
    }

    /// The server runs several statements of one command for this client.
    fn takes_several(&self) -> bool {
        self.capabilities & MULTI_STATEMENTS != 0
    }

    pub(super) fn facts(&self) -> Facts {
        let settings = self.state.settings.as_ref();
        Facts {
            sql_mode: settings.map(|s| s.sql_mode).unwrap_or_default(),
            charset: settings.map_or_else(|| "utf8mb4".to_owned(), |s| s.charset.clone()),
            schema: self.state.schema.clone(),
        }
    }

    /// Sends the statements of one command one by one; the answers become one answer.
    async fn split(
        &mut self,
        scope: &Scope,
        (head, mut text): (&[u8], &[u8]),
        mut read: RoutedText,
        mut reply: Reply,
    ) -> Result<(), SessionError> {
        let mut at = 0;
        loop {
            let (facts, statements, routes) = &read;
            let (Some(digested), Some(route)) = (statements.get(at), routes.get(at)) else {
                return Ok(());
            };
            let next = statements.get(at + 1).map(|next| next.range.start);
            reply.more = next.is_some();
            let own_text = &text[digested.range.clone()];
            let payload = [head, own_text].concat();
            let mut frames = Vec::with_capacity(payload.len() + 8);
            put_packet(&mut frames, 0, &payload);
            at += 1;
            if self.answer_question(own_text, &frames, &mut reply).await?.is_some() {
                continue;
            }
            if digested.uncertain {
                let tables = scope.tables.iter().cloned().collect();
                let (reason, parse_error_is_harmless) = (UNREADABLE, false);
                let sweep = Sweep { tables, reason, commits: true, parse_error_is_harmless };
                self.opaque(scope, sweep, &frames, &mut reply).await?;
                self.state.unread();
                return Ok(());
            }
            let values = values(route, digested, text, &[], &facts.charset);
            let unit = Unit { frames: &frames, values: &values, digested, prepared: false };
            let seen = self.statement(scope, route, unit, &mut reply).await?;
            if seen.error.is_some() {
                return Ok(());
            }
            if let (Route::Session(_), Some(next)) = (route, next) {
                // What follows is to be read as the session is now.
                text = &text[next..];
                read = self.route_text(scope, text).await?;
                at = 0;
            }
        }
    }

    /// Carries out a COM_STMT_EXECUTE.
    pub async fn execute(&mut self, scope: &Scope, command: &Command) -> Result<(), SessionError> {
        self.forget_questions();
        let payload = command.payload();
        let whole = command.rest.is_none();
        let charset = self.facts().charset;
        let capabilities = self.capabilities;
        let parameters = self.prepared.execute(&payload, whole, capabilities, &charset);
        let routed = match self.route_prepared(scope, &payload, whole).await? {
            Ok(routed) => routed,
            Err(reason) => return self.relay_unknown(scope, command, reason).await,
        };
        let RoutedPrepared { text, charset, route, .. } = &routed;
        let digested = routed.digested();
        // Parameters that were not understood are unknown values.
        let values = values(route, digested, text, &parameters.unwrap_or_default(), charset);
        let unit = Unit { frames: &command.frames, values: &values, digested, prepared: true };
        self.statement(scope, route, unit, &mut self.reply(&command.frames)).await.map(|_| ())
    }

    /// The route of the prepared statement that a command names, or why there is none.
    pub(super) async fn route_prepared(
        &mut self,
        scope: &Scope,
        payload: &[u8],
        whole: bool,
    ) -> Result<Result<RoutedPrepared, &'static str>, SessionError> {
        let Some(prepared) = self.prepared.get(payload).filter(|_| whole) else {
            return Ok(Err(UNKNOWN_STATEMENT));
        };
        let (text, schema) = (prepared.text.clone(), prepared.schema.clone());
        let known = prepared.sql_mode.zip(prepared.charset.clone());
        let mut asked = known.is_some();
        loop {
            let facts = match known.clone() {
                Some((sql_mode, charset)) => Facts { sql_mode, charset, schema: schema.clone() },
                None => self.guessed(scope, schema.clone()),
            };
            let reading = reading(&scope.ruleset.catalog, facts.sql_mode, &facts.charset);
            let statements = self.prepared.statements(payload, &text, reading);
            let mut routes = self.routes(scope, &statements, &facts);
            if !asked && !self.settings_suffice(scope, &text, &statements, &routes) {
                // Prepared when settings did not matter, or before anything was captured: those of now are
                // the best there are.
                self.learn_settings(scope).await?;
                asked = true;
                continue;
            }
            return Ok(match (&*statements, routes.pop()) {
                ([digested], Some(route)) if !digested.uncertain => {
                    Ok(RoutedPrepared { text, charset: facts.charset, statements, route })
                }
                _ => Err(UNREADABLE),
            });
        }
    }

    /// What is known of the session; names without a schema may well be those of the mapped one.
    fn guessed(&self, scope: &Scope, schema: Option<String>) -> Facts {
        let schema = schema.or_else(|| Some(scope.ruleset.catalog.database.clone()));
        Facts { schema, ..self.facts() }
    }

    /// What is known of the session's settings is enough for this text and its routes.
    fn settings_suffice(
        &self,
        scope: &Scope,
        text: &[u8],
        statements: &[Digested],
        routes: &[Route],
    ) -> bool {
        self.state.settings.is_some()
            || self.guess_is_enough(text, statements, routes)
            || self.only_asks_about_last(scope, text)
    }

    fn routes(&self, scope: &Scope, statements: &[Digested], facts: &Facts) -> Vec<Route> {
        let route = |statement| {
            self.shared.plans.route(scope, statement, facts.schema.as_deref(), facts.sql_mode)
        };
        statements.iter().map(route).collect()
    }

    /// Settings that a statement prepared now will be read under, where they matter.
    pub async fn settings_for_prepare(
        &mut self,
        scope: Option<&Scope>,
        command: &Command,
    ) -> Result<Option<(SqlMode, String)>, SessionError> {
        if let Some(scope) = scope
            && self.state.settings.is_none()
        {
            let text = &command.payload()[1..];
            let facts = self.guessed(scope, self.state.schema.clone());
            let reading = reading(&scope.ruleset.catalog, facts.sql_mode, &facts.charset);
            let statements = digest(text, reading);
            let routes = self.routes(scope, &statements, &facts);
            let whole = command.rest.is_none();
            if !(whole && self.settings_suffice(scope, text, &statements, &routes)) {
                self.learn_settings(scope).await?;
            }
        }
        Ok(self.state.settings.as_ref().map(|s| (s.sql_mode, s.charset.clone())))
    }

    /// Relays a command of which nothing is known but that it may write anything.
    pub async fn relay_unknown(
        &mut self,
        scope: &Scope,
        command: &Command,
        reason: &'static str,
    ) -> Result<(), SessionError> {
        self.forget_questions();
        let tables = scope.tables.iter().cloned().collect();
        let sweep = Sweep { tables, reason, commits: true, parse_error_is_harmless: true };
        self.opaque_command(scope, sweep, command).await?;
        self.state.unread();
        Ok(())
    }
}

/// The values that a plan binds; others need none.
fn values(
    route: &Route,
    digested: &Digested,
    text: &[u8],
    parameters: &[SlotValue],
    charset: &str,
) -> Vec<SlotValue> {
    match route {
        Route::Capture(_) => slot_values(digested, text, parameters, charset),
        _ => Vec::new(),
    }
}

/// Harmless in whatever schema it names its tables.
fn reads_only(statement: &Digested) -> bool {
    let is = |word: &str| statement.first_word().eq_ignore_ascii_case(word);
    is("SELECT") || is("SHOW")
}

fn is_sweep(route: &Route) -> bool {
    matches!(route, Route::Sweep { .. })
}

/// The client sends a file in the middle of the answer, which only an unchanged command allows.
fn loads(statement: &Digested) -> bool {
    statement.first_word().eq_ignore_ascii_case("LOAD")
}

/// Several statements of which one is opaque are relayed as they are; whatever any of them may have
/// changed is swept.
pub(super) fn sweep_of_all(scope: &Scope, routes: &[Route]) -> Sweep {
    // Routes after a change of the session were found without it.
    let changes = routes.iter().any(|route| matches!(route, Route::Session(_)));
    let mut tables: Vec<TableName> = Vec::new();
    if changes {
        tables.extend(scope.tables.iter().cloned());
    }
    for route in routes {
        match route {
            Route::Sweep { tables: named, .. } => tables.extend(named.iter().cloned()),
            Route::Capture(write) => tables.extend(write.captures.iter().map(|c| c.table.clone())),
            _ => {}
        }
    }
    Sweep { tables, reason: SEVERAL, commits: true, parse_error_is_harmless: false }
}
