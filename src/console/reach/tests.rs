//! Which hosts, origins and addresses are taken for what they say.

use axum::http::HeaderValue;

use super::*;

fn reach(listens_on: &str, url: Option<&str>) -> Reach {
    Reach::new(listens_on.parse().expect("an address"), url.map(|url| url.parse().expect("a URL")))
}

#[test]
fn on_this_machine_only_its_own_names_are_taken() {
    let local = reach("127.0.0.1", Some("https://ops.example.com/billing"));
    for own in ["localhost", "localhost:8080", "127.0.0.1:8080", "127.8.8.8", "[::1]:8080", "ops.example.com"] {
        assert!(local.is_own_host(own), "{own}");
    }
    for foreign in
        ["", "evil.example", "localhost.evil.example:8080", "10.0.0.1", "127.0.0.1.evil.example", "a@b@localhost/"]
    {
        assert!(!local.is_own_host(foreign), "{foreign}");
    }
    assert!(reach("0.0.0.0", None).is_own_host("anything.example"));
}

#[test]
fn an_origin_is_ours_where_it_is_the_host_that_was_asked_or_the_public_address() {
    let reach = reach("127.0.0.1", Some("https://ops.example.com/billing"));
    assert!(reach.is_own_origin("https://ops.example.com", Some("127.0.0.1:8080")));
    assert!(reach.is_own_origin("http://127.0.0.1:8080", Some("127.0.0.1:8080")));
    for foreign in ["null", "", "https://evil.example", "http://127.0.0.1:9090", "https://ops.example.com.evil.example"]
    {
        assert!(!reach.is_own_origin(foreign, Some("127.0.0.1:8080")), "{foreign}");
    }
}

#[test]
fn only_behind_a_proxy_is_a_forwarded_address_taken() {
    let mut headers = HeaderMap::new();
    headers.insert(FORWARDED_FOR, HeaderValue::from_static("1.1.1.1, 2.2.2.2"));
    let peer = IpAddr::from([127, 0, 0, 1]);
    assert_eq!(reach("127.0.0.1", None).client(&headers, peer), peer);
    let proxied = reach("127.0.0.1", Some("https://ops.example.com"));
    assert_eq!(proxied.client(&headers, peer), IpAddr::from([2, 2, 2, 2]));
    headers.insert(FORWARDED_FOR, HeaderValue::from_static("unknown"));
    assert_eq!(proxied.client(&headers, peer), peer);
}
