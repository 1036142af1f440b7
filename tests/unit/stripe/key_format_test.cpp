// What a pasted text is. The fake keys are put together at run time, so that no scanner fires on this file.
#include "integrations/stripe/key_format.h"

#include <rapidcheck.h>

#include <catch2/catch.hpp>
#include <chrono>
#include <fstream>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

using namespace keyturn;
using integrations::Mode;
using stripe::classify_paste;
using stripe::Pasted;
using stripe::tidy_paste;

namespace {

std::string body(std::size_t length) {
  std::string text;
  while (text.size() < length) text += "51HxAbCdEf9";
  return text.substr(0, length);
}
std::string live(std::size_t length = 99) { return std::string("rk_") + "live_" + body(length); }
std::string test_key(std::size_t length = 99) { return std::string("rk_") + "test_" + body(length); }
std::string master(std::size_t length = 99) { return std::string("sk_") + "live_" + body(length); }

Pasted kind(const std::string& text, Mode expected = Mode::live) {
  return classify_paste(tidy_paste(text), expected);
}

}  // namespace

TEST_CASE("a whole restricted key of the expected mode is recognised at both lengths seen in the wild") {
  CHECK(kind(live(24)) == Pasted::restricted_key);
  CHECK(kind(live(99)) == Pasted::restricted_key);
  CHECK(kind(live(247)) == Pasted::restricted_key);
  CHECK(kind(test_key(), Mode::test) == Pasted::restricted_key);
}

TEST_CASE("a restricted key of the other mode is named as that") {
  CHECK(kind(test_key()) == Pasted::wrong_mode);
  CHECK(kind(live(), Mode::test) == Pasted::wrong_mode);
}

TEST_CASE("a secret key anywhere in the text beats everything else") {
  CHECK(kind(master()) == Pasted::master_key);
  CHECK(kind(std::string("sk_") + "test_" + body(24)) == Pasted::master_key);
  CHECK(kind("STRIPE_SECRET_KEY=" + master()) == Pasted::master_key);
  CHECK(kind(live() + "\n" + master()) == Pasted::master_key);
  CHECK(kind("the key is " + master() + ", sorry") == Pasted::master_key);
  CHECK(kind(std::string("Sk_") + "live_" + body(24)) == Pasted::master_key);
  CHECK(kind(live() + master()) == Pasted::master_key);
  CHECK(kind(std::string("sk_") + "live_51A") == Pasted::master_key);
  CHECK(kind("{\"key\":\"\\n" + master() + "\"}") == Pasted::master_key);
}

TEST_CASE("a masked secret key gives nothing away and is no alarm") {
  CHECK(kind(std::string("sk_") + "live_****abcd") == Pasted::masked);
  CHECK(kind(std::string("sk_") + "live_...abcd") == Pasted::masked);
}

TEST_CASE("a word that ends in a prefix by chance is no secret key") {
  CHECK(kind(std::string("task_") + "test_integrationsuitewithalongname") == Pasted::not_a_key);
}

TEST_CASE("the other credentials of Stripe are named") {
  CHECK(kind("sk_org_live_" + body(20)) == Pasted::organization_key);
  CHECK(kind("pk_live_" + body(24)) == Pasted::publishable_key);
  CHECK(kind("whsec_" + body(32)) == Pasted::webhook_secret);
  CHECK(kind("ek_live_" + body(32)) == Pasted::other_credential);
  CHECK(kind("mk_1AbCdEf") == Pasted::other_credential);
}

TEST_CASE("what is no whole key is named by what went wrong") {
  CHECK(kind("") == Pasted::not_a_key);
  CHECK(kind("hello.") == Pasted::not_a_key);
  CHECK(kind("https://dashboard.stripe.com/apikeys") == Pasted::not_a_key);
  CHECK(kind(live(19)) == Pasted::truncated);
  CHECK(kind("rk_live_") == Pasted::truncated);
  CHECK(kind("rk_li") == Pasted::truncated);
  CHECK(kind("rk_live_****abcd") == Pasted::masked);
  CHECK(kind("rk_live_...abcd") == Pasted::masked);
  CHECK(kind("\xE2\x80\xA2\xE2\x80\xA2\xE2\x80\xA2wxyz") == Pasted::masked);
  CHECK(kind("STRIPE_RESTRICTED_KEY=" + live()) == Pasted::assignment);
  CHECK(kind("export STRIPE_RESTRICTED_KEY = \"" + live() + "\"") == Pasted::assignment);
  CHECK(kind(live() + "\n" + live()) == Pasted::several);
  CHECK(kind(live() + live()) == Pasted::several);
  CHECK(kind("my key: " + live()) == Pasted::several);
  CHECK(kind(live(248)) == Pasted::not_a_key);
  CHECK(kind(live() + ";") == Pasted::not_a_key);
}

TEST_CASE("what surrounds a key when it is copied is removed") {
  CHECK(tidy_paste("  \t" + live() + "\r\n") == live());
  CHECK(tidy_paste("\"" + live() + "\"") == live());
  CHECK(tidy_paste("' `" + live() + "` '") == live());
  CHECK(tidy_paste("\xE2\x80\x9C" + live() + "\xE2\x80\x9D") == live());
  CHECK(tidy_paste("\xC2\xA0" + live() + "\xE2\x80\x8B") == live());
  CHECK(tidy_paste("\xEF\xBB\xBFrk_\xE2\x80\x8B" + live().substr(3)) == live());
  CHECK(tidy_paste("\"").size() == 1);
}

