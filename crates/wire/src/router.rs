//! Which API, which operation and which protocol a request means.

use crate::head::{Head, Labels, Params, decode, decode_plus, is_encoded};
use crate::path::{self, Literal, Pattern};
use crate::{refusal, s3};
use cloudlet_service::{Api, Error, Operation, Protocol, rules};
use std::collections::{BTreeSet, HashMap};

/// The operation that a request means.
#[derive(Debug, Clone)]
pub struct Route {
    /// Its API.
    pub api: &'static Api,
    /// Its place in [`Api::operations`].
    pub operation: usize,
    /// The protocol that was spoken, in which the answer is written.
    pub protocol: Protocol,
    /// What the path said.
    pub labels: Labels,
}

impl Route {
    /// The operation itself.
    pub fn operation(&self) -> &'static Operation {
        &self.api.operations[self.operation]
    }
}

/// A request that means no served operation: the error, and how to write it.
#[derive(Debug)]
pub struct Unrouted {
    /// AWS's error, or 501 for what AWS has and we do not serve.
    pub error: Error,
    /// The protocol that was spoken.
    pub protocol: Protocol,
    /// The API, where that much is known.
    pub api: Option<&'static Api>,
}

impl From<Unrouted> for Error {
    fn from(unrouted: Unrouted) -> Self {
        unrouted.error
    }
}

#[derive(Debug, Clone, Copy)]
enum Target {
    Served(usize),
    Unserved(&'static str),
}

/// The operations of one method and one path pattern.
#[derive(Debug)]
struct Group {
    method: &'static str,
    pattern: Pattern,
    candidates: Vec<Candidate>,
}

#[derive(Debug)]
struct Candidate {
    target: Target,
    literals: Vec<Literal>,
    query: Vec<&'static str>,
    headers: Vec<&'static str>,
}

#[derive(Debug)]
struct Table {
    api: &'static Api,
    names: HashMap<&'static str, Target>,
    groups: Vec<Group>,
}

/// All APIs of a cloud, built once.
#[derive(Debug)]
pub struct Router {
    tables: Vec<Table>,
    by_signing_name: HashMap<&'static str, Vec<usize>>,
    by_target: HashMap<&'static str, Vec<usize>>,
}

impl Router {
    /// Builds the tables of all APIs.
    pub fn new(apis: &[&'static Api]) -> Self {
        let tables: Vec<Table> = apis.iter().map(|api| Table::new(api)).collect();
        let mut by_signing_name: HashMap<_, Vec<usize>> = HashMap::new();
        let mut by_target: HashMap<_, Vec<usize>> = HashMap::new();
        for (index, table) in tables.iter().enumerate() {
            by_signing_name.entry(table.api.signing_name).or_default().push(index);
            if !table.api.target_prefix.is_empty() {
                by_target.entry(table.api.target_prefix).or_default().push(index);
            }
        }
        Self { tables, by_signing_name, by_target }
    }

    /// Finds the operation. `service` is the signing name in the request's credential scope, `None` for unsigned
    /// requests. `form` is the body, needed only where [`Router::needs_form`] says so.
    ///
    /// Errors: what AWS answers to an unknown operation in that protocol; 501 for one that is not served.
    pub fn route(
        &self,
        service: Option<&str>,
        head: &Head<'_>,
        form: Option<&[u8]>,
    ) -> Result<Route, Unrouted> {
        if let Some(target) = head.header("x-amz-target") {
            return self.by_target(service, head, target);
        }
        if let Some((name, operation)) = cbor_path(head) {
            return self.rpc(service, name, operation, Protocol::RpcV2Cbor, &Labels::default());
        }
        if let Some(action) = action(head, form)? {
            return self.by_action(service, head, &action);
        }
        // Directory buckets are signed for under a name of their own; the address is S3's.
        if service == Some(s3::EXPRESS) {
            return self.express(head);
        }
        self.by_path(service, head)
    }

    /// Whether the operation stands in a form, so that the body must be read before [`Router::route`].
    pub fn needs_form(head: &Head<'_>) -> bool {
        head.method == "POST"
            && head.headers.get("x-amz-target").is_none()
            && head.media_type().eq_ignore_ascii_case("application/x-www-form-urlencoded")
    }

    fn candidates<'a>(&'a self, service: Option<&str>) -> Box<dyn Iterator<Item = &'a Table> + 'a> {
        match service {
            Some(name) => {
                let found = self.by_signing_name.get(name).map(Vec::as_slice).unwrap_or_default();
                Box::new(found.iter().map(|&i| &self.tables[i]))
            }
            None => Box::new(self.tables.iter()),
        }
    }

