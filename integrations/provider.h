// The family of systems that issue keys (first: Stripe). Knows how to recognise a key and how to ask whether
// one works; knows nothing of rotations.
#pragma once

#include <boost/asio/awaitable.hpp>
#include <optional>
#include <string>
#include <vector>

#include "storage/clock.h"
#include "storage/secret.h"

namespace keyturn::integrations {

enum class Mode { live, test };

// What one call with a key showed. Only `expired` is proof of death; only `granted` and `denied` are proof of
// life.
enum class Answer {
  granted,       // 200 and the expected object
  denied,        // 403: the key lives, the permission is missing
  expired,       // 401 with api_key_expired
  unknown_key,   // 401 "Invalid API Key": a typo, another system's key, or one that was deleted
  address,       // 401: this address is not on the key's allow-list; says nothing about the key
  inconclusive,  // 429, 5xx, HTML, a timeout, a 401 of no known kind: says nothing
};

std::string_view name_of(Answer answer);
std::optional<Answer> answer_named(std::string_view name);

struct Probe {
  std::string endpoint;  // "GET /v1/customers"
  Answer answer = Answer::inconclusive;
  int status = 0;                                // 0: no HTTP answer at all
  std::string request_id;                        // the vendor's; some refusals carry none
  storage::TimePoint at;                         // when the answer came
  std::string account;                           // "acct_...", where the answer named one (a 403 does)
  std::string newest_object;                     // id of the first object in the list, where there was one
  std::optional<bool> livemode;                  // of that object, where there was one
  std::vector<std::string> missing_permissions;  // named by a 403: "customer_read"; each could satisfy it
  std::string note;  // in our words, when inconclusive: "rate limited", "timeout after 10 s"
};

class Provider {
 public:
  virtual ~Provider() = default;

  // Calls `endpoint` ("GET /v1/customers": only GETs) with `key`, with limit=1 where it lists. Never throws
  // for what the world does: every failure is an Answer. `now` is read from the clock when the answer is in.
  virtual boost::asio::awaitable<Probe> probe(storage::SharedSecret key, std::string endpoint) = 0;
};

}  // namespace keyturn::integrations
