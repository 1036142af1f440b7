// What has happened since a drill began, as far as its facts ask; and the facts themselves, each a question
// to the story. Pure.
#pragma once

#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "deploy/sandbox/fact.h"
#include "deploy/sandbox/observation.h"

namespace keyturn::sandbox {

class Story {
 public:
  explicit Story(Observation before);

  // One more look, in the order of time. What was said and is edited away stays said: people have read it.
  void note(Observation seen);
  // Everything that went between the bot and Slack, searched for every key's value.
  void note_traffic(bool holds_key) { key_in_slack_ = key_in_slack_ || holds_key; }
  // Nothing more will happen: what has not been said by now never was.
  void end() { over_ = true; }

  const Observation& before() const { return before_; }
  const Observation& now() const { return now_; }
  bool over() const { return over_; }
  bool key_in_slack() const { return key_in_slack_; }
  const std::set<std::string>& ever_stored() const { return ever_stored_; }
  const std::set<std::string>& ever_configured() const { return ever_configured_; }
  // The first line with these words in that place since the drill began; null: none.
  const Said* said(const std::string& place, const std::string& words) const;
  // The key that was stored in place of the one before; empty: none was.
  std::string new_key() const;

 private:
  Observation before_, now_;
  std::set<std::pair<std::string, std::string>> old_;  // place and ts of what was there before
  std::set<Said> told_;
  std::set<std::string> ever_stored_, ever_configured_;
  bool key_in_slack_ = false;
  bool over_ = false;
};

using Question = std::function<Fact(const Story&)>;

// That must come true, and hold in the end.
Question said_in_channel(std::string words, std::string what);
Question said_to_operator(std::string words, std::string what);
Question only_operator_sees(std::string words, std::string what);
Question new_key_everywhere();
Question old_key_dead();
Question old_key_alive();
Question billing_healthy();
// That must never happen; open until the end.
Question never_said_in_channel(std::string words, std::string what);
Question nothing_changed();
Question only_our_keys();
Question no_key_in_slack();

using Questions = std::vector<Question>;
std::vector<Fact> judge(const Questions& questions, const Story& story);
// Whether every fact would hold if nothing more happened.
bool would_pass(const Questions& questions, Story story);
// "running", and once it is over "passed" (every fact holds) or "failed" (one does not, or was not seen).
std::string_view score_of(const std::vector<Fact>& facts, bool over);

}  // namespace keyturn::sandbox