    fn by_target(&self, service: Option<&str>, head: &Head<'_>, target: &str) -> Result<Route, Unrouted> {
        let asked = match head.media_type() {
            "application/x-amz-json-1.0" => Protocol::AwsJson10,
            _ => Protocol::AwsJson11,
        };
        if let Some(table) = self.dynamodb(service)
            && !matches!(head.media_type(), "application/x-amz-json-1.0" | "application/json" | "")
        {
            // DynamoDB takes JSON alone; what else claims to be something is not even looked at.
            let error = refusal::unknown_to_dynamodb().with_status(404);
            return Err(table.refuse(Protocol::AwsJson10, error));
        }
        let (prefix, operation) = target.rsplit_once('.').unwrap_or(("", target));
        self.rpc(service, prefix, operation, asked, &Labels::default())
    }

    /// The RPC protocols: a service's own name and an operation's name.
    fn rpc(
        &self,
        service: Option<&str>,
        prefix: &str,
        operation: &str,
        asked: Protocol,
        labels: &Labels,
    ) -> Result<Route, Unrouted> {
        let named = self.by_target.get(prefix).map(Vec::as_slice).unwrap_or_default();
        let found =
            named.iter().map(|&i| &self.tables[i]).find(|t| service.is_none_or(|s| s == t.api.signing_name));
        let Some(table) = found else {
            if let Some(table) = self.dynamodb(service).filter(|_| asked != Protocol::RpcV2Cbor) {
                return Err(table.refuse(spoken(table.api, asked), refusal::unknown_to_dynamodb()));
            }
            let known = service.is_some_and(|s| self.by_signing_name.contains_key(s));
            let error = match service {
                Some(service) if !known && named.is_empty() => Error::not_implemented(service, operation),
                _ => refusal::unknown_operation(asked, operation),
            };
            return Err(Unrouted { error, protocol: asked, api: None });
        };
        let protocol = spoken(table.api, asked);
        table.named(operation, protocol, labels)
    }

    /// DynamoDB, where a call is signed for it: then it is the one to refuse, whatever the call names.
    fn dynamodb(&self, service: Option<&str>) -> Option<&Table> {
        let mut tables =
            service.filter(|name| *name == "dynamodb").map(|name| self.candidates(Some(name)))?;
        tables.find(|table| table.api.name == "dynamodb")
    }

    fn by_action(&self, service: Option<&str>, head: &Head<'_>, action: &Action) -> Result<Route, Unrouted> {
        let of = |api: &Api| {
            api.protocols.iter().copied().find(|p| matches!(p, Protocol::AwsQuery | Protocol::Ec2Query))
        };
        let mut best: Option<(&Table, Protocol, bool)> = None;
        for table in self.candidates(service) {
            let Some(protocol) = of(table.api) else { continue };
            let version = action.version.as_deref().is_none_or(|v| v == table.api.version);
            let here = table.names.contains_key(action.name.as_str()) && version;
            if service.is_none() && !here {
                continue;
            }
            if best.is_none_or(|(_, _, fits)| here && !fits) {
                best = Some((table, protocol, here));
            }
        }
        match best {
            Some((table, protocol, true)) => table.named(&action.name, protocol, &Labels::default()),
            Some((table, protocol, false)) => {
                Err(table.refuse(protocol, refusal::unknown_action(&action.name, action.version.as_deref())))
            }
            // A form that is no call: S3 takes any body at all.
            None if self.candidates(service).next().is_some() && service.is_some() => {
                self.by_path(service, head)
            }
            None => {
                let error = match service {
                    Some(service) => Error::not_implemented(service, &action.name),
                    None => refusal::unknown_action(&action.name, action.version.as_deref()),
                };
                Err(Unrouted { error, protocol: Protocol::AwsQuery, api: None })
            }
        }
    }

