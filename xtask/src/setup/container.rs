//! MySQL in docker, where the machine has docker and nothing else serves.
//! Never here: the compose file for users (see `docker/`).

use std::net::TcpStream;
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use xtask::servers::free_port;

/// MySQL's image initialises its data before it listens; on a slow disk that takes a minute.
const START_SECONDS_MAX: u64 = 180;

/// A container that is removed when this value goes.
pub struct Container {
    id: String,
    port: u16,
}

/// Whether docker answers.
pub fn available() -> bool {
    super::answers("docker", "info")
}

impl Container {
    pub fn start() -> Result<Container> {
        let port = free_port().context("find a free port")?;
        let publish = format!("127.0.0.1:{port}:3306");
        let output = Command::new("docker")
            .args(["run", "--detach", "--rm", "--publish", &publish])
            .args(["--env", "MYSQL_ALLOW_EMPTY_PASSWORD=1", "mysql:9"])
            .output()
            .context("run docker")?;
        if !output.status.success() {
            bail!("docker run: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        let id = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let container = Container { id, port };
        container.wait()?;
        Ok(container)
    }

    pub fn url(&self) -> String {
        format!("mysql://root@127.0.0.1:{}", self.port)
    }

    /// docker's own proxy accepts before MySQL listens, so the greeting is waited for.
    fn wait(&self) -> Result<()> {
        use std::io::Read;
        let deadline = Instant::now() + Duration::from_secs(START_SECONDS_MAX);
        while Instant::now() < deadline {
            if let Ok(mut stream) = TcpStream::connect(("127.0.0.1", self.port)) {
                let _ = stream.set_read_timeout(Some(Duration::from_secs(1)));
                let mut header = [0_u8; 5];
                // A version 10 greeting follows the four header bytes.
                if stream.read_exact(&mut header).is_ok() && header[4] == 10 {
                    return Ok(());
                }
            }
            sleep(Duration::from_millis(500));
        }
        bail!("MySQL in docker did not answer within {START_SECONDS_MAX} s")
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        let _ = Command::new("docker").args(["stop", &self.id]).output();
    }
}
