//! What may leave the process of a text that can hold credentials or data.
//! Never here: statements (they are never logged; their digest is).

/// A connection address without its password and parameters.
pub fn url(text: &str) -> String {
    match url::Url::parse(text) {
        Ok(mut url) if url.has_host() => {
            if url.password().is_some() {
                // Fails only for addresses without a host, which have no password.
                let _ = url.set_password(Some("***"));
            }
            url.set_query(None);
            url.to_string()
        }
        _ => "(not an address)".to_owned(),
    }
}

/// A server's error message without quoted text: MySQL and DynamoDB put values into quotes.
pub fn message(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut quote = None;
    for c in text.chars() {
        match quote {
            None if matches!(c, '\'' | '"') => {
                quote = Some(c);
                out.push(c);
            }
            None => out.push(c),
            Some(open) if c == open => {
                out.push('…');
                out.push(c);
                quote = None;
            }
            Some(_) => {}
        }
    }
    if quote.is_some() {
        out.push('…');
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_lose_their_password() {
        assert_eq!(url("mysql://u:p@h:1/d?x=p"), "mysql://u:***@h:1/d");
        assert_eq!(url("u:p@h"), "(not an address)");
    }

    #[test]
    fn quoted_values_are_cut_from_messages() {
        assert_eq!(
            message("Duplicate entry 'a@b.c' for key 'users.email'"),
            "Duplicate entry '…' for key '…'"
        );
        assert_eq!(message("near 'SELECT secret"), "near '…");
    }
}