    /// A request that is signed for directory buckets: the list of them, or S3's own operations.
    fn express(&self, head: &Head<'_>) -> Result<Route, Unrouted> {
        let list = head.method == "GET" && head.path == "/" && head.bucket.is_none();
        match self.tables.iter().find(|table| s3::is(table.api)) {
            Some(table) if list => table.named(s3::DIRECTORY_BUCKETS, Protocol::RestXml, &Labels::default()),
            _ => self.by_path(Some("s3"), head),
        }
    }

    fn by_path(&self, service: Option<&str>, head: &Head<'_>) -> Result<Route, Unrouted> {
        let mut refused: Option<Unrouted> = None;
        for table in self.candidates(service) {
            if service.is_none() && !table.claims(head) {
                continue;
            }
            match table.path(head) {
                Ok(route) => return Ok(route),
                Err(why) => refused = Some(refused.unwrap_or(why)),
            }
        }
        Err(refused.unwrap_or_else(|| {
            let error = match service {
                Some(service) => Error::not_implemented(service, &format!("{} {}", head.method, head.path)),
                None => refusal::unknown_operation(Protocol::RestJson1, head.path),
            };
            Unrouted { error, protocol: Protocol::RestJson1, api: None }
        }))
    }
}

impl Table {
    fn new(api: &'static Api) -> Self {
        let served = api.operations.iter().enumerate().map(|(i, op)| (op.name, Target::Served(i)));
        let unserved = api.unserved.iter().map(|op| (op.name, Target::Unserved(op.name)));
        let mut table = Self { api, names: served.chain(unserved).collect(), groups: Vec::new() };
        if rest(api).is_some() {
            for (index, op) in api.operations.iter().enumerate() {
                let mut candidate = Candidate::new(Target::Served(index));
                for member in op.input.members() {
                    if !rules::of(member).is_some_and(|r| r.required) {
                        continue;
                    }
                    if let Some(query) = member.http_query() {
                        candidate.query.push(query.value());
                    } else if let Some(header) = member.http_header().and_then(|h| h.value_static()) {
                        candidate.headers.push(header);
                    }
                }
                // At the same path as ListBuckets; only the name that it is signed under tells them apart.
                if s3::is(api) && op.name == s3::DIRECTORY_BUCKETS {
                    continue;
                }
                table.add(op.method, op.uri, candidate);
            }
            for op in api.unserved {
                let mut candidate = Candidate::new(Target::Unserved(op.name));
                candidate.query.extend(op.required_query);
                candidate.headers.extend(op.required_headers);
                table.add(op.method, op.uri, candidate);
            }
            table.groups.sort_by(|a, b| a.pattern.precedence(&b.pattern));
        }
        table
    }

    fn add(&mut self, method: &'static str, uri: &'static str, mut candidate: Candidate) {
        let (pattern, literals) = path::parse(uri);
        candidate.literals = literals;
        match self.groups.iter_mut().find(|g| g.method == method && g.pattern == pattern) {
            Some(group) => group.candidates.push(candidate),
            None => self.groups.push(Group { method, pattern, candidates: vec![candidate] }),
        }
    }

    /// Whether an unsigned request is this API's: its path begins with one of the API's fixed words, or the host
    /// says so, or it is S3, which takes every other path.
    fn claims(&self, head: &Head<'_>) -> bool {
        if rest(self.api).is_none() {
            return false;
        }
        if s3::is(self.api) || head.bucket.is_some() {
            return s3::is(self.api);
        }
        let first = head.host.split('.').next().unwrap_or_default();
        first == self.api.endpoint_prefix
            || self
                .groups
                .iter()
                .any(|g| g.pattern.is_literal() && g.pattern.matches(None, head.path, &mut Vec::new()))
    }

    fn named(&self, operation: &str, protocol: Protocol, labels: &Labels) -> Result<Route, Unrouted> {
        let error = match self.names.get(operation) {
            Some(Target::Served(index)) => {
                return Ok(Route { api: self.api, operation: *index, protocol, labels: labels.clone() });
            }
            Some(Target::Unserved(name)) => Error::not_implemented(self.api.name, name),
            None if self.api.signing_name == "dynamodb" => refusal::unknown_to_dynamodb(),
            None => refusal::unknown_operation(protocol, operation),
        };
        Err(Unrouted { error, protocol, api: Some(self.api) })
    }

