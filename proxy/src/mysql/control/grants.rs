//! The privileges of the control account: which it needs, which it has.
//! Never here: the application's accounts.

use segue_rules::catalog::ServerKind;
use segue_rules::value::Row;

use super::catalog::text;
use super::{Control, ControlError};

/// Table privileges of the control account, and what each is for.
pub const CONTROL_PRIVILEGES: &[(&str, &str)] = &[
    ("SELECT", "read committed rows and the columns and keys of the table"),
    ("TRIGGER", "see the table's triggers, which may write other mapped tables; runs none"),
];

/// The one privilege on the whole server. Segue works without it, but has to guess when a statement has
/// ended whose client went away.
pub const PROCESS_PRIVILEGE: (&str, &str) =
    ("PROCESS", "see whether MySQL still works on a statement whose connection broke");

/// The statements that give the control account what it needs. `account`: as MySQL writes it, for
/// example `'segue'@'10.0.%'`.
///
/// MariaDB shows foreign keys' actions, JSON checks and triggers only to accounts with a privilege other
/// than SELECT on the whole database (seen on 10.11), so TRIGGER is granted there.
pub fn grant_statements(
    server: ServerKind,
    account: &str,
    database: &str,
    tables: &[String],
) -> Vec<String> {
    let statement = |privileges: &str, table: Option<&str>| {
        grant_statement(privileges, account, database, table)
    };
    let mut statements: Vec<String> = match server {
        ServerKind::MySql => {
            tables.iter().map(|table| statement("SELECT, TRIGGER", Some(table))).collect()
        }
        ServerKind::MariaDb => std::iter::once(statement("TRIGGER", None))
            .chain(tables.iter().map(|table| statement("SELECT", Some(table))))
            .collect(),
    };
    statements.push(process_statement(account));
    statements
}

fn process_statement(account: &str) -> String {
    format!("GRANT {} ON *.* TO {account}", PROCESS_PRIVILEGE.0)
}

fn grant_statement(privileges: &str, account: &str, database: &str, table: Option<&str>) -> String {
    let table = table.map_or_else(|| "*".to_owned(), quoted);
    format!("GRANT {privileges} ON {}.{table} TO {account}", quoted(database))
}

