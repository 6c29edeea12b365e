//! A conditional change of one item, put together clause by clause.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::{AttributeValue, ConditionCheck, ReturnValuesOnConditionCheckFailure, Update};

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
        let clauses = [("SET", &self.sets), ("REMOVE", &self.removes), ("DELETE", &self.deletes)];
        let clauses = clauses.into_iter().filter(|(_, parts)| !parts.is_empty());
        let update: Vec<String> = clauses.map(|(word, parts)| format!("{word} {}", parts.join(", "))).collect();
        let condition = self.conditions.join(" AND ");
        let values = Some(self.values).filter(|values| !values.is_empty());
        let all_old = ReturnValuesOnConditionCheckFailure::AllOld;
        if update.is_empty() {
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key))
                .condition_expression(condition)
                .set_expression_attribute_names(Some(self.names))
                .set_expression_attribute_values(values)
                .return_values_on_condition_check_failure(all_old);
            return Write::check(check);
        }
        let update = Update::builder()
            .table_name(table)
            .set_key(Some(key))
            .update_expression(update.join(" "))
            .condition_expression(condition)
            .set_expression_attribute_names(Some(self.names))
            .set_expression_attribute_values(values)
            .return_values_on_condition_check_failure(all_old);
        Write::update(update)
    }
}
