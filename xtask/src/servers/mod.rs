//! Real MySQL and MariaDB servers: where they are installed and how one is started privately.
//! Never here: installing packages (see the binary's `setup`).

mod installation;
mod process;

pub use installation::{
    Installation, UNSTABLE_ROOT_VARIABLE, URL_VARIABLE, on_path, unstable_root,
};
pub use process::{ServerProcess, free_port};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// MySQL 9.7, or the MySQL that the machine offers.
    Mysql97,
    /// MariaDB 10.11, or the MariaDB that the machine offers.
    MariaDb,
}

impl Kind {
    pub const ALL: [Kind; 2] = [Kind::Mysql97, Kind::MariaDb];

    pub fn name(self) -> &'static str {
        match self {
            Kind::Mysql97 => "MySQL 9.7",
            Kind::MariaDb => "MariaDB 10.11",
        }
    }

    /// Name for folders.
    pub fn slug(self) -> &'static str {
        match self {
            Kind::Mysql97 => "mysql97",
            Kind::MariaDb => "mariadb",
        }
    }
}
