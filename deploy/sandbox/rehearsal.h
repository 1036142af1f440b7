// Runs one drill at a time in this sandbox: mends the world, sets the scene, plays the operator (or lets a
// person do it), looks at everything meanwhile, and judges. Thread: io only; outlives its tasks.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <deque>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>

#include "deploy/sandbox/drill.h"
#include "integrations/net/within.h"

namespace keyturn::sandbox {

class Rehearsal {
 public:
  // References must outlive this. `control`: the control server's URL, once start() is called.
  Rehearsal(boost::asio::any_io_executor io, World& world, SlackWorld& slack, const std::string& control);

  // Also told to this, line by line.
  void listen(Tell listener) { listener_ = std::move(listener); }

  // Throws std::invalid_argument for a drill that isn't there, and while another one runs.
  void start(const std::string& name, bool play);
  // Judges what there is by now.
  void stop();
  void shut_down() { tasks_.cancel(); }
  bool running() const { return running_; }
  const std::vector<Fact>& facts() const { return facts_; }
  const std::string& score() const { return score_; }

  // [{"name","title","sentence","steps"}]
  static nlohmann::json list();
  // The drill of now, or the last one: {"name","title","running","played","score","facts":[{"what","holds",
  // "found"}],"should_have_seen","transcript":[{"at","who","what"}]}; null before the first.
  nlohmann::json state() const;

 private:
  struct Line {
    storage::Duration at;
    std::string who, what;
  };

  boost::asio::awaitable<void> run(bool play);
  boost::asio::awaitable<void> play();
  boost::asio::awaitable<void> watch();
  boost::asio::awaitable<void> mend();
  boost::asio::awaitable<bool> until_calm();
  void note();
  void search_slack();
  void finish(bool stopped);
  void tell(const std::string& who, const std::string& what);

  boost::asio::any_io_executor io_;
  World& world_;
  SlackWorld& slack_;
  const std::string& control_;
  storage::SystemClock clock_;
  Tell listener_;
  const Drill* drill_ = nullptr;
  bool running_ = false, played_ = false;
  bool story_over_ = false;  // the player has nothing left to do
  storage::TimePoint began_{}, story_ended_{};
  std::optional<Story> story_;
  std::vector<Fact> facts_;
  std::string score_;  // "preparing", "running", "passed", "failed", "stopped"
  std::deque<Line> transcript_;
  net::TaskGroup tasks_;
};

}  // namespace keyturn::sandbox
