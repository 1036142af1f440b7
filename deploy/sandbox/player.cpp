#include "deploy/sandbox/player.h"

#include <spdlog/fmt/fmt.h>

#include <iostream>

#include "deploy/sandbox/evidence.h"
#include "deploy/sandbox/operator.h"
#include "deploy/sandbox/slack_people.h"
#include "deploy/sandbox/transcript.h"

namespace keyturn::sandbox {
namespace {

namespace asio = boost::asio;

struct Keys {
  std::string before, after;
};

// The whole life of one rotation. True when the channel was told that the old key is proven dead.
asio::awaitable<bool> go_through(Operator& ada, bool compromise, Keys& keys) {
  try {
    co_await ada.start(compromise ? "stripe prod --compromise" : "stripe prod");
    co_await ada.tick_boxes();
    const auto grace = co_await ada.instructed_grace();
    keys.after = co_await ada.rotate_in_dashboard(grace);
    co_await ada.hand_over(keys.after, grace);
    co_await ada.hears(kOpsChannel, "rotated and verified");
    co_await ada.hears(kOpsChannel, "expires soon");
    co_await ada.hears(kOpsChannel, "proven dead");
    co_return true;
  } catch (const Stuck& stuck) {
    ada.tell("player", std::string("STUCK: ") + stuck.what());
  } catch (const net::NetError& error) {
    ada.tell("player", std::string("STUCK: no answer: ") + error.what());
  }
  co_return false;
}

}  // namespace

asio::awaitable<int> play(asio::any_io_executor io, PlayOptions options) {
  Transcript transcript(std::cout);
  Operator ada(io, options.control, options.limit, transcript.teller());
  co_await ada.arrive();
  Evidence evidence(ada.http(), ada.places());
  Keys keys{.before = co_await evidence.key_in_infisical(), .after = {}};
  const bool announced = co_await go_through(ada, options.compromise, keys);

  ada.tell("auditor", "asks every system itself");
  auto facts = co_await evidence.collect(keys.before, keys.after);
  facts.push_back({.holds = announced,
                   .what = "the channel was told that the old key is proven dead",
                   .found = announced ? "it was" : "it was not"});
  bool rotated = true;
  for (const Fact& fact : facts) {
    transcript.tell("auditor", fact);
    rotated = rotated && fact.holds == true;
  }
  ada.tell("player",
           rotated ? "rotated, and the old key is proven dead" : "NOT rotated: see what is missing");
  co_return rotated ? 0 : 1;
}

}  // namespace keyturn::sandbox
