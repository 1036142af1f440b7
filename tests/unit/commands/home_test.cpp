// The home tab, as a view, and when it is published.
#include "commands/views/home.h"

#include <catch2/catch.hpp>

#include "commands/home_tabs.h"
#include "tests/unit/commands/desk_fixture.h"
#include "tests/unit/commands/slack_rules.h"

namespace keyturn::test {
namespace {

using commands::Standing;
using commands::views::HomeTab;

std::shared_ptr<const State> copy_of(const Story& story) { return std::make_shared<State>(story.state); }

HomeTab tab_of(std::vector<std::shared_ptr<const State>> rotations, TimePoint now, std::string user = "U1") {
  return {.targets = {sample_target()},
          .rotations = std::move(rotations),
          .user = std::move(user),
          .standing = Standing::superadmin,
          .now = now};
}

std::string words(const HomeTab& tab) { return commands::views::home(tab).dump(); }

bool says(const HomeTab& tab, const std::string& text) { return words(tab).find(text) != std::string::npos; }

// A view is checked as the message that has its blocks.
void check_rules(const HomeTab& tab, std::size_t most_blocks = 100) {
  const auto view = commands::views::home(tab);
  CHECK(view.at("type") == "home");
  CHECK(view.at("blocks").size() <= most_blocks);
  commands::views::Message message{
      .slot = "home", .place = {}, .live = false, .text = "home", .blocks = view.at("blocks")};
  CHECK(SlackRules::broken_by(message) == std::vector<std::string>{});
}

}  // namespace

TEST_CASE("the home tab shows each key's age and when it is due") {
  const auto never = tab_of({}, kStart);
  CHECK(says(never, "never rotated by Keyturn"));
  CHECK(says(never, "None yet."));
  check_rules(never);

  Story done;
  done.due();
  done.happens(ProvenDead{}).happens(Closed{"rotated"});
  const auto later = tab_of({copy_of(done)}, done.state.completed->at + 24h * 11);
  CHECK(says(later, "rotated 11 days ago by <@U1>"));
  CHECK(says(later, "rotated, old key proven dead"));
  CHECK_FALSE(says(later, "overdue"));
  check_rules(later);
  CHECK(says(tab_of({copy_of(done)}, done.now + 24h * 100), "overdue"));
}

TEST_CASE("what goes on stands on the home tab with what it means for billing") {
  Story live;
  live.propagated();
  const auto tab = tab_of({copy_of(live)}, live.now);
  CHECK(says(tab, "*Going on*: verifying"));
  CHECK(says(tab, "Billing runs on the new key."));
  CHECK(says(tab, "The old key's deadline"));
  check_rules(tab);
}

TEST_CASE("the home tab shows one's own rotations and nobody else's") {
  Story mine;
  mine.linked().happens(Cancelled{}).conclude();
  CHECK(says(tab_of({copy_of(mine)}, mine.now, "U1"), "cancelled"));
  CHECK(says(tab_of({copy_of(mine)}, mine.now, "U2"), "None yet."));
}

TEST_CASE("the home tab says what one may do, and nobody may when Slack doesn't say") {
  auto tab = tab_of({}, kStart);
  CHECK(says(tab, "You may rotate"));
  tab.standing = Standing::other;
  CHECK(says(tab, "Only superadmins"));
  tab.standing = Standing::unknown;
  CHECK(says(tab, "nobody may"));
}

TEST_CASE("a thousand targets and a long history keep Slack's limits, and what goes on comes first") {
  auto tab = tab_of({}, kStart);
  tab.targets.clear();
  for (int i = 0; i < 1000; ++i) {
    auto target = sample_target();
    target.environment = "env" + std::to_string(i);
    target.store.name = "A<B>&C";
    tab.targets.push_back(std::move(target));
  }
  Story live(tab.targets.back());
  live.propagated();
  for (int i = 0; i < 50; ++i) tab.rotations.push_back(copy_of(live));
  check_rules(tab);
  const std::string text = words(tab);
  CHECK(text.find("stripe env999") < text.find("stripe env0"));
  CHECK(text.find("and 960 more") != std::string::npos);
}

}  // namespace keyturn::test