    fn path(&self, head: &Head<'_>) -> Result<Route, Unrouted> {
        let Some(protocol) = rest(self.api) else {
            let protocol = self.api.protocols.first().copied().unwrap_or(Protocol::RestJson1);
            let error = match self.api.signing_name {
                "dynamodb" => refusal::unknown_to_dynamodb(),
                _ => refusal::missing_action(protocol),
            };
            return Err(self.refuse(protocol, error));
        };
        let params = Params::parse(head.query).map_err(|e| self.refuse(protocol, e))?;
        let mut labels = Vec::new();
        for group in &self.groups {
            if group.method != head.method || !group.pattern.matches(head.bucket, head.path, &mut labels) {
                continue;
            }
            let Some(candidate) = group.choose(head, &params) else { continue };
            if s3::is(self.api) {
                s3::check(head, &params).map_err(|e| self.refuse(protocol, e))?;
                s3::check_subresources(&self.subresources(head, &params))
                    .map_err(|e| self.refuse(protocol, e))?;
                if candidate.literals.is_empty() {
                    s3::check_new_object(head, &params).map_err(|e| self.refuse(protocol, e))?;
                }
                if head.method == "POST" && !candidate.query.iter().all(|name| params.has(name)) {
                    return Err(self.refuse(protocol, s3::no_such_method(head, &params)));
                }
                if candidate.literals.is_empty()
                    && !params.0.is_empty()
                    && let Some(subresource) = self.subresource(head, &params)
                {
                    return Err(self.refuse(protocol, s3::method_not_allowed(head.method, subresource)));
                }
            }
            return match candidate.target {
                Target::Served(operation) => {
                    let labels = decoded(&labels, s3::is(self.api)).map_err(|e| self.refuse(protocol, e))?;
                    Ok(Route { api: self.api, operation, protocol, labels })
                }
                Target::Unserved(name) => {
                    Err(self.refuse(protocol, Error::not_implemented(self.api.name, name)))
                }
            };
        }
        let elsewhere = self.groups.iter().any(|g| g.pattern.matches(head.bucket, head.path, &mut labels));
        let error = if s3::is(self.api) && elsewhere {
            s3::no_such_method(head, &params)
        } else {
            refusal::unknown_operation(protocol, &format!("{} {}", head.method, head.path))
        };
        Err(self.refuse(protocol, error))
    }

    /// All that a query names of what a resource has, by name.
    fn subresources(&self, head: &Head<'_>, params: &Params<'_>) -> BTreeSet<&'static str> {
        if params.0.len() < 2 {
            return BTreeSet::new();
        }
        let mut labels = Vec::new();
        let here = self.groups.iter().filter(|g| g.pattern.matches(head.bucket, head.path, &mut labels));
        let literals = here.flat_map(|g| g.candidates.iter()).flat_map(|c| c.literals.iter());
        literals.filter(|l| l.value.is_none() && params.has(l.name)).map(|l| l.name).collect()
    }

    /// The subresource that the query names and only other methods of this path know.
    fn subresource(&self, head: &Head<'_>, params: &Params<'_>) -> Option<&'static str> {
        let mut labels = Vec::new();
        let others = self.groups.iter().filter(|g| g.method != head.method);
        let literals = others
            .filter(|g| g.pattern.matches(head.bucket, head.path, &mut labels))
            .flat_map(|g| g.candidates.iter())
            .flat_map(|c| c.literals.iter());
        literals.filter(|l| l.value.is_none()).map(|l| l.name).find(|name| params.has(name))
    }

    fn refuse(&self, protocol: Protocol, error: Error) -> Unrouted {
        Unrouted { error, protocol, api: Some(self.api) }
    }
}

impl Candidate {
    fn new(target: Target) -> Self {
        Self { target, literals: Vec::new(), query: Vec::new(), headers: Vec::new() }
    }

    fn demands(&self) -> usize {
        self.query.len() + self.headers.len()
    }
}

