// URLs, and what is encoded into them.
#include "integrations/net/url.h"

#include <catch2/catch.hpp>

using namespace keyturn::net;

TEST_CASE("a URL is taken apart into what a connection and a request line need") {
  const auto url = parse_url("https://api.stripe.com/v1/balance?a=b#top");
  REQUIRE(url);
  CHECK(url->scheme == "https");
  CHECK(url->host == "api.stripe.com");
  CHECK(url->port == 443);
  CHECK(url->target == "/v1/balance?a=b");
  CHECK(url->secure());
  CHECK(url->origin() == "https://api.stripe.com");
  CHECK(url->authority() == "api.stripe.com");
}

TEST_CASE("a URL without a path asks for the root") {
  CHECK(parse_url("http://localhost:81")->target == "/");
  CHECK(parse_url("http://localhost?x=1")->target == "/?x=1");
}

TEST_CASE("a port that isn't the scheme's own is part of origin and authority") {
  CHECK(parse_url("https://example.com:8443")->authority() == "example.com:8443");
  CHECK(parse_url("https://example.com:443")->origin() == "https://example.com");
  CHECK(parse_url("wss://[2001:DB8::1]:8443/x")->origin() == "wss://[2001:db8::1]:8443");
  CHECK(parse_url("ws://[::1]")->host == "::1");
}

TEST_CASE("scheme and host are lower case, the path is as it was") {
  const auto url = parse_url("HTTPS://Example.COM/Path");
  REQUIRE(url);
  CHECK(url->origin() == "https://example.com");
  CHECK(url->target == "/Path");
}

TEST_CASE("what is no URL of ours is refused") {
  for (const auto* text : {"", "example.com", "ftp://example.com", "https://", "https:///path",
                           "https://a:b@host/", "https://host:0", "https://host:65536", "https://host:",
                           "https://host:80x", "https://ho st", "https://host/a b", "https://host/\r\nX: y",
                           "https://[::1", "https://[::1]x", "https://[zz]", "https://ho\"st"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_url(text));
  }
}

TEST_CASE("only addresses of this machine count as loopback") {
  for (const auto* text : {"http://127.0.0.1", "http://127.8.9.10:80", "http://[::1]/", "http://localhost"}) {
    CAPTURE(text);
    CHECK(parse_url(text)->loopback());
  }
  for (const auto* text : {"http://10.0.0.1", "http://localhost.example.com", "http://127.0.0.1.example.com",
                           "http://[::2]", "http://0.0.0.0"}) {
    CAPTURE(text);
    CHECK_FALSE(parse_url(text)->loopback());
  }
}

TEST_CASE("percent-encoding leaves only unreserved characters and can be undone") {
  CHECK(percent_encode("a-b._~Z9") == "a-b._~Z9");
  CHECK(percent_encode("a b&c=d/\xc3\xa9+") == "a%20b%26c%3Dd%2F%C3%A9%2B");
  CHECK(percent_decode("a%20b%2Fc%c3%A9") == "a b/c\xc3\xa9");
  CHECK(percent_decode("100%") == "100%");
  CHECK(percent_decode("%4") == "%4");
  CHECK(percent_decode("%zz") == "%zz");
  CHECK(percent_decode("%41") == "A");
}

TEST_CASE("form fields are encoded on both sides") {
  CHECK(form_encode({{"a", "1"}, {"b c", "x&y"}}) == "a=1&b%20c=x%26y");
  CHECK(form_encode({}).empty());
}
