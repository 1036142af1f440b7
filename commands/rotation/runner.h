// The only part that acts: asks `decide`, writes the intent, has the action performed, writes the outcome,
// asks again. After a restart it goes on from the fold of the journal; an action whose outcome is not in the
// journal is performed again, which is harmless because every action looks before it writes. Thread: io only.
// Failure: what the world does becomes ActionFailed; a journal that refuses a commit is retried, and nothing
// happens meanwhile (no effect without its intent on disk).
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <variant>
#include <vector>

#include "commands/rotation/decide.h"
#include "commands/rotation/state.h"
#include "integrations/net/within.h"
#include "storage/clock.h"
#include "storage/journal.h"

namespace keyturn::commands::rotation {

struct Outcome {
  std::vector<Event> events;
  std::vector<storage::NewBox> boxes;  // sealed in the same transaction
};

// Puts events into the journal while an action is still going on (progress, the hash of a link before it is
// sent, with the key that belongs to it).
using Recorder = std::function<boost::asio::awaitable<void>(Outcome)>;

class Performer {
 public:
  virtual ~Performer() = default;
  // The outcome of `action`. Throws integrations::ApiError for what the world refused.
  virtual boost::asio::awaitable<Outcome> perform(Action action, std::shared_ptr<const State> state,
                                                  Recorder record) = 0;
};

struct RunnerEvents {  // for messages, log and metrics; any may be empty
  std::function<void(const State&)> changed;
  std::function<void(const State&, const Action&, Duration took, const std::string& outcome)> acted;
  std::function<void(const std::string& what, const std::string& why)> trouble;
};

struct AlreadyLive {  // another rotation of the target is not over
  std::shared_ptr<const State> state;
};
struct Duplicate {};  // this command was handled before
using StartResult = std::variant<std::shared_ptr<const State>, AlreadyLive, Duplicate>;

class Runner {
 public:
  // References must outlive this.
  Runner(boost::asio::any_io_executor io, storage::Journal& journal, const storage::Clock& clock,
         Performer& performer, RunnerEvents events);
  ~Runner();

  // Once, at the start: the rotations that the journal holds (replay.h), oldest first.
  void load(std::vector<std::shared_ptr<State>> states);
  // Sets every open rotation going. Call once the performer can perform.
  void resume();

  // A new rotation; on disk when this returns. `once` is the command's dedupe key.
  boost::asio::awaitable<StartResult> start(Started started, std::string once);

  // Under the rotation's lock: `change` sees the state as it is and says what is to be appended (nothing: no
  // change). True when something was appended.
  using Change = std::function<std::optional<Outcome>(const State&, TimePoint)>;
  boost::asio::awaitable<bool> change(std::string id, std::string actor, Change change,
                                      std::optional<std::string> once = std::nullopt);

  // Newest first. The pointers are snapshots.
  std::vector<std::shared_ptr<const State>> all() const;
  // The same of one target ("stripe prod"): a journal of years, times a thousand targets, must not be walked
  // for each.
  std::vector<std::shared_ptr<const State>> of(const std::string& target) const;
  std::shared_ptr<const State> find(const std::string& id) const;
  // The rotation of that target which isn't over, or nothing.
  std::shared_ptr<const State> live(const std::string& provider, const std::string& environment) const;

  void stop();  // cancels what is going on; the journal knows where to continue
  boost::asio::awaitable<bool> stopped(Duration limit);

 private:
  struct Live;
  boost::asio::awaitable<void> drive(std::shared_ptr<Live> live);
  boost::asio::awaitable<Decision> advance(std::shared_ptr<Live> live);
  boost::asio::awaitable<void> work(std::shared_ptr<Live> live, Action action, int leg);
  boost::asio::awaitable<Outcome> perform(std::shared_ptr<Live> live, Action action, int leg);
  boost::asio::awaitable<bool> append(std::shared_ptr<Live> live, std::string actor, Outcome outcome,
                                      std::optional<std::string> once);
  void begin(const std::shared_ptr<Live>& live);
  void forget(const std::string& id, const std::string& target);

  boost::asio::any_io_executor io_;
  storage::Journal& journal_;
  const storage::Clock& clock_;
  Performer& performer_;
  RunnerEvents events_;
  std::map<std::string, std::shared_ptr<Live>> rotations_;               // by id, which sorts by time
  std::map<std::string, std::vector<std::shared_ptr<Live>>> of_target_;  // by its name, oldest first
  // Names of targets whose start is on its way to the disk; shared, because a coroutine that is thrown away
  // with the io_context gives its name back after this is gone.
  net::TaskGroup tasks_;
};

}  // namespace keyturn::commands::rotation
