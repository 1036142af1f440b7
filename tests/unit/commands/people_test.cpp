// Who may do what: accounts, authority, buttons.
#include <catch2/catch.hpp>

#include "commands/authority.h"
#include "commands/commands.h"
#include "commands/slack_desk.h"
#include "commands/views/messages.h"
#include "tests/unit/commands/desk_fixture.h"
#include "tests/unit/scripted_vendor.h"

namespace keyturn::test {
namespace {

using commands::Authority;
using commands::Standing;
using nlohmann::json;

json member() { return {{"id", "U1"}, {"team_id", "T1"}, {"deleted", false}, {"is_bot", false}}; }

bool allowed(const json& change) {
  json user = member();
  user.update(change);
  return commands::read_account(user, "T1").allowed;
}

storage::SharedSecret token() { return storage::share(storage::Secret::copy_of("token")); }

struct Buttons : DeskFixture {
  // A click by `user`; answers what the person was told ("" for nothing).
  std::string click(const std::string& id, std::string_view action, const std::string& user = "U1",
                    json state_values = json::object(), const std::string& team = "T1") {
    slack::Click click;
    click.team = team;
    click.app = "A1";
    click.user = user;
    click.action_id = action;
    click.value = id;
    click.response_url = "https://hooks.slack.com/actions/1";
    click.state = std::move(state_values);
    std::string told;
    const commands::Tell tell = [&told](const std::string&, const std::string& text) {
      told = text;
      return nothing();
    };
    boost::asio::co_spawn(io, commands::handle(desk, click, "click-" + std::to_string(++clicks_), tell),
                          [](std::exception_ptr failure) {
                            if (failure) std::rethrow_exception(failure);
                          });
    settle();
    return told;
  }
  static boost::asio::awaitable<void> nothing() { co_return; }

  static json boxes(std::vector<std::string> ticked, const json& reason = nullptr) {
    json options = json::array();
    for (const auto& value : ticked) options.push_back({{"value", value}});
    return {{"prerequisites", {{"confirmations", {{"type", "checkboxes"}, {"selected_options", options}}}}},
            {"reason", {{"reason", {{"type", "plain_text_input"}, {"value", reason}}}}}};
  }
  std::string checked(bool compromise = false) {
    const auto id = start(sample_target(), compromise);
    happens(id, checks());
    return id;
  }

  net::HttpClient http{io.get_executor(), {}};
  slack::WebApi api{http, "http://127.0.0.1:1", token(), nullptr};
  Authority authority{api, clock, {"U1", "U2"}, ""};
  commands::Desk desk{runner, journal, clock, authority, {sample_target()}, "C1", "T1", "A1"};

