//! Execution roles: sessions of a function's role, made by STS for Lambda and renewed before they end.

use cloudlet_api_sts::{AssumeRoleInput, operations::AssumeRole};
use cloudlet_compute::Credentials;
use cloudlet_service::{Cloud, Context, Error, Principal};
use parking_lot::Mutex;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// The service principal that roles must trust.
const LAMBDA: &str = "lambda.amazonaws.com";
/// How long a session is asked for, in seconds: the least that every role allows as its maximum.
const SESSION: i32 = 3600;
/// A session is renewed when less than this is left of it.
const RESERVE: Duration = Duration::from_secs(20 * 60);
/// How many sessions are remembered.
const MOST: usize = 10_000;

/// A session of a role.
#[derive(Clone)]
pub(crate) struct Session {
    /// What the sandbox is given.
    pub credentials: Credentials,
    /// A call made as the role.
    pub cx: Context,
}

type Cache = Mutex<HashMap<(String, String), (i64, Arc<Session>)>>;

/// All sessions, by role and function.
pub(crate) struct Roles {
    cloud: Arc<Cloud>,
    sessions: Cache,
}

impl Roles {
    pub(crate) fn new(cloud: Arc<Cloud>) -> Self {
        Self { cloud, sessions: Cache::default() }
    }

    /// Asks STS whether Lambda may assume the role. Errors: those of AssumeRole.
    pub(crate) async fn check(&self, cx: &Context, role: &str, function: &str) -> Result<(), Error> {
        self.assume(&cx.account, &cx.region, role, function).await.map(|_| ())
    }

    /// A session with at least a third of its time left.
    pub(crate) async fn session(
        &self,
        account: &str,
        region: &str,
        role: &str,
        function: &str,
    ) -> Result<Arc<Session>, Error> {
        let key = (role.to_owned(), format!("{account}:{region}:{function}"));
        let now = self.cloud.clock().millis();
        if let Some((ends, session)) = self.sessions.lock().get(&key)
            && *ends - now > RESERVE.as_millis() as i64
        {
            return Ok(session.clone());
        }
        let (ends, session) = self.assume(account, region, role, function).await?;
        let session = Arc::new(session);
        let mut sessions = self.sessions.lock();
        if sessions.len() >= MOST {
            sessions.retain(|_, (ends, _)| *ends > now);
            if sessions.len() >= MOST {
                sessions.clear();
            }
        }
        sessions.insert(key, (ends, session.clone()));
        Ok(session)
    }

    async fn assume(
        &self,
        account: &str,
        region: &str,
        role: &str,
        function: &str,
    ) -> Result<(i64, Session), Error> {
        let arn = format!("arn:aws:lambda:{region}:{account}:function:{function}");
        let principal = Principal::Service {
            name: LAMBDA.into(),
            source_arn: Some(arn.into()),
            source_account: Some(account.into()),
        };
        let cx = self.cloud.context(principal, account, region);
        let input = AssumeRoleInput {
            role_arn: role.to_owned(),
            role_session_name: session_name(function),
            duration_seconds: Some(SESSION),
            ..Default::default()
        };
        let output = self.cloud.call::<AssumeRole>(&cx, input).await?;
        let given = output.credentials.ok_or_else(|| Error::internal("AssumeRole gave no credentials"))?;
        let now = self.cloud.clock().millis();
        let ends =
            given.expiration.and_then(|at| at.to_millis().ok()).unwrap_or(now + i64::from(SESSION) * 1000);
        let resolved = self.cloud.identity()?.resolve(&given.access_key_id, Some(&given.session_token))?;
        let mut role_cx = self.cloud.context(resolved.principal, account, region);
        role_cx.session = resolved.session;
        // The machine's own time: the sandbox's clock is not the cloud's.
        let left = Duration::from_millis(u64::try_from(ends - now).unwrap_or(0));
        let credentials = Credentials {
            access_key_id: given.access_key_id,
            secret_access_key: given.secret_access_key,
            session_token: given.session_token,
            expiration: SystemTime::now() + left,
        };
        Ok((ends, Session { credentials, cx: role_cx }))
    }
}

/// The session is named after the function, but a session's name has at least two characters and a function's one.
fn session_name(function: &str) -> String {
    if function.len() < 2 { format!("{function}-") } else { function.to_owned() }
}
