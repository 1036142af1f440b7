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
#include "storage/hpke.h"

namespace keyturn::commands {

// How the form knows that it is the operator who hands the key over.
enum class FormProof {
  code,     // six digits that only the operator's direct message shows
  sign_in,  // Sign in with Slack
};

// What the operator is sent.
struct Invitation {
  std::string link;
  std::string code;  // six digits; empty when the form asks for a sign-in instead
};

// Who stands in front of the page, as far as that can be told.
struct FormVisitor {
  std::string peer;          // the address
  std::string signed_in_as;  // a Slack user id; empty: nobody signed in
};

// What the page shows to whoever holds the link.
struct FormInfo {
  std::string rotation, operator_id;  // what the page binds its message to, with the token
  std::string public_key;             // what it seals to, base64url
  std::string target;                 // "stripe prod"
  std::string secret_name;            // "STRIPE_RESTRICTED_KEY"
  std::string dashboard_key_name;
  std::string operator_name;  // Slack user id, or a name where known
  integrations::Mode mode = integrations::Mode::live;
  bool compromise = false;
  bool recovery = false;  // the old key is dead: nothing was rotated, and no grace was chosen
  bool asks_code = true;
  storage::Duration recommended_grace{};
  storage::TimePoint expires_at;
  int attempts_left = 0;
  struct Opening {
    storage::TimePoint at;
    std::string peer;
  };
  std::vector<Opening> opened_before;  // oldest first
};

// Named in JSON and in the journal by name_of.
enum class FormClosed {
  unknown,    // never issued, replaced by a newer one, or given out in another life of the journal
  expired,    // its time is over
  used,       // a key was received through it: its progress can be followed
  locked,     // too many wrong pastes
  cancelled,  // the rotation ended without a key
};

// Only the operator may go on, and has to sign in with Slack first.
struct SignInNeeded {
  std::string operator_name;
  bool another_person = false;  // somebody else is signed in
};

// What the page sealed: the pasted key, the code, and what was chosen in the dashboard (see
// form_submission.h).
struct SealedSubmission {
  std::string token;  // as the page sent it; only its hash is kept
  storage::hpke::Message message;
  FormVisitor visitor;
};

struct FormReceived {
  std::string fingerprint;
  storage::TimePoint old_key_expires_at;
};

// The link is not spent, unless attempts_left is 0.
struct FormRefused {
  std::string code;      // "publishable_key", "same_key", "wrong_code", ...
  std::string sentence;  // what it is and what to do
  int attempts_left = 0;
  bool alarm = false;  // a master key
};

// How the rotation goes that the key was handed over to. Everything is plain text.
struct FormProgress {
  std::string stage;     // "validating", ..., "halted", "closed"
  std::string headline;  // "propagating the new key"
  std::string billing;   // what it means for billing right now
  struct Line {
    std::string mark;  // "done", "doing", "waiting", "problem", "pending"
    std::string text;
  };
  std::vector<Line> lines;
  std::string sentence;  // why it stopped, or why the key was not accepted; may be empty
  bool needs_person = false;
  bool done = false;
  std::string outcome;  // once done: "rotated", "given_up", ...
  std::optional<storage::TimePoint> old_key_expires_at;
  storage::Duration next{};  // when to ask again
};

using FormLook = std::variant<FormInfo, FormClosed, SignInNeeded>;
using FormAnswer = std::variant<FormReceived, FormRefused, FormClosed, SignInNeeded>;

std::string_view name_of(FormClosed closed);

class FormDesk {
 public:
  virtual ~FormDesk() = default;
  virtual boost::asio::awaitable<FormLook> look(std::string token, FormVisitor visitor) = 0;
  // Returns FormReceived only when the key is sealed and on disk.
  virtual boost::asio::awaitable<FormAnswer> submit(SealedSubmission submission) = 0;
  // Nothing unless a key was received through that link.
  virtual std::optional<FormProgress> progress(std::string_view token) const = 0;
};

}  // namespace keyturn::commands