impl Group {
    /// The most literal query matches win; among equals the one whose required members are all there and most
    /// numerous; where none's are, the least demanding, which then reports what it misses.
    fn choose(&self, head: &Head<'_>, params: &Params<'_>) -> Option<&Candidate> {
        let fits = |c: &&Candidate| {
            c.literals.iter().all(|l| match l.value {
                Some(value) => params.get(l.name) == Some(value),
                None => params.has(l.name),
            })
        };
        let most = self.candidates.iter().filter(fits).map(|c| c.literals.len()).max()?;
        let equals = || self.candidates.iter().filter(fits).filter(move |c| c.literals.len() == most);
        let met = |c: &&Candidate| {
            c.query.iter().all(|q| params.has(q)) && c.headers.iter().all(|h| head.headers.contains_key(*h))
        };
        let served = |c: &Candidate| matches!(c.target, Target::Served(_));
        equals()
            .filter(met)
            .max_by_key(|c| (c.demands(), served(c)))
            .or_else(|| equals().min_by_key(|c| (c.demands(), !served(c))))
    }
}

/// The labels of a path, decoded. `spaces`: a `+` is a space, as in the keys of S3, whose clients write `%2B` for a plus.
fn decoded(labels: &[(&'static str, &str)], spaces: bool) -> Result<Labels, Error> {
    let mut out = Vec::with_capacity(labels.len());
    for (name, raw) in labels {
        let value = if spaces { decode_plus(raw) } else { decode(raw) };
        let Some(value) = value.filter(|_| is_encoded(raw)) else {
            return Err(Error::sender("InvalidURI", "Couldn't parse the specified URI."));
        };
        out.push((*name, value.into_owned()));
    }
    Ok(Labels(out))
}

fn rest(api: &Api) -> Option<Protocol> {
    api.protocols.iter().copied().find(|p| matches!(p, Protocol::RestJson1 | Protocol::RestXml))
}

/// What the API speaks that is nearest to what was asked.
fn spoken(api: &Api, asked: Protocol) -> Protocol {
    if asked == Protocol::RpcV2Cbor || api.protocols.contains(&asked) {
        return asked;
    }
    let json = |p: &&Protocol| matches!(p, Protocol::AwsJson10 | Protocol::AwsJson11);
    api.protocols.iter().find(json).copied().unwrap_or(asked)
}

/// `/service/{name}/operation/{name}`, wherever the path begins. Source: Smithy RPC v2 CBOR, "Requests".
fn cbor_path<'a>(head: &Head<'a>) -> Option<(&'a str, &'a str)> {
    if head.method != "POST" || head.header("smithy-protocol") != Some("rpc-v2-cbor") {
        return None;
    }
    let (before, operation) = head.path.rsplit_once("/operation/")?;
    let (_, service) = before.rsplit_once("/service/")?;
    Some((service, operation))
}

struct Action {
    name: String,
    version: Option<String>,
}

/// The `Action` and `Version` of a query request, from the query string or the form.
fn action(head: &Head<'_>, form: Option<&[u8]>) -> Result<Option<Action>, Unrouted> {
    let refuse = |error| Unrouted { error, protocol: Protocol::AwsQuery, api: None };
    let find = |text: &str| -> Result<Option<Action>, Unrouted> {
        let mut name: Option<String> = None;
        let mut version = None;
        for pair in text.split('&') {
            if let Some(value) = pair.strip_prefix("Action=") {
                let value = decode(value).unwrap_or_default().into_owned();
                if name.as_ref().is_some_and(|n| *n != value) {
                    return Err(refuse(refusal::duplicate_parameter("Action")));
                }
                name = Some(value);
            } else if let Some(value) = pair.strip_prefix("Version=") {
                version = decode(value).map(|v| v.into_owned());
            }
        }
        Ok(name.map(|name| Action { name, version }))
    };
    if head.query.contains("Action=")
        && let Some(found) = find(head.query)?
    {
        return Ok(Some(found));
    }
    match form.filter(|_| Router::needs_form(head)) {
        Some(body) => match std::str::from_utf8(body) {
            Ok(text) => find(text),
            Err(_) => Err(refuse(refusal::malformed_form("the form is not UTF-8"))),
        },
        None => Ok(None),
    }
}
