//! Verdicts on times of requests.

use super::*;

#[test]
fn without_a_threshold_what_is_slower_than_the_baseline_fails() {
    let fast = gate(8, &json!([{ "name": "fast", "latency": {} }]));
    let (_, mut measured) = digits();
    let mut judged = |race| {
        measured.race = Some(race);
        judge(&fast, &measured).checks.remove(0)
    };
    let slow = judged(race(650, 100, 1000));
    let words = "p95 6.50 times the baseline's (0.66ms against 0.10ms), lower bound 6.49, wanted at most 1.0";
    assert_eq!((slow.verdict, slow.message.as_str()), (Verdict::Fail, words));
    assert_eq!((slow.threshold.as_deref(), slow.n), (Some("1.0"), 1000), "the ratio is the default");
    assert_eq!((slow.measured.as_deref(), slow.reference.as_deref()), (Some("6.5000"), Some("0.10ms")));

    let few = judged(race(50, 100, 30));
    let words = "p95 0.50 times the baseline's (0.05ms against 0.10ms), wanted at most 1.0; \
                 30 requests were timed, 59 are needed: \
                 judge on smaller samples, or give both models more processors";
    assert_eq!((few.verdict, few.message.as_str()), (Verdict::Inconclusive, words));
    assert_eq!((few.low, few.high), (None, None), "there is no bound");
}

#[test]
fn a_bound_that_does_not_exist_is_left_out() {
    let (_, measured) = digits();
    let mut fast = gate(8, &json!([{ "name": "fast", "latency": { "p95": "50ms", "maxRatio": "1.1" } }]));
    fast.confidence = "0.99999".parse().unwrap();
    let text = serde_json::to_value(judge(&fast, &measured)).unwrap();
    for check in text["checks"].as_array().unwrap() {
        assert_eq!((check.get("low"), check.get("high")), (None, None), "{check}");
        assert_eq!(check["verdict"], json!("Inconclusive"));
        let message = check["message"].as_str().unwrap();
        assert!(message.ends_with("so high a confidence has no bound: ask for at most 0.9999"), "{message}");
    }
    assert!(!text.to_string().contains("inf"), "{text}");
}

#[test]
fn times_under_a_limit_of_the_processor_do_not_count() {
    let fast = gate(8, &json!([{ "name": "fast", "latency": { "p95": "50ms", "maxRatio": "1.1" } }]));
    let (_, mut measured) = digits();
    let mut verdicts = |throttled| {
        let race = Race { took: Duration::from_secs(20), throttled: Some(throttled), ..race(250, 500, 1000) };
        measured.race = Some(race);
        judge(&fast, &measured).checks
    };
    let little = verdicts(Duration::from_millis(190));
    assert!(little.iter().all(|check| check.verdict == Verdict::Pass), "{little:?}");
    let much = verdicts(Duration::from_secs(2));
    assert!(
        much.iter().all(|check| check.verdict == Verdict::Inconclusive && check.high.is_some()),
        "{much:?}"
    );
    let words = "p95 0.25ms, upper bound 0.25ms, wanted at most 50ms; not judged: the CPU limit paused a server or the job for 2.0 \
                 of 20.0 seconds: raise limits.cpu of serving.resources and jobs.resources, or leave it out";
    assert_eq!(much[0].message, words);
}

#[test]
fn what_is_too_slow_without_the_time_that_was_withheld_fails() {
    let fast = gate(8, &json!([{ "name": "fast", "latency": { "p95": "50ms", "maxRatio": "1.1" } }]));
    let (_, mut measured) = digits();
    let mut verdicts = |candidate, throttled| {
        let race = Race {
            took: Duration::from_secs(200),
            throttled: Some(throttled),
            ..race(candidate, 40_000, 1000)
        };
        measured.race = Some(race);
        judge(&fast, &measured).checks.iter().map(|check| check.verdict).collect::<Vec<_>>()
    };
    let [fail, open] = [Verdict::Fail, Verdict::Inconclusive];
    assert_eq!(verdicts(100_000, Duration::from_secs(3)), [fail, fail]);
    // Half of the time goes to each model, and a third of it could be the limit's.
    assert_eq!(verdicts(100_000, Duration::from_mins(1)), [open, open]);
    assert_eq!(verdicts(60_000, Duration::from_secs(3)), [fail, fail]);
    assert_eq!(verdicts(52_000, Duration::from_secs(3)), [open, fail]);
}

#[test]
fn what_is_slower_by_more_than_the_baseline_than_itself_fails() {
    let fast = gate(8, &json!([{ "name": "fast", "latency": { "maxRatio": "1.1" } }]));
    let (_, mut measured) = digits();
    let mut verdict = |candidate| {
        let mut race = Race::default();
        for pair in 0..1000_u64 {
            race.candidate.record(Duration::from_micros(candidate));
            race.baseline.record(Duration::from_micros(if [0, 1, 6, 7].contains(&(pair % 8)) {
                500
            } else {
                540
            }));
        }
        measured.race = Some(race);
        judge(&fast, &measured).checks.remove(0).verdict
    };
    assert_eq!(verdict(3000), Verdict::Fail);
    assert_eq!(verdict(620), Verdict::Inconclusive);
    assert_eq!(verdict(250), Verdict::Inconclusive);
}

#[test]
fn models_are_not_told_apart_where_the_baseline_is_not_itself() {
    let fast = gate(8, &json!([{ "name": "fast", "latency": { "p95": "50ms", "maxRatio": "1.1" } }]));
    let (_, mut measured) = digits();
    let mut race = Race::default();
    for pair in 0..1000_u64 {
        race.candidate.record(Duration::from_micros(250));
        race.baseline.record(Duration::from_micros(if [0, 1, 6, 7].contains(&(pair % 8)) {
            500
        } else {
            540
        }));
    }
    measured.race = Some(race);
    let [p95, ratio] = <[CheckStatus; 2]>::try_from(judge(&fast, &measured).checks).unwrap();
    assert_eq!(
        (p95.verdict, ratio.verdict),
        (Verdict::Pass, Verdict::Inconclusive),
        "the first compares nothing"
    );
    let words = "; not judged: the baseline looks 1.08 times as slow as itself, more than 1.05: \
                 measure where less else runs";
    assert!(ratio.message.ends_with(words), "{}", ratio.message);
}

#[test]
fn times_that_overlap_are_inconclusive_and_the_words_say_what_to_do() {
    let fast = gate(8, &json!([{ "name": "fast", "latency": {} }]));
    let (_, mut measured) = digits();
    let mut race = Race::default();
    for pair in 0..500_u64 {
        race.candidate.record(Duration::from_micros(1000 + pair * 37 % 500));
        race.baseline.record(Duration::from_micros(1000 + pair * 41 % 500));
    }
    measured.race = Some(race);
    let status = judge(&fast, &measured).checks.remove(0);
    assert_eq!(status.verdict, Verdict::Inconclusive);
    assert!(
        status.message.contains("bounds 0.9") && status.message.contains("and 1.0"),
        "{}",
        status.message
    );
    assert!(status.message.ends_with("; too near to tell: allow more, or measure where less else runs"));
}
