// Stripe as far as keys go: authentication, permissions, a few resources, and the dashboard's buttons.
// Source: docs.stripe.com/keys, /error-codes, /rate-limits; wordings as quoted in public issues of
// stripe-node and stripe-cli. Checks run in Stripe's order: key, then route, then permission, then endpoint.
// Knobs: {"kind":"wording","generation":2025|2026}       the two texts of a 403
//        {"kind":"deleted_answers","as":"expired"|"invalid"}
//        {"kind":"expired_request_id","on":true}          whether a 401 for an expired key carries a
//        Request-Id
//        {"kind":"expiry_lag","seconds":9}                how long a key outlives its deadline
//        {"kind":"ip_denied","key":"mk_...","on":true}    401 from an address list
//        {"kind":"fresh_lag","seconds":3}                 how long a new key is unknown to the API at first
#pragma once

#include <deque>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "deploy/sandbox/stripe_endpoints.h"
#include "deploy/sandbox/timing.h"
#include "deploy/sandbox/vendor.h"

namespace keyturn::sandbox {

enum class StripeKeyKind { restricted, secret, publishable };

struct StripeKey {
  std::string id;  // "mk_..."
  std::string value;
  StripeKeyKind kind = StripeKeyKind::restricted;
  bool live = false;
  std::string account;
  std::string name;
  std::string note;
  std::set<std::string> permissions;  // bare names: "customer_read"; a write implies the read
  storage::TimePoint created{};
  std::optional<storage::TimePoint> expires_at;
  bool deleted = false;    // rotated with "Now"
  bool ip_denied = false;  // an address list that the caller isn't on
  std::optional<storage::TimePoint> last_used;
};

// "rk_live_***...***1euf26" as error messages and the dashboard show it: the real length, the last six.
std::string mask_key(const std::string& value);

class StripeWorld final : public Vendor {
 public:
  StripeWorld(const storage::Clock& clock, SandboxTiming timing);

  struct NewKey {
    StripeKeyKind kind = StripeKeyKind::restricted;
    bool live = false;
    std::string account;
    std::string name;
    std::string note;
    std::set<std::string> permissions;
  };

  // The dashboard's buttons. `key` is an id, or a name (then the newest key of that name that still lives).
  // All throw std::invalid_argument for an unknown key. References stay valid.
  const StripeKey& create(NewKey wanted);
  // "Rotate key": a new key of the same name and permissions; the old one ends in `expires_in` (0: "Now",
  // deleted).
  const StripeKey& rotate(const std::string& key, storage::Duration expires_in);
  void expire(const std::string& key);  // "Expire key"
  void set_note(const std::string& key, std::string note);

  const StripeKey* find(const std::string& id_or_name) const;
  const StripeKey* find_value(const std::string& value) const;
  const std::deque<StripeKey>& keys() const { return keys_; }
  // What "Reveal" shows: the value, or nothing when there is no such key.
  std::optional<std::string> reveal(const std::string& key) const;

  // An object that lists and GET by id show, in its account and mode.
  void add_object(const std::string& account, bool live, const std::string& collection,
                  nlohmann::json object);

  nlohmann::json state() const override;
  net::Response answer(const net::ServerRequest& request) override;

 protected:
  bool turn_knob(const nlohmann::json& knob) override;
  void reset_knobs() override;
  net::Response fault_answer(int status) override;

 private:
  struct Knobs {
    int wording = 2026;
    bool deleted_answers_expired = true;
    bool expired_request_id = false;
    storage::Duration expiry_lag{0};
    storage::Duration fresh_lag{0};
  };
  struct Object {
    std::string account;
    bool live = false;
    std::string collection;  // "customers"
    nlohmann::json body;
  };

  StripeKey* lookup(const std::string& id_or_name);
  StripeKey& existing(const std::string& id_or_name);
  bool dead(const StripeKey& key) const;
  net::Response refuse_key(const std::string& presented, const StripeKey* key) const;
  net::Response authorised(const net::ServerRequest& request, const StripeKey& key);
  net::Response denied(const StripeKey& key, const StripeEndpoint& endpoint,
                       const std::vector<std::string>& wanted) const;
  net::Response whole(const net::ServerRequest& request, const StripeKey& key,
                      const StripeEndpoint& endpoint) const;
  net::Response list(const net::ServerRequest& request, const StripeKey& key,
                     const StripeEndpoint& endpoint) const;
  net::Response one(const StripeKey& key, const StripeEndpoint& endpoint, const std::string& id) const;

  std::deque<StripeKey> keys_;
  std::vector<Object> objects_;
  SandboxTiming timing_;
  Knobs knobs_;
};

}  // namespace keyturn::sandbox
