// What `keyturn doctor` saw, before anybody judged it: plain values, and no secret among them (a key is its
// fingerprint here, and what kind of key it is).
#pragma once

#include <cstdint>
#include <expected>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "commands/rotation/events.h"
#include "integrations/consumer.h"
#include "integrations/error.h"
#include "integrations/health.h"
#include "integrations/heroku/heroku.h"
#include "integrations/net/certificate.h"
#include "integrations/provider.h"
#include "integrations/stripe/key_format.h"
#include "storage/journal.h"

namespace keyturn::bot::doctor {

template <typename T>
using Reply = std::expected<T, integrations::ApiError::Details>;

// Nothing: not asked, because an answer before it made the question pointless.
template <typename T>
using Asked = std::optional<Reply<T>>;

struct Fine {};

struct SettingsSeen {
  std::string file;
  std::vector<std::string> mistakes;  // one a line, with the place; with any of them nothing else was seen
  std::size_t targets = 0;
  std::vector<std::string> secret_problems;
};

struct JournalSeen {
  std::string file;
  bool exists = false;
  bool folder_exists = false;
  std::string problem;  // why it can't be read
  std::int64_t entries = 0;
  std::optional<storage::ChainFault> fault;
  int boxes = 0;  // that hold the keys of open rotations
  int shut = 0;   // of them, those that the sealing key doesn't open; 0 without a sealing key
};

struct BotTokenSeen {
  std::string team;
  std::string app;  // empty: Slack did not say
  std::optional<std::set<std::string>> scopes;
};

struct ChannelSeen {
  bool member = false;
  bool archived = false;
  bool shared_outside = false;  // with another company
};

struct SlackSeen {
  Asked<BotTokenSeen> bot_token;
  Asked<Fine> app_token;
  std::string app_of_app_token;  // as the token itself says; empty: it doesn't
  Asked<ChannelSeen> channel;
  Asked<std::vector<std::string>> group;                                     // its members
  std::map<std::string, Reply<commands::rotation::OperatorChecked>> people;  // by user id
};

// What stands where a key belongs.
struct KeySeen {
  stripe::Pasted kind = stripe::Pasted::not_a_key;
  std::string fingerprint;  // empty without a sealing key
};

struct StoredKeySeen {
  int version = 0;
  bool hidden = false;
  bool rotated_by_store = false;
  bool is_reference = false;
  std::optional<KeySeen> key;  // nothing when hidden
};

struct VariableSeen {
  std::optional<KeySeen> key;     // nothing: the variable is not set
  std::optional<bool> as_stored;  // the value that Infisical holds; nothing: that one is not known
};

struct AppSeen {
  Asked<integrations::AppInfo> info;
  Asked<VariableSeen> variable;
};

struct TargetSeen {
  Asked<StoredKeySeen> stored;
  Asked<std::vector<commands::rotation::SyncSeen>> syncs;  // those that copy the secret onward
  std::vector<AppSeen> apps;                               // in the order of the settings
  std::vector<integrations::Probe>
      probes;  // with the key that Infisical holds; empty: there is none to ask with
  std::optional<integrations::HealthReport> billing;
};

enum class Lookup { found, no_such_name, no_answer };

struct FormSeen {
  Lookup name = Lookup::no_answer;
  std::optional<std::expected<net::CertificateFacts, std::string>> certificate;  // with TLS of our own
  std::optional<std::expected<int, std::string>> proxy;  // its HTTP status, or why there was none
};

// By how much this host's clock is ahead of a vendor's.
struct ClockSeen {
  std::map<std::string, storage::Duration> ahead;
};

struct Observed {
  storage::TimePoint now;
  SettingsSeen settings;
  JournalSeen journal;
  SlackSeen slack;
  Asked<Fine> infisical_login;
  Asked<heroku::Account> heroku_account;
  std::vector<TargetSeen> targets;  // in the order of the settings
  FormSeen form;
  ClockSeen clock;
};

}  // namespace keyturn::bot::doctor
