//! Questions about the statement before. Where that one was wrapped, the server would answer them for
//! Segue's COMMIT; and statements of Segue's own must not come in between.
//! Never here: the wrapping.

use segue_rules::plan::{SqlMode, reading};
use segue_rules::route::Route;
use segue_rules::sql::digest;

use super::failure::{SessionError, client_io, server_io};
use super::planner::Scope;
use super::rewrite::{HeldAnswer, Part};
use super::{Connection, Reply};
use crate::wire::scan::Seen;

/// Questions whose answer any statement of Segue's own in between would change.
const QUESTION_WORDS: [&str; 8] = [
    "ROW_COUNT",
    "FOUND_ROWS",
    "WARNING",
    "ERROR",
    "DIAGNOSTICS",
    "PROFILE",
    "LAST_QUERY_COST",
    "OPTIMIZER_TRACE",
];

/// ROW_COUNT() after an error and after a result set.
pub(super) const ROW_COUNT_OF_ERRORS: i64 = -1;

impl Connection {
    /// The text may ask about the statement before, and writes nothing whatever the session's settings and
    /// database are: so nothing need be asked, and nothing may be.
    pub(super) fn only_asks_about_last(&self, scope: &Scope, text: &[u8]) -> bool {
        // In other character sets than ASCII even quotes may be parts of letters.
        if !text.is_ascii() || !QUESTION_WORDS.iter().any(|word| contains(text, word)) {
            return false;
        }
        let mapped = scope.ruleset.catalog.database.as_str();
        let modes = [(false, false), (false, true), (true, false), (true, true)];
        modes.into_iter().all(|(ansi_quotes, no_backslash_escapes)| {
            let mode = SqlMode { ansi_quotes, no_backslash_escapes, ..SqlMode::default() };
            let statements = digest(text, reading(&scope.ruleset.catalog, mode, "utf8mb4"));
            statements.iter().all(|statement| {
                let route = self.shared.plans.route(scope, statement, Some(mapped), mode);
                !statement.uncertain && matches!(route, Route::Relay)
            })
        })
    }

    /// Answers a SHOW WARNINGS or a SELECT ROW_COUNT() that follows a wrapped statement, as if that had not
    /// been wrapped; any other text ends the time for such questions.
    pub(super) async fn answer_question(
        &mut self,
        text: &[u8],
        frames: &[u8],
        reply: &mut Reply,
    ) -> Result<Option<Seen>, SessionError> {
        let warnings = self.warnings.take();
        let row_count = self.row_count.take();
        if let Some(frames) = warnings
            && asks_for_warnings(text)
        {
            let mut held = HeldAnswer { frames: frames.clone(), seen: Seen::default() };
            self.deliver_part(&mut held, reply).await?;
            self.warnings = Some(frames);
            self.row_count = Some(ROW_COUNT_OF_ERRORS);
            return Ok(Some(held.seen));
        }
        let Some(row_count) = row_count.filter(|_| asks_for_row_count(text)) else {
            return Ok(None);
        };
        // The server's own answer, with another value in its one row.
        self.server.command(frames).await.map_err(server_io)?;
        let capabilities = self.capabilities;
        let mut held = self.legs().hold(capabilities).await?;
        self.note(held.seen);
        if held.seen.error.is_none() {
            held.replace_only_value(row_count.to_string().as_bytes());
        }
        self.deliver_part(&mut held, reply).await?;
        Ok(Some(held.seen))
    }

    async fn deliver_part(
        &mut self,
        held: &mut HeldAnswer,
        reply: &mut Reply,
    ) -> Result<(), SessionError> {
        let part: Part = reply.part();
        reply.sequence = held.rewrite(self.capabilities, part)?;
        self.client.send(&held.frames).await.map_err(client_io)?;
        reply.sequence = self.client.flushed(reply.sequence);
        Ok(())
    }
}

/// Whether an ASCII word occurs, in letters of either case.
fn contains(text: &[u8], word: &str) -> bool {
    text.windows(word.len()).any(|window| window.eq_ignore_ascii_case(word.as_bytes()))
}

fn words(text: &[u8]) -> Vec<&[u8]> {
    let text = text.trim_ascii();
    let text = text.strip_suffix(b";").unwrap_or(text);
    text.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()).collect()
}

fn are(words: &[&[u8]], expected: &[&str]) -> bool {
    words.len() == expected.len()
        && words.iter().zip(expected).all(|(word, e)| word.eq_ignore_ascii_case(e.as_bytes()))
}

fn asks_for_warnings(text: &[u8]) -> bool {
    are(&words(text), &["SHOW", "WARNINGS"])
}

/// Exactly `SELECT ROW_COUNT() [[AS] name]`: one row of one column. Elsewhere in a statement the value
/// could not be replaced with certainty.
fn asks_for_row_count(text: &[u8]) -> bool {
    let words = words(text);
    let Some((head, alias)) = words.split_at_checked(2) else { return false };
    let is_name = |word: &[u8]| {
        let word = word.strip_prefix(b"`").and_then(|w| w.strip_suffix(b"`")).unwrap_or(word);
        !word.is_empty() && word.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'_')
    };
    are(head, &["SELECT", "ROW_COUNT()"])
        && match alias {
            [] => true,
            [name] => is_name(name),
            [word, name] => word.eq_ignore_ascii_case(b"AS") && is_name(name),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_plain_questions_are_recognised() {
        for text in
            ["SELECT ROW_COUNT()", " select\nrow_count() as `n` ; ", "SELECT Row_Count() n;"]
        {
            assert!(asks_for_row_count(text.as_bytes()), "{text}");
        }
        for text in [
            "SELECT ROW_COUNT(), 1",
            "SELECT ROW_COUNT() + 1",
            "SELECT ROW_COUNT() FROM users",
            "SELECT ROW_COUNT() AS a, 2",
            "SELECT 'ROW_COUNT()'",
            "DO ROW_COUNT()",
            "SELECT",
            "",
        ] {
            assert!(!asks_for_row_count(text.as_bytes()), "{text}");
        }
        assert!(asks_for_warnings(b" show warnings ;"));
        assert!(!asks_for_warnings(b"SHOW WARNINGS LIMIT 1"));
    }
}
