#include "commands/rotation/log_watch.h"

#include <catch2/catch.hpp>

#include "integrations/heroku/heroku.h"
#include "tests/unit/commands/story.h"

namespace keyturn::test {
namespace {

using integrations::LogLine;

LogWatch watch() { return {"canary", kStart, {"AuthenticationError", "api_key_expired"}}; }

// As Logplex writes it: microseconds and "+00:00".
LogLine line_at(TimePoint time, const std::string& text, const std::string& source = "app[web.1]") {
  std::string stamp = storage::to_iso8601(time);
  stamp.replace(stamp.size() - 1, 1, "000+00:00");
  return {.time = stamp, .source = source, .text = text};
}

}  // namespace

TEST_CASE("time counts as watched only while the log is connected") {
  LogWatch log = watch();
  log.seen_until(kStart + 1min);
  CHECK(log.totals().watched == 0min);
  log.connected(kStart + 1min);
  log.seen_until(kStart + 3min);
  log.disconnected(kStart + 4min);
  log.seen_until(kStart + 9min);
  log.connected(kStart + 9min);
  log.seen_until(kStart + 10min);
  CHECK(log.totals().watched == 4min);
  CHECK(log.totals().blind == 5min);
  CHECK(log.totals().gaps == 1);
}

TEST_CASE("a failure is found without regard to case, and kept redacted") {
  LogWatch log = watch();
  log.connected(kStart);
  log.line(line_at(kStart + 1s, "all is well"));
  CHECK_FALSE(log.failed());
  log.line(line_at(kStart + 2s, "stripe AUTHENTICATIONERROR with " + restricted_key()));
  REQUIRE(log.failed());
  CHECK(log.totals().failures.front().find(restricted_key()) == std::string::npos);
  CHECK(log.totals().lines == 2);
}

TEST_CASE("a line that is replayed after a reconnect is counted once") {
  LogWatch log = watch();
  log.connected(kStart);
  const auto line = line_at(kStart + 1s, "GET /pay 200");
  log.line(line);
  log.disconnected(kStart + 2s);
  log.connected(kStart + 3s);
  log.line(line);
  log.line(line_at(kStart + 4s, "GET /pay 200"));
  CHECK(log.totals().lines == 2);
}

TEST_CASE("lines from before the new key ran are ignored, as Heroku stamps them") {
  LogWatch log = watch();
  log.connected(kStart);
  log.line(line_at(kStart - 1s, "AuthenticationError"));
  CHECK_FALSE(log.failed());
  CHECK(log.totals().lines == 0);
  log.line(heroku::read_log_line("2001-01-01T09:43:35.300000+00:00 app[web.1]: AuthenticationError"));
  CHECK_FALSE(log.failed());
  log.line({.time = "", .source = "", .text = "AuthenticationError without a time"});
  CHECK(log.failed());
}

TEST_CASE("lines that Logplex says it dropped are a gap") {
  LogWatch log = watch();
  log.connected(kStart);
  for (const char* source : {"logplex[1]", "heroku[logplex]"}) {
    log.line(line_at(kStart + 1s, "Error L11 (Tail buffer overflow) -> This tail session dropped 17 messages",
                     source));
  }
  CHECK(log.totals().gaps == 2);
}

TEST_CASE("after a restart the watch goes on, and the time without it is a gap") {
  LogWatch before = watch();
  before.connected(kStart);
  before.seen_until(kStart + 3min);
  LogWatch after = watch();
  after.resume(before.totals(), kStart + 3min);
  after.connected(kStart + 13min);
  after.seen_until(kStart + 15min);
  CHECK(after.totals().watched == 5min);
  CHECK(after.totals().blind == 10min);
  CHECK(after.totals().gaps == 1);
}

TEST_CASE("a failure of any bytes can be written into the journal") {
  for (const std::string& text :
       {std::string("api_key_expired \xff\xfe\xc3"), "api_key_expired " + std::string(299, 'x') + "é",
        "api_key_expired " + std::string(258, 'x') + "ééééééé",
        "api_key_expired " + std::string(259, 'x') + "ééééééé"}) {
    LogWatch log = watch();
    log.line(line_at(kStart + 1s, text));
    REQUIRE(log.failed());
    CHECK_NOTHROW(data_of(WatchFinished{log.totals()}).dump());
  }
}

TEST_CASE("only the first few failures are kept") {
  LogWatch log = watch();
  for (int i = 0; i < 50; ++i) log.line(line_at(kStart + 1s * i, "api_key_expired"));
  CHECK(log.totals().failures.size() == 5);
  CHECK(log.totals().lines == 50);
}

}  // namespace keyturn::test
