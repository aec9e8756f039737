//! The two servers that a gate drives, and how long a limit of processor time held them up.

use std::net::SocketAddr;
use std::time::Duration;

use reqwest::Client;
use slipway_api::job::JUDGE_METRICS_OFFSET;

/// The metric of a server that says how long it was kept from running.
const THROTTLED: &str = "slipway_cpu_throttled_seconds_total ";
/// A server that does not say how it fares in time is not asked again.
const TIMEOUT: Duration = Duration::from_secs(2);

/// The addresses of the two servers that a gate drives.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judges {
    pub(super) candidate: String,
    pub(super) baseline: String,
    /// Where their metrics are, where they are processes of their own.
    metrics: Vec<String>,
}

impl Judges {
    /// Servers of this process.
    pub fn at(candidate: SocketAddr, baseline: SocketAddr) -> Self {
        Self {
            candidate: format!("http://{candidate}"),
            baseline: format!("http://{baseline}"),
            metrics: Vec::new(),
        }
    }

    /// Sidecars of this pod.
    pub fn on_ports(candidate: u16, baseline: u16) -> Self {
        let at = |port: u16| SocketAddr::from(([127, 0, 0, 1], port));
        let metrics = [candidate, baseline]
            .map(|port| format!("http://{}/metrics", at(port.saturating_add(JUDGE_METRICS_OFFSET))));
        Self { metrics: metrics.into(), ..Self::at(at(candidate), at(baseline)) }
    }

    /// How long each server was kept from running by its limit of processor time since it started; nothing for one that
    /// does not say.
    pub(super) async fn throttled(&self) -> Vec<Option<Duration>> {
        let mut times = Vec::new();
        for url in &self.metrics {
            times.push(scraped(url).await.and_then(|text| throttled(&text)));
        }
        times
    }
}

async fn scraped(url: &str) -> Option<String> {
    let client = Client::builder().no_proxy().timeout(TIMEOUT).build().ok()?;
    client.get(url).send().await.ok()?.error_for_status().ok()?.text().await.ok()
}

fn throttled(metrics: &str) -> Option<Duration> {
    let seconds = metrics.lines().find_map(|line| line.strip_prefix(THROTTLED))?;
    Duration::try_from_secs_f64(seconds.trim().parse().ok()?).ok()
}

/// The longest that any was kept from running between two looks, of those that said so at both.
pub(super) fn longest(before: &[Option<Duration>], after: &[Option<Duration>]) -> Option<Duration> {
    let both = before.iter().zip(after).filter_map(|(before, after)| before.zip(*after));
    both.map(|(before, after)| after.saturating_sub(before)).max()
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::TcpListener;

    use super::*;

    #[test]
    fn servers_say_how_long_they_were_kept_from_running() {
        let text =
            "# TYPE slipway_cpu_throttled_seconds counter\nslipway_cpu_throttled_seconds_total 1.5\n# EOF\n";
        assert_eq!(throttled(text), Some(Duration::from_millis(1500)));
        assert_eq!(throttled("slipway_cpu_throttled_seconds_total -1\n"), None);
        assert_eq!(throttled("# EOF\n"), None);
        let second = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(longest(&[second(1), second(2)], &[second(2), second(5)]), second(3));
        assert_eq!(longest(&[second(1), None], &[second(2), second(5)]), second(1));
        assert_eq!(longest(&[second(1)], &[second(0)]), second(0), "it started anew");
        assert_eq!(longest(&[], &[]), None);
    }

    /// Answers one request with each text, and breaks the connection where there is none.
    async fn metrics(answers: [Option<&'static str>; 2]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/metrics", listener.local_addr().unwrap());
        tokio::spawn(async move {
            for answer in answers {
                let (mut stream, _) = listener.accept().await.unwrap();
                if let Some(answer) = answer {
                    let _asked = stream.read(&mut [0; 4096]).await.unwrap();
                    let head = format!(
                        "HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {}\r\n\r\n",
                        answer.len()
                    );
                    stream.write_all(format!("{head}{answer}").as_bytes()).await.unwrap();
                }
            }
        });
        url
    }

    #[tokio::test]
    async fn a_server_that_did_not_say_at_one_look_was_not_seen_to_be_kept_from_running() {
        let _installed = rustls::crypto::ring::default_provider().install_default();
        let five = Some("slipway_cpu_throttled_seconds_total 5\n");
        let six = Some("slipway_cpu_throttled_seconds_total 6\n");
        for (answers, seen) in [([five, six], Some(1)), ([None, six], None), ([five, None], None)] {
            let judges = Judges { metrics: vec![metrics(answers).await], ..Judges::on_ports(1, 2) };
            let before = judges.throttled().await;
            let longest = longest(&before, &judges.throttled().await);
            assert_eq!(longest, seen.map(Duration::from_secs), "{answers:?}");
        }
    }

    #[test]
    fn sidecars_have_their_metrics_where_the_plan_puts_them() {
        let judges = Judges::on_ports(8081, 8082);
        assert_eq!(judges.metrics, ["http://127.0.0.1:9081/metrics", "http://127.0.0.1:9082/metrics"]);
    }
}
