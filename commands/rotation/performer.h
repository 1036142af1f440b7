// Performs the actions of the procedure on the real systems. Every action looks before it writes and reads
// back after, so that it may be asked for again at any time. Thread: io only.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "commands/form_desk.h"
#include "commands/rotation/runner.h"
#include "commands/rotation/vault.h"
#include "integrations/consumer.h"
#include "integrations/health.h"
#include "integrations/provider.h"
#include "integrations/secret_store.h"

namespace keyturn::commands::rotation {

// What the procedure asks of Slack (see commands/slack_desk.h); apart, so that the procedure can be run
// without it.
class People {
 public:
  virtual ~People() = default;
  virtual boost::asio::awaitable<OperatorChecked> check(std::string user) = 0;
  // Sends the operator the dashboard steps and the one-time link; returns where the message is.
  virtual boost::asio::awaitable<FormSent> send_form(std::shared_ptr<const State> state,
                                                     Invitation invitation) = 0;
};

struct Systems {  // must outlive the performer
  integrations::Provider& provider;
  integrations::SecretStore& store;
  integrations::Consumer& consumer;
  integrations::HealthCheck& health;
  People& people;
  const Vault& vault;
  const storage::Clock& clock;
  std::string form_url;  // "https://keyturn.example.com/form"
  FormProof form_proof = FormProof::code;
  std::function<boost::asio::awaitable<std::vector<std::string>>()> superadmins;  // all who are known
  // Nothing while not all are known.
  std::function<boost::asio::awaitable<std::optional<std::vector<std::string>>>()> every_superadmin;
};

class RealPerformer final : public Performer {
 public:
  explicit RealPerformer(Systems systems) : systems_(std::move(systems)) {}
  boost::asio::awaitable<Outcome> perform(Action action, std::shared_ptr<const State> state,
                                          Recorder record) override;

 private:
  using StatePointer = std::shared_ptr<const State>;
  boost::asio::awaitable<Outcome> read_current_key(StatePointer state);
  boost::asio::awaitable<Outcome> inspect_consumer(StatePointer state, std::string app);
  boost::asio::awaitable<Outcome> probe_key(StatePointer state, ActionKind purpose);
  boost::asio::awaitable<Outcome> check_billing(StatePointer state);
  boost::asio::awaitable<Outcome> issue_form(StatePointer state, Recorder record);
  boost::asio::awaitable<Outcome> store_key(StatePointer state);
  boost::asio::awaitable<Outcome> update_consumer(StatePointer state, std::string app);
  boost::asio::awaitable<Outcome> follow_sync(StatePointer state, std::string app);
  // The outcome of a change that the app's configuration has: its release, newer than `release_before`. Where
  // that failed and `mend` says so, another one.
  boost::asio::awaitable<Outcome> released(StatePointer state, ConsumerUpdated updated, int release_before,
                                           bool mend);
  boost::asio::awaitable<Outcome> await_consumer(StatePointer state, std::string app);
  boost::asio::awaitable<void> require_key(StatePointer state, std::string app);
  boost::asio::awaitable<Outcome> read_previous_key(StatePointer state);
  boost::asio::awaitable<int> newest_release(std::string app);
  boost::asio::awaitable<Outcome> watch_consumer(StatePointer state, std::string app, Recorder record);
  boost::asio::awaitable<Outcome> watch_billing(StatePointer state);
  boost::asio::awaitable<Outcome> take_proof(StatePointer state);
  boost::asio::awaitable<integrations::Probe> probe_old(StatePointer state);
  boost::asio::awaitable<Outcome> page_others(StatePointer state);
  boost::asio::awaitable<Outcome> find_superadmins(StatePointer state);
  boost::asio::awaitable<Outcome> check_expiry(StatePointer state);
  // The apps whose configuration holds another key than that one.
  boost::asio::awaitable<std::vector<std::string>> strays(StatePointer state, storage::SharedSecret key);
  boost::asio::awaitable<void> look_for_stray(ConsumerTarget consumer, storage::SharedSecret key,
                                              char& astray);

  Systems systems_;
};

// Fails an action for a reason of the procedure's own (not of the vendor's).
[[noreturn]] void fail(integrations::System system, const std::string& reason, bool can_retry,
                       const std::string& request_id = {});

// Which key takes which one's place: the new one the old one's, and on the way back the other way round.
struct Exchange {
  std::string_view purpose;                 // of the sealed box with the key that is to be everywhere
  std::string wanted, replaced;             // fingerprints
  const char *wanted_name, *replaced_name;  // for people: "the new key"
};
Exchange exchange_of(const State& state);

// The variable of that app, as the target names it.
std::string variable_of(const State& state, const std::string& app);

}  // namespace keyturn::commands::rotation
