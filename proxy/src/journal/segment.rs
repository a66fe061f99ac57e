//! Segment files: names, writing, syncing, reading.
//! Never here: what is live.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// A segment that is written to.
pub(super) struct Segment {
    pub number: u64,
    file: File,
    /// Bytes known to hold whole records; writing goes on here.
    pub bytes: u64,
}

impl Segment {
    /// Creates a segment, durably.
    pub fn create(folder: &Path, number: u64) -> io::Result<Segment> {
        let file = OpenOptions::new()
            .create(true)
            .truncate(true)
            .write(true)
            .open(path(folder, number))?;
        sync_folder(folder)?;
        Ok(Segment { number, file, bytes: 0 })
    }

    /// Writes behind the last whole record. A write that fails half-way is cut off again; where that
    /// fails as well, the caller must go on in another segment.
    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self.file.write_all(bytes) {
            Ok(()) => {
                self.bytes += bytes.len() as u64;
                Ok(())
            }
            Err(error) => {
                // Best effort: a half record left behind is skipped when the segment is read.
                let _ = self.file.set_len(self.bytes);
                Err(error)
            }
        }
    }

    pub fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }
}

fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("segment-{number:016}.log"))
}

/// Numbers of the segments in a folder, ascending. Other files are left alone.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number: Option<u64> = name
            .to_str()
            .and_then(|name| name.strip_prefix("segment-")?.strip_suffix(".log"))
            .and_then(|digits| digits.parse().ok());
        numbers.extend(number);
    }
    numbers.sort_unstable();
    Ok(numbers)
}

pub(super) fn read(folder: &Path, number: u64) -> io::Result<Vec<u8>> {
    std::fs::read(path(folder, number))
}

/// A segment that is read here and there.
pub(super) struct Reader {
    pub number: u64,
    file: File,
}

impl Reader {
    pub fn open(folder: &Path, number: u64) -> io::Result<Reader> {
        Ok(Reader { number, file: File::open(path(folder, number))? })
    }

    pub fn read(&self, offset: u64, bytes: usize) -> io::Result<Vec<u8>> {
        let mut into = vec![0; bytes];
        self.file.read_exact_at(&mut into, offset)?;
        Ok(into)
    }
}

/// Cuts a segment off, durably.
pub(super) fn cut(folder: &Path, number: u64, bytes: u64) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path(folder, number))?;
    file.set_len(bytes)?;
    file.sync_all()
}

pub(super) fn delete(folder: &Path, number: u64) -> io::Result<()> {
    std::fs::remove_file(path(folder, number))
}

/// Makes names in the folder durable.
fn sync_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}
