// Time that nobody looked is no watched time.
#include <catch2/catch.hpp>

#include "commands/rotation/log_watch.h"
#include "tests/unit/commands/story.h"

namespace keyturn::test {

TEST_CASE("a clock that is set forward, or a process that was stopped, doesn't finish a watch") {
  LogWatch log("canary", kStart, {"AuthenticationError"});
  log.connected(kStart);
  log.looked(kStart + 1s);
  log.looked(kStart + 1h);
  CHECK(log.totals().watched == 1s);
  CHECK(log.totals().blind == 1h - 1s);
  CHECK(log.totals().gaps == 1);
  log.looked(kStart + 1h + 1s);
  CHECK(log.totals().watched == 2s);
}

TEST_CASE("a clock that is set back holds up no watch and takes nothing away") {
  LogWatch log("canary", kStart, {"AuthenticationError"});
  log.connected(kStart);
  log.looked(kStart + 2s);
  log.looked(kStart - 1h);
  log.looked(kStart - 1h + 1s);
  CHECK(log.totals().watched == 3s);
  CHECK(log.totals().blind == 0s);
  CHECK(log.totals().gaps == 1);
}

}  // namespace keyturn::test
