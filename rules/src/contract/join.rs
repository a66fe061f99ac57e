//! Reads `join` and `calculation` objects of dialect B.
//! Never here: which table a name means (see `entity`).

use serde_json::Value;

use super::expression::Expression;
use super::node::{Node, as_text, wrong_type};
use super::{
    Aggregate, ConditionalSpec, Equation, Findings, JoinSpec, JsonShape, JsonSpec, Target,
    ValueSpec, codes,
};

const JOIN_TYPES: [(&str, JoinType); 7] = [
    ("foreign-key", JoinType::Lookup),
    ("lookup-table", JoinType::Lookup),
    ("self-join", JoinType::SelfJoin),
    ("multi-column", JoinType::MultiColumn),
    ("conditional", JoinType::Conditional),
    ("chain", JoinType::Chain),
    ("json-construction", JoinType::Json),
];

#[derive(Clone, Copy)]
enum JoinType {
    Lookup,
    SelfJoin,
    MultiColumn,
    Conditional,
    Chain,
    Json,
}

const OPERATIONS: [(&str, Aggregate); 5] = [
    ("SUM", Aggregate::Sum),
    ("COUNT", Aggregate::Count),
    ("AVG", Aggregate::Avg),
    ("MIN", Aggregate::Min),
    ("MAX", Aggregate::Max),
];

/// Splits a condition into its equations; anything but an AND of `a.x = b.y` is refused.
pub(super) fn equations(text: &str, path: &str, findings: &mut Findings) -> Option<Vec<Equation>> {
    let mut found = Vec::new();
    let outcome = Expression::parse(text).and_then(|condition| collect(&condition, &mut found));
    match outcome {
        Ok(()) => Some(found),
        Err(reason) => {
            findings.report(&codes::CONDITION, path, format!("`{text}`: {reason}"));
            None
        }
    }
}

fn collect(condition: &Expression, found: &mut Vec<Equation>) -> Result<(), String> {
    match condition {
        Expression::Binary("AND", left, right) => {
            collect(left, found)?;
            collect(right, found)
        }
        Expression::Binary("=", left, right) => match (&**left, &**right) {
            (Expression::Column(left), Expression::Column(right)) => {
                if left.qualifier.is_none() || right.qualifier.is_none() {
                    return Err("both columns need their table's name before them".to_owned());
                }
                found.push(Equation { left: left.clone(), right: right.clone() });
                Ok(())
            }
            _ => Err("both sides of an equality must be columns".to_owned()),
        },
        _ => Err("only equalities joined by AND are supported".to_owned()),
    }
}

pub(super) fn expression(text: &str, path: &str, findings: &mut Findings) -> Option<Expression> {
    Expression::parse(text)
        .map_err(|reason| findings.report(&codes::EXPRESSION, path, format!("`{text}`: {reason}")))
        .ok()
}

fn expression_at(
    node: &mut Node,
    key: &'static str,
    findings: &mut Findings,
) -> Option<Expression> {
    let text = node.text(key, findings)?;
    expression(&text, &node.at(key), findings)
}

/// Reads `join`; `None` when a fault was reported.
pub(super) fn read_join(mut node: Node, findings: &mut Findings) -> Option<ValueSpec> {
    let word = node.text("type", findings);
    let kind = word.and_then(|word| node.choice("type", &word, &JOIN_TYPES, findings));
    let value = match kind? {
        JoinType::Lookup => lookup(&mut node, findings).map(ValueSpec::Join),
        JoinType::SelfJoin => self_join(&mut node, findings).map(ValueSpec::Join),
        JoinType::MultiColumn => multi_column(&mut node, findings).map(ValueSpec::Join),
        JoinType::Conditional => conditional(&mut node, findings),
        JoinType::Chain => chain(&mut node, findings),
        JoinType::Json => json_construction(&mut node, findings),
    };
    node.finish(findings);
    value
}

