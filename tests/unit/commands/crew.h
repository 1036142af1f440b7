// Superadmins U1 to U4 at a desk whose actions never end by themselves, a person who is deactivated (U3), and
// what they type and press. Thread: the test's own.
#pragma once

#include <boost/asio/co_spawn.hpp>
#include <string>
#include <utility>

#include "commands/commands.h"
#include "commands/views/attendance.h"
#include "tests/unit/commands/desk_fixture.h"

namespace keyturn::test {

struct FakePeople final : People {
  std::string inactive = "U3";
  boost::asio::awaitable<OperatorChecked> check(std::string user) override {
    if (user == inactive)
      co_return OperatorChecked{.allowed = false, .reason = "This Slack account is deactivated."};
    co_return OperatorChecked{.allowed = true, .reason = {}, .name = "Grace"};
  }
  boost::asio::awaitable<FormSent> send_form(std::shared_ptr<const State>, commands::Invitation) override {
    co_return FormSent{"D1", "1.1"};
  }
};

struct Crew : DeskFixture {
  std::string say(const std::string& text, const std::string& user = "U1") {
    slack::SlashCommand command;
    command.team = "T1";
    command.app = "A1";
    command.user = user;
    command.command = "/rotate";
    command.text = text;
    return run(commands::handle(desk, command, "say-" + std::to_string(++said_))).value("text", "");
  }
  // What the person who clicked is told.
  std::string press(const std::string& value, std::string_view action, const std::string& user) {
    slack::Click click;
    click.team = "T1";
    click.app = "A1";
    click.user = user;
    click.action_id = action;
    click.value = value;
    click.response_url = "https://hooks.slack.com/actions/1";
    std::string told;
    boost::asio::co_spawn(io,
                          commands::handle(desk, click, "click-" + std::to_string(++said_),
                                           [&told](const std::string&, const std::string& text) {
                                             told = text;
                                             return nothing();
                                           }),
                          [](std::exception_ptr failure) {
                            if (failure) std::rethrow_exception(failure);
                          });
    settle();
    return told;
  }
  std::string take_over(const std::string& id, const std::string& user) {
    return press(id, commands::views::kTakeOver, user);
  }
  static boost::asio::awaitable<void> nothing() { co_return; }
  std::string linked() {
    const auto id = start();
    happens(id, checks());
    happens(id, {OperatorConfirmed{{"ready"}, ""}});
    happens(id,
            {FormIssued{storage::sha256_hex("token-1"), clock.time + 15min, "key"}, FormSent{"D1", "1.1"}});
    return id;
  }

  net::HttpClient http{io.get_executor(), {}};
  slack::WebApi api{http, "http://127.0.0.1:1", storage::share(storage::Secret::copy_of("token")), nullptr};
  commands::Authority authority{api, clock, {"U1", "U2", "U3", "U4"}, ""};
  FakePeople people;
  commands::Desk desk{runner, journal, clock, authority, {sample_target()}, "C1", "T1", "A1", &people};

 private:
  int said_ = 0;
};

inline bool holds(const std::string& text, const std::string& part) {
  return text.find(part) != std::string::npos;
}

}  // namespace keyturn::test