 private:
  int clicks_ = 0;
};

const json kAll = Buttons::boxes({"0", "1", "2"});

}  // namespace

TEST_CASE("only a person's own active account of this workspace may rotate") {
  CHECK(allowed(json::object()));
  CHECK_FALSE(allowed({{"deleted", true}}));
  CHECK_FALSE(allowed({{"is_bot", true}}));
  CHECK_FALSE(allowed({{"is_restricted", true}}));
  CHECK_FALSE(allowed({{"is_ultra_restricted", true}}));
  CHECK_FALSE(allowed({{"is_stranger", true}}));
  CHECK_FALSE(allowed({{"team_id", "T2"}}));
  CHECK_FALSE(allowed({{"id", ""}}));
  CHECK_FALSE(commands::read_account(json::array(), "T1").allowed);
  CHECK_FALSE(commands::read_account(json(), "T1").allowed);
}

TEST_CASE("on a Grid the account may live in another workspace, as long as ours is among its teams") {
  CHECK(allowed({{"team_id", "T2"}, {"enterprise_user", {{"teams", {"T2", "T1"}}}}}));
  CHECK_FALSE(allowed({{"team_id", "T2"}, {"enterprise_user", {{"teams", {"T2"}}}}}));
  CHECK_FALSE(allowed({{"team_id", "T2"}, {"enterprise_user", {{"teams", "T1"}}}}));
  CHECK_FALSE(allowed({{"team_id", "T2"}, {"enterprise_user", "T1"}}));
}

TEST_CASE("members of the group are superadmins for a minute, and the list is read again after that") {
  json users = {"U5"};
  ScriptedVendor slack([&](const net::ServerRequest&) {
    return net::Response(200, {{"Content-Type", "application/json"}},
                         json{{"ok", true}, {"users", users}}.dump());
  });
  slack::WebApi api(slack.client(), slack.base(), token(), nullptr);
  FakeClock clock;
  Authority authority(api, clock, {"U1"}, "S1");
  CHECK(slack.run(authority.standing("U5")) == Standing::superadmin);
  CHECK(slack.run(authority.standing("U6")) == Standing::other);
  CHECK(slack.run(authority.standing("U1")) == Standing::superadmin);
  CHECK(slack.seen().size() == 1);
  users = {"U6"};
  clock.time += 60s;
  CHECK(slack.run(authority.standing("U5")) == Standing::other);
}

TEST_CASE("a group that can't be read makes nobody a superadmin") {
  for (const std::string& body :
       {R"({"ok":false,"error":"missing_scope"})", R"({"ok":true})", R"({"ok":true,"users":"U5"})",
        R"({"ok":true,"users":null})", "<html>", ""}) {
    INFO(body);
    ScriptedVendor slack([&](const net::ServerRequest&) { return net::Response(200, {}, body); });
    slack::WebApi api(slack.client(), slack.base(), token(), nullptr);
    FakeClock clock;
    Authority authority(api, clock, {"U1"}, "S1");
    CHECK(slack.run(authority.standing("U5")) == Standing::unknown);
    CHECK(slack.run(authority.standing("U1")) == Standing::superadmin);
  }
  ScriptedVendor down([](const net::ServerRequest&) { return net::Response(kReset, {}, ""); });
  slack::WebApi api(down.client(), down.base(), token(), nullptr);
  FakeClock clock;
  Authority authority(api, clock, {}, "S1");
  CHECK(down.run(authority.standing("U5")) == Standing::unknown);
}

TEST_CASE("a list that was read once doesn't outlive its minute when Slack fails") {
  bool broken = false;
  ScriptedVendor slack([&](const net::ServerRequest&) {
    return net::Response(
        200, {}, broken ? R"({"ok":false,"error":"internal_error"})" : R"({"ok":true,"users":["U5"]})");
  });
  slack::WebApi api(slack.client(), slack.base(), token(), nullptr);
  FakeClock clock;
  Authority authority(api, clock, {}, "S1");
  CHECK(slack.run(authority.standing("U5")) == Standing::superadmin);
  broken = true;
  clock.time += 61s;
  CHECK(slack.run(authority.standing("U5")) == Standing::unknown);
}

TEST_CASE("ready needs every box ticked") {
  Buttons desk;
  const auto id = desk.checked();
  CHECK(desk.click(id, commands::views::kReady, "U1", Buttons::boxes({"0", "2"})).find("Missing") !=
        std::string::npos);
  CHECK(desk.click(id, commands::views::kReady).find("Missing") != std::string::npos);
  CHECK_FALSE(desk.state(id)->confirmed_at);
  CHECK(desk.click(id, commands::views::kReady, "U1", kAll).empty());
  CHECK(desk.state(id)->confirmed_at);
}

TEST_CASE("a click with state of any shape does no harm") {
  Buttons desk;
  const auto id = desk.checked();
  for (const json& odd :
       {json("text"), json::array({1, 2}), json{{"prerequisites", "x"}},
        json{{"prerequisites", {{"confirmations", "x"}}}},
        json{{"prerequisites", {{"confirmations", {{"selected_options", 7}}}}}},
        json{{"prerequisites", {{"confirmations", {{"selected_options", {1, "0", nullptr}}}}}}}}) {
    CHECK_NOTHROW(desk.click(id, commands::views::kReady, "U1", odd));
    CHECK_FALSE(desk.state(id)->confirmed_at);
  }
}

TEST_CASE("a leak needs words about what happened, and a key in them is taken out") {
  Buttons desk;
  const auto id = desk.checked(/*compromise=*/true);
  CHECK_FALSE(desk.click(id, commands::views::kReady, "U1", kAll).empty());
  CHECK_FALSE(desk.state(id)->confirmed_at);
  const auto key = restricted_key('L');
  CHECK(desk.click(id, commands::views::kReady, "U1", Buttons::boxes({"0", "1", "2"}, "leaked: " + key))
            .empty());
  REQUIRE(desk.state(id)->confirmed_at);
  CHECK(desk.state(id)->reason == "leaked: [redacted]");
  for (const auto& entry : desk.journal.written) CHECK(entry.data.find(key) == std::string::npos);
}

TEST_CASE("a long reason in any script is journalled") {
  for (const std::string& filler : {"я", "漢", "x"}) {
    Buttons desk;
    const auto id = desk.checked(/*compromise=*/true);
    std::string reason = "a";
    for (int i = 0; i < 299; ++i) reason += filler;
    CHECK(desk.click(id, commands::views::kReady, "U1", Buttons::boxes({"0", "1", "2"}, reason)).empty());
    CHECK(desk.state(id)->confirmed_at);
    CHECK(desk.state(id)->reason == reason);
  }
}

TEST_CASE("only the operator, and only a superadmin, moves a rotation on") {
  Buttons desk;
  const auto id = desk.checked();
  CHECK(desk.click(id, commands::views::kReady, "U2", kAll).find("Only the operator") != std::string::npos);
  CHECK(desk.click(id, commands::views::kReady, "U9", kAll).find("Only a superadmin") != std::string::npos);
  CHECK(desk.click(id, commands::views::kCancel, "U9").find("Only a superadmin") != std::string::npos);
  CHECK(desk.click(id, commands::views::kReady, "U1", kAll, "T2")
            .empty());  // another workspace: no answer at all
  CHECK_FALSE(desk.state(id)->confirmed_at);
  CHECK_FALSE(desk.state(id)->cancelled_at);
}

TEST_CASE("a button that has outlived its moment does nothing and says so") {
  Buttons desk;
  const auto id = desk.checked();
  CHECK_FALSE(desk.click(id, commands::views::kRetry).empty());
  CHECK_FALSE(desk.click(id, commands::views::kNewLink).empty());
  desk.click(id, commands::views::kReady, "U1", kAll);
  CHECK(desk.click(id, commands::views::kReady, "U1", kAll) == "That is confirmed already.");
  desk.happens(id, {FormIssued{"hash-1", desk.clock.time + 15min}, FormSent{"D1", "1.1"}});
  CHECK(desk.click(id, commands::views::kNewLink) == "The link that you have still works.");
  desk.clock.time += 16min;
  CHECK(desk.click(id, commands::views::kNewLink).empty());
  CHECK_FALSE(desk.state(id)->form);
  desk.happens(id, {KeyReceived{.fingerprint = "new-1",
                                .grace_chosen = 24h,
                                .rotated_at = desk.clock.time,
                                .old_key_expires_at = desk.clock.time + 24h,
                                .peer = {}}});
  CHECK_FALSE(desk.click(id, commands::views::kCancel).empty());
  CHECK_FALSE(desk.state(id)->cancelled_at);
  CHECK(desk.click("rot_unknown", commands::views::kCancel).find("does not know") != std::string::npos);
}

TEST_CASE("cancel before the key came closes the rotation, and every button is dead afterwards") {
  Buttons desk;
  const auto id = desk.checked();
  CHECK(desk.click(id, commands::views::kCancel).empty());
  CHECK(desk.state(id)->closed);
  CHECK(desk.click(id, commands::views::kReady, "U1", kAll).find("over") != std::string::npos);
  CHECK_FALSE(desk.journal.boxes.contains({id, "old_key"}));
}

TEST_CASE("ready does not step over an objection that nobody has recorded yet") {
  Buttons desk;
  const auto id = desk.start();
  auto events = desk.checks();
  std::get<CurrentKeyRead>(events.at(1)).fingerprint = "else-1";
  // The checks' outcome and the click wait for the same lock.
  boost::asio::co_spawn(desk.io,
                        desk.runner.change(id, "keyturn",
                                           [&](const State&, TimePoint) {
                                             return std::optional(Outcome{.events = events, .boxes = {}});
                                           }),
                        [](std::exception_ptr, bool) {});
  desk.click(id, commands::views::kReady, "U1", kAll);
  CHECK_FALSE(desk.state(id)->confirmed_at);
  CHECK(desk.state(id)->refused);
}

TEST_CASE("a key in a command is answered with what to do, and nothing of it is journalled") {
  Buttons desk;
  slack::SlashCommand command;
  command.team = "T1";
  command.app = "A1";
  command.user = "U1";
  command.command = "/rotate";
  command.text = "stripe prod " + restricted_key('P');
  const auto answer = desk.run(commands::handle(desk.desk, command, "once-slash"));
  CHECK(answer.at("response_type") == "ephemeral");
  CHECK(answer.dump().find(restricted_key('P')) == std::string::npos);
  CHECK(desk.journal.count("command.refused") == 1);
  for (const auto& entry : desk.journal.written)
    CHECK(entry.data.find(restricted_key('P')) == std::string::npos);
}

TEST_CASE("strangers, unknown targets and second rotations are refused and journalled") {
  Buttons desk;
  const auto say = [&](const std::string& user, const std::string& text, const std::string& once) {
    slack::SlashCommand command;
    command.team = "T1";
    command.app = "A1";
    command.user = user;
    command.command = "/rotate";
    command.text = text;
    return desk.run(commands::handle(desk.desk, command, once)).value("text", "");
  };
  CHECK(say("U9", "stripe prod", "a").find("Only a superadmin") != std::string::npos);
  CHECK(say("U1", "stripe prd", "b").find("/rotate stripe prod") != std::string::npos);
  CHECK(say("U1", "stripe <!channel>", "c").find("<!channel>") == std::string::npos);
  CHECK(desk.journal.count("command.refused") == 3);
  CHECK(say("U1", "stripe prod", "d").find("started") != std::string::npos);
  CHECK(say("U2", "stripe prod", "e").find("not over yet") != std::string::npos);
  CHECK(desk.journal.count("secret.rotate.started") == 1);
  CHECK(say("U9", "cancel stripe prod", "f").find("Only a superadmin") != std::string::npos);
  CHECK(say("U2", "cancel stripe prod", "g").find("is cancelled") != std::string::npos);
  CHECK(say("U1", "stripe prod", "h").find("started") != std::string::npos);
}

}  // namespace keyturn::test
