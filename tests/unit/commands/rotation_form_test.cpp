#include "commands/rotation_form.h"

#include <catch2/catch.hpp>

#include "storage/fingerprint.h"
#include "tests/unit/commands/desk_fixture.h"

namespace keyturn::test {
namespace {

using commands::FormClosed;
using commands::FormInfo;
using commands::FormReceived;
using commands::FormRefused;
using commands::FormSubmission;
using Submitted = std::variant<FormReceived, FormRefused, FormClosed>;

constexpr const char* kToken = "the-token-of-the-link";

struct Form : DeskFixture {
  Form() {
    id = start();
    auto events = checks();
    auto& current = std::get<CurrentKeyRead>(events.at(1));
    current.fingerprint = vault->fingerprint(storage::Secret::copy_of(restricted_key('O')));
    for (auto& event : events) {
      if (auto* consumer = std::get_if<ConsumerInspected>(&event))
        consumer->fingerprint = current.fingerprint;
    }
    events.emplace_back(OperatorConfirmed{{"ready"}, ""});
    happens(id, std::move(events));
    link(kToken);
  }
  void link(const std::string& token) {
    happens(id, {FormIssued{storage::sha256_hex(token), clock.time + 15min}, FormSent{"D1", "1.1"}});
  }
  FormSubmission submission(const std::string& pasted, const std::string& token = kToken) const {
    return {.token = token,
            .pasted = storage::share(storage::Secret::copy_of(pasted)),
            .grace_chosen = 24h,
            .rotated_at = clock.time,
            .peer = "192.0.2.1"};
  }
  Submitted submit(const std::string& pasted, const std::string& token = kToken) {
    return run(form.submit(submission(pasted, token)));
  }
  std::string refusal(const std::string& pasted) {
    const auto answer = submit(pasted);
    const auto* refused = std::get_if<FormRefused>(&answer);
    return refused ? refused->code : "";
  }
  FormClosed closed(const std::string& pasted, const std::string& token = kToken) {
    const auto answer = submit(pasted, token);
    REQUIRE(std::holds_alternative<FormClosed>(answer));
    return std::get<FormClosed>(answer);
  }
  // Nothing that was written holds the key or the token.
  bool journal_holds(const std::string& text) const {
    for (const auto& entry : journal.written) {
      if (entry.data.find(text) != std::string::npos) return true;
    }
    return false;
  }

