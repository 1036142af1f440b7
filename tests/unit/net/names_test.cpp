// Names: asked for once by however many, remembered for a while, forgotten when they lead nowhere.
#include "integrations/net/names.h"

#include <boost/asio/post.hpp>
#include <catch2/catch.hpp>
#include <deque>

#include "integrations/net/within.h"
#include "tests/unit/net/test_server.h"

using namespace keyturn;
using namespace keyturn::net;
using namespace std::chrono_literals;
namespace asio = boost::asio;

namespace {

const auto kOne = asio::ip::make_address("192.0.2.1");
const auto kOther = asio::ip::make_address("192.0.2.2");

// Answers when the test says so.
struct Directory {
  std::vector<std::string> asked;
  std::deque<std::function<void(Found)>> waiting;

  std::shared_ptr<Names> names(storage::Duration kept = 1h) {
    return std::make_shared<Names>(
        [this](const asio::any_io_executor&, const std::string& host, std::function<void(Found)> done) {
          asked.push_back(host);
          waiting.push_back(std::move(done));
        },
        kept);
  }
  void answer(Found found) {
    auto done = std::move(waiting.front());
    waiting.pop_front();
    done(std::move(found));
  }
};

// What a caller got: addresses, or the error in words.
struct Got {
  std::vector<asio::ip::address> addresses;
  std::string error;
  bool sent = true;
  bool ended = false;
};

asio::awaitable<void> ask(std::shared_ptr<Names> names, std::string host, Got& got) {
  try {
    got.addresses = co_await Names::addresses(names, host);
  } catch (const NetError& error) {
    got.error = error.what();
    got.sent = error.sent;
  }
  got.ended = true;
}

// `answer`: what the directory says when it is asked, which it need not be.
Got asked_now(Loop& loop, Directory& directory, const std::shared_ptr<Names>& names, Found answer) {
  Got got;
  loop.run([](Directory& one, std::shared_ptr<Names> of, Found with, Got& into) -> asio::awaitable<void> {
    std::vector<asio::awaitable<void>> both;
    both.push_back(ask(of, "api.example", into));
    both.push_back([](Directory& who, Found what) -> asio::awaitable<void> {
      co_await sleep_for(1ms);
      if (!who.waiting.empty()) who.answer(std::move(what));
    }(one, std::move(with)));
    co_await all(std::move(both));
  }(directory, names, std::move(answer), got));
  REQUIRE(got.ended);
  return got;
}

}  // namespace

TEST_CASE("a hundred that want the same name at once ask for it once") {
  Loop loop;
  Directory directory;
  const auto names = directory.names();
  std::vector<Got> got(100);
  loop.run([](Directory& one, std::shared_ptr<Names> of, std::vector<Got>& into) -> asio::awaitable<void> {
    std::vector<asio::awaitable<void>> callers;
    for (Got& each : into) callers.push_back(ask(of, "api.example", each));
    callers.push_back([](Directory& who) -> asio::awaitable<void> {
      co_await sleep_for(5ms);
      who.answer({.addresses = {kOne, kOther}, .error = {}});
    }(one));
    co_await all(std::move(callers));
  }(directory, names, got));
  CHECK(directory.asked == std::vector<std::string>{"api.example"});
  for (const Got& each : got) CHECK(each.addresses == std::vector{kOne, kOther});
}

TEST_CASE("an answer is used again, until its time is over or it led nowhere") {
  Loop loop;
  Directory directory;
  SECTION("in its time") {
    const auto names = directory.names();
    CHECK(asked_now(loop, directory, names, {.addresses = {kOne}, .error = {}}).addresses ==
          std::vector{kOne});
    CHECK(asked_now(loop, directory, names, {.addresses = {kOther}, .error = {}}).addresses ==
          std::vector{kOne});
    CHECK(directory.asked.size() == 1);
    names->forget("another.example");
    CHECK(asked_now(loop, directory, names, {.addresses = {kOther}, .error = {}}).addresses ==
          std::vector{kOne});
    names->forget("api.example");
    CHECK(asked_now(loop, directory, names, {.addresses = {kOther}, .error = {}}).addresses ==
          std::vector{kOther});
    CHECK(directory.asked.size() == 2);
  }
  SECTION("past its time") {
    const auto names = directory.names(0ms);
    CHECK(asked_now(loop, directory, names, {.addresses = {kOne}, .error = {}}).addresses ==
          std::vector{kOne});
    CHECK(asked_now(loop, directory, names, {.addresses = {kOther}, .error = {}}).addresses ==
          std::vector{kOther});
  }
}

TEST_CASE("a name without an address is a failure before anything was sent, and is asked for again") {
  Loop loop;
  Directory directory;
  const auto names = directory.names();
  const Got none = asked_now(loop, directory, names, {.addresses = {}, .error = "host not found"});
  CHECK(none.error == "api.example has no address: host not found");
  CHECK_FALSE(none.sent);
  CHECK(asked_now(loop, directory, names, {.addresses = {kOne}, .error = {}}).addresses == std::vector{kOne});
}

TEST_CASE("who stops waiting for a name takes it from nobody else") {
  Loop loop;
  Directory directory;
  const auto names = directory.names();
  Got impatient;
  Got patient;
  loop.run([](Directory& one, std::shared_ptr<Names> of, Got& first, Got& second) -> asio::awaitable<void> {
    std::vector<asio::awaitable<void>> callers;
    callers.push_back([](std::shared_ptr<Names> in, Got& into) -> asio::awaitable<void> {
      CHECK_FALSE(co_await within(1ms, ask(in, "api.example", into)));
    }(of, first));
    callers.push_back(ask(of, "api.example", second));
    callers.push_back([](Directory& who, std::shared_ptr<Names> in) -> asio::awaitable<void> {
      co_await sleep_for(20ms);
      in->forget("api.example");  // one that is under way is newer than whatever failed
      who.answer({.addresses = {kOne}, .error = {}});
    }(one, of));
    co_await all(std::move(callers));
  }(directory, names, impatient, patient));
  CHECK_FALSE(impatient.ended);
  CHECK(patient.addresses == std::vector{kOne});
  CHECK(asked_now(loop, directory, names, {.addresses = {kOther}, .error = {}}).addresses ==
        std::vector{kOne});
}

TEST_CASE("a lookup that can't begin is tried again by whoever comes next") {
  Loop loop;
  int asked = 0;
  const auto names = std::make_shared<Names>(
      [&asked](const asio::any_io_executor& io, const std::string&, std::function<void(Found)> done) {
        if (++asked == 1) throw std::runtime_error("no thread for it");
        asio::post(io, [done = std::move(done)] { done({.addresses = {kOne}, .error = {}}); });
      },
      1h);
  Got got;
  CHECK_THROWS_WITH(loop.run(ask(names, "api.example", got)), "no thread for it");
  loop.run(ask(names, "api.example", got));
  CHECK(got.addresses == std::vector{kOne});
}

TEST_CASE("an address is its own name, and the system knows localhost") {
  Loop loop;
  Directory directory;
  Got literal;
  Got local;
  loop.run(ask(directory.names(), "192.0.2.1", literal));
  CHECK(literal.addresses == std::vector{kOne});
  CHECK(directory.asked.empty());
  loop.run(ask(std::make_shared<Names>(), "localhost", local));
  REQUIRE_FALSE(local.addresses.empty());
  CHECK(local.addresses.front().is_loopback());
}
