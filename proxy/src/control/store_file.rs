//! Small files, written so that a crash leaves the old or the new text and never a torn one.
//! Never here: what the files mean.

use std::fs::{File, OpenOptions, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use segue_config::limits::CONFIGURATION_FILE_BYTES_MAX;

const NEW_FILE_MODE: u32 = 0o644;

/// Replaces a file: temporary file in the same folder, sync, rename, sync of the folder.
pub fn write_atomically(path: &Path, text: &str) -> io::Result<()> {
    let folder = folder_of(path);
    std::fs::create_dir_all(&folder)?;
    let mut temporary = tempfile::NamedTempFile::new_in(&folder)?;
    temporary.write_all(text.as_bytes())?;
    // Temporary files are private; these are for other accounts to read, too.
    let permissions = match std::fs::metadata(path) {
        Ok(old) => old.permissions(),
        Err(_) => Permissions::from_mode(NEW_FILE_MODE),
    };
    temporary.as_file().set_permissions(permissions)?;
    temporary.as_file().sync_all()?;
    temporary.persist(path).map_err(|error| error.error)?;
    File::open(&folder)?.sync_all()
}

/// Appends one line and syncs it.
pub(super) fn append_line(path: &Path, line: &str) -> io::Result<()> {
    std::fs::create_dir_all(folder_of(path))?;
    let mut file = OpenOptions::new().create(true).append(true).open(path)?;
    file.write_all(format!("{line}\n").as_bytes())?;
    file.sync_data()
}

/// Reads a text file of bounded size.
pub fn read_bounded(path: &Path) -> io::Result<String> {
    let mut text = String::new();
    let read =
        File::open(path)?.take(CONFIGURATION_FILE_BYTES_MAX + 1).read_to_string(&mut text)?;
    if read as u64 > CONFIGURATION_FILE_BYTES_MAX {
        let message = format!("the file exceeds {CONFIGURATION_FILE_BYTES_MAX} bytes");
        return Err(io::Error::new(io::ErrorKind::InvalidData, message));
    }
    Ok(text)
}

/// The folder a file is in; `.` for a bare name.
pub(super) fn folder_of(path: &Path) -> PathBuf {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder.to_path_buf(),
        _ => PathBuf::from("."),
    }
}
