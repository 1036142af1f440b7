#include "integrations/net/certificate.h"

#include <catch2/catch.hpp>
#include <filesystem>

#include "integrations/net/http_date.h"
#include "tests/unit/net/certificates.h"

namespace keyturn::net {

TEST_CASE("a certificate is read with its dates, its names and whether the key is its own") {
  const TlsFiles files("DNS:keyturn.example.com,IP:127.0.0.1");
  const auto facts = inspect_certificate(files.certificate_file, files.key_file, "keyturn.example.com");
  REQUIRE(facts);
  CHECK(facts->key_fits);
  CHECK(facts->names_the_host);
  CHECK(facts->ends - facts->begins == std::chrono::hours(2));
  CHECK(inspect_certificate(files.certificate_file, files.key_file, "127.0.0.1")->names_the_host);
  CHECK_FALSE(inspect_certificate(files.certificate_file, files.key_file, "127.0.0.2")->names_the_host);
  CHECK_FALSE(inspect_certificate(files.certificate_file, files.key_file, "example.com")->names_the_host);
}

TEST_CASE("another certificate's key is noticed") {
  const TlsFiles files;
  const TlsFiles others;
  const auto facts = inspect_certificate(files.certificate_file, others.key_file, "localhost");
  REQUIRE(facts);
  CHECK_FALSE(facts->key_fits);
}

TEST_CASE("a file that holds no certificate or no key is named") {
  const TlsFiles files;
  CHECK(
      inspect_certificate("/nowhere/cert.pem", files.key_file, "h").error().starts_with("/nowhere/cert.pem"));
  CHECK(inspect_certificate(files.key_file, files.key_file, "h").error().find("no certificate") !=
        std::string::npos);
  CHECK(inspect_certificate(files.certificate_file, files.certificate_file, "h")
            .error()
            .find("no private key") != std::string::npos);
}

TEST_CASE("an HTTP date is read as it is written, and nothing else is") {
  const auto time = from_http_date("Sun, 06 Nov 1994 08:49:37 GMT");
  REQUIRE(time);
  CHECK(storage::to_iso8601(*time) == "1994-11-06T08:49:37.000Z");
  CHECK(to_http_date(*time) == "Sun, 06 Nov 1994 08:49:37 GMT");
  for (const char* text : {"", "Mon, 06 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 08:49:37 UTC",
                           "Sunday, 06-Nov-94 08:49:37 GMT", "Sun, 31 Feb 1994 08:49:37 GMT",
                           "Sun, 06 Nov 1994 25:49:37 GMT", "Sun  06 Nov 1994 08:49:37 GMT"}) {
    CHECK_FALSE(from_http_date(text));
  }
}

}  // namespace keyturn::net
