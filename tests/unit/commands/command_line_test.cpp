#include "commands/command_line.h"

#include <rapidcheck.h>
#include <catch2/catch.hpp>

#include "integrations/credentials.h"
#include "tests/unit/commands/story.h"

namespace keyturn::commands {
namespace {

template <typename T>
T read_as(const std::string& text) {
  const CommandLine line = read_command_line(text);
  INFO(text);
  REQUIRE(std::holds_alternative<T>(line));
  return std::get<T>(line);
}

// Every text that a result can carry onward: into the journal, or back to Slack.
std::string everything_in(const CommandLine& line) {
  if (const auto* rotation = std::get_if<RotateCommand>(&line))
    return rotation->provider + "\n" + rotation->environment + "\n" + rotation->reason;
  if (const auto* cancel = std::get_if<CancelCommand>(&line))
    return cancel->provider + "\n" + cancel->environment;
  if (const auto* unclear = std::get_if<NotUnderstood>(&line)) return unclear->why;
  return {};
}

}  // namespace

TEST_CASE("a plain command names provider and environment") {
  const auto command = read_as<RotateCommand>("stripe prod");
  CHECK(command.provider == "stripe");
  CHECK(command.environment == "prod");
  CHECK_FALSE(command.compromise);
}

TEST_CASE("every dash that a keyboard may put there introduces the flag") {
  for (const std::string& dash : {"--", "\u2014", "\u2013", "\u2012", "\u2015", "\u2212", "\u2010", "\u2011",
                                  "\u2014\u2014", "\u2013\u2013", "-\u2013", "-", ""}) {
    INFO("dash: " << dash);
    CHECK(read_as<RotateCommand>("stripe prod " + dash + "compromise").compromise);
  }
}

TEST_CASE("dashes that stand apart from the flag do no harm") {
  CHECK(read_as<RotateCommand>("stripe prod -- compromise").compromise);
  CHECK(read_as<RotateCommand>("stripe prod \u2013 \u2013 compromise").compromise);
  CHECK(read_as<RotateCommand>("stripe \u2014 prod").environment == "prod");
}

TEST_CASE("what stands behind the flag is the reason") {
  const auto command = read_as<RotateCommand>("stripe prod --compromise key seen in a public repository");
  CHECK(command.reason == "key seen in a public repository");
}

TEST_CASE("quotes, code marks, capitals, odd spaces and line breaks are read through") {
  for (const std::string& text :
       {"\u201cstripe\u201d \u2018prod\u2019", "`stripe` `prod`", "`stripe prod`", "STRIPE Prod",
        "stripe\u00a0prod", "  stripe \t prod  ", "stripe\nprod", "*stripe* _prod_", "\"stripe\" 'prod'",
        "\u200bstripe \u2060prod", "<http://stripe|stripe> prod", "stripe, prod."}) {
    INFO(text);
    const auto command = read_as<RotateCommand>(text);
    CHECK(command.provider == "stripe");
    CHECK(command.environment == "prod");
  }
}

TEST_CASE("a mention is read as the name that a person sees") {
  CHECK(read_as<RotateCommand>("<@U012|ada> prod").provider == "ada");
  CHECK(read_as<RotateCommand>("<#C012|general> prod").provider == "general");
}

TEST_CASE("the other commands are known, whatever the case") {
  read_as<StatusCommand>("status");
  read_as<StatusCommand>("Status");
  read_as<HelpCommand>("");
  read_as<HelpCommand>(" \u00a0 ");
  read_as<HelpCommand>("HELP");
  read_as<HelpCommand>("\u2014help");
  const auto cancel = read_as<CancelCommand>("Cancel Stripe PROD");
  CHECK(cancel.provider == "stripe");
  CHECK(cancel.environment == "prod");
}

TEST_CASE("what is not understood starts nothing") {
  read_as<NotUnderstood>("stripe");
  read_as<NotUnderstood>("cancel stripe");
  read_as<NotUnderstood>("stripe prod now");
  read_as<NotUnderstood>("stripe prod --compromised");
  read_as<NotUnderstood>("stripe prod --dry-run --compromise");
}

TEST_CASE("a pasted key of any kind is recognised, and nothing of it is kept") {
  const std::vector<std::string> keys = {test::fake_key(std::string("rk_") + "live_"),
                                         test::fake_key(std::string("rk_") + "test_"),
                                         test::fake_key(std::string("sk_") + "live_"),
                                         test::fake_key(std::string("sk_") + "test_"),
                                         test::fake_key(std::string("whsec") + "_"),
                                         std::string("xoxb") + "-1234567890-" + "abcdefghij",
                                         std::string("HRKU") + "-01234567-89ab-cdef-0123-456789abcdef"};
  for (const std::string& key : keys) {
    for (const std::string& text :
         {key, "stripe prod " + key, "stripe prod --compromise " + key, "`" + key + "`",
          "\u201c" + key + "\u201d", "<http://x|" + key + ">", "stripe\n" + key}) {
      const CommandLine line = read_command_line(text);
      REQUIRE(std::holds_alternative<HoldsCredential>(line));
      CHECK(everything_in(line).empty());
    }
  }
}

TEST_CASE("a key that invisible characters or quotes tear apart is recognised all the same") {
  const std::string body(24, 'B');
  for (const std::string& torn : {std::string("rk_\u200blive_") + body, std::string("rk_li\"ve_") + body,
                                  std::string("\u2060rk\u200d_live_") + body, "r`k_live_" + body}) {
    CHECK(std::holds_alternative<HoldsCredential>(read_command_line(torn + " prod")));
    CHECK(std::holds_alternative<HoldsCredential>(read_command_line("stripe prod --compromise " + torn)));
  }
}

TEST_CASE("a hand-over names one person, as Slack's own list of people does") {
  for (const char* text :
       {"hand-over stripe prod <@U012ABC|ada>", "Handover Stripe prod <@U012ABC>",
        "hand-over <@U012ABC|ada lovelace> stripe prod", "hand-over stripe prod  <@U012ABC|> "}) {
    INFO(text);
    const auto command = read_as<HandOverCommand>(text);
    CHECK(command.provider == "stripe");
    CHECK(command.environment == "prod");
    CHECK(command.to == "U012ABC");
  }
}

TEST_CASE("a name that was only typed is nobody, and the answer says what to do") {
  CHECK(read_as<NotUnderstood>("hand-over stripe prod @ada").why.find("Pick the person") !=
        std::string::npos);
  CHECK(read_as<NotUnderstood>("hand-over stripe prod ada").why.find("to whom") != std::string::npos);
  CHECK(read_as<NotUnderstood>("hand-over <@U012ABC>").why.find("which rotation") != std::string::npos);
  CHECK(read_as<NotUnderstood>("hand-over stripe prod <@U01|a> <@U02|b>").why.find("one person") !=
        std::string::npos);
  for (const char* text :
       {"hand-over stripe prod <@ada>", "hand-over stripe prod <@U01", "hand-over stripe prod <#C01|x>"})
    read_as<NotUnderstood>(text);
}

TEST_CASE("the early end of an old key names its target") {
  CHECK(read_as<ExpireNowCommand>("expire-now stripe prod").environment == "prod");
  CHECK(read_as<ExpireNowCommand>("Expire-now Stripe Prod").provider == "stripe");
  read_as<NotUnderstood>("expire-now");
  read_as<NotUnderstood>("expire-now stripe prod please");
}

TEST_CASE("any bytes are read without an exception, and no result holds a credential") {
  const std::vector<std::string> pieces = {std::string("rk_") + "live_",
                                           "sk_",
                                           "live_",
                                           "AAAAAAAAAAAAAAAAAAAAAAAA",
                                           "\u200b",
                                           "\u2014",
                                           "\"",
                                           "`",
                                           "<",
                                           "|",
                                           ">",
                                           " ",
                                           "compromise",
                                           "stripe",
                                           "prod",
                                           "cancel",
                                           "\xff",
                                           "\u00a0"};
  CHECK(rc::check("read_command_line", [&pieces] {
    std::string text;
    for (const int choice : *rc::gen::container<std::vector<int>>(rc::gen::inRange(0, 20))) {
      text += choice < static_cast<int>(pieces.size()) ? pieces[static_cast<std::size_t>(choice)]
                                                       : *rc::gen::arbitrary<std::string>();
    }
    RC_ASSERT(!integrations::contains_credential(everything_in(read_command_line(text))));
  }));
}

TEST_CASE("a typo finds the nearest target, and nonsense finds none") {
  const std::vector<std::string> known = {"stripe prod", "stripe staging"};
  CHECK(nearest("strpe prod", known) == "stripe prod");
  CHECK(nearest("stripe prd", known) == "stripe prod");
  CHECK(nearest("github prod", known).empty());
  CHECK(nearest("", known).empty());
}

}  // namespace keyturn::commands
