//! The gate's verdicts, with the words that users read.

use std::time::Duration;

use serde_json::{Value, json};

use super::*;

mod times;

fn gate(min_samples: u64, checks: &Value) -> Gate {
    serde_json::from_value(json!({
        "data": "holdout",
        "task": { "classification": { "output": "p" } },
        "minSamples": min_samples,
        "checks": checks,
    }))
    .unwrap()
}

/// The digits example's gate, and what its network measured.
fn digits() -> (Gate, Measured) {
    let checks = json!([
        { "name": "acc", "accuracy": { "minimum": "0.93", "maxDrop": "0.02" } },
        { "name": "same", "parity": { "top1Agreement": "0.97" } },
        { "name": "small", "size": { "maxRatio": "0.35" } },
        { "name": "fast", "latency": { "p95": "50ms", "maxRatio": "1.1" } },
    ]);
    let tally = Tally {
        samples: 720,
        labelled: 720,
        candidate_right: 709,
        baseline_right: 708,
        lost: 0,
        gained: 1,
        agreed: 719,
        ..Tally::default()
    };
    let sizes = Sizes { candidate: 32_221, baseline: 107_935 };
    (gate(700, &checks), Measured { tally, sizes, race: Some(race(250, 500, 1000)) })
}

/// A race of so many pairs in which each time is the same but for one percent, in microseconds.
fn race(candidate: u64, baseline: u64, pairs: u64) -> Race {
    let mut race = Race::default();
    for pair in 0..pairs {
        let of = |time: u64| Duration::from_nanos(time * 990 + time * 20 * (pair * 7 % 97) / 97);
        race.candidate.record(of(candidate));
        race.baseline.record(of(baseline));
    }
    race
}

fn words(status: &GateStatus) -> Vec<(&str, Verdict, &str)> {
    status.checks.iter().map(|c| (c.name.as_str(), c.verdict, c.message.as_str())).collect()
}

#[test]
fn the_digits_example_passes_and_says_measured_bound_and_wanted() {
    let (gate, measured) = digits();
    let status = judge(&gate, &measured);
    assert_eq!((status.verdict, status.samples), (Verdict::Pass, 720));
    assert_eq!(status.accuracy.as_deref(), Some("0.9847"));
    assert_eq!(
        words(&status),
        [
            (
                "acc.minimum",
                Verdict::Pass,
                "accuracy 0.9847 (709 of 720), lower bound 0.9752, wanted at least 0.93"
            ),
            (
                "acc.maxDrop",
                Verdict::Pass,
                "drop -0.0014 (0 lost, 1 gained of 720), upper bound 0.0024, wanted at most 0.02"
            ),
            (
                "same",
                Verdict::Pass,
                "top-1 agreement 0.9986 (719 of 720), lower bound 0.9934, wanted at least 0.97"
            ),
            ("small", Verdict::Pass, "size ratio 0.2985 (32,221 of 107,935 bytes), wanted at most 0.35"),
            ("fast.p95", Verdict::Pass, "p95 0.25ms, upper bound 0.25ms, wanted at most 50ms"),
            (
                "fast.maxRatio",
                Verdict::Pass,
                "p95 0.50 times the baseline's (0.25ms against 0.50ms), upper bound 0.50, wanted at most 1.1"
            ),
        ]
    );
    let minimum = &status.checks[0];
    assert_eq!((minimum.method.as_deref(), minimum.n), (Some("wilson"), 720));
    assert_eq!(minimum.reference.as_deref(), Some("0.9833"));
}

#[test]
fn a_failed_check_fails_the_gate_and_says_the_bound_that_excludes_it() {
    let (gate, mut measured) = digits();
    measured.tally = Tally { candidate_right: 600, lost: 108, gained: 0, agreed: 612, ..measured.tally };
    measured.sizes.candidate = 107_935;
    let status = judge(&gate, &measured);
    assert_eq!(status.verdict, Verdict::Fail);
    let failed: Vec<_> =
        words(&status).into_iter().filter(|(_, verdict, _)| *verdict == Verdict::Fail).collect();
    assert_eq!(failed.len(), 4);
    assert!(
        failed[0].2.contains("upper bound 0.8") && failed[0].2.contains("wanted at least 0.93"),
        "{failed:?}"
    );
    assert!(failed[1].2.contains("108 lost") && failed[1].2.contains("lower bound"), "{failed:?}");
}

#[test]
fn too_few_samples_are_never_a_pass_and_the_words_say_how_many() {
    let (_, mut measured) = digits();
    measured.tally = Tally {
        samples: 100,
        labelled: 100,
        candidate_right: 95,
        baseline_right: 95,
        agreed: 100,
        ..Tally::default()
    };
    let checks = json!([{ "name": "acc", "accuracy": { "minimum": "0.93" } }, { "name": "same", "parity": { "top1Agreement": "0.9" } }]);
    let status = judge(&gate(50, &checks), &measured);
    assert_eq!(status.verdict, Verdict::Inconclusive);
    assert!(
        status.checks[0].message.contains("not enough samples to tell: at this rate about "),
        "{status:?}"
    );
    assert_eq!((status.checks[0].name.as_str(), status.checks[1].verdict), ("acc", Verdict::Pass));
    let status = judge(&gate(101, &checks), &measured);
    assert_eq!(status.checks[1].verdict, Verdict::Inconclusive);
    assert!(status.checks[1].message.starts_with("100 samples, minSamples wants 101; top-1"), "{status:?}");
}

