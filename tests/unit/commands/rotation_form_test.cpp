#include "commands/rotation_form.h"

#include <algorithm>
#include <catch2/catch.hpp>

#include "storage/base64url.h"
#include "storage/fingerprint.h"
#include "tests/unit/commands/desk_fixture.h"

namespace keyturn::test {
namespace {

using commands::FormAnswer;
using commands::FormClosed;
using commands::FormInfo;
using commands::FormReceived;
using commands::FormRefused;
using commands::FormVisitor;
using commands::SealedSubmission;
using commands::SignInNeeded;

constexpr const char* kToken = "the-token-of-the-link";
const FormVisitor kVisitor{.peer = "192.0.2.1", .signed_in_as = {}};

// What the person in front of the page fills in.
struct Filled {
  std::string pasted;
  std::string code;
  std::int64_t grace_seconds = 24 * 3600;
  TimePoint rotated_at;
};

struct Form : DeskFixture {
  explicit Form(commands::FormProof proof = commands::FormProof::code) : form{runner, *vault, clock, proof} {
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
    const auto key = storage::hpke::generate();
    public_key = key.public_key;
    run(runner.change(id, "keyturn", [&](const State&, TimePoint) {
      Outcome outcome;
      outcome.events = {
          FormIssued{storage::sha256_hex(token), clock.time + 15min, storage::to_base64url(public_key)},
          FormSent{"D1", "1.1"}};
      outcome.boxes.push_back(vault->seal(id, kFormKey, key.private_key));
      return std::optional(std::move(outcome));
    }));
  }
  std::string code(const std::string& token = kToken) const {
    return vault->form_code(storage::sha256_hex(token));
  }
  Filled filled(const std::string& pasted) const {
    return {.pasted = pasted, .code = code(), .rotated_at = clock.time};
  }
  // As the page seals it.
  SealedSubmission sealed(const Filled& filled, const std::string& token = kToken) const {
    const nlohmann::json plain = {{"key", filled.pasted},
                                  {"code", filled.code},
                                  {"grace_seconds", filled.grace_seconds},
                                  {"rotated_at", storage::to_iso8601(filled.rotated_at)}};
    const std::string binding = commands::form_binding(id, "U1", token);
    return {.token = token,
            .message = storage::hpke::seal(public_key, plain.dump() + std::string(100, ' '),
                                           {.info = commands::kFormInfo, .associated_data = binding}),
            .visitor = kVisitor};
  }
  FormAnswer submit(const Filled& what) { return run(form.submit(sealed(what))); }
  FormAnswer submit(const std::string& pasted, const std::string& token = kToken) {
    return run(form.submit(sealed(filled(pasted), token)));
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
  commands::FormLook look(const std::string& token = kToken, const FormVisitor& visitor = kVisitor) {
    return run(form.look(token, visitor));
  }
  // The newest entry of that type.
  const storage::Entry& entry(const std::string& type) const {
    const auto found = std::find_if(journal.written.rbegin(), journal.written.rend(),
                                    [&](const storage::Entry& each) { return each.type == type; });
    REQUIRE(found != journal.written.rend());
    return *found;
  }
  // Nothing that was written holds the key or the token.
  bool journal_holds(const std::string& text) const {
    for (const auto& entry : journal.written) {
      if (entry.data.find(text) != std::string::npos) return true;
    }
    return false;
  }

  std::string id;
  std::string public_key;
  commands::RotationForm form;
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
    boost::asio::co_spawn(form.io, form.form.submit(form.sealed(form.filled(key))),
                          [&](std::exception_ptr failure, FormAnswer answer) {
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
  CHECK(std::get<FormClosed>(form.look()) == FormClosed::locked);
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
  CHECK(form.closed(restricted_key('N')) == FormClosed::used);  // through it came the key that was rejected
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
  CHECK(std::get<FormClosed>(form.look()) == FormClosed::used);
}

TEST_CASE("a key that comes while the rotation is being cancelled is not called received") {
  Form form;
  std::optional<FormAnswer> answer;
  boost::asio::co_spawn(
      form.io,
      form.runner.change(form.id, "U1",
                         [](const State&, TimePoint) {
                           return std::optional(Outcome{.events = {Cancelled{}}, .boxes = {}});
                         }),
      [](std::exception_ptr, bool) {});
  boost::asio::co_spawn(form.io, form.form.submit(form.sealed(form.filled(restricted_key('N')))),
                        [&](std::exception_ptr, FormAnswer given) { answer = std::move(given); });
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

TEST_CASE("looking at the form spends nothing, tells what it is for, and every look is journaled") {
  Form form;
  const auto seen = form.look();
  REQUIRE(std::holds_alternative<FormInfo>(seen));
  const auto& info = std::get<FormInfo>(seen);
  CHECK(info.target == "stripe prod");
  CHECK(info.attempts_left == 5);
  CHECK(info.rotation == form.id);
  CHECK(info.operator_id == "U1");
  CHECK(storage::from_base64url(info.public_key) == form.public_key);
  CHECK(info.opened_before.empty());
  form.clock.time += 1min;
  const auto again = std::get<FormInfo>(form.look(kToken, {.peer = "198.51.100.7", .signed_in_as = {}}));
  REQUIRE(again.opened_before.size() == 1);
  CHECK(again.opened_before.front().peer == "192.0.2.1");
  CHECK(form.journal.count("secret.rotate.form.opened") == 2);
  CHECK(form.entry("secret.rotate.form.opened").actor == "link_holder");
  CHECK(std::get<FormClosed>(form.look("nonsense")) == FormClosed::unknown);
  CHECK(form.journal.count("secret.rotate.form.opened") == 2);
}

TEST_CASE("times that can't be are refused without costing an attempt") {
  Form form;
  auto late = form.filled(restricted_key('N'));
  late.rotated_at = form.clock.time + 1h;
  CHECK(std::get<FormRefused>(form.submit(late)).code == "rotated_at");
  auto early = form.filled(restricted_key('N'));
  early.rotated_at = form.clock.time - 25h;
  CHECK(std::get<FormRefused>(form.submit(early)).code == "rotated_at");
  auto odd = form.filled(restricted_key('N'));
  odd.grace_seconds = 8L * 24 * 3600;
  CHECK(std::get<FormRefused>(form.submit(odd)).code == "malformed");
  auto negative = form.filled(restricted_key('N'));
  negative.grace_seconds = -3600;
  CHECK(std::get<FormRefused>(form.submit(negative)).attempts_left == 5);
}

TEST_CASE("in a recovery the old key is dead by now, whatever grace and time a page sends") {
  Form form;
  form.happens(form.id, {dead_at_first()});
  CHECK(std::get<FormInfo>(form.look()).recovery);
  auto odd = form.filled(restricted_key('N'));
  odd.rotated_at = form.clock.time + 3h;
  odd.grace_seconds = 24L * 3600;
  const auto received = form.submit(odd);
  REQUIRE(std::holds_alternative<FormReceived>(received));
  CHECK(std::get<FormReceived>(received).old_key_expires_at == form.clock.time);
}

TEST_CASE("a key that was rotated before the rotation began is taken while the old one can still live") {
  Form form;
  auto earlier = form.filled(restricted_key('N'));
  earlier.rotated_at = form.clock.time - 2h;
  CHECK(std::holds_alternative<FormReceived>(form.submit(earlier)));
}

TEST_CASE("a wrong code is refused, counts, and says nothing about the key") {
  Form form;
  for (const char* wrong : {"", "000000", "12345", "1234567"}) {
    auto what = form.filled(restricted_key('O'));  // the old key, which the right code would be told about
    what.code = wrong == form.code() ? "000001" : wrong;
    const auto answer = std::get<FormRefused>(form.submit(what));
    CHECK(answer.code == "wrong_code");
  }
  CHECK(form.entry("secret.rotate.form.paste_refused").actor == "link_holder");
  auto spaced = form.filled(restricted_key('N'));
  spaced.code = form.code().substr(0, 3) + " " + form.code().substr(3);
  CHECK(std::holds_alternative<FormReceived>(form.submit(spaced)));
  CHECK(form.entry("secret.rotate.new_key.received").actor == "U1");
}

TEST_CASE("five wrong codes lock the link, and a code is of one link only") {
  Form form;
  auto what = form.filled(restricted_key('N'));
  what.code = form.code("another-link");
  REQUIRE(what.code != form.code());
  for (int left = 4; left >= 0; --left) CHECK(std::get<FormRefused>(form.submit(what)).attempts_left == left);
  CHECK(form.closed(restricted_key('N')) == FormClosed::locked);
  CHECK_FALSE(form.journal.boxes.contains({form.id, "form_key"}));
}

TEST_CASE("a master key is an alarm also with a wrong code") {
  Form form;
  auto what = form.filled(fake_key(std::string("sk_") + "live_"));
  what.code = "";
  CHECK(std::get<FormRefused>(form.submit(what)).alarm);
}

TEST_CASE("a message for another rotation, operator or link doesn't open, and costs no attempt") {
  Form form;
  const nlohmann::json plain = {{"key", restricted_key('N')},
                                {"code", form.code()},
                                {"grace_seconds", 86400},
                                {"rotated_at", storage::to_iso8601(form.clock.time)}};
  for (const auto& binding :
       {commands::form_binding("rot_2", "U1", kToken), commands::form_binding(form.id, "U2", kToken),
        commands::form_binding(form.id, "U1", "another"), std::string()}) {
    SealedSubmission foreign{
        .token = kToken,
        .message = storage::hpke::seal(form.public_key, plain.dump(),
                                       {.info = commands::kFormInfo, .associated_data = binding}),
        .visitor = kVisitor};
    const auto answer = std::get<FormRefused>(form.run(form.form.submit(std::move(foreign))));
    CHECK(answer.code == "unsealable");
    CHECK(answer.attempts_left == 5);
  }
  SealedSubmission plainly{
      .token = kToken, .message = {.encapsulated_key = "", .ciphertext = plain.dump()}, .visitor = kVisitor};
  CHECK(std::get<FormRefused>(form.run(form.form.submit(std::move(plainly)))).code == "unsealable");
  CHECK(form.journal.count("secret.rotate.form.turned_away") == 5);
  CHECK(form.entry("secret.rotate.form.turned_away").data.find("unsealable") != std::string::npos);
  CHECK_FALSE(form.state(form.id)->received);
  CHECK(std::holds_alternative<FormReceived>(form.submit(restricted_key('N'))));
}

TEST_CASE("the same sealed message again, after a lost answer, is the same handover") {
  Form form;
  const auto once = form.sealed(form.filled(restricted_key('N')));
  const auto first = std::get<FormReceived>(form.run(form.form.submit(once)));
  const auto second = std::get<FormReceived>(form.run(form.form.submit(once)));
  CHECK(first.fingerprint == second.fingerprint);
  CHECK(form.journal.count("secret.rotate.new_key.received") == 1);
  CHECK(form.closed(restricted_key('N')) == FormClosed::used);  // sealed anew: another message
}

TEST_CASE("the key that opens what was sealed dies with the link") {
  Form received;
  REQUIRE(received.journal.boxes.contains({received.id, "form_key"}));
  received.submit(restricted_key('N'));
  CHECK_FALSE(received.journal.boxes.contains({received.id, "form_key"}));
  Form cancelled;
  cancelled.happens(cancelled.id, {Cancelled{}});
  CHECK_FALSE(cancelled.journal.boxes.contains({cancelled.id, "form_key"}));
  CHECK(cancelled.closed(restricted_key('N')) == FormClosed::cancelled);
  CHECK(std::get<FormClosed>(cancelled.look()) == FormClosed::cancelled);
  Form replaced;
  replaced.happens(replaced.id, {LinkRequested{}});
  CHECK_FALSE(replaced.journal.boxes.contains({replaced.id, "form_key"}));
}

TEST_CASE("whoever comes to a closed link is turned away, and the journal knows") {
  Form form;
  form.submit(restricted_key('N'));
  CHECK(std::get<FormClosed>(form.look()) == FormClosed::used);
  CHECK(form.entry("secret.rotate.form.turned_away").data.find("used") != std::string::npos);
  CHECK(form.entry("secret.rotate.form.turned_away").data.find("192.0.2.1") != std::string::npos);
}

// A link that is used up is good for nothing for as long as its rotation goes on, which may be a week.
TEST_CASE("whoever keeps coming to a closed link doesn't fill the journal, and isn't forgotten in it") {
  Form form;
  CHECK(std::holds_alternative<FormReceived>(form.submit(restricted_key('N'))));
  const auto turned_away = [&] { return form.journal.count("secret.rotate.form.turned_away"); };
  for (int i = 0; i < 1000; ++i) form.look();
  CHECK(turned_away() == 50);
  for (int minute = 0; minute < 10; ++minute) {
    form.clock.time += 1min;
    for (int i = 0; i < 30; ++i) form.look();
  }
  CHECK(turned_away() == 60);
}

TEST_CASE("with sign-in only the operator's session sees and posts the form, and no code is asked for") {
  Form form(commands::FormProof::sign_in);
  const auto nobody = std::get<SignInNeeded>(form.look());
  CHECK_FALSE(nobody.another_person);
  const auto other = std::get<SignInNeeded>(form.look(kToken, {.peer = "192.0.2.1", .signed_in_as = "U2"}));
  CHECK(other.another_person);
  CHECK(form.entry("secret.rotate.form.turned_away").data.find("another_person") != std::string::npos);
  const auto info = std::get<FormInfo>(form.look(kToken, {.peer = "192.0.2.1", .signed_in_as = "U1"}));
  CHECK_FALSE(info.asks_code);

  auto what = form.filled(restricted_key('N'));
  what.code = "";
  CHECK(std::holds_alternative<SignInNeeded>(form.submit(what)));
  auto theirs = form.sealed(what);
  theirs.visitor.signed_in_as = "U2";
  CHECK(std::holds_alternative<SignInNeeded>(form.run(form.form.submit(std::move(theirs)))));
  CHECK_FALSE(form.state(form.id)->received);
  auto ours = form.sealed(what);
  ours.visitor.signed_in_as = "U1";
  CHECK(std::holds_alternative<FormReceived>(form.run(form.form.submit(std::move(ours)))));
}

TEST_CASE("the page that handed the key over can follow the rotation, and no other") {
  Form form;
  CHECK_FALSE(form.form.progress(kToken));
  form.submit(restricted_key('N'));
  const auto shown = form.form.progress(kToken);
  REQUIRE(shown);
  CHECK(shown->stage == "validating");
  CHECK_FALSE(shown->done);
  CHECK_FALSE(shown->lines.empty());
  for (const auto& line : shown->lines) {
    INFO(line.text);
    for (const char* markup : {"<", "&amp;", "`", "*"}) CHECK(line.text.find(markup) == std::string::npos);
  }
  CHECK_FALSE(form.form.progress("another-link"));

  form.happens(form.id, {KeyRejected{"account", "This key belongs to another account."}});
  const auto rejected = form.form.progress(kToken);
  REQUIRE(rejected);
  CHECK(rejected->needs_person);
  CHECK(rejected->sentence.find("another account") != std::string::npos);
  CHECK(rejected->sentence.find("new link") != std::string::npos);
}

TEST_CASE("a page that follows to the end is told how it ended") {
  Form form;
  form.submit(restricted_key('N'));
  form.happens(form.id, {Closed{"given_up"}});
  const auto shown = form.form.progress(kToken);
  REQUIRE(shown);
  CHECK(shown->done);
  CHECK(shown->outcome == "given_up");
}

}  // namespace keyturn::test
