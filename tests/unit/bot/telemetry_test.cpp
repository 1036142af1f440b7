#include <catch2/catch.hpp>
#include <nlohmann/json.hpp>

#include "bot/log.h"
#include "bot/metrics.h"
#include "bot/status_pages.h"
#include "tests/unit/bot/exchanges.h"

namespace keyturn::bot {
namespace {

const storage::TimePoint kLogged = *storage::from_iso8601("2026-11-23T19:16:05.123Z");

bool holds(const std::string& text, const std::string& piece) {
  return text.find(piece) != std::string::npos;
}

TEST_CASE("a log line is one JSON object with time, level and event first") {
  CHECK(
      log::line(kLogged, log::Level::info, "rotation started", {{"rotation", "rot_1"}, {"actor", "U1"}}) ==
      R"({"time":"2026-11-23T19:16:05.123Z","level":"info","event":"rotation started","rotation":"rot_1","actor":"U1"})");
}

TEST_CASE("a credential doesn't reach the log, whichever way it comes") {
  const std::string key = std::string("rk_") + "live_" + std::string(24, 'x');
  const std::string token = std::string("xoxb-") + "123456789012-abcdefABCDEF";
  const std::string line =
      log::line(kLogged, log::Level::error, "refused " + key, {{"reason", "token=" + token + ";"}});
  CHECK_FALSE(holds(line, "xxxx"));
  CHECK_FALSE(holds(line, "abcdef"));
  CHECK(holds(line, "[redacted]"));
}

TEST_CASE("a stranger's bytes cost neither the line nor its shape") {
  const std::string line = log::line(kLogged, log::Level::warning, "odd", {{"text", "a\n\"b\"\xFF\x01"}});
  CHECK(line.find('\n') == std::string::npos);
  CHECK(nlohmann::json::parse(line).at("text").get<std::string>().starts_with("a\n\"b\""));
}

TEST_CASE("levels are known by their names only") {
  CHECK(log::set_level("debug"));
  CHECK_FALSE(log::set_level("verbose"));
  CHECK_FALSE(log::set_level(""));
  CHECK(log::set_level("info"));
}

TEST_CASE("a first scrape shows zeros instead of nothing") {
  const std::string text = Metrics().text();
  for (const char* line :
       {"keyturn_slack_ready 0", "keyturn_slack_reconnects_total 0", "keyturn_ack_failed_total 0",
        "keyturn_slack_num_connections 0", "keyturn_slack_connections_held 0",
        "keyturn_form_total{event=\"received\"} 0", "keyturn_ack_seconds_count 0"}) {
    CAPTURE(line);
    CHECK(holds(text, line));
  }
}

TEST_CASE("what is counted is shown under the names that the header promises") {
  Metrics metrics;
  metrics.rotations_open("watching", 2);
  metrics.drifts_open(1);
  metrics.rotation_closed("completed");
  metrics.step_took("validate", std::chrono::milliseconds(1500));
  metrics.acknowledged(std::chrono::milliseconds(4), /*sent=*/true);
  metrics.acknowledged(std::chrono::milliseconds(4), /*sent=*/false);
  metrics.socket_connections(2, 1);
  metrics.api_call("stripe", "GET /v1/customers", "granted");
  metrics.form("refused");
  const std::string text = metrics.text();
  for (const char* line : {"keyturn_drifts 1", "keyturn_rotations{state=\"watching\"} 2",
                           "keyturn_rotations_closed_total{outcome=\"completed\"} 1",
                           "keyturn_step_seconds_bucket{step=\"validate\",le=\"2.5\"} 1",
                           "keyturn_step_seconds_sum{step=\"validate\"} 1.5", "keyturn_ack_seconds_count 1",
                           "keyturn_ack_failed_total 1", "keyturn_slack_num_connections 2",
                           "keyturn_slack_connections_held 1", "keyturn_form_total{event=\"refused\"} 1"}) {
    CAPTURE(text);
    CHECK(holds(text, line));
  }
  CHECK(holds(text, "keyturn_api_calls_total{"));
}

TEST_CASE("only the loss of a usable socket counts as a reconnect") {
  Metrics metrics;
  for (const char* state :
       {"connecting", "connecting", "ready", "ready", "connecting", "connecting", "ready"}) {
    metrics.socket_link(state);
  }
  CHECK(holds(metrics.text(), "keyturn_slack_reconnects_total 1"));
  CHECK(holds(metrics.text(), "keyturn_slack_ready 1"));
}

TEST_CASE("the status pages say whether the process turns, is ready, and what it counted") {
  Metrics metrics;
  Readiness state{.ready = false, .why_not = "Slack is not connected"};
  const net::Handler pages = status_pages(metrics, [&state] { return state; });
  CHECK(run(pages, request("GET", "/healthz")).status == 200);
  CHECK(run(pages, request("GET", "/readyz")).status == 503);
  CHECK(run(pages, request("GET", "/readyz")).body == "not ready: Slack is not connected\n");
  state = {.ready = true};
  CHECK(run(pages, request("GET", "/readyz")).status == 200);
  const net::Response exposition = run(pages, request("GET", "/metrics"));
  CHECK(exposition.header("Content-Type") == "text/plain; version=0.0.4; charset=utf-8");
  CHECK(holds(exposition.body, "keyturn_slack_ready"));
  CHECK(run(pages, request("HEAD", "/metrics")).body.empty());
  CHECK(run(pages, request("GET", "/")).status == 404);
  const net::Response refused = run(pages, request("POST", "/readyz"));
  CHECK(refused.status == 405);
  CHECK(refused.header("Allow") == "GET, HEAD");
}

}  // namespace
}  // namespace keyturn::bot
