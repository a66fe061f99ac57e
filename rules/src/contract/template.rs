//! `string-format` texts and key templates: constant text with `{name}` placeholders.
//! Never here: what a name refers to (see `entity`).

/// A parsed format. No placeholder at all makes it a constant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    /// As the contract writes it.
    pub text: String,
    pub parts: Vec<TemplatePart>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplatePart {
    Text(String),
    Name(String),
}

impl Template {
    /// Reads a template; `Err` says what is wrong with the braces.
    pub fn parse(text: &str) -> Result<Template, String> {
        let mut parts = Vec::new();
        let mut constant = String::new();
        let mut rest = text;
        while let Some(position) = rest.find(['{', '}']) {
            constant.push_str(&rest[..position]);
            if rest[position..].starts_with('}') {
                return Err(format!("`}}` without `{{` in `{text}`"));
            }
            let after = &rest[position + 1..];
            let end = after.find('}').ok_or_else(|| format!("`{{` without `}}` in `{text}`"))?;
            let name = after[..end].trim();
            if name.is_empty() || name.contains('{') {
                return Err(format!("no name between the braces of `{text}`"));
            }
            if !constant.is_empty() {
                parts.push(TemplatePart::Text(std::mem::take(&mut constant)));
            }
            parts.push(TemplatePart::Name(name.to_owned()));
            rest = &after[end + 1..];
        }
        constant.push_str(rest);
        if !constant.is_empty() {
            parts.push(TemplatePart::Text(constant));
        }
        Ok(Template { text: text.to_owned(), parts })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_and_text_alternate() {
        let template = Template::parse("ORDER#{created_at}#{id}").expect("valid");
        assert_eq!(template.parts.len(), 4);
        assert_eq!(Template::parse("#META").expect("valid").parts.len(), 1);
        assert!(Template::parse("a{b").is_err());
        assert!(Template::parse("a}b").is_err());
        assert!(Template::parse("{}").is_err());
    }
}
