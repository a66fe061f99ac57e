//! `segue generate cloudformation|terraform`: the contract's tables as templates of other tools.
//! Never here: what a template looks like (`dynamo`).

use clap::Subcommand;
use segue_rules::entity::Ruleset;

use super::{Common, Exit, output};
use crate::app::{self, Fault};
use crate::dynamo::{TableAndTtl, cloudformation, terraform};

#[derive(Subcommand, Debug)]
pub(super) enum Generate {
    /// Print a CloudFormation template of the contract's DynamoDB tables, as JSON
    Cloudformation(Arguments),
    /// Print them in Terraform's JSON syntax: the content of a file tables.tf.json
    Terraform(Arguments),
}

#[derive(clap::Args, Debug)]
pub(super) struct Arguments {
    #[command(flatten)]
    common: Common,
}

pub(super) async fn run(generate: &Generate) -> Result<Exit, Fault> {
    let (Generate::Cloudformation(arguments) | Generate::Terraform(arguments)) = generate;
    let settings = arguments.common.settings()?;
    let control = app::control_pool(&settings).await?;
    let ruleset = app::ruleset(&settings, &control).await;
    control.close().await;
    let ruleset = ruleset?;
    let tables: Vec<TableAndTtl> = app::wanted_tables(&settings, &ruleset)
        .into_iter()
        .map(|table| {
            let ttl = ttl_of(&ruleset, &table.table.name);
            (table, ttl)
        })
        .collect();
    output::json(&match generate {
        Generate::Cloudformation(_) => cloudformation(&tables),
        Generate::Terraform(_) => terraform(&tables),
    });
    Ok(Exit::Done)
}

/// The attribute that all entities of the table agree on, as far as they have one.
fn ttl_of(ruleset: &Ruleset, table: &str) -> Option<String> {
    let entities = ruleset.entities.iter().filter(|entity| entity.dynamo_table == table);
    let mut names: Vec<&str> = entities.filter_map(|entity| entity.ttl_attribute()).collect();
    names.dedup();
    match names[..] {
        [one] => Some(one.to_owned()),
        _ => None,
    }
}