fn quoted(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A privilege the control account lacks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingGrant {
    /// A mapped table, or `*` for the whole database.
    pub table: String,
    pub privilege: &'static str,
    pub why: &'static str,
    /// The statement that gives it.
    pub statement: String,
}

impl Control {
    /// Compares `SHOW GRANTS` (with the roles that are active) with what the mapped tables need.
    pub async fn grants_check(
        &self,
        database: &str,
        tables: &[String],
    ) -> Result<Vec<MissingGrant>, ControlError> {
        let (account, grants) = self.own_grants().await?;
        Ok(missing(&grants, self.server(), &account, database, tables))
    }

    /// Whether the account lacks PROCESS, which is wanted but not needed.
    pub async fn process_grant_missing(&self) -> Result<Option<MissingGrant>, ControlError> {
        let (account, grants) = self.own_grants().await?;
        let (privilege, why) = PROCESS_PRIVILEGE;
        if grants.iter().any(|grant| grant.covers_server(privilege)) {
            return Ok(None);
        }
        let statement = process_statement(&quoted_account(&account));
        Ok(Some(MissingGrant { table: "*.*".to_owned(), privilege, why, statement }))
    }

    /// The account as `user@host`, and what it may.
    async fn own_grants(&self) -> Result<(String, Vec<Grant>), ControlError> {
        let mut session = self.connection().await?;
        let identity = session.query("SELECT CURRENT_USER()").await?;
        let word = |rows: &[Row], position: usize| {
            rows.first().and_then(|row| row.get(position)).and_then(text).unwrap_or_default()
        };
        let account = word(&identity, 0);
        let roles = match session.query("SELECT CURRENT_ROLE()").await {
            Ok(rows) => word(&rows, 0),
            // MySQL 5.7 knows no roles.
            Err(ControlError::Rejected(_)) => String::new(),
            Err(error) => return Err(error),
        };
        // MariaDB lists the grants of the active role by itself; MySQL when asked to.
        let with_roles = self.server() == ServerKind::MySql && !roles.is_empty() && roles != "NONE";
        let using = if with_roles { format!(" USING {roles}") } else { String::new() };
        let rows = session.query(&format!("SHOW GRANTS FOR CURRENT_USER(){using}")).await?;
        let grants: Vec<Grant> =
            rows.iter().filter_map(|row| parse(&text(row.first()?)?)).collect();
        Ok((account, grants))
    }
}

fn quoted_account(account: &str) -> String {
    match account.rsplit_once('@') {
        Some((user, host)) => format!("'{user}'@'{host}'"),
        None => format!("'{account}'"),
    }
}

fn missing(
    grants: &[Grant],
    server: ServerKind,
    account: &str,
    database: &str,
    tables: &[String],
) -> Vec<MissingGrant> {
    let account = quoted_account(account);
    let mut missing = Vec::new();
    for &(privilege, why) in CONTROL_PRIVILEGES {
        // See `grant_statements`.
        let whole = server == ServerKind::MariaDb && privilege == "TRIGGER";
        let places: Vec<Option<&str>> =
            if whole { vec![None] } else { tables.iter().map(|t| Some(t.as_str())).collect() };
        for place in places {
            if grants.iter().any(|grant| grant.covers(privilege, database, place)) {
                continue;
            }
            missing.push(MissingGrant {
                table: place.unwrap_or("*").to_owned(),
                privilege,
                why,
                statement: grant_statement(privilege, &account, database, place),
            });
        }
    }
    missing
}

/// One line of `SHOW GRANTS` on a table, a database or everything.
#[derive(Debug, PartialEq, Eq)]
struct Grant {
    /// In capitals; a privilege on single columns is left out.
    privileges: Vec<String>,
    /// `None` stands for `*`.
    database: Option<String>,
    table: Option<String>,
}

impl Grant {
    fn names(&self, privilege: &str) -> bool {
        let named = |name: &str| self.privileges.iter().any(|known| known == name);
        named(privilege) || named("ALL PRIVILEGES") || named("ALL")
    }

    fn covers_server(&self, privilege: &str) -> bool {
        self.database.is_none() && self.names(privilege)
    }

    /// `table`: `None` asks for the whole database.
    fn covers(&self, privilege: &str, database: &str, table: Option<&str>) -> bool {
        self.names(privilege)
            && match (&self.database, &self.table) {
                (None, _) => true,
                (Some(pattern), None) => matches(pattern, database),
                // Beside a table's name the database's name is no pattern.
                (Some(exact), Some(known)) => {
                    exact == database
                        && table.is_some_and(|table| known.eq_ignore_ascii_case(table))
                }
            }
    }
}

/// Reads ``GRANT a, b ON `db`.`t` TO ...``; `None` for roles, routines and proxies.
fn parse(line: &str) -> Option<Grant> {
    let rest = line.strip_prefix("GRANT ")?;
    let (privileges, rest) = rest.split_once(" ON ")?;
    let (database, rest) = name(rest)?;
    let (table, rest) = name(rest.strip_prefix('.')?)?;
    rest.starts_with(" TO ").then_some(())?;
    let privileges = split_outside_parentheses(privileges)
        .into_iter()
        .filter(|privilege| !privilege.contains('('))
        .map(|privilege| privilege.trim().to_ascii_uppercase())
        .collect();
    Some(Grant { privileges, database, table })
}

/// A quoted name or `*`, and the rest of the text.
fn name(text: &str) -> Option<(Option<String>, &str)> {
    if let Some(rest) = text.strip_prefix('*') {
        return Some((None, rest));
    }
    // `sql_mode` is empty, so names are quoted with backticks; a backtick in a name is doubled.
    let inner = text.strip_prefix('`')?;
    let mut plain = String::new();
    let mut characters = inner.char_indices().peekable();
    while let Some((at, character)) = characters.next() {
        if character != '`' {
            plain.push(character);
        } else if characters.next_if(|(_, next)| *next == '`').is_some() {
            plain.push('`');
        } else {
            return Some((Some(plain), &inner[at + 1..]));
        }
    }
    None
}

fn split_outside_parentheses(text: &str) -> Vec<&str> {
    let (mut parts, mut start, mut depth) = (Vec::new(), 0, 0_u32);
    for (at, character) in text.char_indices() {
        match character {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(&text[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    parts.push(&text[start..]);
    parts
}

/// A database name against a pattern with `%`, `_` and backslash as escape.
fn matches(pattern: &str, name: &str) -> bool {
    let Some(first) = pattern.chars().next() else { return name.is_empty() };
    let rest = &pattern[first.len_utf8()..];
    let after = |count: usize| name.char_indices().nth(count).map_or("", |(at, _)| &name[at..]);
    match first {
        '%' => {
            let count = name.chars().count();
            (0..=count).any(|skipped| matches(rest, after(skipped)))
        }
        '_' => !name.is_empty() && matches(rest, after(1)),
        '\\' if !rest.is_empty() => {
            let escaped = rest.chars().next();
            escaped == name.chars().next()
                && matches(&rest[escaped.map_or(0, char::len_utf8)..], after(1))
        }
        _ => name.starts_with(first) && matches(rest, after(1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lacking_on(server: ServerKind, lines: &[&str]) -> Vec<String> {
        let grants: Vec<Grant> = lines.iter().filter_map(|line| parse(line)).collect();
        let tables = ["users".to_owned(), "orders".to_owned()];
        missing(&grants, server, "segue@%", "my_shop", &tables)
            .into_iter()
            .map(|grant| format!("{} {}", grant.table, grant.privilege))
            .collect()
    }

    fn lacking(lines: &[&str]) -> Vec<String> {
        lacking_on(ServerKind::MySql, lines)
    }

    const TABLES: [&str; 4] = ["users SELECT", "orders SELECT", "users TRIGGER", "orders TRIGGER"];

    #[test]
    fn grants_on_every_level_count() {
        assert_eq!(lacking(&["GRANT USAGE ON *.* TO `segue`@`%`"]), TABLES);
        assert!(lacking(&["GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost`"]).is_empty());
        assert!(lacking(&["GRANT SELECT, TRIGGER ON `my\\_shop`.* TO `s`@`%`"]).is_empty());
        assert!(lacking(&["GRANT SELECT, TRIGGER ON `my%`.* TO `s`@`%`"]).is_empty());
        assert_eq!(lacking(&["GRANT SELECT, TRIGGER ON `my`.* TO `s`@`%`"]), TABLES);
        assert_eq!(
            lacking(&[
                "GRANT SELECT ON `my_shop`.* TO `s`@`%`",
                "GRANT TRIGGER ON `my_shop`.`users` TO `s`@`%`",
            ]),
            ["orders TRIGGER"]
        );
    }

    #[test]
    fn mariadb_needs_trigger_on_the_whole_database() {
        let lacking = |lines: &[&str]| lacking_on(ServerKind::MariaDb, lines);
        let on_tables = [
            "GRANT SELECT, TRIGGER ON `my_shop`.`users` TO `s`@`%`",
            "GRANT SELECT, TRIGGER ON `my_shop`.`orders` TO `s`@`%`",
        ];
        assert_eq!(lacking(&on_tables), ["* TRIGGER"]);
        assert!(lacking(&["GRANT SELECT, TRIGGER ON `my_shop`.* TO `s`@`%`"]).is_empty());
    }

    #[test]
    fn a_grant_on_columns_is_not_one_on_the_table() {
        assert_eq!(
            lacking(&[
                "GRANT SELECT (`id`, `name`), TRIGGER ON `my_shop`.`users` TO `s`@`%`",
                "GRANT SELECT, TRIGGER ON `my_shop`.`orders` TO `s`@`%`",
            ]),
            ["users SELECT"]
        );
    }

    #[test]
    fn a_privilege_of_the_server_is_granted_on_everything_only() {
        let covers = |line: &str| parse(line).unwrap().covers_server("PROCESS");
        assert!(covers("GRANT SELECT, PROCESS ON *.* TO `s`@`%`"));
        assert!(covers("GRANT ALL PRIVILEGES ON *.* TO `s`@`%`"));
        assert!(!covers("GRANT ALL PRIVILEGES ON `shop`.* TO `s`@`%`"));
        assert!(!covers("GRANT USAGE ON *.* TO `s`@`%`"));
    }

    #[test]
    fn roles_and_routines_are_passed_over() {
        assert_eq!(parse("GRANT `reader`@`%` TO `s`@`%`"), None);
        assert_eq!(parse("GRANT EXECUTE ON PROCEDURE `a`.`b` TO `s`@`%`"), None);
    }

    #[test]
    fn grant_statements_quote_names() {
        assert_eq!(
            grant_statements(ServerKind::MySql, "'s'@'%'", "my`shop", &["t".to_owned()]),
            [
                "GRANT SELECT, TRIGGER ON `my``shop`.`t` TO 's'@'%'",
                "GRANT PROCESS ON *.* TO 's'@'%'"
            ]
        );
    }
}
