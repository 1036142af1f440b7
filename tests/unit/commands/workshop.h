// The performer with vendors that answer from what a test put there, and a journal in memory.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <deque>
#include <functional>

#include "commands/rotation/performer.h"
#include "integrations/error.h"
#include "tests/unit/commands/memory_journal.h"
#include "tests/unit/commands/story.h"

namespace keyturn::test {

namespace asio = boost::asio;
using integrations::Dyno;
using integrations::Release;
using integrations::ReleaseStatus;

struct StoppedClock final : storage::Clock {
  TimePoint now() const override { return kStart; }
};

inline storage::SharedSecret secret(char filler) {
  return storage::share(storage::Secret::copy_of(restricted_key(filler)));
}

inline Release release(int version, ReleaseStatus status = ReleaseStatus::succeeded) {
  return {.id = "r",
          .version = version,
          .status = status,
          .user = {},
          .description = {},
          .slug = "code-1",
          .request_id = {}};
}

struct QuietLog final : integrations::LogStream {
  asio::awaitable<std::variant<integrations::LogLine, integrations::LogQuiet, integrations::LogEnded>> next(
      storage::Duration) override {
    co_return integrations::LogQuiet{};
  }
};

struct FakeHeroku final : integrations::Consumer {
  storage::SharedSecret held = secret('O');
  std::vector<Release> list = {release(10)};
  std::deque<std::vector<Dyno>> dyno_lists;  // one for each look; the last one stays
  std::function<void()> on_set;
  std::string released_again;

  asio::awaitable<integrations::AppInfo> info(std::string) override { co_return integrations::AppInfo{}; }
  asio::awaitable<integrations::ConfigValue> config(std::string, std::string) override {
    co_return integrations::ConfigValue{.value = held, .request_id = "her-1"};
  }
  asio::awaitable<std::string> set_config(std::string, std::string, storage::SharedSecret value) override {
    held = value;
    if (on_set) on_set();
    co_return "her-2";
  }
  asio::awaitable<std::vector<Release>> releases(std::string, int) override { co_return list; }
  asio::awaitable<Release> release_again(std::string, std::string slug) override {
    list.insert(list.begin(), release(list.front().version + 1, ReleaseStatus::pending));
    released_again = slug;
    co_return list.front();
  }
  asio::awaitable<std::vector<Dyno>> dynos(std::string) override {
    auto now = dyno_lists.front();
    if (dyno_lists.size() > 1) dyno_lists.pop_front();
    co_return now;
  }
  asio::awaitable<std::unique_ptr<integrations::LogStream>> follow_log(std::string, int) override {
    co_return std::make_unique<QuietLog>();
  }
};

struct FakeStripe final : integrations::Provider {
  std::vector<std::string> asked;
  std::string odd_one;  // refused as unknown, whatever the key
  asio::awaitable<Probe> probe(storage::SharedSecret key, std::string endpoint) override {
    asked.push_back(endpoint);
    if (endpoint == odd_one) co_return test::probe(endpoint, Answer::unknown_key);
    const bool old_key = key->equals(*secret('O'));
    co_return test::probe(endpoint, old_key ? Answer::expired : Answer::granted);
  }
};

struct FakeInfisical final : integrations::SecretStore {
  storage::SharedSecret held = secret('N');
  std::vector<integrations::SecretSync> list;
  std::function<void()> on_list;  // after that look
  asio::awaitable<integrations::StoredSecret> read(integrations::SecretAddress, std::optional<int>) override {
    co_return integrations::StoredSecret{.value = held, .id = "s", .version = 5, .request_id = {}};
  }
  asio::awaitable<std::variant<integrations::SecretWritten, integrations::ApprovalPending>> write(
      integrations::SecretAddress, storage::SharedSecret, std::string, std::string) override {
    co_return integrations::SecretWritten{};
  }
  asio::awaitable<std::vector<integrations::SecretSync>> syncs(std::string) override {
    const auto now = list;
    if (on_list) on_list();
    co_return now;
  }
};

struct NoHealth final : integrations::HealthCheck {
  asio::awaitable<integrations::HealthReport> check(integrations::HealthExpectation) override {
    co_return integrations::HealthReport{};
  }
};

struct Nobody final : People {
  asio::awaitable<OperatorChecked> check(std::string) override { co_return OperatorChecked{}; }
  asio::awaitable<FormSent> send_form(std::shared_ptr<const State>, commands::Invitation) override {
    co_return FormSent{};
  }
};

class Workshop {
 public:
  Workshop() {
    const auto text = storage::Secret::copy_of(std::string(64, '7'));
    vault.emplace(std::make_shared<const storage::SealingKey>(*storage::SealingKey::parse(text)), journal);
    performer.emplace(Systems{.provider = stripe,
                              .store = infisical,
                              .consumer = heroku,
                              .health = health,
                              .people = people,
                              .vault = *vault,
                              .clock = clock,
                              .form_url = {}});
    put(kNewKey, 'N');
    put(kOldKey, 'O');
    auto target = sample_target();
    target.timing.poll_every = 1ms;
    target.watch = 0ms;
    story = Story(target);
    story.propagated();
    story.state.current->event.fingerprint = vault->fingerprint(*secret('O'));
    story.state.received->event.fingerprint = vault->fingerprint(*secret('N'));
    heroku.dyno_lists = {{dyno(11), dyno(11)}};
  }

  static Dyno dyno(int version) {
    return {.name = "web.1", .type = "web", .state = "up", .release = version};
  }

  // The last event of the outcome; what() of what was thrown goes to `failure`.
  template <typename T>
  std::optional<T> perform(ActionKind kind) {
    failure.clear();
    std::optional<Outcome> outcome;
    const auto state = std::make_shared<const State>(story.state);
    const Recorder record = [](Outcome) -> asio::awaitable<void> { co_return; };
    asio::co_spawn(io, performer->perform({kind, "canary"}, state, record),
                   [&](std::exception_ptr thrown, Outcome done) {
                     if (!thrown) outcome = std::move(done);
                     try {
                       if (thrown) std::rethrow_exception(thrown);
                     } catch (const std::exception& error) {
                       failure = error.what();
                     }
                   });
    io.restart();
    io.run();
    if (!outcome) return std::nullopt;
    return std::get<T>(outcome->events.back());
  }

  asio::io_context io;
  MemoryJournal journal;
  StoppedClock clock;
  FakeHeroku heroku;
  FakeStripe stripe;
  FakeInfisical infisical;
  NoHealth health;
  Nobody people;
  std::optional<Vault> vault;
  std::optional<RealPerformer> performer;
  Story story;
  std::string failure;

  void put(std::string_view purpose, char filler) {
    const auto box = vault->seal("rot_1", purpose, *secret(filler));
    journal.boxes[{"rot_1", std::string(purpose)}] = box.box;
  }
};

}  // namespace keyturn::test