fn target(node: &mut Node, table: Option<String>, findings: &mut Findings) -> Option<Target> {
    let condition = node.text("join_condition", findings)?;
    let path = node.at("join_condition");
    let equations = equations(&condition, &path, findings)?;
    Some(Target { path, table, alias: None, equations })
}

fn lookup(node: &mut Node, findings: &mut Findings) -> Option<JoinSpec> {
    let table = node.text("target_table", findings);
    let target = target(node, table.clone(), findings);
    let select = expression_at(node, "select_column", findings);
    let null_value = node.optional_text("null_value", findings);
    table?;
    Some(JoinSpec { target: target?, select: select?, null_value })
}

fn self_join(node: &mut Node, findings: &mut Findings) -> Option<JoinSpec> {
    let alias = node.text("join_alias", findings);
    let table = node.optional_text("target_table", findings);
    let target = target(node, table, findings);
    let select = expression_at(node, "select_column", findings);
    let null_value = node.optional_text("null_value", findings);
    let target = Target { alias: Some(alias?), ..target? };
    Some(JoinSpec { target, select: select?, null_value })
}

fn multi_column(node: &mut Node, findings: &mut Findings) -> Option<JoinSpec> {
    let table = node.text("target_table", findings);
    node.required("join_conditions", findings);
    let conditions = node.texts("join_conditions", findings);
    let path = node.at("join_conditions");
    let mut all = Some(Vec::new());
    for (i, condition) in conditions.iter().enumerate() {
        let found = equations(condition, &format!("{path}[{i}]"), findings);
        all = all.zip(found).map(|(mut all, found)| {
            all.extend(found);
            all
        });
    }
    let select = expression_at(node, "select_column", findings);
    let null_value = node.optional_text("null_value", findings);
    let equations = all.filter(|all| !all.is_empty())?;
    let target = Target { path, table: Some(table?), alias: None, equations };
    Some(JoinSpec { target, select: select?, null_value })
}

fn conditional(node: &mut Node, findings: &mut Findings) -> Option<ValueSpec> {
    let table = node.text("target_table", findings);
    let target = target(node, table.clone(), findings);
    let condition = expression_at(node, "condition", findings);
    let then = node.text("select_column", findings);
    let otherwise = node.text("else_value", findings);
    table?;
    Some(ValueSpec::Conditional(ConditionalSpec {
        target: target?,
        condition: condition?,
        then: then?,
        otherwise: otherwise?,
    }))
}

fn chain(node: &mut Node, findings: &mut Findings) -> Option<ValueSpec> {
    let separator = node.optional_text("chain_separator", findings);
    node.required("joins", findings);
    let path = node.at("joins");
    let hops = node.array("joins", findings);
    let mut read = Vec::new();
    for (i, hop) in hops.iter().enumerate() {
        let Some(mut hop) = Node::new(hop, format!("{path}[{i}]"), findings) else { continue };
        read.extend(lookup(&mut hop, findings));
        hop.finish(findings);
    }
    if hops.is_empty() {
        findings.report(&codes::EMPTY, &path, "a chain needs at least one hop".to_owned());
    }
    (read.len() == hops.len() && !read.is_empty())
        .then_some(ValueSpec::Chain { hops: read, separator })
}

fn json_construction(node: &mut Node, findings: &mut Findings) -> Option<ValueSpec> {
    let table = node.text("target_table", findings);
    let target = target(node, table.clone(), findings);
    node.required("construction", findings);
    let mut construction = node.object("construction", findings)?;
    let word = construction.text("type", findings);
    let choices = [("array", true), ("object", false)];
    let array = word.and_then(|word| construction.choice("type", &word, &choices, findings));
    let order_by = construction.optional_text("order_by", findings);
    let limit = construction.count("limit", findings);
    construction.required("select_columns", findings);
    let fields = fields(&mut construction, findings);
    construction.finish(findings);
    let shape = if array? { JsonShape::Array { order_by, limit } } else { JsonShape::Object };
    table?;
    Some(ValueSpec::Json(JsonSpec { target: target?, shape, fields: fields? }))
}

