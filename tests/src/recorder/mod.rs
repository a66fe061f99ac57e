//! A small client of the MySQL protocol that keeps every byte the server sends: two servers that give
//! the same bytes give the same answers. It shares no code with the relay that it judges.
//! Never here: which commands are sent.

mod answer;
mod line;
mod step;

use anyhow::{Context, Result, bail, ensure};
use tokio::net::TcpStream;

use answer::Answer;
use line::{Compression, Line};
pub use step::{Parameter, Step};

/// Bytes of a frame that says "more follows".
const FRAME_BYTES: usize = 0xff_ffff;
const HEADER_BYTES: usize = 4;

/// "No good index used" and "no index used": the optimizer's choice of the moment, which follows purge and
/// statistics, so that one server answers one statement both ways.
const PLAN_FLAGS: u8 = 0x30;

/// Capability flags that this client knows what to do with.
pub mod capability {
    pub const FOUND_ROWS: u64 = 1 << 1;
    pub const CONNECT_WITH_DB: u64 = 1 << 3;
    pub const COMPRESS: u64 = 1 << 5;
    pub const SESSION_TRACK: u64 = 1 << 23;
    pub const DEPRECATE_EOF: u64 = 1 << 24;
    pub const OPTIONAL_METADATA: u64 = 1 << 25;
    pub const ZSTD: u64 = 1 << 26;
    pub const QUERY_ATTRIBUTES: u64 = 1 << 27;
    /// MariaDB's extended capabilities stand above the 32 of MySQL.
    pub const BULK: u64 = 1 << 34;
    pub const CACHE_METADATA: u64 = 1 << 36;
    pub(super) const LONG_PASSWORD: u64 = 1;
    /// LONG_PASSWORD, LONG_FLAG, LOCAL_FILES, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION,
    /// MULTI_STATEMENTS, MULTI_RESULTS, PS_MULTI_RESULTS, PLUGIN_AUTH.
    pub const ALWAYS: u64 =
        1 | 1 << 2 | 1 << 7 | 1 << 9 | 1 << 13 | 1 << 15 | 1 << 16 | 1 << 17 | 1 << 18 | 1 << 19;
}

/// Level that is asked for with [`capability::ZSTD`].
pub const ZSTD_LEVEL: u8 = 7;

/// A client that is logged in.
pub struct Recorder {
    line: Line,
    capabilities: u64,
    /// Id of the statement prepared last.
    statement: u32,
    /// Connection id, as the greeting told it.
    pub connection_id: u32,
    /// The greeting's payload.
    pub greeting: Vec<u8>,
}

/// One packet with its frames as they came.
struct Packet {
    frames: Vec<u8>,
    payload: Vec<u8>,
}

impl Packet {
    fn without_sequence_ids(&mut self) {
        let whole = FRAME_BYTES + HEADER_BYTES;
        for frame in self.frames.chunks_mut(whole) {
            frame[3] = 0;
        }
    }
}

impl Recorder {
    /// Logs in with an account that has no password. `wanted` is narrowed by what the server offers.
    pub async fn connect(address: &str, user: &str, database: &str, wanted: u64) -> Result<Self> {
        let stream = TcpStream::connect(address).await.context("connect")?;
        Recorder::log_in(stream, user, database, wanted).await
    }

    /// The same on a connection that is there already. An empty database is none.
    pub async fn log_in(
        stream: TcpStream,
        user: &str,
        database: &str,
        wanted: u64,
    ) -> Result<Self> {
        stream.set_nodelay(true)?;
        let line = Line::new(stream);
        let mut recorder =
            Recorder { line, capabilities: 0, statement: 0, connection_id: 0, greeting: vec![] };
        let greeting = recorder.packet().await?.payload;
        ensure!(greeting.first() == Some(&10), "greeting: {}", String::from_utf8_lossy(&greeting));
        let after_version =
            greeting.iter().position(|&b| b == 0).context("greeting without version")? + 1;
        let (id, rest) = greeting[after_version..].split_first_chunk::<4>().context("greeting")?;
        recorder.connection_id = u32::from_le_bytes(*id);
        let mut offered = u64::from(rest[9])
            | u64::from(rest[10]) << 8
            | u64::from(rest[14]) << 16
            | u64::from(rest[15]) << 24;
        let mut wanted = wanted | capability::ALWAYS | capability::CONNECT_WITH_DB;
        if database.is_empty() {
            wanted &= !capability::CONNECT_WITH_DB;
        }
        if offered & capability::LONG_PASSWORD == 0 {
            // MariaDB, which offers more in a further place.
            offered |=
                u64::from(u32::from_le_bytes([rest[23], rest[24], rest[25], rest[26]])) << 32;
        }
        if wanted >> 32 != 0 {
            wanted &= !capability::LONG_PASSWORD;
        }
        // MariaDB leaves LONG_PASSWORD out of its offer, and takes it.
        recorder.capabilities = wanted & (offered | capability::LONG_PASSWORD);
        let [a, b, c, d, extended @ ..] = recorder.capabilities.to_le_bytes();
        let mut response = vec![a, b, c, d, 0, 0, 0, 4, 45];
        response.extend_from_slice(&[0; 19]);
        response.extend_from_slice(&extended);
        // An empty password is an empty answer, whatever its framing.
        let named = [user, "", database, "mysql_native_password"];
        let unnamed = [user, "", "mysql_native_password"];
        let texts = if database.is_empty() { &unnamed[..] } else { &named };
        for text in texts {
            response.extend_from_slice(text.as_bytes());
            response.push(0);
        }
        if recorder.capabilities & capability::ZSTD != 0 {
            response.push(ZSTD_LEVEL);
        }
        recorder.greeting = greeting;
        recorder.send_packet(1, &response).await?;
        recorder.finish_login().await?;
        if recorder.capabilities & capability::COMPRESS != 0 {
            recorder.line.compress(Compression::Zlib);
        } else if recorder.capabilities & capability::ZSTD != 0 {
            recorder.line.compress(Compression::Zstd { level: ZSTD_LEVEL });
        }
        Ok(recorder)
    }

