// What the one-time form asks of the rotation behind it. The web server knows HTTP and pages; everything
// about tokens, keys and rotations is decided behind this interface.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "integrations/provider.h"
#include "storage/clock.h"
#include "storage/secret.h"

namespace keyturn::commands {

// What the page shows to whoever holds the link.
struct FormInfo {
  std::string target;       // "stripe prod"
  std::string secret_name;  // "STRIPE_RESTRICTED_KEY"
  std::string dashboard_key_name;
  std::string operator_name;  // Slack user id, or a name where known
  integrations::Mode mode = integrations::Mode::live;
  bool compromise = false;
  storage::Duration recommended_grace{};
  storage::TimePoint expires_at;
  int attempts_left = 0;
};

enum class FormClosed { unknown, expired, used, locked };

struct FormSubmission {
  std::string token;  // as the page sent it; only its hash is kept
  storage::SharedSecret pasted;
  storage::Duration grace_chosen{};  // what was chosen in the dashboard; 0: "Now"
  storage::TimePoint rotated_at;     // when "Rotate API key" was clicked
  std::string peer;
};

struct FormReceived {
  std::string fingerprint;
  storage::TimePoint old_key_expires_at;
};

// The link is not spent, unless attempts_left is 0.
struct FormRefused {
  std::string code;      // "publishable_key", "same_key", ...
  std::string sentence;  // what it is and what to do
  int attempts_left = 0;
  bool alarm = false;  // a master key
};

class FormDesk {
 public:
  virtual ~FormDesk() = default;
  virtual boost::asio::awaitable<std::variant<FormInfo, FormClosed>> look(std::string token,
                                                                          std::string peer) = 0;
  // Returns FormReceived only when the key is sealed and on disk.
  virtual boost::asio::awaitable<std::variant<FormReceived, FormRefused, FormClosed>> submit(
      FormSubmission form) = 0;
};

}  // namespace keyturn::commands