  std::string id;
  commands::RotationForm form{runner, *vault, clock};
};

}  // namespace

TEST_CASE("a good key is sealed and on disk when the form says received") {
  Form form;
  const auto answer = form.submit(" " + restricted_key('N') + "\n");
  REQUIRE(std::holds_alternative<FormReceived>(answer));
  CHECK(form.journal.count("secret.rotate.new_key.received") == 1);
  REQUIRE(form.journal.boxes.contains({form.id, "new_key"}));
  const auto opened = form.run(form.vault->open(form.id, "new_key"));
  CHECK(opened->expose() == restricted_key('N'));
  CHECK_FALSE(form.journal_holds(restricted_key('N')));
  CHECK_FALSE(form.journal_holds(kToken));
}

TEST_CASE("of a hundred submissions at once, one wins") {
  Form form;
  int won = 0, used = 0;
  for (int i = 0; i < 100; ++i) {
    const std::string key = restricted_key(static_cast<char>('A' + i % 13));
    boost::asio::co_spawn(form.io, form.form.submit(form.submission(key)),
                          [&](std::exception_ptr failure, Submitted answer) {
                            REQUIRE_FALSE(failure);
                            won += std::holds_alternative<FormReceived>(answer) ? 1 : 0;
                            const auto* closed = std::get_if<FormClosed>(&answer);
                            used += closed && *closed == FormClosed::used ? 1 : 0;
                          });
  }
  form.settle();
  CHECK(won == 1);
  CHECK(used == 99);
  CHECK(form.journal.count("secret.rotate.new_key.received") == 1);
}

TEST_CASE("a wrong paste is named, and the link is not spent") {
  Form form;
  const std::string body(24, 'x');
  CHECK(form.refusal(std::string("pk_") + "live_" + body) == "publishable_key");
  CHECK(form.refusal(std::string("rk_") + "test_" + body) == "wrong_mode");
  CHECK(form.refusal(std::string("whsec") + "_" + body) == "webhook_secret");
  CHECK(form.refusal(std::string("rk_") + "live_abc") == "truncated");
  CHECK(std::holds_alternative<FormReceived>(form.submit(restricted_key('N'))));

  Form again;
  CHECK(again.refusal("rk_live_****1234") == "masked");
  CHECK(again.refusal("STRIPE_KEY=" + restricted_key('N')) == "assignment");
  CHECK(again.refusal(restricted_key('N') + " " + restricted_key('M')) == "several");
  CHECK(again.refusal("hello") == "not_a_key");
  CHECK(std::holds_alternative<FormReceived>(again.submit(restricted_key('N'))));
}

TEST_CASE("five wrong pastes lock the link, also for the right key") {
  Form form;
  for (int left = 4; left >= 0; --left) {
    const auto answer = form.submit("hello");
    REQUIRE(std::holds_alternative<FormRefused>(answer));
    CHECK(std::get<FormRefused>(answer).attempts_left == left);
  }
  CHECK(form.closed(restricted_key('N')) == FormClosed::locked);
  CHECK(std::get<FormClosed>(form.run(form.form.look(kToken, "192.0.2.1"))) == FormClosed::locked);
}

TEST_CASE("a master key raises the alarm and is kept nowhere") {
  Form form;
  const std::string master = fake_key(std::string("sk_") + "live_");
  const auto answer = form.submit(master);
  REQUIRE(std::holds_alternative<FormRefused>(answer));
  CHECK(std::get<FormRefused>(answer).alarm);
  CHECK(form.state(form.id)->master_keys_pasted == 1);
  CHECK_FALSE(form.journal_holds(master));
  CHECK_FALSE(form.journal.boxes.contains({form.id, "new_key"}));
}

TEST_CASE("the old key again, and a key that was rejected, are refused") {
  Form form;
  CHECK(form.refusal(restricted_key('O')) == "same_key");
  const auto bad = form.vault->fingerprint(storage::Secret::copy_of(restricted_key('R')));
  form.happens(form.id, {KeyReceived{.fingerprint = bad,
                                     .grace_chosen = 24h,
                                     .rotated_at = form.clock.time,
                                     .old_key_expires_at = form.clock.time + 24h,
                                     .peer = {}},
                         KeyRejected{"account", "another account"}});
  CHECK(form.closed(restricted_key('N')) == FormClosed::unknown);
  form.link(kToken);
  CHECK(form.refusal(restricted_key('R')) == "rejected_key");
}

TEST_CASE("an unknown, expired or used link takes nothing") {
  Form form;
  CHECK(form.closed(restricted_key('N'), "some-other-token") == FormClosed::unknown);
  CHECK(form.closed(restricted_key('N'), "") == FormClosed::unknown);
  form.clock.time += 15min;
  CHECK(form.closed(restricted_key('N')) == FormClosed::expired);
  form.clock.time -= 1min;
  CHECK(std::holds_alternative<FormReceived>(form.submit(restricted_key('N'))));
  CHECK(form.closed(restricted_key('N')) == FormClosed::used);
  CHECK(std::get<FormClosed>(form.run(form.form.look(kToken, "192.0.2.1"))) == FormClosed::used);
}

TEST_CASE("a key that comes while the rotation is being cancelled is not called received") {
  Form form;
  std::optional<Submitted> answer;
  boost::asio::co_spawn(
      form.io,
      form.runner.change(form.id, "U1",
                         [](const State&, TimePoint) {
                           return std::optional(Outcome{.events = {Cancelled{}}, .boxes = {}});
                         }),
      [](std::exception_ptr, bool) {});
  boost::asio::co_spawn(form.io, form.form.submit(form.submission(restricted_key('N'))),
                        [&](std::exception_ptr, Submitted given) { answer = std::move(given); });
  form.settle();
  REQUIRE(answer);
  CHECK(std::holds_alternative<FormClosed>(*answer));
  CHECK(form.journal.count("secret.rotate.new_key.received") == 0);
}

TEST_CASE("a disk that refuses the key is not answered with received") {
  Form form;
  form.journal.refuse_next = 1;
  CHECK_THROWS(form.submit(restricted_key('N')));
  CHECK_FALSE(form.state(form.id)->received);
  CHECK(std::holds_alternative<FormReceived>(form.submit(restricted_key('N'))));
}

TEST_CASE("looking at the form spends nothing and tells what it is for") {
  Form form;
  const auto seen = form.run(form.form.look(kToken, "192.0.2.1"));
  REQUIRE(std::holds_alternative<FormInfo>(seen));
  CHECK(std::get<FormInfo>(seen).target == "stripe prod");
  CHECK(std::get<FormInfo>(seen).attempts_left == 5);
  form.run(form.form.look(kToken, "192.0.2.1"));
  CHECK(form.journal.count("secret.rotate.form.opened") == 1);
  CHECK(std::get<FormClosed>(form.run(form.form.look("nonsense", "x"))) == FormClosed::unknown);
}

TEST_CASE("times that can't be are refused without costing an attempt") {
  Form form;
  auto late = form.submission(restricted_key('N'));
  late.rotated_at = form.clock.time + 1h;
  CHECK(std::get<FormRefused>(form.run(form.form.submit(std::move(late)))).code == "rotated_at");
  auto early = form.submission(restricted_key('N'));
  early.rotated_at = form.clock.time - 25h;
  CHECK(std::get<FormRefused>(form.run(form.form.submit(std::move(early)))).code == "rotated_at");
  auto odd = form.submission(restricted_key('N'));
  odd.grace_chosen = 24h * 8;
  CHECK(std::get<FormRefused>(form.run(form.form.submit(std::move(odd)))).code == "grace");
  auto negative = form.submission(restricted_key('N'));
  negative.grace_chosen = -1h;
  const auto answer = std::get<FormRefused>(form.run(form.form.submit(std::move(negative))));
  CHECK(answer.attempts_left == 5);
}

TEST_CASE("a key that was rotated before the rotation began is taken while the old one can still live") {
  Form form;
  auto earlier = form.submission(restricted_key('N'));
  earlier.rotated_at = form.clock.time - 2h;
  CHECK(std::holds_alternative<FormReceived>(form.run(form.form.submit(std::move(earlier)))));
}

}  // namespace keyturn::test
