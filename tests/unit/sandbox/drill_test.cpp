// The judging of drills: a bot that goes green by mistake, or says nothing, must fail them.
#include <catch2/catch.hpp>
#include <set>

#include "deploy/sandbox/drill.h"
#include "deploy/sandbox/slack_people.h"
#include "tests/unit/sandbox/fixture.h"

namespace keyturn::sandbox {
namespace {

constexpr const char* kOld = "mk_old";
constexpr const char* kNew = "mk_new";

Observation before() {
  Observation seen;
  seen.stored = seen.configured = kOld;
  seen.running = {kOld};
  seen.settled = true;
  seen.keys = {{kOld, {.alive = true, .ours = true}}};
  seen.billing_healthy = true;
  return seen;
}

// The world after a rotation that went well, and everything that was said.
Observation rotated() {
  Observation seen = before();
  seen.stored = seen.configured = kNew;
  seen.running = {kNew};
  seen.keys = {{kOld, {.alive = false, .ours = true}}, {kNew, {.alive = true, .ours = true}}};
  seen.said = {{kOpsChannel, "1", "STRIPE_RESTRICTED_KEY is rotated. New key `a`, old key `b`."},
               {kOpsChannel, "2", "The old key of stripe prod (b) expires soon."},
               {kOpsChannel, "3", "The old key of stripe prod is dead. Stripe refused it."}};
  return seen;
}

Story story_of(std::vector<Observation> looks) {
  Story story(before());
  for (Observation& seen : looks) story.note(std::move(seen));
  return story;
}

bool passes(const char* drill, Story story) {
  return would_pass(find_drill(drill)->questions, std::move(story));
}

Story without(Observation seen, const std::string& words) {
  std::erase_if(seen.said, [&](const Said& line) { return line.words.find(words) != std::string::npos; });
  return story_of({std::move(seen)});
}

}  // namespace

TEST_CASE("every drill can be found, explained and judged, and none passes when nothing happened") {
  std::set<std::string> names;
  for (const Drill& drill : drills()) {
    INFO(drill.name);
    CHECK(names.insert(drill.name).second);
    CHECK(find_drill(drill.name) == &drill);
    CHECK_FALSE(drill.title.empty());
    CHECK_FALSE(drill.sentence.empty());
    CHECK_FALSE(drill.steps.empty());
    CHECK_FALSE(drill.should_have_seen.empty());
    CHECK(drill.play);
    CHECK_FALSE(passes(drill.name.c_str(), Story(before())));
  }
  CHECK(find_drill("no-such-drill") == nullptr);
}

TEST_CASE("a rotation that went well passes the calm drill, and fails it when any one thing is missing") {
  CHECK(passes("calm", story_of({rotated()})));
  CHECK_FALSE(passes("calm", without(rotated(), "is rotated")));
  CHECK_FALSE(passes("calm", without(rotated(), "expires soon")));
  CHECK_FALSE(passes("calm", without(rotated(), "is dead")));
  const auto broken = [](auto change) {
    Observation seen = rotated();
    change(seen);
    return story_of({std::move(seen)});
  };
  CHECK_FALSE(passes("calm", broken([](Observation& seen) { seen.keys[kOld].alive = true; })));
  CHECK_FALSE(passes("calm", broken([](Observation& seen) { seen.keys[kNew].alive = false; })));
  CHECK_FALSE(passes("calm", broken([](Observation& seen) { seen.keys[kNew].ours = false; })));
  CHECK_FALSE(passes("calm", broken([](Observation& seen) { seen.stored = kOld; })));
  CHECK_FALSE(passes("calm", broken([](Observation& seen) { seen.configured = kOld; })));
  CHECK_FALSE(passes("calm", broken([](Observation& seen) { seen.running.insert(kOld); })));
  CHECK_FALSE(passes("calm", broken([](Observation& seen) { seen.billing_healthy = false; })));
  CHECK_FALSE(passes("calm", broken([](Observation& seen) { seen.billing_healthy.reset(); })));
}

TEST_CASE("a foreign key that was stored for a moment fails a drill, however well it ends") {
  Observation wrong = before();
  wrong.stored = "mk_foreign";
  wrong.keys["mk_foreign"] = {.alive = true, .ours = false};
  Observation end = rotated();
  end.keys["mk_foreign"] = {.alive = true, .ours = false};
  CHECK_FALSE(passes("calm", story_of({wrong, end})));
  Observation nobodys = before();
  nobodys.configured = kNoKey;
  CHECK_FALSE(passes("calm", story_of({nobodys, rotated()})));
}

TEST_CASE("a key that passed through Slack fails every drill") {
  Story story = story_of({rotated()});
  story.note_traffic(true);
  story.note_traffic(false);
  CHECK_FALSE(passes("calm", story));
}

TEST_CASE("what was said before the drill doesn't count, and what was edited away does") {
  Observation earlier = before();
  earlier.said = rotated().said;
  Story old_news(earlier);
  Observation end = rotated();
  old_news.note(end);
  CHECK_FALSE(passes("calm", old_news));

  Observation meanwhile = rotated();
  meanwhile.said.push_back({kOpsChannel, "9", "no usable answer for GET /v1/customers"});
  CHECK(passes("stripe-down", story_of({meanwhile, rotated()})));
  CHECK_FALSE(passes("stripe-down", story_of({rotated()})));
}

TEST_CASE("a refusal passes only when it was said, and nothing was touched") {
  Observation told = before();
  told.said = {{"D0ADMIN", "1", "raxx-api-prod and Infisical do not hold the same key (...)."}};
  CHECK(passes("drift", story_of({told})));
  CHECK_FALSE(passes("drift", story_of({before()})));
  Observation elsewhere = told;
  elsewhere.said.front().place = kOpsChannel;
  CHECK_FALSE(passes("drift", story_of({elsewhere})));
  Observation changed = told;
  changed.configured = kNew;
  CHECK_FALSE(passes("drift", story_of({changed, told})));
  Observation dead = told;
  dead.keys[kOld].alive = false;
  CHECK_FALSE(passes("drift", story_of({dead})));
  Observation green = told;
  green.said.push_back({kOpsChannel, "2", "STRIPE_RESTRICTED_KEY is rotated. New key"});
  CHECK_FALSE(passes("drift", story_of({green})));
}

TEST_CASE("while a drill runs, what is missing is open, and what must not happen fails at once") {
  const Questions& questions = find_drill("drift")->questions;
  Story story(before());
  for (const Fact& fact : judge(questions, story)) {
    INFO(fact.what);
    CHECK_FALSE(fact.holds);
  }
  CHECK(score_of(judge(questions, story), story.over()) == "running");
  Observation changed = before();
  changed.stored = kNew;
  story.note(changed);
  int broken = 0;
  for (const Fact& fact : judge(questions, story)) broken += fact.holds == false ? 1 : 0;
  CHECK(broken == 1);
  story.end();
  CHECK(score_of(judge(questions, story), story.over()) == "failed");
}

TEST_CASE("what can't be seen never counts as passed") {
  CHECK(score_of({}, true) == "failed");
  CHECK(score_of({{.holds = true, .what = "", .found = ""}, {.holds = {}, .what = "", .found = ""}}, true) ==
        "failed");
  CHECK(score_of({{.holds = true, .what = "", .found = ""}}, true) == "passed");
}

}  // namespace keyturn::sandbox
