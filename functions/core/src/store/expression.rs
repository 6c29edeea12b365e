//! A conditional change of one item, put together clause by clause.

use std::{
    collections::HashMap,
    fmt::{self, Write as _},
};

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{AttributeValue, ConditionCheck, ReturnValuesOnConditionCheckFailure, Update},
};

use super::{Item, StoreError, Write, keys::Key};

/// Clauses of an update, the conditions that must all hold, and the names and values that both speak of.
#[derive(Debug, Default)]
pub(super) struct Expression {
    sets: String,
    removes: String,
    deletes: String,
    conditions: String,
    names: HashMap<String, String>,
    values: Item,
}

/// What an expression calls a name or a value: `#word` or `:word`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Placeholder<'word>(char, &'word str);

impl fmt::Display for Placeholder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.0, self.1)
    }
}

impl Expression {
    pub(super) fn name<'word>(&mut self, word: &'word str, name: &str) -> Placeholder<'word> {
        let placeholder = Placeholder('#', word);
        self.names.insert(placeholder.to_string(), name.to_owned());
        placeholder
    }

    pub(super) fn value<'word>(&mut self, word: &'word str, value: AttributeValue) -> Placeholder<'word> {
        let placeholder = Placeholder(':', word);
        self.values.insert(placeholder.to_string(), value);
        placeholder
    }

    pub(super) fn set(&mut self, clause: impl fmt::Display) {
        append(&mut self.sets, ", ", clause);
    }

    pub(super) fn remove(&mut self, path: impl fmt::Display) {
        append(&mut self.removes, ", ", path);
    }

    pub(super) fn delete(&mut self, clause: impl fmt::Display) {
        append(&mut self.deletes, ", ", clause);
    }

    pub(super) fn require(&mut self, condition: impl fmt::Display) {
        append(&mut self.conditions, " AND ", condition);
    }

    /// The write; one that changes nothing is a condition of the others. A refusal gives the item as it stands.
    pub(super) fn write(self, table: &str, key: Key) -> Result<Write, StoreError> {
        let update = self.update();
        if update.is_empty() {
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key))
                .condition_expression(self.conditions)
                .set_expression_attribute_names(Some(self.names))
                .set_expression_attribute_values(given(self.values))
                .return_values_on_condition_check_failure(ALL_OLD);
            return Write::check(check);
        }
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(key))
            .update_expression(update)
            .condition_expression(self.conditions)
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(given(self.values))
            .return_values_on_condition_check_failure(ALL_OLD);
        Write::update(update)
    }

    /// The same as a call of its own, which costs half of a transaction.
    pub(super) fn update_item(self, client: &Client, table: &str, key: Key) -> UpdateItemFluentBuilder {
        client
            .update_item()
            .table_name(table)
            .set_key(Some(key))
            .update_expression(self.update())
            .condition_expression(self.conditions)
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(given(self.values))
            .return_values_on_condition_check_failure(ALL_OLD)
    }

    fn update(&self) -> String {
        let mut update = String::new();
        for (word, clauses) in [("SET", &self.sets), ("REMOVE", &self.removes), ("DELETE", &self.deletes)] {
            if !clauses.is_empty() {
                append(&mut update, " ", format_args!("{word} {clauses}"));
            }
        }
        update
    }
}

/// One more part of a list. Most lists fit at once, so that they aren't moved as they grow.
fn append(list: &mut String, separator: &str, part: impl fmt::Display) {
    match list.is_empty() {
        true => list.reserve(LIST_BYTES),
        false => list.push_str(separator),
    }
    // Writing to a string can't fail.
    let _ = write!(list, "{part}");
}

const LIST_BYTES: usize = 64;
const ALL_OLD: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// No values at all are not an empty map of them.
fn given(values: Item) -> Option<Item> {
    Some(values).filter(|values| !values.is_empty())
}
