//! The workload's tables as data: which columns statements may set, and from which values.
//! Never here: SQL forms. The same tables stand in `fixtures/workload/schema.sql`.

/// From which values a column is filled. Key domains are small, so that statements of several
/// clients meet on the same rows, and so that tables stay small.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Whole numbers.
    Int(i64, i64),
    /// 0 or 1, never anything else: the column may be stored as BOOL.
    Flag,
    /// Decimal text: whole part up to, digits behind the point.
    Decimal(i64, usize),
    Float,
    Double,
    Word,
    /// Longer text, sometimes with quotes, umlauts, emoji.
    Prose,
    /// `prefix` and a number up to; the letters' case varies where it makes no difference.
    Named(&'static str, i64, Case),
    OneOf(&'static [&'static str]),
    Members(&'static [&'static str]),
    /// Random bytes up to a length.
    Bytes(usize),
    /// Bytes of exactly this length, a function of a number up to.
    Uid(usize, i64),
    Date,
    Time,
    /// Fraction digits; `Some(n)`: one of n moments, for keys.
    Moment(u8, Option<i64>),
    Json,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Case {
    Kept,
    Varies,
}

#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    pub kind: Kind,
    /// How often the value is NULL, of 100; `None`: the column is NOT NULL.
    pub nulls: Option<u8>,
}

impl Column {
    pub fn is_nullable(&self) -> bool {
        self.nulls.is_some()
    }
}

#[derive(Clone, Copy, Debug)]
pub struct Table {
    pub name: &'static str,
    /// Row key columns.
    pub key: &'static [&'static str],
    /// The AUTO_INCREMENT column.
    pub auto: Option<&'static str>,
    /// Columns that statements set; generated ones are left out.
    pub columns: &'static [Column],
    /// How often statements choose the table, relative to the others.
    pub weight: u32,
    /// Rows that the first filling tries to insert.
    pub filling: usize,
}

impl Table {
    /// A column by name; the tables here are constants, so a wrong name is a fault of this file.
    pub fn column(&self, name: &str) -> &'static Column {
        self.columns.iter().find(|column| column.name == name).expect("the table has the column")
    }

    pub fn is_key(&self, column: &Column) -> bool {
        self.key.contains(&column.name)
    }
}

const fn must(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, nulls: None }
}

const fn may(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, nulls: Some(15) }
}

/// Mostly NULL.
const fn rarely(name: &'static str, kind: Kind) -> Column {
    Column { name, kind, nulls: Some(70) }
}

const REGIONS: Kind = Kind::OneOf(&["north", "south", "east", "west", "mid", "far"]);
// References choose from the lower part of their parent's keys, which the first filling makes: most
// of them find their parent, some do not.
const ACCOUNTS: Kind = Kind::Int(1, 80);
const ACCOUNT_REFERENCE: Kind = Kind::Int(1, 34);
const PRODUCTS: Kind = Kind::Int(1, 400);
const PRODUCT_REFERENCE: Kind = Kind::Int(1, 70);
const PURCHASES: Kind = Kind::Uid(16, 500);
const PURCHASE_REFERENCE: Kind = Kind::Uid(16, 90);
const SLUGS: Kind = Kind::Named("Page-é", 160, Case::Varies);
const SLUG_REFERENCE: Kind = Kind::Named("Page-é", 30, Case::Varies);
const BADGES: Kind = Kind::Named("badge", 14, Case::Varies);