fn fields(node: &mut Node, findings: &mut Findings) -> Option<Vec<(String, Expression)>> {
    let mut columns = node.object("select_columns", findings)?;
    let mut fields = Vec::new();
    let mut complete = true;
    for (name, value) in columns.members() {
        let path = columns.at(name);
        let select = as_text(value, &path, findings).and_then(|t| expression(&t, &path, findings));
        complete &= select.is_some();
        fields.extend(select.map(|select| (name.clone(), select)));
    }
    if fields.is_empty() && complete {
        findings.report(&codes::EMPTY, &columns.path, "no column is selected".to_owned());
    }
    (complete && !fields.is_empty()).then_some(fields)
}

/// Reads `calculation`; `None` when a fault was reported.
pub(super) fn read_calculation(mut node: Node, findings: &mut Findings) -> Option<ValueSpec> {
    let word = node.text("type", findings)?;
    let value = match word.as_str() {
        "aggregate" => aggregate(&mut node, findings),
        "case" => case(&mut node, findings),
        "concat" | "date-math" => {
            let message = format!("the calculation `{word}` has no defined parameters");
            findings.report(&codes::UNDEFINED_CALCULATION, &node.at("type"), message);
            return None;
        }
        other => {
            let choices = [("aggregate", ()), ("case", ())];
            node.choice("type", other, &choices, findings);
            return None;
        }
    };
    node.finish(findings);
    value
}

fn aggregate(node: &mut Node, findings: &mut Findings) -> Option<ValueSpec> {
    let table = node.text("target_table", findings);
    let join = target(node, table.clone(), findings);
    let word = node.text("operation", findings).map(|word| word.to_ascii_uppercase());
    let operation = word.and_then(|word| node.choice("operation", &word, &OPERATIONS, findings));
    let star = node.raw("select_column").and_then(Value::as_str).is_some_and(|t| t.trim() == "*");
    let select = match star {
        true => Some(Expression::Star),
        false => expression_at(node, "select_column", findings),
    };
    table?;
    let (operation, select) = (operation?, select?);
    if select == Expression::Star && operation != Aggregate::Count {
        let message = format!("{}(*) has no meaning", operation.sql());
        findings.report(&codes::EXPRESSION, &node.at("select_column"), message);
        return None;
    }
    Some(ValueSpec::Aggregate { join: join?, operation, select })
}

fn case(node: &mut Node, findings: &mut Findings) -> Option<ValueSpec> {
    node.required("cases", findings);
    let path = node.at("cases");
    let cases = node.array("cases", findings);
    let mut branches = Vec::new();
    for (i, case) in cases.iter().enumerate() {
        let Some(mut case) = Node::new(case, format!("{path}[{i}]"), findings) else { continue };
        let when = expression_at(&mut case, "when", findings);
        let then = case_value(&mut case, "then", findings);
        branches.extend(when.zip(then));
        case.finish(findings);
    }
    let otherwise = match node.raw("else") {
        None => None,
        Some(_) => Some(case_value(node, "else", findings)?),
    };
    (branches.len() == cases.len() && !branches.is_empty())
        .then_some(ValueSpec::Case { branches, otherwise })
}

/// `then` and `else`: an expression as text, or a bare JSON number or boolean.
fn case_value(node: &mut Node, key: &'static str, findings: &mut Findings) -> Option<Expression> {
    let path = node.at(key);
    match node.required(key, findings)? {
        Value::String(text) => expression(text, &path, findings),
        Value::Number(number) => expression(&number.to_string(), &path, findings),
        Value::Bool(flag) => Some(Expression::Word(if *flag { "TRUE" } else { "FALSE" })),
        other => {
            wrong_type(&path, "an expression", other, findings);
            None
        }
    }
}
