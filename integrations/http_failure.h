// From an HTTP status, or from none at all, to the one family of failures. Slack apart (its failures come in
// a 200), every vendor's client starts from here and adds its own reason. Thread: any. Pure, and nothing of a
// response's text gets in.
#pragma once

#include <string>
#include <string_view>

#include "integrations/error.h"
#include "integrations/net/message.h"

namespace keyturn::net {
class NetError;
}

namespace keyturn::integrations {

// Whether a call that got no clear answer may have changed something over there.
enum class Effect { none, write };

struct Call {
  System system;
  std::string operation;  // "read the secret": in our words, for people
  Effect effect = Effect::none;
};

// What a status that is no success means for the call. A 5xx to a write is ambiguous: a gateway's 502 can
// stand for a change that went through.
Failure failure_of(int status, Effect effect);

// The vendor's request id out of a header's value: its first element, only the characters that ids are made
// of (it goes into messages), at most 64 of them.
std::string request_id_from(std::string_view header);

// Everything about an answer but the reason, which is empty where only the vendor's words would say it.
ApiError::Details details_of(const Call& call, const net::Response& response);

// An answer that came with success in its status and not the shape that we know.
ApiError not_understood(const Call& call, const net::Response& response, std::string reason);

// Why is in NetError's own words, which hold nothing of the request or of an answer's text.
ApiError no_answer(const Call& call, const net::NetError& error);

// What an observer is told.
std::string outcome_of(int status, Effect effect);

}  // namespace keyturn::integrations