#[test]
fn one_answer_that_is_no_number_fails_whatever_the_counts_say() {
    let (gate, mut measured) = digits();
    measured.tally.non_finite = 1;
    let status = judge(&gate, &measured);
    assert_eq!(status.verdict, Verdict::Fail);
    let first = &words(&status)[0];
    assert_eq!(*first, (FINITE, Verdict::Fail, "1 of 720 answers are NaN or infinite"));
    assert_eq!(judge(&gate_of_sizes(), &measured).verdict, Verdict::Fail);
}

#[test]
fn a_baseline_that_does_not_answer_leaves_open_what_is_compared_with_it() {
    let (gate, mut measured) = digits();
    measured.tally = Tally {
        baseline_right: 0,
        lost: 0,
        gained: 709,
        agreed: 0,
        baseline_non_finite: 720,
        ..measured.tally
    };
    let status = judge(&gate, &measured);
    let verdicts: Vec<_> = words(&status)[..3].iter().map(|(name, verdict, _)| (*name, *verdict)).collect();
    let [pass, open] = [Verdict::Pass, Verdict::Inconclusive];
    assert_eq!(verdicts, [("acc.minimum", pass), ("acc.maxDrop", open), ("same", open)]);
    let words = "720 of 720 answers of the baseline are NaN or infinite, so nothing can be compared with them: \
                 give data that it answers, or take another baseline";
    assert_eq!((status.checks[1].message.as_str(), status.checks[2].message.as_str()), (words, words));
    assert_eq!((status.checks[1].measured.as_ref(), status.checks[1].n), (None, 720));
    measured.tally = Tally { agreed: 719, gained: 0, baseline_non_finite: 1, ..measured.tally };
    assert_eq!(judge(&gate, &measured).verdict, Verdict::Inconclusive, "one of them is enough");
}

#[test]
fn what_fails_however_the_baseline_would_have_answered_fails() {
    let (gate, mut measured) = digits();
    let broken = |lost: u64, agreed: u64| Tally {
        samples: 10_000,
        labelled: 10_000,
        candidate_right: 9_999 - lost,
        baseline_right: 9_999,
        lost,
        gained: 0,
        agreed,
        baseline_non_finite: 1,
        ..Tally::default()
    };
    measured.tally = broken(9_000, 1_000);
    let status = judge(&gate, &measured);
    assert_eq!(status.verdict, Verdict::Fail);
    let [drop, agreement] = [&status.checks[1], &status.checks[2]];
    assert_eq!((drop.verdict, agreement.verdict), (Verdict::Fail, Verdict::Fail), "{status:?}");
    assert!(drop.message.starts_with("drop 0.9000 (9,000 lost, 0 gained of 10,000), "), "{}", drop.message);
    assert!(
        agreement.message.starts_with("top-1 agreement 0.1001 (1,001 of 10,000), "),
        "{}",
        agreement.message
    );
    let words = "; 1 of 10,000 answers of the baseline are NaN or infinite, and count as if the candidate's were the same";
    assert!(drop.message.ends_with(words) && agreement.message.ends_with(words), "{status:?}");
    // Had the baseline agreed where it did not answer, these would not be too few.
    measured.tally = Tally { baseline_non_finite: 300, ..broken(0, 9_700) };
    assert_eq!(judge(&gate, &measured).checks[2].verdict, Verdict::Inconclusive);
}

#[test]
fn answers_that_are_no_numbers_are_told_apart_from_wrong_ones() {
    let (gate, mut measured) = digits();
    measured.tally = Tally { candidate_right: 708, non_finite: 3, labelled_non_finite: 2, ..measured.tally };
    let status = judge(&gate, &measured);
    let said = words(&status);
    assert!(said[1].2.starts_with("accuracy 0.9833 (708 of 720, 2 NaN or infinite), "), "{said:?}");
    assert!(said[3].2.starts_with("top-1 agreement 0.9986 (719 of 720, 3 NaN or infinite), "), "{said:?}");
}

/// A gate that counts no samples.
fn gate_of_sizes() -> Gate {
    gate(8, &json!([{ "name": "small", "size": { "maxRatio": "0.35" } }]))
}

#[test]
fn nothing_measured_is_not_a_pass() {
    let (gate, mut measured) = digits();
    measured.tally = Tally::default();
    measured.sizes.baseline = 0;
    measured.race = None;
    let status = judge(&gate, &measured);
    assert_eq!(status.verdict, Verdict::Inconclusive);
    assert_eq!(status.accuracy, None);
    assert!(words(&status).iter().all(|(_, verdict, _)| *verdict != Verdict::Pass), "{status:?}");
    assert_eq!(overall(&[]), Verdict::Inconclusive);
}

#[test]
fn parity_needs_no_labels_and_accuracy_says_that_it_does() {
    let (gate, mut measured) = digits();
    measured.tally = Tally { samples: 720, agreed: 720, ..Tally::default() };
    let status = judge(&gate, &measured);
    assert_eq!(status.checks[0].message, "there are no labels");
    assert_eq!(status.checks[2].verdict, Verdict::Pass);
}

#[test]
fn a_confidence_of_one_judges_nothing() {
    let (mut gate, measured) = digits();
    gate.confidence = "1".parse().unwrap();
    let status = judge(&gate, &measured);
    assert_eq!(status.verdict, Verdict::Inconclusive);
    assert_eq!(status.checks[0].message, "confidence 1 is not at least 0.5 and below 1");
}