/// Parents before children: the first filling goes in this order.
pub const TABLES: &[Table] = &[
    Table {
        name: "region",
        key: &["code"],
        auto: None,
        columns: &[
            must("code", REGIONS),
            must("title", Kind::Word),
            must("tax", Kind::Decimal(90, 3)),
            must("traits", Kind::Members(&["wet", "dry", "hot", "cold"])),
        ],
        weight: 2,
        filling: 12,
    },
    Table {
        name: "account",
        key: &["id"],
        auto: Some("id"),
        columns: &[
            must("id", ACCOUNTS),
            must("email", Kind::Named("User", 400, Case::Varies)),
            may("handle", Kind::Named("h", 900, Case::Varies)),
            must("name", Kind::Word),
            may("region_code", REGIONS),
            rarely("referrer_id", ACCOUNT_REFERENCE),
            must("active", Kind::Flag),
            must("level", Kind::Int(0, 9)),
            may("score", Kind::Int(-300, 300)),
            may("mask", Kind::Int(0, 4095)),
            may("born", Kind::Int(1950, 2020)),
            must("balance", Kind::Decimal(1_000, 2)),
            may("rating", Kind::Float),
            may("weight", Kind::Double),
            may("note", Kind::Prose),
            may("settings", Kind::Json),
        ],
        weight: 14,
        filling: 50,
    },
    Table {
        name: "product",
        key: &["id"],
        auto: None,
        columns: &[
            must("id", PRODUCTS),
            must("sku", Kind::Named("sku-ü", 900, Case::Varies)),
            must("name", Kind::Word),
            rarely("parent_id", PRODUCT_REFERENCE),
            must("price", Kind::Decimal(500, 2)),
            must("stock", Kind::Int(-5, 60)),
            must("kind", Kind::OneOf(&["thing", "service", "gift"])),
            may("tags", Kind::Members(&["new", "sale", "last", "odd"])),
            may("spec", Kind::Json),
            may("picture", Kind::Bytes(64)),
            may("thumb", Kind::Bytes(200)),
            may("initial", Kind::Named("i", 9, Case::Kept)),
            may("mark", Kind::Uid(4, 99)),
        ],
        weight: 12,
        filling: 110,
    },
    Table {
        name: "purchase",
        key: &["uid"],
        auto: None,
        columns: &[
            must("uid", PURCHASES),
            must("number", Kind::Int(1, 1_500)),
            must("account_id", ACCOUNT_REFERENCE),
            must("state", Kind::OneOf(&["open", "paid", "sent", "back"])),
            may("placed_at", Kind::Moment(6, None)),
            may("ship_by", Kind::Date),
            may("took", Kind::Time),
            may("paid_at", Kind::Moment(0, None)),
        ],
        weight: 12,
        filling: 130,
    },
    Table {
        name: "purchase_line",
        key: &["purchase_uid", "line_no"],
        auto: None,
        columns: &[
            must("purchase_uid", PURCHASE_REFERENCE),
            must("line_no", Kind::Int(1, 12)),
            may("product_id", PRODUCT_REFERENCE),
            must("quantity", Kind::Int(1, 9)),
            must("unit_price", Kind::Decimal(500, 2)),
        ],
        weight: 12,
        filling: 300,
    },
    Table {
        name: "page",
        key: &["slug"],
        auto: None,
        columns: &[
            must("slug", SLUGS),
            may("owner_id", ACCOUNT_REFERENCE),
            may("body", Kind::Prose),
            must("views", Kind::Int(0, 9_000_000_000)),
        ],
        weight: 8,
        filling: 45,
    },
    Table {
        name: "remark",
        key: &["id"],
        auto: Some("id"),
        columns: &[
            must("id", Kind::Int(1, 400)),
            must("page_slug", SLUG_REFERENCE),
            must("author", Kind::Word),
            may("words", Kind::Prose),
            may("stars", Kind::Int(-1, 5)),
        ],
        weight: 12,
        filling: 120,
    },
    Table {
        name: "setting",
        key: &["name"],
        auto: None,
        columns: &[
            must("name", Kind::Named("Setting", 120, Case::Varies)),
            may("content", Kind::Bytes(120)),
        ],
        weight: 5,
        filling: 30,
    },
    Table {
        name: "day_note",
        key: &["day"],
        auto: None,
        columns: &[
            must("day", Kind::Date),
            may("mood", Kind::OneOf(&["good", "fair", "poor"])),
            may("words", Kind::Prose),
            may("hours", Kind::Time),
        ],
        weight: 4,
        filling: 30,
    },
    Table {
        name: "happening",
        key: &["at"],
        auto: None,
        columns: &[
            must("at", Kind::Moment(6, Some(240))),
            must("what", Kind::Word),
            may("size", Kind::Double),
            may("detail", Kind::Json),
        ],
        weight: 4,
        filling: 30,
    },
    Table {
        name: "beat",
        key: &["at"],
        auto: None,
        columns: &[
            must("at", Kind::Moment(0, Some(240))),
            may("pulse", Kind::Int(0, 255)),
            must("flag", Kind::Flag),
        ],
        weight: 4,
        filling: 30,
    },
    Table {
        name: "rate",
        key: &["threshold"],
        auto: None,
        columns: &[
            must("threshold", Kind::Decimal(40, 2)),
            may("percent", Kind::Decimal(99, 30)),
            may("large", Kind::Decimal(1_000_000_000_000, 20)),
        ],
        weight: 4,
        filling: 30,
    },
    Table {
        name: "badge",
        key: &["account_id", "kind"],
        auto: None,
        columns: &[
            must("account_id", ACCOUNT_REFERENCE),
            must("kind", BADGES),
            may("title", Kind::Word),
            may("won_on", Kind::Date),
        ],
        weight: 5,
        filling: 80,
    },
    Table {
        name: "perk",
        key: &["account_id", "kind"],
        auto: None,
        columns: &[
            must("account_id", ACCOUNT_REFERENCE),
            must("kind", BADGES),
            must("bonus", Kind::Int(-10, 90)),
        ],
        weight: 4,
        filling: 80,
    },
];

/// A table by name, for the forms that are written for certain tables.
pub fn table(name: &str) -> &'static Table {
    TABLES.iter().find(|table| table.name == name).expect("the workload has the table")
}
