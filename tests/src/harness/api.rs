//! Segue's HTTP side as tests use it: requests with the token, metrics, waiting for owed work.
//! Never here: starting Segue.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use segue::telemetry::sum_of_metric;
use serde_json::Value;

use super::ADMIN_TOKEN;

/// The HTTP side of one Segue on this machine.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    port: u16,
}

impl Api {
    pub fn at(port: u16) -> Api {
        // Segue closes connections after a while, perhaps just as a request goes out on an idle one.
        let builder = reqwest::Client::builder().pool_max_idle_per_host(0);
        Api { http: builder.build().expect("a client without TLS files can be built"), port }
    }

    pub fn admin_url(&self, path: &str) -> String {
        format!("http://127.0.0.1:{}{path}", self.port)
    }

    /// Whether it serves.
    pub async fn is_healthy(&self) -> bool {
        let request = self.http.get(self.admin_url("/healthz")).timeout(Duration::from_secs(2));
        request.send().await.is_ok_and(|answer| answer.status().is_success())
    }

    /// `GET` on the API: the JSON of a successful answer.
    pub async fn get(&self, path: &str) -> Result<Value> {
        self.ask(self.http.get(self.admin_url(path))).await
    }

    pub async fn put(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask(self.http.put(self.admin_url(path)).json(body)).await
    }

    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        self.ask(self.http.post(self.admin_url(path)).json(body)).await
    }

    /// Puts a fault script in force, for a Segue that allows faults.
    pub async fn set_faults(&self, script: &str) -> Result<Value> {
        let request = self.http.put(self.admin_url("/api/faults")).body(script.to_owned());
        self.ask(request).await
    }

    async fn ask(&self, request: reqwest::RequestBuilder) -> Result<Value> {
        let answer = request.bearer_auth(ADMIN_TOKEN).timeout(Duration::from_secs(60)).send();
        let answer = answer.await.context("ask segue's API")?;
        let (status, text) = (answer.status(), answer.text().await.context("read the answer")?);
        if !status.is_success() {
            bail!("{status}: {text}");
        }
        if text.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&text).with_context(|| format!("read the answer: {text}"))
    }

    /// Sum of a metric over all its labels; 0 where it has no sample.
    pub async fn metric(&self, name: &str) -> Result<f64> {
        Ok(sum_of_metric(&self.metrics().await?, name))
    }

    /// All metrics, as text.
    pub async fn metrics(&self) -> Result<String> {
        let answer = self.http.get(self.admin_url("/metrics")).bearer_auth(ADMIN_TOKEN).send();
        answer.await.context("read metrics")?.text().await.context("read metrics")
    }

    /// Waits until nothing is owed: no entry and no sweep. Parked keys count as owed. An error where for so long
    /// neither became fewer than ever before: how long all of it takes is the machine's matter.
    pub async fn settle(&self, limit: Duration) -> Result<()> {
        let (mut last, mut settled) = (tokio::time::Instant::now(), false);
        let (mut fewest_owed, mut fewest_sweeps) = (f64::INFINITY, f64::INFINITY);
        loop {
            let owed = self.metric("segue_owed").await?;
            let sweeps = self.metric("segue_sweeps_owed").await?;
            // Looked at twice: an application may have its answer a moment before the books have it.
            match owed == 0.0 && sweeps == 0.0 {
                true if settled => return Ok(()),
                now => settled = now,
            }
            if owed < fewest_owed || sweeps < fewest_sweeps {
                last = tokio::time::Instant::now();
            }
            (fewest_owed, fewest_sweeps) = (fewest_owed.min(owed), fewest_sweeps.min(sweeps));
            if last.elapsed() > limit {
                bail!("for {limit:?} no progress: {owed} entries and {sweeps} sweeps are owed");
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metric_sums_its_own_samples_only() {
        let text = "# TYPE segue_owed gauge\nsegue_owed{table=\"a\"} 2\nsegue_owed{table=\"b\"} 3\n\
                    segue_owed_other{table=\"a\"} 7\nsegue_connections 4\n";
        assert_eq!(sum_of_metric(text, "segue_owed"), 5.0);
        assert_eq!(sum_of_metric(text, "segue_connections"), 4.0);
        assert_eq!(sum_of_metric(text, "segue_none"), 0.0);
    }
}