TEST_CASE("every kind has a name of its own and an advice that is one sentence") {
  const nlohmann::json rules = nlohmann::json::parse(stripe::pasted_rules_json(Mode::live));
  CHECK(rules["advice"].size() == 12);
  for (const auto& advice : rules["advice"]) CHECK(advice.get<std::string>().ends_with("."));
  CHECK(rules["advice"]["wrong_mode"] ==
        "This is a restricted key of test mode; switch the dashboard to live mode and copy a key that starts "
        "with "
        "rk_live_.");
}

TEST_CASE("the page's table agrees with the verdicts") {
  const nlohmann::json rules = nlohmann::json::parse(stripe::pasted_rules_json(Mode::test));
  for (const auto& row : rules["prefixes"]) {
    const std::string text = row["prefix"].get<std::string>() + body(24);
    CHECK(stripe::name_of(classify_paste(text, Mode::test)) == row["kind"].get<std::string>());
  }
}

TEST_CASE("credentials in a text are found and replaced") {
  CHECK(stripe::redact("old " + live() + ", new " + test_key() + ".") == "old [redacted], new [redacted].");
  CHECK(stripe::redact("k=" + master() + "\\n") == "k=[redacted]\\n");
  CHECK(stripe::redact("whsec_" + body(32)) == "[redacted]");
  CHECK(stripe::redact(std::string("xo") + "xb-1234567890-" + body(20)) == "[redacted]");
  CHECK(stripe::redact(std::string("xa") + "pp-1-A012345-" + body(20)) == "[redacted]");
  CHECK(stripe::redact("HRKU-" + body(60)) == "[redacted]");
  CHECK(stripe::redact("\\n" + live()) == "\\n[redacted]");
}

TEST_CASE("what only looks like a credential is left alone") {
  for (const std::string text : {"pk_"
                                 "live_51HxAbCdEf9AbCdEf",
                                 "rk_live_", "paste the rk_live_ key", "task_test_suite",
                                 "disk_live_migration_of_nodes", "rk_live_****abcd"}) {
    CHECK_FALSE(stripe::contains_credential(text));
    CHECK(stripe::redact(text) == text);
  }
}

TEST_CASE("redacting leaves no credential, wherever it stands") {
  CHECK(rc::check([](const std::string& before, const std::string& after) {
    const auto key =
        *rc::gen::element(live(24), test_key(), master(), "HRKU-" + body(58), "whsec_" + body(32));
    const std::string redacted = stripe::redact(before + key + after);
    RC_ASSERT(redacted.find(key) == std::string::npos);
    RC_ASSERT(redacted.find(key.substr(key.size() - 6)) == std::string::npos ||
              after.find("AbC") != std::string::npos);
    RC_ASSERT(!stripe::contains_credential(redacted));
  }));
}

TEST_CASE("texts made of pieces of keys are redacted whole") {
  CHECK(rc::check([] {
    const auto pieces = *rc::gen::container<std::vector<std::string>>(rc::gen::element<std::string>(
        "rk_", "sk_", "live_", "test_", "xoxb-", "whsec_", "HRKU-", "51HxAbCdEf9", "_", "-", " ", "k", "a1"));
    std::string text;
    for (const std::string& piece : pieces) text += piece;
    RC_ASSERT(!stripe::contains_credential(stripe::redact(text)));
  }));
}

TEST_CASE("tidying twice is tidying once, for any bytes") {
  CHECK(rc::check([](const std::vector<unsigned char>& bytes) {
    const std::string once = tidy_paste(std::string(bytes.begin(), bytes.end()));
    RC_ASSERT(tidy_paste(once) == once);
  }));
  CHECK(rc::check([] {
    const auto pieces = *rc::gen::container<std::vector<std::string>>(
        rc::gen::element<std::string>("\xE2", "\x80", "\x8B", "\xE2\x80\x8B", "\"", "'", "\xE2\x80\x9C",
                                      "\xE2\x80\x9D", " ", "\xC2\xA0", "\n", "k"));
    std::string text;
    for (const std::string& piece : pieces) text += piece;
    const std::string once = tidy_paste(text);
    RC_ASSERT(tidy_paste(once) == once);
  }));
}

TEST_CASE("any bytes are classified without a throw, and only whole keys pass") {
  CHECK(rc::check([](const std::vector<unsigned char>& bytes) {
    const std::string text(bytes.begin(), bytes.end());
    RC_ASSERT(classify_paste(text, Mode::live) != Pasted::restricted_key);
    RC_ASSERT(classify_paste("rk_live_" + text, Mode::test) != Pasted::restricted_key);
  }));
}

TEST_CASE("a text made of nothing but prefixes is read in one pass") {
  for (const std::string& piece :
       {std::string("rk_") + "live_", std::string("axo") + "xb-", std::string("sk_org_")}) {
    std::string text;
    while (text.size() < 4'000'000) text += piece;
    CHECK(stripe::redact(text).size() <= text.size());
    CHECK(classify_paste(text, Mode::live) != Pasted::restricted_key);
  }
}

// The page's script is held to the same cases: tests/browser/paste.test.mjs.
TEST_CASE("the cases that the page answers too are answered as the table says") {
  std::ifstream file(KEYTURN_SOURCE_FOLDER "/tests/vectors/pastes.json");
  const auto cases = nlohmann::json::parse(file);
  REQUIRE(cases.size() >= 60);
  for (const auto& one : cases) {
    std::string text = one.value("text", "");
    for (const auto& part : one.value("parts", nlohmann::json::array())) text += part.get<std::string>();
    INFO(one.dump());
    const Mode mode = one.at("mode") == "live" ? Mode::live : Mode::test;
    CHECK(stripe::name_of(classify_paste(tidy_paste(text), mode)) == one.at("kind").get<std::string>());
  }
}
