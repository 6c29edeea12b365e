//! A conditional change of one item, put together clause by clause.

use std::collections::HashMap;

use aws_sdk_dynamodb::{
    Client,
    operation::update_item::builders::UpdateItemFluentBuilder,
    types::{AttributeValue, ConditionCheck, ReturnValuesOnConditionCheckFailure, Update},
};

use super::{Item, StoreError, Write, keys::Key};

/// Clauses of an update, the conditions that must all hold, and the names and values that both speak of.
#[derive(Debug, Default)]
pub(super) struct Expression {
    sets: Vec<String>,
    removes: Vec<String>,
    deletes: Vec<String>,
    conditions: Vec<String>,
    names: HashMap<String, String>,
    values: Item,
}

impl Expression {
    /// Names an attribute; `#placeholder` for it.
    pub(super) fn name(&mut self, placeholder: &str, name: &str) -> String {
        let placeholder = format!("#{placeholder}");
        self.names.insert(placeholder.clone(), name.to_owned());
        placeholder
    }

    /// Gives a value; `:placeholder` for it.
    pub(super) fn value(&mut self, placeholder: &str, value: AttributeValue) -> String {
        let placeholder = format!(":{placeholder}");
        self.values.insert(placeholder.clone(), value);
        placeholder
    }

    pub(super) fn set(&mut self, clause: String) {
        self.sets.push(clause);
    }

    pub(super) fn remove(&mut self, path: String) {
        self.removes.push(path);
    }

    pub(super) fn delete(&mut self, clause: String) {
        self.deletes.push(clause);
    }

    pub(super) fn require(&mut self, condition: String) {
        self.conditions.push(condition);
    }

    /// The write; one that changes nothing is a condition of the others. A refusal gives the item as it stands.
    pub(super) fn write(self, table: &str, key: Key) -> Result<Write, StoreError> {
        let (update, condition) = (self.update(), self.condition());
        if update.is_empty() {
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key))
                .condition_expression(condition)
                .set_expression_attribute_names(Some(self.names))
                .set_expression_attribute_values(given(self.values))
                .return_values_on_condition_check_failure(ALL_OLD);
            return Write::check(check);
        }
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(key))
            .update_expression(update)
            .condition_expression(condition)
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
            .condition_expression(self.condition())
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(given(self.values))
            .return_values_on_condition_check_failure(ALL_OLD)
    }

    fn update(&self) -> String {
        let clauses = [("SET", &self.sets), ("REMOVE", &self.removes), ("DELETE", &self.deletes)];
        let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
        clauses.map(|(word, parts)| format!("{word} {}", parts.join(", "))).collect::<Vec<_>>().join(" ")
    }

    fn condition(&self) -> String {
        self.conditions.join(" AND ")
    }
}

const ALL_OLD: ReturnValuesOnConditionCheckFailure = ReturnValuesOnConditionCheckFailure::AllOld;

/// No values at all are not an empty map of them.
fn given(values: Item) -> Option<Item> {
    Some(values).filter(|values| !values.is_empty())
}
