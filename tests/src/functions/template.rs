//! What `template.yaml` says: routes, functions and what each function may do to which table.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use serde_yaml_ng::Value;

/// The parts of a template that decide who answers, and what they may reach.
#[derive(Debug)]
pub struct Template {
    routes: Vec<Route>,
    functions: BTreeMap<String, Function>,
}

/// A route of the HTTP API.
#[derive(Debug, Clone)]
pub struct Route {
    /// `POST /login`, `ANY /sessions/{id}` or `$default`.
    pub key: String,
    /// The binary of the function that answers.
    pub function: String,
}

#[derive(Debug)]
struct Function {
    logical_id: String,
    /// `(GetItem, users)`.
    grants: BTreeSet<(String, String)>,
}

impl Template {
    /// Reads a template.
    #[must_use]
    pub fn read(path: &Path) -> Self {
        let text = std::fs::read_to_string(path).unwrap();
        let document: Value = serde_yaml_ng::from_str(&text).unwrap();
        let resources = document["Resources"].as_mapping().unwrap();
        let of_type =
            |kind: &'static str| resources.iter().filter(move |(_, resource)| resource["Type"].as_str() == Some(kind));
        let functions: BTreeMap<String, Function> = of_type("AWS::Serverless::Function")
            .map(|(id, resource)| {
                let binary = text_of(&resource["Metadata"]["BuildProperties"]["Binary"]).to_owned();
                let logical_id = id.as_str().unwrap().to_owned();
                (binary, Function { logical_id, grants: grants(&resource["Properties"]["Policies"]) })
            })
            .collect();
        let binary_of = |logical_id: &str| {
            let found = functions.iter().find(|(_, function)| function.logical_id == logical_id);
            found.unwrap_or_else(|| panic!("no function {logical_id}")).0.clone()
        };
        let routes = of_type("AWS::ApiGatewayV2::Route")
            .map(|(_, resource)| {
                let target = text_of(&resource["Properties"]["Target"]);
                let integration = target.trim_start_matches("integrations/${").trim_end_matches('}');
                let uri = text_of(&resources[integration]["Properties"]["IntegrationUri"]);
                let key = text_of(&resource["Properties"]["RouteKey"]).to_owned();
                Route { key, function: binary_of(uri.trim_end_matches(".Arn")) }
            })
            .collect();
        Self { routes, functions }
    }

    /// The route that API Gateway picks: the most specific path, then the method before `ANY`, then `$default`.
    #[must_use]
    pub fn route(&self, method: &str, path: &str) -> Option<&Route> {
        self.routes
            .iter()
            .filter_map(|route| Some((route.specificity(method, path)?, route)))
            .max_by_key(|(rank, _)| *rank)
            .map(|(_, route)| route)
    }

    /// Every function by the name of its binary, and whether a route leads to it.
    pub fn functions(&self) -> impl Iterator<Item = (&str, bool)> {
        self.functions.keys().map(|name| (name.as_str(), self.routes.iter().any(|route| route.function == *name)))
    }

    /// Whether the policy of `function` allows an action on a table, such as `GetItem` on `users`.
    #[must_use]
    pub fn allows(&self, function: &str, action: &str, table: &str) -> bool {
        let grants = self.functions.get(function).map(|function| &function.grants);
        grants.is_some_and(|grants| grants.contains(&(action.to_owned(), table.to_owned())))
    }

    /// All that is granted: function, action, table.
    pub fn grants(&self) -> impl Iterator<Item = (&str, &str, &str)> {
        self.functions.iter().flat_map(|(name, function)| {
            function.grants.iter().map(|(action, table)| (name.as_str(), action.as_str(), table.as_str()))
        })
    }
}

impl Route {
    /// How closely the route fits; `None` if it doesn't.
    fn specificity(&self, method: &str, path: &str) -> Option<(usize, bool)> {
        let Some((wanted_method, wanted_path)) = self.key.split_once(' ') else {
            return (self.key == "$default").then_some((0, false));
        };
        if wanted_method != "ANY" && wanted_method != method {
            return None;
        }
        let (wanted, given): (Vec<&str>, Vec<&str>) = (wanted_path.split('/').collect(), path.split('/').collect());
        let is_greedy = wanted.last().is_some_and(|part| part.ends_with("+}"));
        if wanted.len() != given.len() && !(is_greedy && given.len() >= wanted.len()) {
            return None;
        }
        let mut literal = 0;
        for (wanted, given) in wanted.iter().zip(&given) {
            if wanted == given {
                literal += 1;
            } else if !wanted.starts_with('{') || given.is_empty() {
                return None;
            }
        }
        Some((1 + literal, wanted_method != "ANY"))
    }
}

/// The text of a value, whatever intrinsic function is around it.
fn text_of(value: &Value) -> &str {
    if let Value::Tagged(tagged) = value {
        return text_of(&tagged.value);
    }
    value.as_str().unwrap_or_else(|| panic!("not a text: {value:?}"))
}

fn grants(policies: &Value) -> BTreeSet<(String, String)> {
    let statements =
        policies.as_sequence().into_iter().flatten().flat_map(|policy| policy["Statement"].as_sequence().unwrap());
    let mut grants = BTreeSet::new();
    for statement in statements {
        let actions = &statement["Action"];
        let actions: Vec<&Value> = actions.as_sequence().map_or(vec![actions], |actions| actions.iter().collect());
        let resource = text_of(&statement["Resource"]);
        for action in actions.iter().filter_map(|action| action.as_str().unwrap().strip_prefix("dynamodb:")) {
            let table = resource.strip_suffix("Table.Arn").unwrap_or_else(|| panic!("a grant on {resource}"));
            grants.insert((action.to_owned(), table.to_lowercase()));
        }
    }
    grants
}
