//! `segue demo`: everything on one machine.
//! Never here: product code that only the demo uses.

use super::Exit;
use crate::app::Fault;

#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// MySQL to use; the demo makes its own database there
    #[arg(long, value_name = "URL")]
    mysql_url: Option<String>,
}

pub async fn run(_arguments: Arguments) -> Result<Exit, Fault> {
    Err(Fault::configuration("the demo is not in this build", "", ""))
}
