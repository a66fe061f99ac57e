//! The bearer token: given, or generated at start.
//! Never here: which requests need it (`guard`).

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rand::RngCore;
use subtle::ConstantTimeEq;

/// Bytes of randomness in a generated token.
const TOKEN_BYTES: usize = 32;

/// The token's file could not be written.
#[derive(Debug, thiserror::Error)]
#[error("{}: {source}", path.display())]
pub struct TokenError {
    pub path: PathBuf,
    pub source: io::Error,
}

/// The API's token. Never printed.
#[derive(Clone)]
pub struct Token(String);

impl Token {
    pub fn new(text: String) -> Token {
        Token(text)
    }

    /// A fresh random token.
    pub fn generate() -> Token {
        let mut bytes = [0; TOKEN_BYTES];
        rand::rng().fill_bytes(&mut bytes);
        Token(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
    }

    /// Writes the token to a file that only the process's user can read.
    pub fn write(&self, path: &Path) -> Result<(), TokenError> {
        let written = self.write_file(path);
        written.map_err(|source| TokenError { path: path.to_path_buf(), source })
    }

    fn write_file(&self, path: &Path) -> io::Result<()> {
        let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let folder = folder.unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        // Temporary files are made with mode 0600.
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        writeln!(file, "{}", self.0)?;
        file.as_file().sync_all()?;
        file.persist(path).map_err(|error| error.error)?;
        Ok(())
    }

    /// Reads a token file.
    pub fn read(path: &Path) -> io::Result<Token> {
        Ok(Token(std::fs::read_to_string(path)?.trim().to_owned()))
    }

    /// For a client that sends it.
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Compares in a time that tells nothing of where the texts differ.
    pub(super) fn matches(&self, given: &str) -> bool {
        self.0.as_bytes().ct_eq(given.as_bytes()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_written_token_reads_back_and_is_private() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("admin.token");
        let token = Token::generate();
        token.write(&path).expect("written");
        assert!(Token::read(&path).expect("read").matches(token.reveal()));
        assert!(!token.matches(Token::generate().reveal()));
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(&path).expect("exists").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
