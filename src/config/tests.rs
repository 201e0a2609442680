//! What is read from the environment, and what is refused.

use super::*;

fn read(variables: &[(&str, &str)]) -> Result<Config, ConfigError> {
    Config::from_variables(variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())))
}

#[test]
fn defaults_hold_where_nothing_is_set() {
    let config = read(&[]).expect("valid");
    assert_eq!(config.lease, Duration::from_secs(15));
    assert_eq!(config.concurrency.of(Queue::Mail), 4);
    assert!(config.database_url.is_none());
}

#[test]
fn every_problem_is_named_at_once() {
    let error = read(&[
        ("REDIS_URL", "http://localhost"),
        ("BILLRUNNER_LEASE_SECS", "soon"),
        ("BILLRUNNER_CONCURENCY_MAIL", "4"),
        ("BILLRUNNER_OBJECT_STORE", "data"),
    ])
    .expect_err("refused")
    .to_string();
    for name in ["REDIS_URL", "BILLRUNNER_LEASE_SECS", "BILLRUNNER_CONCURENCY_MAIL", "BILLRUNNER_OBJECT_STORE"] {
        assert!(error.contains(name), "{name} is not in: {error}");
    }
}

#[test]
fn links_need_both_address_and_keys_and_no_error_shows_a_key() {
    let key = format!("a:{}", "5ec2e7".repeat(10) + "abcd");
    let url = ("BILLRUNNER_PUBLIC_URL", "https://billing.example.com");
    assert!(read(&[]).expect("valid").download_links.is_none());
    assert!(read(&[url, ("BILLRUNNER_LINK_KEYS", &key)]).expect("valid").download_links.is_some());
    for wrong in [vec![url], vec![("BILLRUNNER_LINK_KEYS", key.as_str())]] {
        let error = read(&wrong).expect_err("half of it").to_string();
        assert!(error.contains("go together") && !error.contains("5ec2e7"), "{error}");
    }
    let error = read(&[url, ("BILLRUNNER_LINK_KEYS", "a:5ec2e7")]).expect_err("short").to_string();
    assert!(error.contains("BILLRUNNER_LINK_KEYS: not one or two keys") && !error.contains("5ec2e7"), "{error}");
    let config = read(&[url, ("BILLRUNNER_LINK_KEYS", &key)]).expect("valid");
    assert!(!format!("{config:?}").contains("5ec2e7"));
}

#[test]
fn traces_are_exported_where_a_collector_is_named_and_nobody_says_otherwise() {
    let endpoint = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://collector.example:4318");
    let alone = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://collector.example/v1/traces");
    let exports = |variables: &[(&str, &str)]| read(variables).expect("valid").exports_traces;
    assert!(!exports(&[]) && !exports(&[("OTEL_SERVICE_NAME", "billing")]));
    assert!(exports(&[endpoint]) && exports(&[alone]));
    assert!(exports(&[endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/protobuf")]));
    assert!(!exports(&[endpoint, ("OTEL_SDK_DISABLED", "true")]));
    assert!(!exports(&[endpoint, ("OTEL_TRACES_EXPORTER", "none")]));
    for (wrong, says) in [
        (vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "collector:4318")], "OTEL_EXPORTER_OTLP_ENDPOINT must be a URL"),
        (
            vec![("OTEL_EXPORTER_OTLP_ENDPOINT", "http://me:hunter2@collector")],
            "a login belongs into OTEL_EXPORTER_OTLP_HEADERS",
        ),
        (vec![endpoint, ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc")], "is `grpc`; known: http/protobuf"),
    ] {
        let error = read(&wrong).expect_err("refused").to_string();
        assert!(error.contains(says) && !error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_setting_that_moved_says_where() {
    let error = read(&[("BILLRUNNER_RETENTION_DAYS", "30")]).expect_err("moved").to_string();
    assert!(error.contains("the schedule prune-jobs"), "{error}");
}

#[test]
fn secrets_are_not_shown() {
    let config = read(&[("DATABASE_URL", "postgres://user:hunter2@localhost/db")]).expect("valid");
    assert!(!format!("{config:?}").contains("hunter2"));
}

#[test]
fn the_example_file_lists_every_variable() {
    assert_eq!(include_str!("../../.env.example"), example());
}