    async fn finish_login(&mut self) -> Result<()> {
        loop {
            let packet = self.packet().await?;
            match packet.payload.first() {
                Some(0) => return Ok(()),
                Some(0xfe) => self.send_packet(packet.frames[3].wrapping_add(1), b"").await?,
                Some(1) => {}
                _ => bail!("login: {}", String::from_utf8_lossy(&packet.payload)),
            }
        }
    }

    /// Goes on as a user without password.
    pub async fn change_user(&mut self, user: &str, database: &str) -> Result<()> {
        let texts = [user, "", database];
        let mut payload = vec![0x11];
        for text in texts {
            payload.extend_from_slice(text.as_bytes());
            payload.push(0);
        }
        payload.extend_from_slice(b"\x2d\0mysql_native_password\0");
        self.line.begin();
        self.send_packet(0, &payload).await?;
        self.finish_login().await
    }

    /// Packets received of which bytes were compressed.
    pub fn compressed(&self) -> usize {
        self.line.compressed
    }

    /// Sends one command and returns every byte of its answer, but for the flags of [`PLAN_FLAGS`]; and in the
    /// compressed protocol without sequence ids, which follow the moments when the server empties its buffer.
    pub async fn run(&mut self, step: &Step) -> Result<Vec<u8>> {
        self.send(step).await?;
        let mut answer = Answer::new(step.shape(), self.capabilities);
        let mut bytes = Vec::new();
        while !answer.is_done() {
            let mut packet = self.packet().await?;
            let mut sequence = packet.frames[3];
            if self.line.is_compressed() {
                packet.without_sequence_ids();
            }
            if let Some(at) = answer.status_at(&packet.payload) {
                packet.frames[HEADER_BYTES + at] &= !PLAN_FLAGS;
            }
            bytes.extend_from_slice(&packet.frames);
            if answer.takes(&packet.payload)? == answer::Turn::Client {
                let file = if let Step::File { content, .. } = step { &content[..] } else { b"" };
                for part in file.chunks(60_000).chain([&b""[..]]) {
                    sequence = sequence.wrapping_add(1);
                    self.send_packet(sequence, part).await?;
                }
            }
        }
        match step {
            Step::Prepare(_) => self.statement = answer.statement.unwrap_or_default(),
            // Error texts name the statement; MariaDB numbers those of all sessions.
            Step::CloseStatement => self.statement = 0,
            _ => {}
        }
        Ok(bytes)
    }

    /// Sends bytes as they are.
    pub async fn send_raw(&mut self, bytes: &[u8]) -> Result<()> {
        self.line.write_raw(bytes).await
    }

    /// Sends a command and does not wait for anything.
    pub async fn send(&mut self, step: &Step) -> Result<()> {
        self.line.begin();
        let attributes = self.capabilities & capability::QUERY_ATTRIBUTES != 0;
        let payload = step.payload(self.statement, attributes);
        self.send_packet(0, &payload).await
    }

    /// A packet that the server sends without being asked.
    pub async fn unasked(&mut self) -> Result<Vec<u8>> {
        self.line.begin();
        Ok(self.packet().await?.frames)
    }

    /// Reads what comes, at most `limit` bytes; empty at the end of the connection.
    pub async fn read_some(&mut self, limit: usize) -> Result<Vec<u8>> {
        let mut bytes = vec![0; limit];
        let count = self.line.read_raw(&mut bytes).await?;
        bytes.truncate(count);
        Ok(bytes)
    }

    async fn send_packet(&mut self, mut sequence: u8, payload: &[u8]) -> Result<()> {
        let mut framed = Vec::with_capacity(payload.len() + HEADER_BYTES);
        let mut rest = payload;
        loop {
            let part = &rest[..rest.len().min(FRAME_BYTES)];
            framed.extend_from_slice(&(part.len() as u32).to_le_bytes()[..3]);
            framed.push(sequence);
            framed.extend_from_slice(part);
            sequence = sequence.wrapping_add(1);
            rest = &rest[part.len()..];
            if part.len() < FRAME_BYTES {
                break;
            }
        }
        self.line.write(&framed).await
    }

    async fn packet(&mut self) -> Result<Packet> {
        let (mut frames, mut payload) = (Vec::new(), Vec::new());
        loop {
            let mut header = [0; HEADER_BYTES];
            self.line.read_exact(&mut header).await?;
            let length = u32::from_le_bytes([header[0], header[1], header[2], 0]) as usize;
            let begin = payload.len();
            payload.resize(begin + length, 0);
            self.line.read_exact(&mut payload[begin..]).await?;
            frames.extend_from_slice(&header);
            frames.extend_from_slice(&payload[begin..]);
            if length < FRAME_BYTES {
                return Ok(Packet { frames, payload });
            }
        }
    }
}
